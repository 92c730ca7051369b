"""One row for each labeler: how right, how consistent, how fast, and what habits. Figures, never a verdict.

Every figure comes with its interval and the number of things behind it; where there is none, with the reason why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial, prod
from statistics import median, quantiles

import numpy as np

from heed.feedback.agreement import TieRule
from heed.feedback.concord import Figure, Meetings, meetings, pairwise
from heed.feedback.known import Match, against_gold, share_figure
from heed.stats import wilson
from heed.store.studio.judged import Judged
from heed.store.studio.said import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What counts as acceptable. They decide what a lead is asked to look at, and nothing else."""

    gold: float = 0.65
    """Share of known answers that someone careful gets right."""
    agreement: float = 0.62
    """Agreement with what the others say together that someone careful reaches."""
    too_fast: float = 0.3
    """Share of answers that someone careful may give too fast."""
    tied: float = 0.5
    """Share of rankings in which someone careful may tie everything."""
    fast_ms: Mapping[str, int] | None = None
    """By task, active time below which an answer was too fast; the defaults are in :data:`FAST_MS`."""


FAST_MS = {"demonstration": 10_000, "prompt": 8_000, "grade": 8_000, "rank": 4_000, "compare": 2_000, "chat": 2_000,
           "edit": 5_000, "sensitive": 1_000, "survey": 0}  # fmt: skip
"""By task, milliseconds in which nobody reads what is shown; a third of what brisk work takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Active time of a labeler's answers, in seconds."""

    n: int
    median_s: float
    low_s: float
    """Nine in ten answers took longer."""
    high_s: float
    """Nine in ten answers took less."""
    too_fast: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known of one labeler's work."""

    labeler: str
    responses: int
    gold: Figure
    """Share of known answers given."""
    misses: tuple[Match, ...]
    """Gold items of which something was missed, newest last."""
    agreement: Figure
    """With other labelers, on the shared pool."""
    consistency: Figure
    """With the own first look at the same answers."""
    position: Figure
    """How often the answer shown earlier won; 50 % is no bias, since the order is random."""
    tied: Figure
    """Rankings in which all answers are tied."""
    speed: Speed | None
    """None where no time was measured."""


def judged_of(said: Iterable[Said]) -> list[Judged]:
    """The rankings among answers, as :mod:`heed.feedback.concord` takes them."""
    return [
        Judged(
            unit=one.unit,
            item_id=one.item_id,
            response_id=one.response_id,
            labeler=one.labeler,
            group=one.group,
            active_ms=one.active_ms,
            tiers=one.tiers,
        )
        for one in said
        if len(one.tiers) > 1
    ]


def quality_table(said: Sequence[Said], bounds: Bounds | None = None, ties: TieRule = "half") -> dict[str, Quality]:
    """A row for each labeler who said anything, by id.

    Args:
        said: what everyone said; agreement needs the others too.
        bounds: what counts as acceptable.
        ties: how a tie of one labeler counts against another's preference.
    """
    limits = bounds or Bounds()
    by_labeler: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        by_labeler[one.labeler].append(one)
    met = meetings(judged_of(one for one in said if one.purpose == "ordinary"))
    looks = second_looks(said)
    return {
        labeler: _row(labeler, own, looks.get(labeler, []), _with_others(met, labeler, ties), limits)
        for labeler, own in sorted(by_labeler.items())
    }


def _row(
    labeler: str, own: Sequence[Said], looks: Sequence[tuple[Said, Said]], others: Figure, limits: Bounds
) -> Quality:
    matches = gold_matches(own)
    repeated = [(second.item_id, _both_ways(first.tiers, second.tiers)) for first, second in looks]
    return Quality(
        labeler=labeler,
        responses=len(own),
        gold=share_figure([(one.item_id, one.points) for one in matches], "no item with a known answer was met yet"),
        misses=tuple(one for one in matches if one.missed),
        agreement=others,
        consistency=share_figure(repeated, "no own item came back yet"),
        position=position_figure(own),
        tied=tied_figure(own),
        speed=speed_of(own, limits),
    )


def gold_matches(own: Iterable[Said]) -> list[Match]:
    """Answers to gold items beside the known ones."""
    return [match for one in own if one.purpose == "gold" and (match := against_gold(one)) is not None]


def second_looks(said: Iterable[Said]) -> dict[str, list[tuple[Said, Said]]]:
    """By labeler, first and second judgement of the same answers."""
    everything = list(said)
    first = {(one.labeler, one.item_id): one for one in everything if one.purpose != "recheck"}
    pairs: dict[str, list[tuple[Said, Said]]] = defaultdict(list)
    for one in everything:
        if one.purpose == "recheck" and one.origin_id is not None and one.tiers:
            before = first.get((one.labeler, one.origin_id))
            if before is not None and len(before.tiers) == len(one.tiers):
                pairs[one.labeler].append((before, one))
    return dict(pairs)


def _both_ways(first: Sequence[int], second: Sequence[int]) -> list[float]:
    """For each pair of answers 1 if both have it alike, 1/2 if one of them ties it, 0 if they turn it round."""
    signs = [
        (int(np.sign(first[i] - first[j])), int(np.sign(second[i] - second[j])))
        for i, j in combinations(range(len(first)), 2)
    ]
    return [1.0 - abs(a - b) / 2 for a, b in signs]


def _with_others(met: Meetings, labeler: str, ties: TieRule) -> Figure:
    if labeler not in met.labelers:
        return Figure(estimate=None, undefined="no one else has judged the same answers yet")
    number = met.labelers.index(labeler)
    figure = pairwise(met, ties, (met.first == number) | (met.second == number))
    return figure


def position_figure(own: Iterable[Said]) -> Figure:
    """How often the answer shown earlier is preferred, over pairs that are not tied."""
    points = []
    for one in own:
        shown = one.shown_tiers
        won = [float(shown[i] < shown[j]) for i, j in combinations(range(len(shown)), 2) if shown[i] != shown[j]]
        points.append((one.item_id, won))
    return share_figure(points, "nothing was preferred over anything yet")


def tied_figure(own: Iterable[Said]) -> Figure:
    """Share of rankings in which every answer is tied with every other."""
    flat = [len(set(one.tiers)) == 1 for one in own if len(one.tiers) > 1]
    if not flat:
        return Figure(estimate=None, undefined="nothing was ranked yet")
    return Figure(estimate=wilson(sum(flat), len(flat)), num_units=len(flat))


def speed_of(own: Iterable[Said], limits: Bounds | None = None) -> Speed | None:
    """Median, ends and too-fast share of active time; None where none was measured."""
    known = [(one.task, one.active_ms) for one in own if one.active_ms is not None]
    if not known:
        return None
    seconds = sorted(ms / 1000 for _, ms in known)
    tenths = quantiles(seconds, n=10) if len(seconds) > 1 else seconds * 9
    fast = sum(too_fast(known_task, ms, limits) for known_task, ms in known)
    return Speed(
        n=len(known),
        median_s=median(seconds),
        low_s=max(tenths[0], seconds[0]),
        high_s=min(tenths[-1], seconds[-1]),
        too_fast=Figure(estimate=wilson(fast, len(known)), num_units=len(known)),
    )


def too_fast(task: str, active_ms: int, limits: Bounds | None = None) -> bool:
    """Whether an answer took less time than reading what was shown does."""
    floor = (limits.fast_ms if limits is not None else None) or FAST_MS
    return active_ms < floor.get(task, 0)


def shown_patterns(own: Iterable[Said]) -> dict[int, list[tuple[int, ...]]]:
    """The rankings as seen on the screen, by how many ways there are to lay out so many ties on so many places.

    Second looks are left out: they come in another order than the first, which is not any order.
    """
    found: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for one in own:
        if one.purpose == "recheck":
            continue
        shown = one.shown_tiers
        possible = factorial(len(shown)) // prod(factorial(shown.count(tier)) for tier in set(shown))
        if possible > 1:
            found[possible].append(shown)
    return dict(found)
