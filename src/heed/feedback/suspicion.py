"""Whom a lead should look at, with the reason, the count, and a stated rate of false alarms.

Nobody is ever removed by this. Each sign is a bet against "this labeler is within the bounds" that has been won
(:mod:`heed.feedback.evidence`): if everybody is within them, the chance that anyone at all is ever named is at most
``rate``, however often the page is looked at. How soon somebody is found depends on how many items they have done.
(For agreement the promise is kept nearly rather than exactly: what others say later changes earlier comparisons.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from heed.feedback.consensus import with_the_others
from heed.feedback.evidence import holm, log_wealth, log_wealth_of_habit, p_value
from heed.feedback.known import Match
from heed.feedback.quality import Bounds, gold_matches, shown_patterns, too_fast
from heed.store.studio.said import Said

Sign = Literal["hostile", "noisy", "habit", "ties", "fast"]

SIGNS: dict[Sign, str] = {
    "hostile": "Answers against what is right more often than with it",
    "noisy": "Often differs from known answers or from others",
    "habit": "Gives the same order on the screen again and again, whatever is written there",
    "ties": "Ties everything, mostly",
    "fast": "Answers faster than the texts can be read",
}
"""In words."""

RATE = 0.05
"""Chance that anyone is named, if everybody is within the bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One sign that has come out, with what it rests on."""

    labeler: str
    sign: Sign
    title: str
    why: str
    p: float
    """Adjusted for the number of labelers and signs (Holm 1979)."""


def suspicions(said: Sequence[Said], bounds: Bounds | None = None, rate: float = RATE) -> list[Suspicion]:
    """The signs that have come out, the surest first.

    Args:
        said: what everyone said.
        bounds: what counts as acceptable.
        rate: chance of naming anyone if all are within the bounds.
    """
    limits = bounds or Bounds()
    own: dict[str, list[Said]] = {}
    for one in said:
        own.setdefault(one.labeler, []).append(one)
    shares = with_the_others(said)
    wealth: dict[tuple[str, Sign], float] = {}
    reasons: dict[tuple[str, Sign], str] = {}
    for labeler, mine in own.items():
        agreed = list(shares.get(labeler, {}).values())
        for sign, value, why in _signs(mine, agreed, limits):
            wealth[labeler, sign] = value
            reasons[labeler, sign] = why
    adjusted = holm({key: p_value(value) for key, value in wealth.items()})
    found = [
        Suspicion(labeler=labeler, sign=sign, title=SIGNS[sign], why=reasons[labeler, sign], p=p)
        for (labeler, sign), p in adjusted.items()
        if p <= rate
    ]
    hostile = {one.labeler for one in found if one.sign == "hostile"}
    kept = [one for one in found if not (one.sign == "noisy" and one.labeler in hostile)]
    return sorted(kept, key=lambda one: (one.p, one.labeler, one.sign))


def _signs(mine: Sequence[Said], agreed: Sequence[float], limits: Bounds) -> list[tuple[Sign, float, str]]:
    """Each sign with the logarithm of the wealth won on it, and the numbers in words."""
    gold = [match.share for match in _by_item(gold_matches(mine))]
    flat = [float(len(set(one.tiers)) == 1) for one in mine if len(one.tiers) > 1]
    fast = [float(too_fast(one.task, one.active_ms, limits)) for one in mine if one.active_ms is not None]
    patterns = shown_patterns(mine)
    right = _in_words(
        gold, "of what is known on {n} gold items", agreed, "of what the others say together on {n} shared items"
    )
    return [
        ("hostile", log_wealth(gold, 0.5, "below") + log_wealth(agreed, 0.5, "below"), right),
        ("noisy", log_wealth(gold, limits.gold, "below") + log_wealth(agreed, limits.agreement, "below"), right),
        ("habit", log_wealth_of_habit(patterns), _commonest(patterns)),
        ("ties", log_wealth(flat, limits.tied, "above"), f"{sum(flat):.0f} of {len(flat)} rankings tie all answers"),
        ("fast", log_wealth(fast, limits.too_fast, "above"), f"{sum(fast):.0f} of {len(fast)} answers were too fast"),
    ]


def _by_item(matches: Sequence[Match]) -> list[Match]:
    return list({match.item_id: match for match in reversed(matches)}.values())


def _in_words(gold: Sequence[float], of_gold: str, agreed: Sequence[float], of_others: str) -> str:
    parts = [
        f"{100 * sum(values) / len(values):.0f} % " + words.format(n=len(values))
        for values, words in ((gold, of_gold), (agreed, of_others))
        if values
    ]
    return "agrees with " + " and ".join(parts) if parts else "nothing to compare with yet"


def _commonest(patterns: dict[int, list[tuple[int, ...]]]) -> str:
    seen = [pattern for group in patterns.values() for pattern in group]
    if not seen:
        return "nothing was ranked yet"
    most = max(set(seen), key=lambda pattern: (seen.count(pattern), pattern))
    places = " ".join(f"{'ABCDEFGHI'[place]}:{tier + 1}" for place, tier in enumerate(most))
    return f"{seen.count(most)} of {len(seen)} rankings are {places} on the screen"
