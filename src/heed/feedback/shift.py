"""Whether a changed guideline changed the labels: disagreement across two versions against disagreement within them.

Labelers differ among themselves under one guideline too. What a new version did is how much *more* they differ across
versions than within, on the same answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from heed.feedback.concord import cluster_draws
from heed.stats import Array, Estimate, percentiles
from heed.store.studio.judged import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How labels moved between two versions of the guideline."""

    units: int
    """Sets of answers judged under both."""
    across: Estimate | None
    """How far judgements under different versions differ, 0 to 1, a tie against a preference as half."""
    within: Estimate | None
    """The same for different labelers under one version, on these answers; ``None`` if nobody overlapped."""
    shift: Estimate | None
    """``across`` less ``within``: what the guideline did."""


def label_shift(judged: Iterable[Judged], old: int, new: int) -> Shift:
    """The shift between versions ``old`` and ``new``, over the answers that were judged under both."""
    units: dict[int, dict[int, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for one in judged:
        if one.guideline in (old, new) and not one.decides:
            units[one.unit][one.guideline].append(one)
    rows = []
    for sides in units.values():
        if old not in sides or new not in sides:
            continue
        across = [_apart(a, b) for a in sides[old] for b in sides[new]]
        within = [_apart(a, b) for side in sides.values() for a, b in combinations(side, 2) if a.labeler != b.labeler]
        rows.append([sum(across), len(across), sum(within), len(within)])
    if not rows:
        return Shift(units=0, across=None, within=None, shift=None)
    table = np.array(rows, dtype=np.float64)
    draws = cluster_draws(table)
    return Shift(
        units=len(rows),
        across=_ratio(table, draws, 0),
        within=_ratio(table, draws, 2),
        shift=_difference(table, draws),
    )


def _apart(one: Judged, other: Judged) -> float:
    a, b = np.array(one.tiers), np.array(other.tiers)
    i, j = np.triu_indices(a.size, 1)
    return float(np.abs(np.sign(a[i] - a[j]) - np.sign(b[i] - b[j])).mean() / 2)


def _ratio(table: Array, draws: Array, column: int) -> Estimate | None:
    total = table[:, column + 1].sum()
    if total == 0:
        return None
    value = float(table[:, column].sum() / total)
    kept = draws[draws[:, column + 1] > 0]
    low, high = percentiles(kept[:, column] / kept[:, column + 1], table.shape[0])
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=int(total))


def _difference(table: Array, draws: Array) -> Estimate | None:
    sums = table.sum(axis=0)
    if sums[1] == 0 or sums[3] == 0:
        return None
    value = float(sums[0] / sums[1] - sums[2] / sums[3])
    kept = draws[(draws[:, 1] > 0) & (draws[:, 3] > 0)]
    low, high = percentiles(kept[:, 0] / kept[:, 1] - kept[:, 2] / kept[:, 3], table.shape[0])
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=int(sums[1]))
