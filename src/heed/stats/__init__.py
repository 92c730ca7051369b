"""Figures with their uncertainty: intervals, win rates, strengths, tests, power, agreement and calibration.

Every interval is at 95 %. What is resampled is the *cluster*, the prompt as a rule: two answers to one prompt are not
two independent observations. Everything is deterministic: whatever draws, draws from a generator of its own.
"""

from __future__ import annotations

from heed.stats.agreement import (
    NoiseBound,
    alphas,
    coincidences,
    krippendorff_alpha,
    noise_bound,
    pair_agreement,
)
from heed.stats.calibration import Calibration, ReliabilityBin, calibration
from heed.stats.intervals import (
    RESAMPLES,
    Array,
    Clusters,
    Estimate,
    Values,
    Z,
    bootstrap_mean,
    percentiles,
    resample_weights,
    wilson,
)
from heed.stats.preference import (
    WinRate,
    bradley_terry,
    length_controlled_win_rate,
    outcomes,
    win_rate,
)

__all__ = [
    "RESAMPLES",
    "Array",
    "Calibration",
    "Clusters",
    "Estimate",
    "NoiseBound",
    "ReliabilityBin",
    "Values",
    "WinRate",
    "Z",
    "alphas",
    "bootstrap_mean",
    "bradley_terry",
    "calibration",
    "coincidences",
    "krippendorff_alpha",
    "length_controlled_win_rate",
    "noise_bound",
    "outcomes",
    "pair_agreement",
    "percentiles",
    "resample_weights",
    "wilson",
    "win_rate",
]
