"""What labelers said, read with how it came about: a handful of queries, whatever the number."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Text, cast, func, literal, select

from heed.records import Completion, Message, Prompt
from heed.store import schema as t
from heed.store.rows import chunks
from heed.store.studio.said import Place, Purpose, Said, gold_of

KNOWN_PURPOSES: tuple[Purpose, ...] = ("gold", "screening")
"""Purposes of items whose answers to questions are compared with known ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which responses. Empty fields leave everything in."""

    labeler: str | None = None
    """With them, what somebody who has withdrawn said is read too."""
    purposes: tuple[Purpose, ...] = ()
    campaign: str | None = None
    newest: int | None = None
    """At most so many, the newest."""
    questions: bool = False
    """Whether answers to questions are read of all items, not only of those whose answer is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One response with what was on the screen."""

    said: Said
    prompt: Prompt
    shown: tuple[Completion, ...]
    """In the order in which they were shown."""
    written: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much somebody did."""

    responses: int = 0
    skips: int = 0
    active_ms: int = 0
    last_at: datetime | None = None
    flags: int = 0
    """Yes answers to flags about answers."""
    flags_asked: int = 0
    withdrawn_at: datetime | None = None
    group: str = "training"
    kind: str = "human"


def read_said(connection: Connection, which: Which) -> list[Said]:
    """Responses that still count, oldest first."""
    return _read(connection, _chosen(which), which)


def _chosen(which: Which) -> Select[Any]:
    newer = t.response.alias("newer")
    statement = (
        select(t.response.c.id)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .where(~select(newer.c.id).where(newer.c.supersedes == t.response.c.id).exists())
    )
    if which.labeler is None:
        statement = statement.where(t.labeler.c.withdrawn_at.is_(None))
    else:
        statement = statement.where(t.assignment.c.labeler_id == which.labeler)
    if which.purposes:
        statement = statement.where(t.item.c.purpose.in_(which.purposes))
    if which.campaign is not None:
        statement = statement.where(t.item.c.campaign == which.campaign)
    if which.newest is not None:
        statement = statement.order_by(t.response.c.id.desc()).limit(which.newest)
    return statement


def _read(connection: Connection, chosen: Select[Any], which: Which) -> list[Said]:
    heads = connection.execute(
        select(
            t.response.c.id,
            t.response.c.item_id,
            t.assignment.c.labeler_id,
            t.assignment.c.order_seed,
            t.assignment.c.active_ms,
            t.assignment.c.submitted_at,
            t.labeler.c.labeler_group,
            t.item.c.campaign,
            t.item.c.purpose,
            t.item.c.form_id,
            t.item.c.origin_id,
            t.item.c.gold,
        )
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .where(t.response.c.id.in_(chosen))
        .order_by(t.response.c.id)
    ).all()
    tasks = {row.id: row.definition.get("task") for row in connection.execute(select(t.form.c.id, t.form.c.definition))}
    placed = _places(connection, chosen)
    values = _values(connection, chosen, which)
    units: dict[tuple[int, ...], int] = {}
    found = []
    for row in heads:
        places = placed.get(row.id, ())
        answers = tuple(place[1] for place in places) or (-row.item_id,)
        task = tasks[row.form_id]
        order: tuple[int, ...] = ()
        if places and task is not None:  # of what came from a file, nobody knows how it was shown
            shuffled = list(range(len(places)))
            random.Random(row.order_seed).shuffle(shuffled)
            order = tuple(shuffled)
        found.append(
            Said(
                response_id=row.id,
                item_id=row.item_id,
                unit=units.setdefault(answers, row.item_id),
                labeler=row.labeler_id,
                group=row.labeler_group,
                campaign=row.campaign,
                task=task or "rank",
                purpose=row.purpose,
                origin_id=row.origin_id,
                order=order,
                tiers=tuple(place[2] for place in places),
                values=values.get(row.id, {}),
                active_ms=row.active_ms,
                submitted_at=row.submitted_at,
                gold=gold_of(row.gold, f"item {row.item_id}"),
            )
        )
    return found


def _places(connection: Connection, chosen: Select[Any]) -> dict[int, tuple[tuple[int, ...], ...]]:
    """By response, (ordinal, answer, tier) of each candidate, by ordinal."""
    place: Any = cast(t.rank_tier.c.ordinal, Text)
    for column in (t.item_candidate.c.generation_id, t.rank_tier.c.tier):
        place = place + literal(":") + cast(column, Text)
    statement = (
        select(t.rank_tier.c.response_id, func.aggregate_strings(place, ",").label("places"))
        .join(
            t.item_candidate,
            (t.item_candidate.c.item_id == t.rank_tier.c.item_id)
            & (t.item_candidate.c.ordinal == t.rank_tier.c.ordinal),
        )
        .where(t.rank_tier.c.response_id.in_(chosen))
        .group_by(t.rank_tier.c.response_id)
    )
    return {
        row.response_id: tuple(sorted(tuple(map(int, one.split(":"))) for one in row.places.split(",")))
        for row in connection.execute(statement)
    }


def _values(connection: Connection, chosen: Select[Any], which: Which) -> dict[int, dict[Place, float | str]]:
    """By response, the answers to questions."""
    if not which.questions and which.purposes and not set(which.purposes) & set(KNOWN_PURPOSES):
        return {}
    statement = (
        select(t.answer)
        .join(t.item, t.item.c.id == t.answer.c.item_id)
        .where(t.answer.c.response_id.in_(chosen), t.answer.c.generation_id.is_(None))
    )
    if not which.questions:
        statement = statement.where(t.item.c.purpose.in_(KNOWN_PURPOSES))
    found: dict[int, dict[Place, float | str]] = defaultdict(dict)
    for row in connection.execute(statement):
        value = row.value_number if row.value_number is not None else row.value_text
        found[row.response_id][row.question, row.ordinal] = value
    return dict(found)


def read_texts(connection: Connection, items: Iterable[int]) -> dict[int, tuple[Completion, ...]]:
    """By item, its candidates in canonical order."""
    found: dict[int, list[Completion]] = defaultdict(list)
    columns = (t.generation.c.record_id, t.generation.c.text, t.generation.c.stop, t.generation.c.policy)
    for chunk in chunks(set(items)):
        statement = (
            select(t.item_candidate.c.item_id, *columns)
            .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
            .where(t.item_candidate.c.item_id.in_(chunk))
            .order_by(t.item_candidate.c.item_id, t.item_candidate.c.ordinal)
        )
        for row in connection.execute(statement):
            found[row.item_id].append(Completion(id=row.record_id, text=row.text, stop=row.stop, policy=row.policy))
    return {item: tuple(texts) for item, texts in found.items()}


def read_looked(connection: Connection, said: Sequence[Said]) -> list[Looked]:
    """These responses with their prompts, answers and remarks."""
    items = {one.item_id for one in said}
    ids = [one.response_id for one in said]
    texts = read_texts(connection, items)
    prompts: dict[int, Prompt] = {}
    for chunk in chunks(items):
        columns = (t.prompt.c.record_id, t.prompt.c.messages, t.prompt.c.category, t.prompt.c.split)
        statement = select(t.item.c.id, *columns).join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        for row in connection.execute(statement.where(t.item.c.id.in_(chunk))):
            messages = tuple(Message(role=role, content=content) for role, content in row.messages)
            prompts[row.id] = Prompt(id=row.record_id, messages=messages, category=row.category, split=row.split)
    written: dict[int, str] = {}
    notes: dict[int, str] = {}
    for chunk in chunks(ids):
        answers = select(t.answer.c.response_id, t.generation.c.text).join(
            t.generation, t.generation.c.id == t.answer.c.generation_id
        )
        for said_in, text in connection.execute(answers.where(t.answer.c.response_id.in_(chunk))):
            written[said_in] = text
        remarks = select(t.note.c.response_id, t.note.c.text).where(t.note.c.response_id.in_(chunk))
        for said_in, text in connection.execute(remarks):
            notes[said_in] = text
    looked = []
    for one in said:
        candidates = texts.get(one.item_id, ())
        order = one.order or tuple(range(len(candidates)))
        looked.append(
            Looked(
                said=one,
                prompt=prompts[one.item_id],
                shown=tuple(candidates[ordinal] for ordinal in order if ordinal < len(candidates)),
                written=written.get(one.response_id, ""),
                note=notes.get(one.response_id, ""),
            )
        )
    return looked


def read_counts(connection: Connection) -> dict[str, Counts]:
    """By labeler, how much they did; everybody is there."""
    done = (t.assignment.c.state == "submitted").self_group()
    work = (
        select(
            t.assignment.c.labeler_id,
            func.count().filter(done).label("responses"),
            func.count().filter(t.assignment.c.state == "skipped").label("skips"),
            func.sum(t.assignment.c.active_ms).filter(done).label("active_ms"),
            func.max(t.assignment.c.submitted_at).label("last_at"),
        )
        .group_by(t.assignment.c.labeler_id)
        .subquery()
    )
    flags: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    yes = func.sum(t.answer.c.value_number)
    for row in connection.execute(
        select(t.assignment.c.labeler_id, yes.label("yes"), func.count().label("asked"))
        .select_from(t.answer)
        .join(t.response, t.response.c.id == t.answer.c.response_id)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .where(t.answer.c.ordinal.is_not(None), t.answer.c.value_number.in_((0, 1)), t.answer.c.question != "overall")
        .group_by(t.assignment.c.labeler_id)
    ):
        flags[row.labeler_id] = (int(row.yes), int(row.asked))
    return {
        row.id: Counts(
            responses=row.responses or 0,
            skips=row.skips or 0,
            active_ms=int(row.active_ms or 0),
            last_at=row.last_at,
            flags=flags[row.id][0],
            flags_asked=flags[row.id][1],
            withdrawn_at=row.withdrawn_at,
            group=row.labeler_group,
            kind=row.kind,
        )
        for row in connection.execute(
            select(t.labeler, *work.c[1:]).outerjoin(work, work.c.labeler_id == t.labeler.c.id).order_by(t.labeler.c.id)
        )
    }
