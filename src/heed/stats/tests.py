"""Significance tests of paired differences, and p-values adjusted for how many were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from heed.stats.intervals import BLOCK, Array, Clusters, Estimate, Values, bootstrap_means, cluster_sums, vector

DRAWS = 10_000
"""Sign patterns drawn where not all are tried."""
EXACT = 14
"""Up to so many clusters all 2^C patterns are tried."""

# --- one difference


def sign_flip(differences: Values, clusters: Clusters | None = None, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p-value of the paired sign-flip test that ``differences`` have no direction.

    If the two sides are alike, a cluster's differences are as likely to have all their signs turned. The p-value is the
    share of sign patterns with a mean at least as far from zero as the observed one: of all patterns for up to
    ``EXACT`` clusters that differ at all; of random ones otherwise, (b + 1) / (draws + 1) with b of them as far, which
    is a valid p-value for any number of draws.

    Args:
        differences: one side's value minus the other's, for each item.
        clusters: one label for each item; signs turn by cluster. Default: each item is its own.
        draws: random patterns.
        seed: of them.

    Source: Fisher 1935, section 21; Phipson and Smyth 2010 for (b + 1) / (m + 1).
    """
    return sign_flips(vector(differences, "differences")[:, None], clusters, draws=draws, seed=seed)[0]


def sign_flips(
    table: npt.ArrayLike, clusters: Clusters | None = None, *, draws: int = DRAWS, seed: int = 0
) -> list[float]:
    """``sign_flip`` of each column of differences (n, K), all under the same sign patterns."""
    data = np.asarray(table, dtype=np.float64)
    if data.ndim != 2:
        raise ValueError(f"table has shape {data.shape}, expected (items, differences)")
    if not np.isfinite(data).all():
        raise ValueError(f"differences holds {int((~np.isfinite(data)).sum())} numbers that are not finite")
    if data.shape[0] == 0:
        return [1.0] * data.shape[1]
    sums = cluster_sums(data, clusters)[0]
    moving = (sums != 0).any(axis=1)
    sums = sums[moving]
    count = sums.shape[0]
    bar = np.abs(sums.sum(axis=0)) - 1e-9 * np.abs(sums).sum(axis=0)  # equal but for rounding is as far
    every = count <= EXACT
    beyond = np.zeros(sums.shape[1])
    for turned in _all_patterns(count, sums.shape[1]) if every else _some_patterns(count, sums.shape[1], draws, seed):
        beyond += (np.abs(sums.sum(axis=0) - 2.0 * (turned @ sums)) >= bar).sum(axis=0)
    return [float(p) for p in (beyond / 2**count if every else (beyond + 1.0) / (draws + 1.0))]


def _all_patterns(count: int, width: int) -> Iterator[Array]:
    """Every choice of the clusters whose sign turns (1) or stays (0), in blocks (patterns, count)."""
    rows = max(1, BLOCK // max(count, width))
    for start in range(0, 2**count, rows):
        numbers = np.arange(start, min(start + rows, 2**count))
        yield ((numbers[:, None] >> np.arange(count)) & 1).astype(np.float64)


def _some_patterns(count: int, width: int, draws: int, seed: int) -> Iterator[Array]:
    """So many random choices, in blocks (patterns, count)."""
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // max(count, width))
    for start in range(0, draws, rows):
        held = min(rows, draws - start)
        words = rng.integers(2**64 - 1, size=(held, -(-count // 64)), dtype=np.uint64, endpoint=True)
        yield np.unpackbits(words.view(np.uint8), axis=1, count=count).astype(np.float64)


def mcnemar(first: Values, second: Values) -> float:
    """Two-sided exact p-value that two models are right equally often, from 1 (right) and 0 on the same items.

    Only items on which one alone is right count; given their number, those of the first are binomial with one half.
    Source: McNemar 1947; the exact form is the sign test. It takes items for independent: use ``sign_flip`` otherwise.
    """
    ours, theirs = vector(first, "first"), vector(second, "second")
    if ours.size != theirs.size:
        raise ValueError(f"second has {theirs.size} values, expected {ours.size}, one for each item")
    for name, values in (("first", ours), ("second", theirs)):
        if not np.isin(values, (0.0, 1.0)).all():
            raise ValueError(f"{name} holds {values[~np.isin(values, (0.0, 1.0))][0]:g}, expected 0 or 1")
    wins, losses = int((ours > theirs).sum()), int((ours < theirs).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


# --- many


def holm(p_values: Values) -> list[float]:
    """Holm's adjusted p-values: rejecting those below a keeps the chance of *any* false one under a.

    The i-th smallest of m times (m - i + 1), made monotone, at most one. No assumption on how tests depend on each
    other. Source: Holm 1979.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _back(np.minimum(steps, 1.0), order)


def benjamini_hochberg(p_values: Values) -> list[float]:
    """Adjusted p-values by Benjamini and Hochberg: of those rejected below a, a share of a is false on average.

    The i-th smallest of m times m / i, made monotone from above. For tests that are independent or depend positively.
    Source: Benjamini and Hochberg 1995.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    steps = np.minimum.accumulate((p[order] * p.size / np.arange(1, p.size + 1))[::-1])[::-1]
    return _back(np.minimum(steps, 1.0), order)


def _p_values(p_values: Values) -> Array:
    p = vector(p_values, "p_values")
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values holds {p[(p < 0) | (p > 1)][0]:g}, expected 0 to 1")
    return p


def _back(adjusted: Array, order: npt.NDArray[np.intp]) -> list[float]:
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return [float(p) for p in result]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """How much higher one model's figure is than another's on the same items, and whether that can be chance."""

    a: str
    b: str
    estimate: Estimate
    """Mean of a's value minus b's."""
    p: float
    """Of the clustered sign-flip test."""
    p_holm: float
    """Adjusted within the family: below .05 is a finding, with a 5 % chance of any false one in the family."""
    p_bh: float
    """Adjusted within the family for the false discovery rate."""
    figure: str = ""
    """Which figure, in a family of several."""

    def as_json(self) -> dict[str, object]:
        """``{"a", "b", "figure", "value", "low", "high", "n", "p", "p_holm", "p_bh"}``."""
        names = {"a": self.a, "b": self.b, "figure": self.figure}
        return {**names, **self.estimate.as_json(), "p": self.p, "p_holm": self.p_holm, "p_bh": self.p_bh}


def compare_all(
    values: Mapping[str, Values],
    clusters: Clusters | None = None,
    *,
    unit_interval: bool = False,
    draws: int | None = None,
    seed: int = 0,
) -> list[PairedDifference]:
    """Every two models compared on the same items; the family is all pairs.

    Args:
        values: each model's value for each item, all in the same order of items.
        clusters: one label for each item.
        unit_interval: values lie in [0, 1]; intervals are then kept within [-1, 1] and from being empty.
        draws: sign patterns of each test; by default enough for the size of the family, see ``compare_families``.
        seed: of the test and the bootstrap.
    """
    figures = {"": values}
    units = ("",) if unit_interval else ()
    return compare_families(figures, {"": clusters}, unit_interval=units, draws=draws, seed=seed)


def compare_families(
    figures: Mapping[str, Mapping[str, Values]],
    clusters: Mapping[str, Clusters | None] | None = None,
    *,
    against: str | None = None,
    unit_interval: Sequence[str] = (),
    draws: int | None = None,
    seed: int = 0,
) -> list[PairedDifference]:
    """Models compared on many figures; the family that p-values are adjusted in is all pairs on all figures.

    Args:
        figures: for each figure, each model's value for each of its items. Models may be missing from a figure.
        clusters: for each figure, one label for each of its items.
        against: only comparisons with this model, which is then ``b``. Fewer questions cost less power.
        unit_interval: the figures whose values lie in [0, 1].
        draws: sign patterns of each test. A p-value is at least 1 / (draws + 1), and Holm multiplies it by the number
            of tests; by default there are a hundred for each test of the family, and ``DRAWS`` at least.
        seed: of tests and bootstraps.
    """
    asked = {figure: _pairs(list(values), against) for figure, values in figures.items()}
    draws = max(DRAWS, 100 * sum(map(len, asked.values()))) if draws is None else draws
    found: list[PairedDifference] = []
    for figure, pairs in asked.items():
        if not pairs:
            continue
        columns = {model: vector(given, f"values of {model}") for model, given in figures[figure].items()}
        sizes = {model: column.size for model, column in columns.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"figure {figure!r} has {sizes} values, expected the same items for every model")
        table = np.stack([columns[a] - columns[b] for a, b in pairs], axis=1)
        labels = (clusters or {}).get(figure)
        estimates = difference_intervals(table, labels, bounded=figure in unit_interval, seed=seed)
        tests = sign_flips(table, labels, draws=draws, seed=seed)
        found += [
            PairedDifference(a=a, b=b, figure=figure, estimate=estimate, p=p, p_holm=p, p_bh=p)
            for (a, b), estimate, p in zip(pairs, estimates, tests, strict=True)
        ]
    p_values = [one.p for one in found]
    return [
        replace(one, p_holm=strict, p_bh=mild)
        for one, strict, mild in zip(found, holm(p_values), benjamini_hochberg(p_values), strict=True)
    ]


def _pairs(models: Sequence[str], against: str | None) -> list[tuple[str, str]]:
    """The pairs that are compared, in the order of the models; with ``against`` those with it, as the second."""
    if against is None:
        return list(combinations(models, 2))
    return [(model, against) for model in models if model != against] if against in models else []


def difference_intervals(
    table: npt.ArrayLike, clusters: Clusters | None = None, *, bounded: bool = False, seed: int = 0
) -> list[Estimate]:
    """Mean of each column of paired differences (n, K) with the clustered bootstrap interval.

    ``bounded``: the differences lie in [-1, 1]. They are then shares of a sort, (difference + 1) / 2, and two models
    that agreed on everything seen are not said to agree on everything.
    """
    data = np.asarray(table, dtype=np.float64)
    if not bounded:
        return bootstrap_means(data, clusters, seed=seed)
    shares = bootstrap_means((data + 1.0) / 2.0, clusters, unit_interval=True, seed=seed)
    return [Estimate(value=2 * one.value - 1, low=2 * one.low - 1, high=2 * one.high - 1, n=one.n) for one in shares]
