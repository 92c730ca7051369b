"""Win rates, with and without control of length, and Bradley-Terry strengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from heed.stats.intervals import (
    Array,
    Clusters,
    Estimate,
    Values,
    bootstrap_mean,
    cluster_index,
    percentiles,
    resampled,
    vector,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How often one side is preferred to the other. A tie counts half."""

    value: float
    low: float
    high: float
    n: int
    better: float
    """Share of pairs in which it is strictly preferred."""
    worse: float
    """Share of pairs in which the other is strictly preferred."""

    @property
    def ties(self) -> float:
        """Share of pairs that are ties."""
        return max(0.0, 1.0 - self.better - self.worse)

    def as_json(self) -> dict[str, float | int]:
        """``{"value", "low", "high", "n", "better", "worse", "ties"}``."""
        names = ("value", "low", "high", "n", "better", "worse", "ties")
        return {name: getattr(self, name) for name in names}


def outcomes(scores: Values, others: Values, tolerance: float = 1e-9) -> Array:
    """1 where ``scores`` is higher, 0 where ``others`` is, 1/2 where they differ by no more than ``tolerance``."""
    gap = vector(scores, "scores") - vector(others, "others")
    result: Array = np.where(gap > tolerance, 1.0, np.where(gap < -tolerance, 0.0, 0.5))
    return result


def win_rate(scores: Values, others: Values, clusters: Clusters | None = None, *, seed: int = 0) -> WinRate:
    """Share of pairs in which ``scores[i] > others[i]``, ties as half, with the clustered bootstrap interval."""
    won = outcomes(scores, others)
    return _win_rate(won, bootstrap_mean(won, clusters, unit_interval=True, seed=seed))


def length_controlled_win_rate(
    scores: Values, others: Values, length_gaps: Values, clusters: Clusters | None = None, *, seed: int = 0
) -> WinRate:
    """The win rate two answers of equal length would have: the outcome's regression on length, read at zero.

    Ordinary least squares of the outcome (1, 1/2, 0) on the difference in length; the intercept is the estimate, its
    interval is the clustered bootstrap of the whole regression. Where all pairs have equal length it is the plain win
    rate. ``better`` and ``worse`` are the plain shares. Source: Stiennon et al. 2020, appendix F, which uses logistic
    regression; for win rates that are not extreme a line gives nearly the same, and ties need no special case.
    """
    won, gaps = outcomes(scores, others), vector(length_gaps, "length_gaps")
    if gaps.size != won.size:
        raise ValueError(f"length_gaps has {gaps.size} values, expected {won.size}")
    if won.size == 0:
        return _win_rate(won, bootstrap_mean(won))
    index = np.arange(won.size) if clusters is None else cluster_index(clusters, won.size)
    columns = (np.ones_like(won), won, gaps, gaps * gaps, gaps * won)
    moments = np.stack([np.bincount(index, weights=column).astype(np.float64) for column in columns])
    value = float(_intercept(moments.sum(axis=1)[:, None])[0])
    low, high = percentiles(_intercept(resampled(moments.T, seed).T), moments.shape[1])
    unseen = 1.0 - 0.025 ** (1.0 / moments.shape[1])
    low, high = min(low, value - unseen * abs(value)), max(high, value + unseen * abs(1.0 - value))
    return _win_rate(won, Estimate(value=value, low=low, high=high, n=won.size))


def _intercept(moments: Array) -> Array:
    """Intercept of y on x from the sums of (1, y, x, x^2, xy), each (5, draws)."""
    n, y, x, xx, xy = moments
    variance = xx / n - (x / n) ** 2
    covariance = xy / n - (x / n) * (y / n)
    slope = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 1e-12)
    result: Array = y / n - slope * (x / n)
    return result


def _win_rate(won: Array, estimate: Estimate) -> WinRate:
    n = max(won.size, 1)
    return WinRate(
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=won.size,
        better=float((won > 0.5).sum()) / n,
        worse=float((won < 0.5).sum()) / n,
    )


def bradley_terry(wins: npt.ArrayLike, prior: float = 0.0) -> Array:
    """Strengths whose differences are log-odds of winning, by maximum likelihood; they sum to zero.

    Args:
        wins: (M, M); ``wins[i, j]`` is how often i was preferred to j, a tie half a win for each.
        prior: weight of a normal prior, ``prior * sum(strength^2)`` added to the negative log-likelihood. It keeps the
            strength of someone who always wins finite.

    Source: Bradley and Terry 1952. Elo points are 400 / ln 10 times these.
    """
    table = np.asarray(wins, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"wins has shape {table.shape}, expected (M, M)")

    def objective(strengths: Array) -> tuple[float, Array]:
        gaps = strengths[:, None] - strengths[None, :]
        surprise = table * expit(-gaps)
        loss = -(table * log_expit(gaps)).sum() + prior * (strengths @ strengths)
        return float(loss), surprise.sum(axis=0) - surprise.sum(axis=1) + 2 * prior * strengths

    start = np.zeros(table.shape[0])
    fitted = minimize(objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15})
    result: Array = fitted.x - fitted.x.mean()
    return result
