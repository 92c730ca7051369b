"""What a reward model would be shown: the pairs of chosen and rejected answers that rankings come to under a rule.

The same rankings make different pairs depending on what is done with ties and with items on which a lead has decided.
Here the rule is one value, the pairs are listed under it, and two rules can be set against each other before anything
is exported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from heed.feedback.agreement import TieRule
from heed.store.studio.judged import Judged

Decided = Literal["all", "decided"]
"""``all``: everyone's ranking counts. ``decided``: where a lead has decided about an item, only that decision does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRule:
    """How rankings become pairs."""

    ties: TieRule = "drop"
    """``drop``: a tie is no pair, as in InstructGPT and in Heed's reward training. ``half``: a tie is half a pair each
    way, for trainers that take soft labels."""
    adjudicated: Decided = "decided"
    labelers: frozenset[str] | None = None
    """Only what these said; ``None`` is everyone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two answers of an item: ordinals, and the weight of the first being the better one."""

    response_id: int
    item_id: int
    labeler: str
    chosen: int
    rejected: int
    weight: float = 1.0
    """1 for a preference; 0.5 for either half of a tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """What a rule makes of the rankings."""

    pairs: float
    """Weights added up: a tie that counts half each way is one pair."""
    ties: int
    """Ties met, whether they count or not."""
    rankings: int
    """Rankings that give at least one pair."""
    items: int
    by_labeler: Mapping[str, float] = field(default_factory=dict)


def counted(rankings: Iterable[Judged], rule: PairRule) -> list[Judged]:
    """The rankings that count under a rule."""
    chosen = [one for one in rankings if rule.labelers is None or one.labeler in rule.labelers or one.decides]
    if rule.adjudicated == "all":
        return [one for one in chosen if rule.labelers is None or one.labeler in rule.labelers]
    newest: dict[int, int] = {}
    for one in chosen:
        if one.decides:
            newest[one.item_id] = max(newest.get(one.item_id, 0), one.response_id)
    return [one for one in chosen if newest.get(one.item_id, one.response_id) == one.response_id]


def pairs_of(ranking: Judged, ties: TieRule) -> list[Pair]:
    """The pairs of one ranking, in the order of its answers."""
    pairs = []
    for i, j in combinations(range(len(ranking.tiers)), 2):
        best, worst = (i, j) if ranking.tiers[i] <= ranking.tiers[j] else (j, i)
        both = ((best, worst), (worst, best))
        tied = ranking.tiers[i] == ranking.tiers[j]
        for chosen, rejected in () if tied and ties == "drop" else both if tied else both[:1]:
            pairs.append(
                Pair(
                    response_id=ranking.response_id,
                    item_id=ranking.item_id,
                    labeler=ranking.labeler,
                    chosen=chosen,
                    rejected=rejected,
                    weight=0.5 if tied else 1.0,
                )
            )
    return pairs


def count_pairs(rankings: Sequence[Judged], rule: PairRule) -> PairCounts:
    """How many pairs a rule makes, and whose they are."""
    by_labeler: Counter[str] = Counter()
    ties, items, num = 0, set(), 0
    for one in counted(rankings, rule):
        size = len(one.tiers)
        distinct = len(set(one.tiers)) == size
        tied = 0 if distinct else sum(n * (n - 1) // 2 for n in Counter(one.tiers).values())
        pairs = size * (size - 1) // 2 - (tied if rule.ties == "drop" else 0)
        ties += tied
        if pairs:
            by_labeler[one.labeler] += pairs
            items.add(one.item_id)
            num += 1
    return PairCounts(
        pairs=float(sum(by_labeler.values())),
        ties=ties,
        rankings=num,
        items=len(items),
        by_labeler=dict(by_labeler.most_common()),
    )
