"""Agreement over thousands of rankings at once: in groups, between groups, by category, and labeler by labeler.

The same figures as :func:`heed.feedback.agreement.agreement`, computed from arrays: every two labelers of every set of
answers are compared once, and what is then asked of those comparisons is a sum over some of them. Intervals resample
sets of answers, never single comparisons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from heed.feedback.agreement import TieRule
from heed.stats import Array, Estimate, alphas, coincidences, percentiles, resample_weights
from heed.store.studio.judged import Graded, Judged

Ints = npt.NDArray[np.int64]
Level = Literal["nominal", "ordinal"]

MOST_CLUSTERS = 400
"""Beyond so many, clusters are first dealt into as many hands: the interval stays, the time does not grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of agreement, or why there is none."""

    estimate: Estimate | None
    undefined: str = ""
    """Why it is not defined, in words."""
    num_units: int = 0
    """Sets of answers, or things graded, that it rests on."""
    num_labelers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings:
    """Every two labelers who judged the same answers: one row for each two of them on each set of answers.

    Arrays of one length; labelers are numbers into ``labelers``.
    """

    labelers: tuple[str, ...]
    groups: tuple[str, ...]
    """The group of each labeler."""
    categories: tuple[str, ...]
    unit: Ints
    first: Ints
    second: Ints
    category: Ints
    agreed: Array
    """Sum over pairs of answers that neither tied: 1 where they agree."""
    count: Array
    """Pairs of answers that neither tied."""
    agreed_half: Array
    """Sum over all pairs of answers: 1 where they agree, 1/2 where only one of them tied."""
    count_half: Array
    """All pairs of answers."""
    units: dict[int, tuple[Judged, ...]] = field(repr=False, default_factory=dict)
    """The judgements of each unit, one for each labeler, the first that they made."""

    def sums(self, ties: TieRule) -> tuple[Array, Array]:
        """What they agreed on and out of how many, under a tie rule."""
        return (self.agreed, self.count) if ties == "drop" else (self.agreed_half, self.count_half)

    def between(self, first_group: str, second_group: str) -> npt.NDArray[np.bool_]:
        """Rows where a labeler of one group meets one of the other, or of the same."""
        group = np.array(self.groups, dtype=object)
        a, b = group[self.first], group[self.second]
        mask: npt.NDArray[np.bool_] = ((a == first_group) & (b == second_group)) | (
            (a == second_group) & (b == first_group)
        )
        return mask


def group_of(one: Judged) -> str:
    """The group that a labeler's agreement is reported for: training, heldout, or what kind of machine it is."""
    return one.group if one.kind == "human" else one.kind


def meetings(judged: Iterable[Judged]) -> Meetings:
    """All comparisons of two labelers with each other. Someone's first judgement of a set of answers counts.

    A lead's decision is left out: whoever makes it has seen what the others said.
    """
    units: dict[int, dict[str, Judged]] = defaultdict(dict)
    for one in judged:
        if not one.decides:
            units[one.unit].setdefault(one.labeler, one)
    shared = {unit: tuple(by.values()) for unit, by in units.items() if len(by) > 1}
    people = sorted({(one.labeler, group_of(one)) for group in shared.values() for one in group})
    number = {labeler: index for index, (labeler, _) in enumerate(people)}
    categories = sorted({group[0].category for group in shared.values()})
    rank = {category: index for index, category in enumerate(categories)}
    shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for unit, group in shared.items():
        shapes[len(group), len(group[0].tiers)].append(unit)
    parts = [_meet([shared[unit] for unit in chosen], number, rank) for chosen in shapes.values()]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 8
    whole = [column.astype(np.int64) for column in columns[:4]]
    return Meetings(
        labelers=tuple(labeler for labeler, _ in people),
        groups=tuple(group for _, group in people),
        categories=tuple(categories),
        unit=whole[0],
        first=whole[1],
        second=whole[2],
        category=whole[3],
        agreed=columns[4],
        count=columns[5],
        agreed_half=columns[6],
        count_half=columns[7],
        units=shared,
    )


def _meet(
    groups: Sequence[tuple[Judged, ...]], number: dict[str, int], rank: dict[str, int]
) -> tuple[npt.NDArray[Any], ...]:
    """The eight columns of units that have as many labelers and as many answers each."""
    signs = _signs(np.array([[one.tiers for one in group] for group in groups]))  # (N, L, P)
    who = np.array([[number[one.labeler] for one in group] for group in groups])
    a, b = np.triu_indices(who.shape[1], 1)
    left, right = signs[:, a], signs[:, b]  # (N, pairs of labelers, P)
    both = (left != 0) & (right != 0)
    half = 1.0 - np.abs(left - right) / 2
    per_unit = a.size
    return (
        np.repeat([group[0].unit for group in groups], per_unit),
        who[:, a].ravel(),
        who[:, b].ravel(),
        np.repeat([rank[group[0].category] for group in groups], per_unit),
        ((left == right) & both).sum(axis=2).ravel().astype(np.float64),
        both.sum(axis=2).ravel().astype(np.float64),
        half.sum(axis=2).ravel(),
        np.full(half.shape[0] * per_unit, float(half.shape[2])),
    )


def _signs(tiers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """(..., K) tiers into (..., K(K-1)/2) signs: -1 where the first of two answers is better, 0 for a tie."""
    i, j = np.triu_indices(tiers.shape[-1], 1)
    result: npt.NDArray[np.int64] = np.sign(tiers[..., i] - tiers[..., j]).astype(np.int64)
    return result


def pairwise(met: Meetings, ties: TieRule, chosen: npt.NDArray[np.bool_] | None = None) -> Figure:
    """How often two labelers agree which of two answers is better, over the chosen rows of ``met`` or all."""
    mask = np.ones(met.unit.size, dtype=bool) if chosen is None else chosen
    if not mask.any():
        return Figure(estimate=None, undefined="nothing was judged by two of these labelers yet")
    agreed, count = (column[mask] for column in met.sums(ties))
    units = met.unit[mask]
    people = np.unique(np.concatenate([met.first[mask], met.second[mask]])).size
    num_units = int(np.unique(units).size)
    if count.sum() == 0:
        reason = "every comparison is a tie, and ties are not counted"
        return Figure(estimate=None, undefined=reason, num_units=num_units, num_labelers=int(people))
    table = _by_cluster(np.stack([agreed, count], axis=1), units)
    table = table[table[:, 1] > 0]
    value = float(table[:, 0].sum() / table[:, 1].sum())
    draws = cluster_draws(table)
    low, high = percentiles(draws[:, 0] / np.maximum(draws[:, 1], 1e-12), table.shape[0])
    unseen = 1.0 - 0.025 ** (1.0 / table.shape[0])  # an outcome not seen may still have this share
    low, high = min(low, value * (1 - unseen)), max(high, value + unseen * (1 - value))
    estimate = Estimate(value=value, low=low, high=high, n=int(count.sum()))
    return Figure(estimate=estimate, num_units=num_units, num_labelers=int(people))


def ranking_alpha(met: Meetings, chosen: Iterable[int] | None = None) -> Figure:
    """Krippendorff's alpha of "first better", "tied", "second better" as ordinal values, over units or all of them.

    Every pair of answers counts in both directions, so that the order in which they are listed makes no difference.
    """
    units = met.units if chosen is None else {unit: met.units[unit] for unit in chosen}
    if not units:
        return Figure(estimate=None, undefined="nothing was judged by two labelers yet")
    shapes: dict[tuple[int, int], list[tuple[int, list[tuple[int, ...]]]]] = defaultdict(list)
    for unit, group in units.items():
        shapes[len(group), len(group[0].tiers)].append((unit, [one.tiers for one in group]))
    tables = []
    for members in shapes.values():
        signs = _signs(np.array([tiers for _, tiers in members]))
        counts = np.stack([(signs == value).sum(axis=1) for value in (-1, 0, 1)], axis=-1).astype(np.float64)
        met_here = coincidences(counts.reshape(-1, 3)).reshape(len(members), -1, 3, 3).sum(axis=1)
        tables.append((met_here + met_here[:, ::-1, ::-1]).reshape(len(members), 9))
    people = len({one.labeler for group in units.values() for one in group})
    comparisons = sum(len(group[0].tiers) * (len(group[0].tiers) - 1) // 2 for group in units.values())
    return _alpha(np.concatenate(tables), np.array([-1.0, 0.0, 1.0]), "ordinal", comparisons, people, len(units))


def graded_alpha(graded: Sequence[Graded], level: Level) -> Figure:
    """Krippendorff's alpha of one question, from how often each value was given to each thing."""
    several = [one for one in graded if sum(count for _, count in one.counts) > 1]
    if not several:
        return Figure(estimate=None, undefined="nothing was graded by two labelers yet")
    domain = sorted({value for one in several for value, _ in one.counts})
    place = {value: index for index, value in enumerate(domain)}
    counts = np.zeros((len(several), len(domain)))
    for row, one in enumerate(several):
        for value, count in one.counts:
            counts[row, place[value]] += count
    table = coincidences(counts).reshape(len(several), -1)
    table = _by_cluster(table, np.array([one.cluster for one in several]))
    return _alpha(table, np.array(domain), level, len(several), 0, len(several))


def _alpha(table: Array, domain: Array, level: Level, n: int, people: int, units: int) -> Figure:
    """Alpha with its interval from (clusters, V * V) coincidences."""
    size = domain.size
    value = float(alphas(table.sum(axis=0).reshape(1, size, size), domain, level)[0])
    if np.isnan(value):
        same = "everyone gave the same value everywhere, so agreement cannot be told from chance (0 / 0)"
        return Figure(estimate=None, undefined=same, num_units=units, num_labelers=people)
    draws = alphas(cluster_draws(table).reshape(-1, size, size), domain, level)
    kept = draws[~np.isnan(draws)]
    if kept.size < draws.size / 2:  # most resamples hold one value only: what is rare was seen too seldom to say more
        low, high = -1.0, 1.0
    else:
        low, high = percentiles(kept, table.shape[0])
    estimate = Estimate(value=value, low=min(low, value), high=max(high, value), n=n)
    return Figure(estimate=estimate, num_units=units, num_labelers=people)


def _by_cluster(table: Array, clusters: npt.NDArray[Any]) -> Array:
    """Rows of one cluster added up."""
    index = np.unique(clusters, return_inverse=True)[1]
    result = np.zeros((int(index.max()) + 1, table.shape[1]))
    np.add.at(result, index, table)
    return result


def cluster_draws(table: Array, seed: int = 0) -> Array:
    """(RESAMPLES, columns): sums over clusters drawn with replacement from the rows of ``table``."""
    if table.shape[0] > MOST_CLUSTERS:
        hands = np.random.default_rng(seed).permutation(table.shape[0]) % MOST_CLUSTERS
        table = _by_cluster(table, hands)
    result: Array = resample_weights(table.shape[0], seed) @ table
    return result


def differences(met: Meetings) -> dict[int, tuple[float, int]]:
    """For each unit how far its labelers differ (0: all the same, 1: opposite) and from how many comparisons.

    A tie against a preference is half a difference.
    """
    if met.unit.size == 0:
        return {}
    names, index = np.unique(met.unit, return_inverse=True)
    agreed = np.bincount(index, weights=met.agreed_half)
    count = np.bincount(index, weights=met.count_half)
    return {int(unit): (float(1.0 - a / c), int(c)) for unit, a, c in zip(names, agreed, count, strict=True)}


def labeler_matrix(met: Meetings, ties: TieRule = "half") -> tuple[Array, Array]:
    """(labelers, labelers): what each two agreed on, and out of how many comparisons. Symmetric, zero where never."""
    size = len(met.labelers)
    agreed, count = np.zeros((size, size)), np.zeros((size, size))
    for table, values in zip((agreed, count), met.sums(ties), strict=True):
        np.add.at(table, (met.first, met.second), values)
        np.add.at(table, (met.second, met.first), values)
    return agreed, count


def tie_share(judged: Iterable[Judged]) -> tuple[int, int]:
    """Pairs of answers that were tied, and all pairs, over all judgements."""
    tied = pairs = 0
    for one in judged:
        tied += sum(one.tiers[i] == one.tiers[j] for i, j in combinations(range(len(one.tiers)), 2))
        pairs += len(one.tiers) * (len(one.tiers) - 1) // 2
    return tied, pairs
