"""Win rates, with and without control of length, and Bradley-Terry strengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from heed.stats.fitting import newton
from heed.stats.intervals import (
    Array,
    Clusters,
    Estimate,
    Values,
    bootstrap_mean,
    bootstrap_means,
    cluster_index,
    percentiles,
    resampled,
    vector,
    weight_blocks,
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


def log_length_ratios(lengths: Values, others: Values) -> Array:
    """ln(length / other's length) for each pair; an empty answer counts as one unit long."""
    first, second = vector(lengths, "lengths"), vector(others, "others")
    result: Array = np.log(np.maximum(first, 1.0)) - np.log(np.maximum(second, 1.0))
    return result


def logistic_length_controlled(
    won: Values, length_gaps: Values, clusters: Clusters | None = None, *, ridge: float = 1e-3, seed: int = 0
) -> WinRate:
    """The win rate at equal length by logistic regression of the preference on the gap in length, read at zero.

    Args:
        won: 1 where the answer was preferred, 0 where the other was, 1/2 for a tie (fitted as half of each).
        length_gaps: of the pair: ``log_length_ratios``, or a difference; its unit does not matter.
        clusters: one label for each pair; the interval is the clustered bootstrap of the whole regression.
        ridge: weight of ``(intercept^2 + slope^2) / 2``, the slope per root mean square gap. It only matters where
            lengths separate wins from losses, and keeps the fit finite there.
        seed: of the resampling.

    Source: Stiennon et al. 2020, appendix F. ``better`` and ``worse`` are the plain shares.
    """
    y, gaps = vector(won, "won"), vector(length_gaps, "length_gaps")
    if gaps.size != y.size:
        raise ValueError(f"length_gaps has {gaps.size} values, expected {y.size}")
    if ((y < 0) | (y > 1)).any():
        raise ValueError(f"won holds {y[(y < 0) | (y > 1)][0]:g}, expected 0, 1/2 or 1")
    if y.size == 0:
        return _win_rate(y, bootstrap_mean(y))
    spread = float(np.sqrt((gaps**2).mean()))
    x = gaps / spread if spread > 0 else gaps
    index = np.arange(y.size) if clusters is None else cluster_index(clusters, y.size)
    num_clusters = int(index.max()) + 1
    whole = _logistic_line(y, x, np.ones((1, y.size)), np.zeros((1, 2)), ridge)
    blocks = [  # after a last step of 3e-3 Newton's method is within about its square
        _logistic_line(y, x, weights[:, index], np.repeat(whole, weights.shape[0], axis=0), ridge, 3e-3)
        for weights in weight_blocks(num_clusters, seed, width=y.size)
    ]
    value, draws = float(expit(whole[0, 0])), expit(np.concatenate(blocks)[:, 0])
    low, high = percentiles(draws, num_clusters)
    unseen = 1.0 - 0.025 ** (1.0 / num_clusters)
    low, high = min(low, value - unseen * value), max(high, value + unseen * (1.0 - value))
    return _win_rate(y, Estimate(value=value, low=low, high=high, n=y.size))


def _logistic_line(y: Array, x: Array, weights: Array, start: Array, ridge: float, tolerance: float = 1e-8) -> Array:
    """(R, 2): intercept and slope of y on x (n,) under each of the weights (R, n)."""
    columns = np.stack([np.ones_like(x), x], axis=1)
    squares = np.stack([columns[:, 0], x, x, x * x], axis=1)

    def loss(line: Array) -> Array:
        log_odds = line @ columns.T
        surprise = y * log_expit(log_odds) + (1.0 - y) * log_expit(-log_odds)
        total: Array = ridge / 2.0 * (line**2).sum(axis=1) - (weights * surprise).sum(axis=1)
        return total

    won = weights @ (y[:, None] * columns)

    def slopes(line: Array) -> tuple[Array, Array]:
        chance = expit(line @ columns.T)
        expected = weights * chance
        gradient = expected @ columns - won + ridge * line
        chance *= expected
        expected -= chance  # weights * chance * (1 - chance)
        return gradient, (expected @ squares).reshape(-1, 2, 2) + ridge * np.eye(2)

    furthest = np.array([1.0, np.abs(x).max()])
    return newton(start, loss, slopes, lambda step: np.abs(step) @ furthest, tolerance=tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBias:
    """Does a judge prefer what is shown first? From verdicts on the same pairs in both orders."""

    first: Estimate
    """Share of verdicts for the answer shown first, ties as half; one half without bias."""
    consistency: Estimate
    """Share of pairs with the same verdict in both orders."""
    win_rate: WinRate
    """Debiased: each pair counts the mean of its two verdicts, so that a constant preference for a place cancels."""

    @property
    def biased(self) -> bool:
        """The interval of ``first`` excludes one half."""
        return not self.first.low <= 0.5 <= self.first.high

    def as_json(self) -> dict[str, object]:
        """``{"first", "consistency", "win_rate", "biased"}``."""
        return {
            "first": self.first.as_json(),
            "consistency": self.consistency.as_json(),
            "win_rate": self.win_rate.as_json(),
            "biased": self.biased,
        }


def order_bias(
    shown_first: Values, shown_second: Values, clusters: Clusters | None = None, *, seed: int = 0
) -> OrderBias:
    """How a judge's verdicts depend on the order in which two answers are shown.

    Args:
        shown_first: for each pair, how *our* answer did when it was shown first: 1 preferred, 0 not, 1/2 a tie.
        shown_second: for the same pairs, how the same answer did when it was shown second.
        clusters: one label for each pair.
        seed: of the resampling.

    In a pair of ``better`` (``worse``) the debiased verdict is above (below) one half. Source: Zheng et al. 2023,
    Judging LLM-as-a-Judge, section 3.3 (position bias and consistency).
    """
    first, second = vector(shown_first, "shown_first"), vector(shown_second, "shown_second")
    if first.size != second.size:
        raise ValueError(f"shown_second has {second.size} verdicts, expected {first.size}, one for each pair")
    both = np.stack([(first + 1.0 - second) / 2.0, first == second, (first + second) / 2.0], axis=1)
    place, same, mean = bootstrap_means(both, clusters, unit_interval=True, seed=seed)
    return OrderBias(first=place, consistency=same, win_rate=_win_rate(both[:, 2], mean))


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
