"""Items as a lead looks at them: lists by page, and one item with everything that was said about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, get_args

from sqlalchemy import Connection, func, select

from heed.errors import DataError, nearest
from heed.forms import Form, parse_form
from heed.records import Completion, LabelerGroup, LabelerKind, Message, Prompt
from heed.store import schema as t
from heed.store.studio import tables as s
from heed.store.studio.said import Gold, Purpose, gold_of

PURPOSES: Final[tuple[str, ...]] = get_args(Purpose)
STATES: Final = ("open", "full")
"""Of an item: a label is missing, or none is."""
ORDERS: Final = ("newest", "oldest")
CAUSES: Final = ("ambiguous", "guideline_gap", "labeler_error", "model_error", "equal", "other")
PREVIEW: Final = 240
"""Characters of a prompt in a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items, and in which order. Empty fields leave everything in."""

    campaign: str = ""
    purpose: str = ""
    audience: str = ""
    state: str = ""
    category: str = ""
    cause: str = ""
    """Items about which a lead decided so, most recently."""
    order: str = "newest"

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[str, ...]] = {
            "purpose": ("", *PURPOSES),
            "audience": ("", *get_args(LabelerGroup)),
            "state": ("", *STATES),
            "cause": ("", *CAUSES),
            "order": ORDERS,
        }
        for name, values in allowed.items():
            given = getattr(self, name)
            if given not in values:
                words = ", ".join(value for value in values if value)
                raise DataError(f"{name} is {given!r}, expected one of {words}.{nearest(given, values)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """An item in a list."""

    id: int
    campaign: str
    purpose: str
    audience: str
    category: str
    text: str
    """The beginning of the last message of its prompt."""
    candidates: int
    slots_total: int
    slots_open: int
    answered: int
    cause: str = ""
    """What a lead decided about it last."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """Some items, and where the next ones begin."""

    rows: tuple[ItemRow, ...]
    after: int | None
    """The id to go on after; ``None`` at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An answer of an item."""

    ordinal: int
    generation_id: int
    completion: Completion
    scores: Mapping[str, float] = field(default_factory=dict)
    """By reward model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one labeler said about the item."""

    response_id: int
    labeler: str
    name: str
    """Of the account, or the labeler's id."""
    kind: LabelerKind
    group: LabelerGroup
    tiers: tuple[int, ...]
    item: Mapping[str, Any]
    candidates: tuple[Mapping[str, Any], ...]
    """Answers about each candidate, by ordinal."""
    written: str
    """Text that was written or edited, if that was the task."""
    note: str
    active_ms: int | None
    created_at: datetime
    guideline: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a lead found."""

    id: int
    account_id: str
    name: str
    response_id: int | None
    cause: str
    note: str
    created_at: datetime
    active_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """An item with everything about it."""

    id: int
    campaign: str
    purpose: str
    audience: LabelerGroup
    arm: str
    form: Form | None
    """``None`` for imported judgements, which were made elsewhere."""
    form_version: int
    guideline: int | None
    prompt: Prompt
    candidates: tuple[Candidate, ...]
    voices: tuple[Voice, ...]
    decisions: tuple[Decision, ...]
    """Newest last."""
    gold: Gold | None
    slots_total: int
    slots_open: int


def read_items(connection: Connection, chosen: ItemFilter, after: int | None, limit: int) -> ItemPage:
    """Items after an id in the chosen order, found along the primary key."""
    down = chosen.order == "newest"
    ids = select(t.item.c.id).order_by(t.item.c.id.desc() if down else t.item.c.id).limit(limit + 1)
    for column, value in (
        (t.item.c.campaign, chosen.campaign),
        (t.item.c.purpose, chosen.purpose),
        (t.item.c.audience, chosen.audience),
    ):
        if value:
            ids = ids.where(column == value)
    if chosen.state:
        ids = ids.where(t.item.c.slots_open > 0 if chosen.state == "open" else t.item.c.slots_open == 0)
    if chosen.category:
        ids = ids.join(t.prompt, t.prompt.c.id == t.item.c.prompt_id).where(t.prompt.c.category == chosen.category)
    if chosen.cause:
        newest = select(func.max(s.adjudication.c.id)).group_by(s.adjudication.c.item_id)
        ids = ids.join(s.adjudication, s.adjudication.c.item_id == t.item.c.id)
        ids = ids.where(s.adjudication.c.cause == chosen.cause, s.adjudication.c.id.in_(newest))
    if after is not None:
        ids = ids.where(t.item.c.id < after if down else t.item.c.id > after)
    found = list(connection.execute(ids).scalars())
    rows = _rows(connection, found[:limit])
    return ItemPage(rows=rows, after=found[limit - 1] if len(found) > limit else None)


def read_item_rows(connection: Connection, ids: Sequence[int]) -> tuple[ItemRow, ...]:
    """These items, in this order; unknown ones are left out."""
    return _rows(connection, ids)


def _rows(connection: Connection, ids: Sequence[int]) -> tuple[ItemRow, ...]:
    statement = (
        select(t.item, t.prompt.c.category, t.prompt.c.messages)
        .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        .where(t.item.c.id.in_(ids))
    )
    answered: dict[int, int] = dict(
        connection.execute(
            select(t.assignment.c.item_id, func.count())
            .where(t.assignment.c.item_id.in_(ids), t.assignment.c.state == "submitted")
            .group_by(t.assignment.c.item_id)
        ).all()
    )
    shown: dict[int, int] = dict(
        connection.execute(
            select(t.item_candidate.c.item_id, func.count())
            .where(t.item_candidate.c.item_id.in_(ids))
            .group_by(t.item_candidate.c.item_id)
        ).all()
    )
    causes = {
        row.item_id: row.cause
        for row in connection.execute(
            select(s.adjudication.c.item_id, s.adjudication.c.cause)
            .where(s.adjudication.c.item_id.in_(ids))
            .order_by(s.adjudication.c.id)
        )
    }
    found = {
        row.id: ItemRow(
            id=row.id,
            campaign=row.campaign,
            purpose=row.purpose,
            audience=row.audience,
            category=row.category,
            text=(row.messages[-1][1] if row.messages else "")[:PREVIEW],
            candidates=shown.get(row.id, 0),
            slots_total=row.slots_total,
            slots_open=row.slots_open,
            answered=answered.get(row.id, 0),
            cause=causes.get(row.id, ""),
            created_at=row.created_at,
        )
        for row in connection.execute(statement)
    }
    return tuple(found[one] for one in ids if one in found)


def read_item(connection: Connection, item_id: int) -> ItemView | None:
    """One item, or nothing."""
    row = connection.execute(
        select(
            t.item,
            t.prompt.c.record_id,
            t.prompt.c.messages,
            t.prompt.c.source,
            t.prompt.c.category,
            t.prompt.c.split,
            t.form.c.definition,
            t.form.c.version.label("form_version"),
            t.guideline.c.version.label("guideline"),
        )
        .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        .join(t.form, t.form.c.id == t.item.c.form_id)
        .outerjoin(t.guideline, t.guideline.c.id == t.item.c.guideline_id)
        .where(t.item.c.id == item_id)
    ).one_or_none()
    if row is None:
        return None
    candidates = _candidates(connection, item_id)
    return ItemView(
        id=row.id,
        campaign=row.campaign,
        purpose=row.purpose,
        audience=row.audience,
        arm=row.arm,
        form=parse_form(row.definition) if "task" in row.definition else None,
        form_version=row.form_version,
        guideline=row.guideline,
        prompt=Prompt(
            id=row.record_id,
            messages=tuple(Message(role=role, content=content) for role, content in row.messages),
            source=row.source,
            category=row.category,
            split=row.split,
        ),
        candidates=candidates,
        voices=_voices(connection, item_id, len(candidates), row.guideline),
        decisions=_decisions(connection, item_id),
        gold=gold_of(row.gold),
        slots_total=row.slots_total,
        slots_open=row.slots_open,
    )


def _candidates(connection: Connection, item_id: int) -> tuple[Candidate, ...]:
    scores: dict[int, dict[str, float]] = defaultdict(dict)
    for row in connection.execute(
        select(s.score.c.generation_id, s.score.c.model, s.score.c.value)
        .join(t.item_candidate, t.item_candidate.c.generation_id == s.score.c.generation_id)
        .where(t.item_candidate.c.item_id == item_id)
        .order_by(s.score.c.model)
    ):
        scores[row.generation_id][row.model] = row.value
    columns = (t.generation.c.record_id, t.generation.c.text, t.generation.c.stop, t.generation.c.policy)
    statement = (
        select(t.item_candidate.c.ordinal, t.item_candidate.c.generation_id, *columns)
        .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
        .where(t.item_candidate.c.item_id == item_id)
        .order_by(t.item_candidate.c.ordinal)
    )
    return tuple(
        Candidate(
            ordinal=row.ordinal,
            generation_id=row.generation_id,
            completion=Completion(id=row.record_id, text=row.text, stop=row.stop, policy=row.policy),
            scores=scores[row.generation_id],
        )
        for row in connection.execute(statement)
    )


def _voices(connection: Connection, item_id: int, size: int, guideline: int | None) -> tuple[Voice, ...]:
    newer = t.response.alias("newer")
    heads = connection.execute(
        select(
            t.response.c.id,
            t.response.c.created_at,
            t.assignment.c.labeler_id,
            t.assignment.c.active_ms,
            t.labeler.c.kind,
            t.labeler.c.labeler_group,
            s.account.c.name,
            t.note.c.text,
        )
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .outerjoin(s.account, s.account.c.labeler_id == t.labeler.c.id)
        .outerjoin(t.note, t.note.c.response_id == t.response.c.id)
        .where(
            t.response.c.item_id == item_id,
            t.labeler.c.withdrawn_at.is_(None),
            ~select(newer.c.id).where(newer.c.supersedes == t.response.c.id).exists(),
        )
        .order_by(t.response.c.id)
    ).all()
    tiers: dict[int, dict[int, int]] = defaultdict(dict)
    for row in connection.execute(select(t.rank_tier).where(t.rank_tier.c.item_id == item_id)):
        tiers[row.response_id][row.ordinal] = row.tier
    said: dict[int, dict[int | None, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    written: dict[int, str] = {}
    answers = select(t.answer, t.generation.c.text).outerjoin(
        t.generation, t.generation.c.id == t.answer.c.generation_id
    )
    for row in connection.execute(answers.where(t.answer.c.item_id == item_id).order_by(t.answer.c.id)):
        if row.text is not None:
            written[row.response_id] = row.text
        else:
            value = row.value_number if row.value_number is not None else row.value_text
            said[row.response_id][row.ordinal][row.question] = value
    return tuple(
        Voice(
            response_id=row.id,
            labeler=row.labeler_id,
            name=row.name or row.labeler_id,
            kind=row.kind,
            group=row.labeler_group,
            tiers=tuple(tiers[row.id][k] for k in range(size)) if len(tiers[row.id]) == size else (),
            item=said[row.id][None],
            candidates=tuple(said[row.id][k] for k in range(size)),
            written=written.get(row.id, ""),
            note=row.text or "",
            active_ms=row.active_ms,
            created_at=row.created_at,
            guideline=guideline,
        )
        for row in heads
    )


def _decisions(connection: Connection, item_id: int) -> tuple[Decision, ...]:
    statement = (
        select(s.adjudication, s.account.c.name, t.assignment.c.active_ms)
        .join(s.account, s.account.c.id == s.adjudication.c.account_id)
        .outerjoin(t.response, t.response.c.id == s.adjudication.c.response_id)
        .outerjoin(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .where(s.adjudication.c.item_id == item_id)
        .order_by(s.adjudication.c.id)
    )
    return tuple(
        Decision(
            id=row.id,
            account_id=row.account_id,
            name=row.name,
            response_id=row.response_id,
            cause=row.cause,
            note=row.note,
            created_at=row.created_at,
            active_ms=row.active_ms,
        )
        for row in connection.execute(statement)
    )
