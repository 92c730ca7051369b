"""How far an answer agrees with a known one: gold items, researchers' answers, one's own first look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

import numpy as np
from scipy import stats as distributions

from heed.feedback.concord import Figure
from heed.stats import Estimate, bootstrap_mean
from heed.store.studio.said import Gold, Said

LIKERT_SLACK = 1.0
"""Grades that differ by one point count as the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One answer beside the known one."""

    response_id: int
    item_id: int
    points: tuple[float, ...]
    """One for each thing that is known: 1 the same, 0 different, 1/2 a tie where a preference is known."""

    @property
    def share(self) -> float:
        """Mean of the points."""
        return sum(self.points) / len(self.points)

    @property
    def missed(self) -> bool:
        """Whether anything differs."""
        return self.share < 1.0


def order_points(known: Sequence[int], given: Sequence[int]) -> list[float]:
    """For each pair of answers that ``known`` does not tie: 1 if ``given`` has it the same way, 1/2 a tie, 0 else."""
    points = []
    for i, j in combinations(range(len(known)), 2):
        a, b = int(np.sign(known[i] - known[j])), int(np.sign(given[i] - given[j]))
        if a:
            points.append(1.0 - abs(a - b) / 2)
    return points


def against_gold(
    said: Said, gold: Gold | None = None, what: Literal["all", "ranking", "values"] = "all"
) -> Match | None:
    """An answer beside the known one, or None where nothing is known of what was asked.

    A ranking counts pair by pair, a flag or choice is the same or not, a grade is the same within one point.
    """
    gold = gold or said.gold
    if gold is None:
        return None
    points: list[float] = []
    if what != "values" and gold.tiers and said.tiers and len(gold.tiers) == len(said.tiers):
        points += order_points(gold.tiers, said.tiers)
    if what != "ranking":
        for place, value in gold.values.items():
            if place not in said.values:
                continue
            given = said.values[place]
            if isinstance(value, float) and isinstance(given, float):
                points.append(float(abs(value - given) <= (LIKERT_SLACK if place[0] == "overall" else 0.0)))
            else:
                points.append(float(value == given))
    return Match(response_id=said.response_id, item_id=said.item_id, points=tuple(points)) if points else None


def share_figure(matches: Sequence[tuple[int, Sequence[float]]], nothing: str) -> Figure:
    """Mean of points, item by item resampled, or why there is none.

    Args:
        matches: (item, points) of each answer.
        nothing: why there is no figure, if there is none.
    """
    flat = [(item, point) for item, points in matches for point in points]
    if not flat:
        return Figure(estimate=None, undefined=nothing)
    items, points = zip(*flat, strict=True)
    estimate = bootstrap_mean(points, items, unit_interval=True)
    return Figure(estimate=estimate, num_units=len(set(items)))


def mean_figure(values: Sequence[float], nothing: str, low: float, high: float) -> Figure:
    """Mean of a few numbers with Student's interval, kept within the scale; or why there is none."""
    if not values:
        return Figure(estimate=None, undefined=nothing)
    n, mean = len(values), float(np.mean(values))
    if n == 1:  # one number says nothing of how much they vary
        return Figure(estimate=Estimate(value=mean, low=low, high=high, n=1), num_units=1)
    half = float(distributions.t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / sqrt(n)
    estimate = Estimate(value=mean, low=max(low, mean - half), high=min(high, mean + half), n=n)
    return Figure(estimate=estimate, num_units=n)
