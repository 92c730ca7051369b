"""Screening in InstructGPT's four parts (appendix B.1), with soft thresholds: figures, and never a verdict.

1. Agreement with the researchers on what is sensitive speech; 75 %.
2. Agreement with the researchers on rankings; 75 %. Of two answers that the researchers tie nothing is asked; where
   only the labeler ties two answers, that is half an agreement.
3. Demonstrations for sensitive prompts, rated 1 to 7 by leads, averaged; 6.
4. Topics and groups about which the labeler says they can tell sensitive speech; what counts is the team's coverage.

The recommendation is arithmetic. Whether somebody joins is for a lead to say, who sees the figures without the name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from heed.feedback.concord import Figure
from heed.feedback.known import against_gold, mean_figure, share_figure
from heed.store.studio.said import Said

Part = Literal["sensitive", "ranking", "demonstration"]
Standing = Literal["above", "about", "below", "unknown"]
"""Where a figure is beside its threshold: at or over it, under it with an interval that reaches it, wholly under."""
Advice = Literal["accept", "look closer", "decline", "not finished"]

TITLES: dict[Part, str] = {
    "sensitive": "Tells sensitive speech as we do",
    "ranking": "Ranks answers as we do",
    "demonstration": "Writes good answers to sensitive prompts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From where on a part is good enough; soft."""

    sensitive: float = 0.75
    ranking: float = 0.75
    demonstration: float = 6.0
    """Of 7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFigure:
    """One part with what it came to."""

    part: Part
    title: str
    figure: Figure
    threshold: float
    standing: Standing
    by_habit: float | None = None
    """What always saying the commoner of the researchers' answers would have reached; only of ``sensitive``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """The screening of one candidate."""

    parts: tuple[PartFigure, ...]
    topics: tuple[str, ...] | None
    """None while they have not been asked."""
    adds: tuple[str, ...]
    """Topics that nobody else on the team named."""
    advice: Advice
    why: str


def screen(
    said: Sequence[Said],
    ratings: Mapping[int, Sequence[float]],
    topics: Sequence[str] | None,
    team: Mapping[str, int] | None = None,
    thresholds: Thresholds | None = None,
    left: int = 0,
) -> Screened:
    """The four parts of one candidate, and what their arithmetic suggests.

    Args:
        said: the candidate's answers to screening items.
        ratings: leads' ratings, 1 to 7, of each demonstration by response id; empty while nobody rated it.
        topics: what the candidate declared, None before.
        team: how many others named each topic.
        thresholds: other than InstructGPT's.
        left: items that the candidate has still to answer.
    """
    limits = thresholds or Thresholds()
    means = [sum(given) / len(given) for given in ratings.values() if given]
    waiting = "no demonstration was written yet" if not ratings else "no lead has rated a demonstration yet"
    figures: dict[Part, Figure] = {
        "sensitive": _agreed(said, "values", ("sensitive",), "no sensitive-speech item was answered yet"),
        "ranking": _agreed(said, "ranking", ("rank", "compare", "grade"), "no ranking was answered yet"),
        "demonstration": mean_figure(means, waiting, 1.0, 7.0),
    }
    parts = tuple(
        PartFigure(
            part=part,
            title=TITLES[part],
            figure=figure,
            threshold=getattr(limits, part),
            standing=_standing(figure, getattr(limits, part)),
            by_habit=_habit(said) if part == "sensitive" else None,
        )
        for part, figure in figures.items()
    )
    unrated = sum(not given for given in ratings.values())
    advice, why = _advice(parts, left, unrated)
    adds = tuple(topic for topic in topics or () if not (team or {}).get(topic) and topic != "none of these")
    return Screened(parts=parts, topics=None if topics is None else tuple(topics), adds=adds, advice=advice, why=why)


def coverage(declared: Mapping[str, Sequence[str]], topics: Sequence[str]) -> dict[str, int]:
    """How many of the team named each topic, every topic listed, those that nobody named too."""
    counts = Counter(topic for named in declared.values() for topic in set(named))
    return {topic: counts[topic] for topic in dict.fromkeys([*topics, *counts])}


def _agreed(said: Sequence[Said], what: Literal["ranking", "values"], tasks: Sequence[str], nothing: str) -> Figure:
    asked = [one for one in said if one.task in tasks and not _training(one)]
    found = [match for one in asked if (match := against_gold(one, what=what))]
    return share_figure([(match.item_id, match.points) for match in found], nothing)


def _training(one: Said) -> bool:
    """Whether the known answer was shown; then it says nothing of what somebody can do alone."""
    return one.gold is not None and one.gold.part == "training"


def _habit(said: Sequence[Said]) -> float | None:
    flags = [
        value
        for one in said
        if one.task == "sensitive" and one.gold is not None and not _training(one)
        for place, value in one.gold.values.items()
        if place in one.values
    ]
    return Counter(flags).most_common(1)[0][1] / len(flags) if flags else None


def _standing(figure: Figure, threshold: float) -> Standing:
    if figure.estimate is None:
        return "unknown"
    if figure.estimate.value >= threshold:
        return "above"
    return "below" if figure.estimate.high < threshold else "about"


def _advice(parts: Sequence[PartFigure], left: int, unrated: int) -> tuple[Advice, str]:
    missing = [part.title for part in parts if part.standing == "unknown"]
    missing += [f"{left} items to answer"] if left else []
    missing += [f"{unrated} texts to rate"] if unrated else []
    if missing:
        return "not finished", f"still open: {'; '.join(missing)}"
    low = [part.title for part in parts if part.standing == "below"]
    if low:
        return "decline", f"below the threshold with its whole interval: {'; '.join(low)}"
    near = [part.title for part in parts if part.standing == "about"]
    if near:
        return "look closer", f"under the threshold, yet the interval reaches it: {'; '.join(near)}"
    wide = [part.title for part in parts if part.figure.estimate and part.figure.estimate.low < part.threshold]
    reaches = f"; the intervals still reach under it: {'; '.join(wide)}" if wide else ""
    return "accept", f"every part is at its threshold or over it{reaches}"
