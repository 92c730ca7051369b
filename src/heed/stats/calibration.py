"""Do predictions of probability p come true with frequency p?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heed.stats.intervals import Values, vector


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Predictions of about the same confidence."""

    confidence: float
    """Mean predicted probability in the bin."""
    accuracy: float
    """Share of them that came true."""
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Do predictions of probability p come true with frequency p?"""

    ece: float
    """Expected calibration error: mean over predictions of |accuracy - confidence| of their bin."""
    brier: float
    """Mean squared difference between probability and outcome."""
    bins: tuple[ReliabilityBin, ...]
    """The bins that hold anything, by confidence."""


def calibration(probabilities: Values, came_true: Values, num_bins: int = 10, start: float = 0.0) -> Calibration:
    """Reliability diagram, ECE and Brier score of predicted probabilities, in bins of equal width over [start, 1].

    ``start`` is 0.5 for confidences of a choice between two. Source: Guo et al. 2017, Equation 3.
    """
    p, y = vector(probabilities, "probabilities"), vector(came_true, "came_true")
    if p.size != y.size:
        raise ValueError(f"{p.size} probabilities for {y.size} outcomes")
    if p.size == 0:
        return Calibration(ece=float("nan"), brier=float("nan"), bins=())
    index = np.clip(((p - start) / (1.0 - start) * num_bins).astype(np.int64), 0, num_bins - 1)
    bins = tuple(
        ReliabilityBin(confidence=float(p[held].mean()), accuracy=float(y[held].mean()), n=int(held.sum()))
        for held in (index == number for number in range(num_bins))
        if held.any()
    )
    ece = sum(one.n * abs(one.accuracy - one.confidence) for one in bins) / p.size
    return Calibration(ece=ece, brier=float(((p - y) ** 2).mean()), bins=bins)
