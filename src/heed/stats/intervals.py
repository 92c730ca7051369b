"""Figures with their uncertainty: Wilson's interval and the clustered bootstrap.

Every interval is at 95 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Sequence[float] | npt.NDArray[Any]
"""Numbers in one dimension."""
Clusters: TypeAlias = Sequence[Any] | npt.NDArray[Any]
"""One label for each value; values of one label are resampled together."""

Z = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""
RESAMPLES = 2000
BLOCK = 250_000
"""Numbers that are worked on at once: 2 MB, which a processor's cache holds."""


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
    """Mean of ``values`` with the expanded percentile interval of the clustered bootstrap.

    Args:
        values: the observations.
        clusters: one label for each value; clusters are resampled whole. Default: each value is its own.
        unit_interval: the values are known to lie in [0, 1]. The interval then never claims more than the rule of
            three allows: an outcome not seen in N independent trials may still have a share of 1 - 0.025^(1/N). N is
            the effective number of observations, mean (1 - mean) / variance of the mean, between the number of
            clusters and that of values; the number of clusters when all of them have the same mean.
        seed: of the resampling.
    """
    return bootstrap_means(vector(values, "values")[:, None], clusters, unit_interval=unit_interval, seed=seed)[0]


def bootstrap_means(
    table: npt.ArrayLike, clusters: Clusters | None = None, *, unit_interval: bool = False, seed: int = 0
) -> list[Estimate]:
    """``bootstrap_mean`` of each column of ``table`` (n, K), all from the same resamples: K figures of one set."""
    data = np.asarray(table, dtype=np.float64)
    if data.ndim != 2:
        raise ValueError(f"table has shape {data.shape}, expected (values, figures)")
    if not np.isfinite(data).all():
        raise ValueError(f"values holds {int((~np.isfinite(data)).sum())} numbers that are not finite")
    n, figures = data.shape
    if n == 0:
        return [Estimate(value=float("nan"), low=float("nan"), high=float("nan"), n=0)] * figures
    sums, counts = cluster_sums(data, clusters)
    drawn = resampled(np.concatenate([sums, counts[:, None]], axis=1), seed)
    lows, highs = np.percentile(drawn[:, :-1] / drawn[:, -1:], _ends(counts.size), axis=0)
    means = data.mean(axis=0)
    if unit_interval:
        unseen = 1.0 - 0.025 ** (1.0 / _effective(means, sums, counts))
        lows, highs = np.minimum(lows, means - unseen * means), np.maximum(highs, means + unseen * (1.0 - means))
    return [
        Estimate(value=float(mean), low=float(low), high=float(high), n=n)
        for mean, low, high in zip(means, lows, highs, strict=True)
    ]


def _effective(means: Array, sums: Array, counts: Array) -> Array:
    """How many independent trials would leave shares as uncertain as these clusters do: (K,), of sums (C, K)."""
    clusters, n = counts.size, counts.sum()
    variance = ((sums - counts[:, None] * means) ** 2).sum(axis=0) / n**2 * clusters / max(clusters - 1, 1)
    trials = np.divide(means * (1.0 - means), variance, out=np.full_like(means, clusters), where=variance > 1e-15)
    result: Array = np.clip(trials, clusters, n)
    return result


def vector(values: Values, name: str) -> Array:
    """``values`` as an array of finite numbers in one dimension; ``name`` is what an error calls them."""
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1:
        raise ValueError(f"{name} has shape {data.shape}, expected one dimension")
    if not np.isfinite(data).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(data)).sum())} numbers that are not finite")
    return data


def cluster_sums(data: Array, clusters: Clusters | None) -> tuple[Array, Array]:
    """For each cluster the sums of its rows, (clusters, K) for data (n, K), and how many they are, (clusters,)."""
    if clusters is None:
        return data, np.ones(data.shape[0])
    index = cluster_index(clusters, data.shape[0])
    columns = [np.bincount(index, weights=column).astype(np.float64) for column in data.T]
    return np.stack(columns, axis=1), np.bincount(index).astype(np.float64)


def cluster_index(clusters: Clusters, n: int) -> npt.NDArray[np.intp]:
    """(n,): the number, from zero, of each value's cluster, in the order of the sorted labels."""
    labels = np.asarray(clusters)
    if labels.shape != (n,):
        raise ValueError(f"clusters has shape {labels.shape}, expected one label for each of {n} values")
    index: npt.NDArray[np.intp] = np.unique(labels, return_inverse=True)[1]
    return index


def resample_weights(num_clusters: int, seed: int) -> Array:
    """(RESAMPLES, num_clusters): how often each cluster was drawn."""
    return np.concatenate(list(weight_blocks(num_clusters, seed)))


def weight_blocks(num_clusters: int, seed: int, *, width: int | None = None) -> Iterator[Array]:
    """The rows of ``resample_weights`` in blocks that fit into memory, whatever the number of clusters.

    ``width`` is how many numbers the caller makes of each resample, the number of clusters by default.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // max(num_clusters, width or 0))
    for start in range(0, RESAMPLES, rows):
        held = min(rows, RESAMPLES - start)
        drawn = rng.integers(num_clusters, size=(held, num_clusters), dtype=np.int64)
        drawn += np.arange(held, dtype=np.int64)[:, None] * num_clusters
        counts = np.bincount(drawn.ravel(), minlength=held * num_clusters)
        yield counts.reshape(held, num_clusters).astype(np.float64)


def resampled(sums: Array, seed: int) -> Array:
    """(RESAMPLES, K): the totals of ``sums`` (clusters, K) in each resample of the clusters."""
    return np.concatenate([weights @ sums for weights in weight_blocks(sums.shape[0], seed)])


def percentiles(draws: Array, num_clusters: int | None = None) -> tuple[float, float]:
    """The ends of the 95 % interval of draws; expanded for few clusters, where their number is given.

    A percentile interval of C clusters is too narrow by sqrt((C - 1) / C) and uses normal instead of t quantiles; the
    expanded one reads the percentiles at Phi(-sqrt(C / (C - 1)) t(C - 1)), which repairs both and leaves the shape.
    Source: Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 4.3.
    """
    low, high = np.percentile(draws, [2.5, 97.5] if num_clusters is None else _ends(num_clusters))
    return float(low), float(high)


def _ends(num_clusters: int) -> tuple[float, float]:
    """The two percentages at which an expanded interval of so many clusters ends."""
    if num_clusters < 2:
        return 0.0, 100.0
    tail = 100.0 * float(ndtr(np.sqrt(num_clusters / (num_clusters - 1)) * stdtrit(num_clusters - 1, 0.025)))
    return tail, 100.0 - tail
