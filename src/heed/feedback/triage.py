"""Why labelers differ on an item: a guess at the cause, which decides where the item should go.

Disagreement has several causes, and they call for different things: an item that has no better answer is a tie, a rule
that people read in two ways belongs in the guideline, a slip deserves a word with the labeler, and where all labelers
say one thing and the reward model another, the reward model has something to learn. The guess is the lead's starting
point, never a decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import Final, Literal

import numpy as np

from heed.feedback.concord import Meetings, differences, labeler_matrix
from heed.stats import Array, wilson
from heed.store.studio.judged import Judged

Cause = Literal["ambiguous", "guideline_gap", "labeler_error", "model_error", "equal", "other"]
"""What an adjudication names; ``equal`` is a near tie."""

CAUSES: Final[Mapping[Cause, str]] = {
    "ambiguous": "Ambiguous: the prompt can be read in two ways",
    "guideline_gap": "Guideline gap: people read the rules differently",
    "labeler_error": "Slip: one labeler against all others",
    "model_error": "Model error: labelers agree, the reward model does not",
    "equal": "Near tie: the answers are about equally good",
    "other": "Something else",
}
"""In words, in the order in which the page offers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Thresholds of the guess. They decide what a lead sees first, and nothing else."""

    unanimous: float = 0.1
    """Labelers who differ no more than this say the same."""
    against: float = 0.5
    """How far one labeler must be from each of the others to stand alone."""
    ties: float = 0.5
    """Share of tied pairs of answers from which on the answers count as about equal."""
    hurried: float = 0.35
    """Share of the labeler's own median time below which a judgement was hurried."""
    unsteady: float = 0.7
    """Self-consistency below which a labeler counts as unsteady."""
    camp_gap: float = 0.15
    """How much less labelers of two camps agree elsewhere than those of one, for the split to follow labelers."""
    camp_count: int = 12
    """Comparisons elsewhere, across and within camps, that are needed to say so."""
    model_wrong: float = 0.5
    """Share of unanimous preferences that a reward model must turn round to be wrong about an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known besides the rankings."""

    median_ms: Mapping[str, float] = field(default_factory=dict)
    """Median active time of each labeler."""
    consistency: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """Of each labeler, how often a second look gave the same preference, and from how many comparisons."""
    scores: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """By unit, a reward model's score of each of its answers, in the unit's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A contested set of answers, with a guess why."""

    unit: int
    item_id: int
    difference: float
    """0 where all say the same, 1 where all are opposite."""
    comparisons: int
    weight: float
    """What it is sorted by: the lower end of the interval of ``difference``, so that much evidence goes first."""
    cause: Cause
    why: str
    labelers: tuple[str, ...]
    odd: str = ""
    """The labeler who stands alone, if the guess is a slip."""


def triage(
    met: Meetings, known: Knowledge | None = None, *, limit: int = 500, rules: Rules | None = None
) -> list[Finding]:
    """The sets of answers on which labelers differ most, at most ``limit``, and those a reward model gets wrong.

    Returns them with the most certain disagreement first; model errors, on which labelers agree, come after.
    """
    known, rules = known or Knowledge(), rules or Rules()
    apart = differences(met)
    weights = {unit: wilson(share * n, n).low for unit, (share, n) in apart.items()}
    contested = sorted((u for u in apart if apart[u][0] > rules.unanimous), key=lambda u: (-weights[u], u))[:limit]
    camps = _Camps(met)
    found = []
    for unit in contested:
        cause, why, odd = _guess(met.units[unit], known, camps, rules)
        found.append(_finding(met, unit, apart[unit], weights[unit], cause, why, odd))
    for unit in sorted(known.scores.keys() & apart.keys()):
        wrong, strict = _turned_round(met.units[unit], known.scores[unit])
        if apart[unit][0] <= rules.unanimous and strict and wrong / strict >= rules.model_wrong:
            why = f"labelers agree, and the reward model turns {wrong} of their {strict} preferences round"
            found.append(_finding(met, unit, apart[unit], weights[unit], "model_error", why, ""))
    return found[: 2 * limit]


def _finding(
    met: Meetings, unit: int, apart: tuple[float, int], weight: float, cause: Cause, why: str, odd: str
) -> Finding:
    group = met.units[unit]
    return Finding(
        unit=unit,
        item_id=group[0].item_id,
        difference=apart[0],
        comparisons=apart[1],
        weight=weight,
        cause=cause,
        why=why,
        labelers=tuple(one.labeler for one in group),
        odd=odd,
    )


def _guess(group: Sequence[Judged], known: Knowledge, camps: _Camps, rules: Rules) -> tuple[Cause, str, str]:
    """Cause, reason and odd one out of a contested unit."""
    group = sorted(group, key=lambda one: one.labeler)
    apart = _distances(group)
    odd = _odd_one_out(apart, rules)
    if odd is not None:
        who = group[odd].labeler
        reasons = [f"one labeler of {len(group)} stands against all others"]
        return "labeler_error", ", ".join([*reasons, *_doubts(group[odd], known, rules)]), who
    doubtful = [(one, doubts) for one in group if (doubts := _doubts(one, known, rules))]
    if len(doubtful) == 1:
        one, doubts = doubtful[0]
        return "labeler_error", f"one of {len(group)} labelers {' and '.join(doubts)}", one.labeler
    tied = _tied(group)
    if tied >= rules.ties:
        return "equal", f"{tied * 100:.0f} % of the pairs of answers are ties", ""
    stranger = camps.stranger(group, apart, rules)
    if stranger is not None:
        return "labeler_error", stranger[1], stranger[0]
    gap = _split_follows(group, apart, camps, rules)
    if gap:
        return "guideline_gap", gap, ""
    steady = [known.consistency[one.labeler] for one in group if one.labeler in known.consistency]
    if len(group) == 2:
        return "ambiguous", "two labelers say opposite things; a third would tell more", ""
    if steady and all(share >= rules.unsteady for share, _ in steady):
        return "ambiguous", "labelers who agree with themselves are split", ""
    return "ambiguous", "labelers are split, and it does not follow who they are", ""


def _distances(group: Sequence[Judged]) -> Array:
    """(labelers, labelers): how far each two are apart, a tie against a preference as half."""
    tiers = np.array([one.tiers for one in group])
    i, j = np.triu_indices(tiers.shape[1], 1)
    signs = np.sign(tiers[:, i] - tiers[:, j])
    result: Array = np.abs(signs[:, None, :] - signs[None, :, :]).mean(axis=2) / 2
    return result


def _odd_one_out(apart: Array, rules: Rules) -> int | None:
    """Who is far from all others, who are close to one another; three labelers or more."""
    size = apart.shape[0]
    for index in range(size) if size > 2 else ():
        others = [other for other in range(size) if other != index]
        close = max(apart[a, b] for a, b in combinations(others, 2))
        if min(apart[index, other] for other in others) >= rules.against and close <= rules.unanimous:
            return index
    return None


def _doubts(one: Judged, known: Knowledge, rules: Rules) -> list[str]:
    """What speaks against a judgement besides what it says."""
    doubts = []
    usual = known.median_ms.get(one.labeler)
    if one.active_ms is not None and usual and one.active_ms < rules.hurried * usual:
        doubts.append(f"took {one.active_ms / 1000:.0f} s where {usual / 1000:.0f} s are usual")
    share, n = known.consistency.get(one.labeler, (1.0, 0))
    if n >= rules.camp_count and share < rules.unsteady:
        doubts.append(f"agrees with themselves on {share * 100:.0f} % of second looks")
    return doubts


def _tied(group: Sequence[Judged]) -> float:
    tiers = np.array([one.tiers for one in group])
    i, j = np.triu_indices(tiers.shape[1], 1)
    return float((tiers[:, i] == tiers[:, j]).mean())


def _split_follows(group: Sequence[Judged], apart: Array, camps: _Camps, rules: Rules) -> str:
    """Why the split looks like two readings of the rules, or nothing.

    Labelers are put into the two camps of the item. If its camps were made under different guidelines, or agree less
    with each other than among themselves on *other* answers too, then it is not the item that divides them.
    """
    left, right = _two_camps(apart)
    people = [[group[index] for index in camp if group[index].kind == "human"] for camp in (left, right)]
    versions = [{one.guideline for one in camp} for camp in people]
    if len(versions[0]) == len(versions[1]) == 1 and versions[0] != versions[1]:
        return "the sides judged under different versions of the guideline"
    across = [(group[a], group[b]) for a in left for b in right]
    within = [(group[a], group[b]) for camp in (left, right) for a, b in combinations(camp, 2)]
    there, n_across = camps.elsewhere(across)
    here, n_within = camps.elsewhere(within) if within else camps.usual
    if n_across < rules.camp_count or n_within < rules.camp_count or here - there < rules.camp_gap:
        return ""
    return (
        f"these sides agree on {there * 100:.0f} % elsewhere too, where {here * 100:.0f} % is usual: "
        "they read the rules differently"
    )


def _two_camps(apart: Array) -> tuple[list[int], list[int]]:
    """Everyone goes with the nearer of the two labelers who are furthest apart."""
    a, b = (int(place) for place in np.unravel_index(int(apart.argmax()), apart.shape))
    right = [
        index for index in range(apart.shape[0]) if index == b or (index != a and apart[index, b] < apart[index, a])
    ]
    return [index for index in range(apart.shape[0]) if index not in right], right


def _turned_round(group: Sequence[Judged], scores: Sequence[float]) -> tuple[int, int]:
    """Preferences shared by all labelers that the scores turn round, and all such preferences."""
    wrong = strict = 0
    for i, j in combinations(range(len(group[0].tiers)), 2):
        signs = {int(np.sign(one.tiers[i] - one.tiers[j])) for one in group}
        if len(signs) == 1 and (sign := signs.pop()):
            strict += 1
            wrong += (scores[i] - scores[j]) * sign > 0  # a lower tier is better, a lower score worse
    return wrong, strict


class _Camps:
    """How labelers agree on everything but one set of answers."""

    def __init__(self, met: Meetings) -> None:
        self._place = {labeler: index for index, labeler in enumerate(met.labelers)}
        self._agreed, self._count = labeler_matrix(met)
        total = float(self._count.sum()) / 2
        self.usual = (float(self._agreed.sum()) / 2 / total if total else 0.0, int(total))
        """Agreement of any two labelers, and the number of comparisons."""

    def stranger(self, group: Sequence[Judged], apart: Array, rules: Rules) -> tuple[str, str] | None:
        """Someone alone on a side who agrees with nobody elsewhere either, and how it shows.

        Two readings of a rule have people on both sides; one who differs from everybody is no reading.
        """
        found = []
        for camp in _two_camps(apart):
            if len(camp) != 1:
                continue
            place = self._place[group[camp[0]].labeler]
            theirs, n = float(self._agreed[place].sum()), float(self._count[place].sum())
            total, agreed = float(self._count.sum()) / 2 - n, float(self._agreed.sum()) / 2 - theirs
            if n < rules.camp_count or total < rules.camp_count:
                continue
            if agreed / total - theirs / n >= rules.camp_gap:
                found.append((theirs / n, agreed / total, group[camp[0]].labeler))
        if len({who for _, _, who in found}) != 1:
            return None
        theirs, usual, who = found[0]
        return who, f"one agrees with others on {theirs * 100:.0f} % elsewhere too, where {usual * 100:.0f} % is usual"

    def elsewhere(self, pairs: Sequence[tuple[Judged, Judged]]) -> tuple[float, int]:
        """Agreement of these pairs of labelers apart from these judgements, and from how many comparisons."""
        agreed = count = 0.0
        for one, other in pairs:
            a, b = self._place[one.labeler], self._place[other.labeler]
            here = np.array([one.tiers, other.tiers])
            i, j = np.triu_indices(here.shape[1], 1)
            signs = np.sign(here[:, i] - here[:, j])
            agreed += self._agreed[a, b] - float((1 - np.abs(signs[0] - signs[1]) / 2).sum())
            count += self._count[a, b] - i.size
        return (agreed / count if count > 0 else 0.0), int(count)


def median_times(judged: Sequence[Judged]) -> dict[str, float]:
    """Median active milliseconds of each labeler who has any."""
    times: dict[str, list[int]] = {}
    for one in judged:
        if one.active_ms is not None:
            times.setdefault(one.labeler, []).append(one.active_ms)
    return {labeler: float(median(values)) for labeler, values in times.items()}


def self_consistency(pairs: Sequence[tuple[Judged, Judged]]) -> dict[str, tuple[float, int]]:
    """By labeler how often the second look at the same answers gave the same preference, ties as half.

    Args:
        pairs: first and second judgement of one labeler, tiers in the same order of answers.
    """
    sums: dict[str, list[float]] = {}
    for first, second in pairs:
        for i, j in combinations(range(len(first.tiers)), 2):
            a, b = (int(np.sign(one.tiers[i] - one.tiers[j])) for one in (first, second))
            sums.setdefault(first.labeler, []).append(1 - abs(a - b) / 2)
    return {labeler: (sum(values) / len(values), len(values)) for labeler, values in sums.items()}
