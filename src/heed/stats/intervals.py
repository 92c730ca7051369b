"""Figures with their uncertainty: Wilson's interval and the clustered bootstrap.

Every interval is at 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

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
    data = vector(values, "values")
    if data.size == 0:
        return Estimate(value=float("nan"), low=float("nan"), high=float("nan"), n=0)
    sums, counts = cluster_sums(data, clusters)
    low, high = percentiles(_ratio_draws(sums, counts, seed))
    mean = float(data.mean())
    if unit_interval:
        unseen = 1.0 - 0.025 ** (1.0 / sums.size)
        low, high = min(low, mean - unseen * mean), max(high, mean + unseen * (1.0 - mean))
    return Estimate(value=mean, low=low, high=high, n=data.size)


def vector(values: Values, name: str) -> Array:
    """``values`` as an array of finite numbers in one dimension; ``name`` is what an error calls them."""
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1:
        raise ValueError(f"{name} has shape {data.shape}, expected one dimension")
    if not np.isfinite(data).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(data)).sum())} numbers that are not finite")
    return data


def cluster_sums(data: Array, clusters: Clusters | None) -> tuple[Array, Array]:
    """For each cluster the sum of its values and how many they are, both (clusters,)."""
    if clusters is None:
        return data, np.ones_like(data)
    index = cluster_index(clusters, data.size)
    ones = np.ones_like(data)
    return np.bincount(index, weights=data).astype(np.float64), np.bincount(index, weights=ones).astype(np.float64)


def cluster_index(clusters: Clusters, n: int) -> npt.NDArray[np.intp]:
    """(n,): the number, from zero, of each value's cluster, in the order of the sorted labels."""
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
