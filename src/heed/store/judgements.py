"""What one labeler said on one occasion, whatever the form, and the keys by which it is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heed.records import Completion, Demonstration, Prompt, Ranking, Rating, content_id
from heed.store.forms import DEMONSTRATION, OVERALL, RANKING, RATING


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A demonstration, a ranking or a rating, in the form in which the tables hold all three."""

    form: str
    prompt: Prompt
    labeler: str
    shown: tuple[Completion, ...] = ()
    """The candidates, in the order in which they were shown."""
    tiers: tuple[int, ...] = ()
    """One for each candidate, when they were ranked."""
    written: Completion | None = None
    """The answer, when one was written."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Question to number, when the one candidate was graded."""


def judgement_of(record: Demonstration | Ranking | Rating) -> Judgement:
    """The record as the tables hold it."""
    if isinstance(record, Demonstration):
        return Judgement(form=DEMONSTRATION, prompt=record.prompt, labeler=record.labeler, written=record.completion)
    if isinstance(record, Ranking):
        return Judgement(
            form=RANKING, prompt=record.prompt, labeler=record.labeler, shown=record.completions, tiers=record.tiers
        )
    return Judgement(
        form=RATING,
        prompt=record.prompt,
        labeler=record.labeler,
        shown=(record.completion,),
        values={OVERALL: float(record.overall), **{name: float(flag) for name, flag in record.flags.items()}},
    )


def said_key(one: Judgement) -> str:
    """Who said what about what, whenever."""
    written = None if one.written is None else one.written.id
    shown = [completion.id for completion in one.shown]
    return content_id(one.form, one.prompt.id, shown, one.labeler, list(one.tiers), written, dict(one.values))


def response_key(said: str, round: int, campaign: str) -> str:
    """The same on one occasion: what arrives with the same key a second time is the same response."""
    return content_id(said, round, campaign)


def item_key(one: Judgement, round: int, campaign: str, occurrence: int) -> str:
    """What was asked, for the first, second, ... time."""
    shown = [completion.id for completion in one.shown]
    return content_id(one.form, campaign, round, one.prompt.id, shown, occurrence)
