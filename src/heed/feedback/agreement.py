"""Whether labelers who judged the same answers agree, with the counts that say what the figure is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from heed.records import Ranking
from heed.stats import Array, Estimate, krippendorff_alpha, pair_agreement

TieRule = Literal["drop", "half"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far labelers agree which of two answers to a prompt is better."""

    pairwise: Estimate
    """Share of comparisons on which two labelers agree, resampled by item; its n is the number of comparisons."""
    alpha: float
    """Krippendorff's alpha over "first better", "tied", "second better" as ordinal values; NaN if nothing varies."""
    num_items: int
    """Items that at least two labelers judged."""
    num_labelers: int
    ties: TieRule
    """How ties were counted: not at all, or as half an agreement."""


def agreement(rankings: Iterable[Ranking], ties: TieRule = "drop") -> Agreement | None:
    """Agreement over the items that several labelers ranked, or None if there are none.

    InstructGPT reports 72.6 +- 1.5 % between training labelers and 77.3 +- 1.3 % between held-out ones (section 3.4).
    """
    items = shared_items(rankings)
    groups = [[ranking.tiers for ranking in item] for item in items]
    pairwise = pair_agreement(groups, ties=ties)
    if not items or pairwise.n == 0:
        return None
    return Agreement(
        pairwise=pairwise,
        alpha=krippendorff_alpha(_preferences(items), level="ordinal"),
        num_items=len(items),
        num_labelers=len({ranking.labeler for item in items for ranking in item}),
        ties=ties,
    )


def shared_items(rankings: Iterable[Ranking]) -> list[list[Ranking]]:
    """Rankings of the same answers by different labelers, two or more to an item; a labeler's first one counts."""
    items: dict[tuple[object, ...], dict[str, Ranking]] = {}
    for ranking in rankings:
        key = (ranking.prompt.id, *(completion.id for completion in ranking.completions))
        items.setdefault(key, {}).setdefault(ranking.labeler, ranking)
    return [list(by_labeler.values()) for by_labeler in items.values() if len(by_labeler) > 1]


def _preferences(items: Sequence[Sequence[Ranking]]) -> Array:
    """(labelers, pairs of answers) table of -1, 0, 1; NaN where a labeler did not judge.

    Every pair is there in both directions, so that the order in which answers were listed makes no difference.
    """
    labelers = sorted({ranking.labeler for item in items for ranking in item})
    row = {labeler: index for index, labeler in enumerate(labelers)}
    columns = []
    for item in items:
        for i, j in combinations(range(len(item[0].tiers)), 2):
            column = np.full(len(labelers), np.nan)
            for ranking in item:
                column[row[ranking.labeler]] = np.sign(ranking.tiers[i] - ranking.tiers[j])
            columns += [column, -column]
    return np.stack(columns, axis=1)
