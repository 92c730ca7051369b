"""Figures with their uncertainty: intervals, win rates, agreement, Bradley-Terry, calibration, noise bounds.

Every interval is at 95 %. What is resampled is the *cluster*, the prompt as a rule: two answers to one prompt are not
two independent observations. Everything is deterministic: the bootstrap draws from a generator of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_expit

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Sequence[float] | npt.NDArray[Any]
"""Numbers in one dimension."""
Clusters: TypeAlias = Sequence[Any] | npt.NDArray[Any]
"""One label for each value; values of one label are resampled together."""

Z = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Observations behind it, before clustering."""

    def as_json(self) -> dict[str, float | int]:
        """``{"value", "low", "high", "n"}``."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBound:
    """The accuracy on noisy labels that no scorer can pass, from how often two labelers agree."""

    agreement: Estimate
    floor: float
    """What the best scorer reaches at least: the agreement rate itself."""
    ceiling: float
    """What no scorer can pass."""


# --- intervals


def wilson(successes: float, n: int) -> Estimate:
    """The share ``successes / n`` with Wilson's score interval (Wilson 1927). All of [0, 1] when ``n`` is 0."""
    if not 0 <= successes <= max(n, 0):
        raise ValueError(f"successes is {successes}, expected 0 to n = {n}")
    if n == 0:
        return Estimate(value=float("nan"), low=0.0, high=1.0, n=0)
    share, z2 = successes / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(value=share, low=float(min(low, share)), high=float(max(high, share)), n=n)


def bootstrap_mean(
    values: Values, clusters: Clusters | None = None, *, unit_interval: bool = False, seed: int = 0
) -> Estimate:
    """Mean of ``values`` with the percentile interval of the clustered bootstrap.

    Args:
        values: the observations.
        clusters: one label for each value; clusters are resampled whole. Default: each value is its own.
        unit_interval: the values are known to lie in [0, 1]. The interval then never claims more than the rule of
            three allows: an outcome not seen among C clusters may still have a share of 1 - 0.025^(1/C).
        seed: of the resampling.
    """
    data = _vector(values, "values")
    if data.size == 0:
        return Estimate(value=float("nan"), low=float("nan"), high=float("nan"), n=0)
    sums, counts = _cluster_sums(data, clusters)
    low, high = percentiles(_ratio_draws(sums, counts, seed))
    mean = float(data.mean())
    if unit_interval:
        unseen = 1.0 - 0.025 ** (1.0 / sums.size)
        low, high = min(low, mean - unseen * mean), max(high, mean + unseen * (1.0 - mean))
    return Estimate(value=mean, low=low, high=high, n=data.size)


def _vector(values: Values, name: str) -> Array:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1:
        raise ValueError(f"{name} has shape {data.shape}, expected one dimension")
    if not np.isfinite(data).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(data)).sum())} numbers that are not finite")
    return data


def _cluster_sums(data: Array, clusters: Clusters | None) -> tuple[Array, Array]:
    if clusters is None:
        return data, np.ones_like(data)
    index = _cluster_index(clusters, data.size)
    ones = np.ones_like(data)
    return np.bincount(index, weights=data).astype(np.float64), np.bincount(index, weights=ones).astype(np.float64)


def _cluster_index(clusters: Clusters, n: int) -> npt.NDArray[np.intp]:
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"clusters has shape {labels.shape}, expected one label for each of {n} values")
    index: npt.NDArray[np.intp] = np.unique(labels, return_inverse=True)[1]
    return index


def resample_weights(num_clusters: int, seed: int) -> Array:
    """(RESAMPLES, num_clusters): how often each cluster was drawn."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(num_clusters, size=(RESAMPLES, num_clusters), dtype=np.int64)
    drawn += np.arange(RESAMPLES, dtype=np.int64)[:, None] * num_clusters
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * num_clusters)
    return counts.reshape(RESAMPLES, num_clusters).astype(np.float64)


def _ratio_draws(sums: Array, counts: Array, seed: int) -> Array:
    weights = resample_weights(sums.size, seed)
    ratios: Array = (weights @ sums) / (weights @ counts)
    return ratios


def percentiles(draws: Array) -> tuple[float, float]:
    """The ends of the 95 % interval of draws."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


# --- preference


def outcomes(scores: Values, others: Values, tolerance: float = 1e-9) -> Array:
    """1 where ``scores`` is higher, 0 where ``others`` is, 1/2 where they differ by no more than ``tolerance``."""
    gap = _vector(scores, "scores") - _vector(others, "others")
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
    won, gaps = outcomes(scores, others), _vector(length_gaps, "length_gaps")
    if gaps.size != won.size:
        raise ValueError(f"length_gaps has {gaps.size} values, expected {won.size}")
    if won.size == 0:
        return _win_rate(won, bootstrap_mean(won))
    index = np.arange(won.size) if clusters is None else _cluster_index(clusters, won.size)
    columns = (np.ones_like(won), won, gaps, gaps * gaps, gaps * won)
    moments = np.stack([np.bincount(index, weights=column) for column in columns])
    value = float(_intercept(moments.sum(axis=1)[:, None])[0])
    low, high = percentiles(_intercept(moments @ resample_weights(moments.shape[1], seed).T))
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


# --- agreement


def pair_agreement(groups: Sequence[Sequence[Sequence[int]]], *, ties: Literal["drop", "half"] = "drop") -> Estimate:
    """How often two labelers agree which of two answers is better, over all pairs of labelers and of answers.

    Args:
        groups: for each answer group, the tiers that each of its labelers gave to the same K answers.
        ties: ``"drop"`` counts only pairs of answers that neither labeler tied; ``"half"`` counts one labeler's tie
            against the other's preference as half an agreement, and two ties as one.
    """
    agreed: list[float] = []
    clusters: list[int] = []
    for number, labelers in enumerate(groups):
        for first, second in combinations(labelers, 2):
            for i, j in combinations(range(len(first)), 2):
                a, b = int(np.sign(first[i] - first[j])), int(np.sign(second[i] - second[j]))
                if ties == "drop" and (a == 0 or b == 0):
                    continue
                agreed.append(1.0 - abs(a - b) / 2)
                clusters.append(number)
    return bootstrap_mean(agreed, clusters or None, unit_interval=True)


def krippendorff_alpha(ratings: npt.ArrayLike, level: Literal["nominal", "ordinal", "interval"] = "nominal") -> float:
    """Krippendorff's alpha: 1 is perfect agreement, 0 is what chance gives.

    Args:
        ratings: (raters, items), NaN where a rater did not see an item. Items with one rating do not count.
        level: how far two ratings are apart: different or not, by rank, or by their difference.

    Source: Krippendorff 2004, chapter 11. NaN when all ratings are equal, or nothing was rated twice.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"ratings has shape {table.shape}, expected (raters, items)")
    domain = np.unique(table[~np.isnan(table)])
    counts = np.stack([(table == value).sum(axis=0) for value in domain], axis=1).astype(np.float64)  # (items, values)
    counts = counts[counts.sum(axis=1) >= 2]
    if counts.size == 0:
        return float("nan")
    return float(alphas(coincidences(counts).sum(axis=0)[None], domain, level)[0])


def coincidences(counts: Array) -> Array:
    """(items, V, V): how often each two values meet on an item, from (items, V) counts of values, all 2 or more.

    Each pair of ratings counts 1 / (ratings of the item - 1), in both directions: Krippendorff's coincidences, which
    add up over items.
    """
    spare = counts.sum(axis=1)[:, None, None] - 1.0
    meeting = counts[:, :, None] * counts[:, None, :] - np.eye(counts.shape[1]) * counts[:, None, :]
    result: Array = meeting / spare
    return result


def alphas(observed: Array, domain: Array, level: Literal["nominal", "ordinal", "interval"]) -> Array:
    """Krippendorff's alpha of (N, V, V) coincidences of the values in ``domain``; NaN where nothing varies."""
    totals = observed.sum(axis=2)
    n = totals.sum(axis=1)[:, None, None]
    pairs = totals[:, :, None] * totals[:, None, :] - np.eye(domain.size) * totals[:, None, :]
    expected = pairs / np.maximum(n - 1, 1e-12)
    if level == "nominal":
        distance = np.broadcast_to(1.0 - np.eye(domain.size), observed.shape)
    else:
        centres = (
            np.cumsum(totals, axis=1) - totals / 2 if level == "ordinal" else np.broadcast_to(domain, totals.shape)
        )
        distance = (centres[:, :, None] - centres[:, None, :]) ** 2
    chance = (expected * distance).sum(axis=(1, 2))
    ratio = np.divide(
        (observed * distance).sum(axis=(1, 2)), chance, out=np.full(chance.shape, np.nan), where=chance > 0
    )
    result: Array = 1.0 - ratio
    return result


def noise_bound(agreement: Estimate) -> NoiseBound:
    """What the labelers' noise allows a scorer that predicts one labeler's choice.

    Let a pair's labels be independent draws that fall on the commoner side with probability (1 + q) / 2. Two labelers
    then agree at a rate a = (1 + E[q^2]) / 2, and the best scorer, which always names the commoner side, is right at a
    rate (1 + E[q]) / 2. As q^2 <= q and E[q]^2 <= E[q^2], that is at least a and at most (1 + sqrt(2a - 1)) / 2,
    whatever the distribution of q. The ceiling is reached when all pairs are equally hard.
    """
    surplus = min(max(2 * agreement.value - 1, 0.0), 1.0)
    return NoiseBound(agreement=agreement, floor=agreement.value, ceiling=(1 + surplus**0.5) / 2)


# --- calibration


def calibration(probabilities: Values, came_true: Values, num_bins: int = 10, start: float = 0.0) -> Calibration:
    """Reliability diagram, ECE and Brier score of predicted probabilities, in bins of equal width over [start, 1].

    ``start`` is 0.5 for confidences of a choice between two. Source: Guo et al. 2017, Equation 3.
    """
    p, y = _vector(probabilities, "probabilities"), _vector(came_true, "came_true")
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
