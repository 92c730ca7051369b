"""Rows into records, in the order in which they came in."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, func, select

from heed.errors import WorkspaceError
from heed.records import (
    Completion,
    Demonstration,
    Json,
    Labeler,
    LabelerGroup,
    Message,
    Prompt,
    Ranking,
    Rating,
)
from heed.store import schema as t
from heed.store.forms import DEMONSTRATION, EDIT, OVERALL
from heed.store.studio import tables as s

PROMPT_COLUMNS = [
    t.prompt.c.record_id.label("prompt_record"),
    t.prompt.c.messages,
    t.prompt.c.source,
    t.prompt.c.category,
    t.prompt.c.author,
    t.prompt.c.split,
    t.prompt.c.meta.label("prompt_meta"),
]
COMPLETION_COLUMNS = [
    t.generation.c.record_id,
    t.generation.c.text,
    t.generation.c.token_ids,
    t.generation.c.logprobs,
    t.generation.c.stop,
    t.generation.c.policy,
    t.generation.c.meta,
]

WRITTEN_SOURCE = "labeler"
"""Source of prompts that labelers wrote as the answer to a task."""
_FIELDS = {"record_id": "id"}
_WRITTEN = (DEMONSTRATION, EDIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which of the records. ``None`` leaves a field open; what withdrawn labelers said is never selected."""

    split: str | None = None
    source: str | None = None
    campaign: str | None = None
    max_round: int | None = None
    labeler_group: LabelerGroup | None = None
    arm: str | None = None
    """How the item got its turn: ``random``, or ``ensemble`` where reward models differed on it."""
    final: bool = False
    """Where a lead has answered an item that labelers differed on, only that answer."""

    def as_json(self) -> dict[str, Json]:
        """The fields that restrict something."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in fields.items() if value is not None and value is not False}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGroup:
    """A prompt with the answers that one policy, or several, gave to it."""

    prompt: Prompt
    completions: tuple[Completion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record, and the row it was read from."""

    row_id: int
    record: Prompt | Demonstration | Ranking | Rating


def read_prompts(connection: Connection, chosen: Selection) -> Iterator[Stored]:
    """All prompts of a selection; ``row_id`` is the prompt's. Not those whose writer withdrew them."""
    statement = select(t.prompt.c.id, *PROMPT_COLUMNS).order_by(t.prompt.c.id)
    written = select(s.written_prompt.c.prompt_id)
    standing = _responses(Selection()).with_only_columns(s.written_prompt.c.prompt_id).order_by(None)
    standing = standing.join(s.written_prompt, s.written_prompt.c.response_id == t.response.c.id)
    theirs = (t.prompt.c.source == WRITTEN_SOURCE) & t.prompt.c.id.in_(written)
    statement = statement.where(~theirs | t.prompt.c.id.in_(standing))
    for row in connection.execute(_restrict_prompts(statement, chosen)):
        yield Stored(row_id=row.id, record=prompt_of(row))


def read_demonstrations(connection: Connection, chosen: Selection) -> Iterator[Stored]:
    """All demonstrations of a selection; ``row_id`` is the response's."""
    statement = _responses(chosen, *PROMPT_COLUMNS, *COMPLETION_COLUMNS, t.assignment.c.labeler_id)
    statement = statement.join(t.answer, t.answer.c.response_id == t.response.c.id)
    statement = statement.join(t.generation, t.generation.c.id == t.answer.c.generation_id)
    prompts = _Prompts()
    for row in connection.execute(statement.where(t.answer.c.question.in_(_WRITTEN))):
        record = Demonstration(prompt=prompts.of(row), completion=completion_of(row), labeler=row.labeler_id)
        yield Stored(row_id=row.id, record=record)


def read_rankings(connection: Connection, chosen: Selection) -> Iterator[Stored]:
    """All rankings of a selection; ``row_id`` is the response's. An answer made better ranks above what it was.

    Raises:
        WorkspaceError: a stored ranking does not place every answer that was shown.
    """
    edits = _edits(connection, chosen, *PROMPT_COLUMNS, t.assignment.c.labeler_id)
    edited = () if edits is None else _read_edits(connection, edits)
    return heapq.merge(_read_placed(connection, chosen), edited, key=lambda stored: stored.row_id)


def _read_placed(connection: Connection, chosen: Selection) -> Iterator[Stored]:
    heads = _responses(chosen, *PROMPT_COLUMNS, t.assignment.c.labeler_id)
    heads = heads.join(t.rank_tier, (t.rank_tier.c.response_id == t.response.c.id) & (t.rank_tier.c.ordinal == 0))
    ids = _responses(chosen).join(
        t.rank_tier, (t.rank_tier.c.response_id == t.response.c.id) & (t.rank_tier.c.ordinal == 0)
    )
    places = (
        select(t.response.c.id, t.rank_tier.c.tier, t.generation.c.id.label("generation_id"), *COMPLETION_COLUMNS)
        .select_from(t.response)
        .join(t.item_candidate, t.item_candidate.c.item_id == t.response.c.item_id)
        .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
        .outerjoin(
            t.rank_tier,
            (t.rank_tier.c.response_id == t.response.c.id) & (t.rank_tier.c.ordinal == t.item_candidate.c.ordinal),
        )
        .where(t.response.c.id.in_(ids.order_by(None)))
        .order_by(t.response.c.id, t.item_candidate.c.ordinal)
    )
    prompts = _Prompts()
    completions: dict[int, Completion] = {}
    groups = groupby(connection.execute(places), key=lambda row: row.id)
    for head, (response_id, group) in zip(connection.execute(heads).all(), groups, strict=True):
        rows = list(group)
        if any(row.tier is None for row in rows):
            raise WorkspaceError(f"the database is damaged: response {response_id} does not rank every answer shown")
        for row in rows:
            if row.generation_id not in completions:
                completions[row.generation_id] = completion_of(row)
        record = Ranking(
            prompt=prompts.of(head),
            completions=tuple(completions[row.generation_id] for row in rows),
            tiers=tuple(row.tier for row in rows),
            labeler=head.labeler_id,
        )
        yield Stored(row_id=head.id, record=record)


def read_ratings(connection: Connection, chosen: Selection) -> Iterator[Stored]:
    """All ratings of a selection, one for each answer that was graded; ``row_id`` is the response's."""
    statement = _responses(
        chosen,
        *PROMPT_COLUMNS,
        *COMPLETION_COLUMNS,
        t.assignment.c.labeler_id,
        t.item.c.form_id,
        t.answer.c.ordinal,
        t.answer.c.question,
        t.answer.c.value_number,
    )
    statement = statement.join(t.answer, t.answer.c.response_id == t.response.c.id)
    statement = statement.join(
        t.item_candidate,
        (t.item_candidate.c.item_id == t.response.c.item_id) & (t.item_candidate.c.ordinal == t.answer.c.ordinal),
    )
    statement = statement.join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
    statement = statement.where(t.answer.c.value_number.is_not(None)).order_by(t.answer.c.id)
    prompts = _Prompts()
    scales = _scales(connection)
    for _, group in groupby(connection.execute(statement), key=lambda row: (row.id, row.ordinal)):
        rows = list(group)
        values = {row.question: row.value_number for row in rows}
        overall = values.pop(OVERALL, None)
        if overall is None:  # flagged, but not graded
            continue
        record = Rating(
            prompt=prompts.of(rows[0]),
            completion=completion_of(rows[0]),
            overall=int(overall),
            flags={name: bool(value) for name, value in values.items() if (rows[0].form_id, name) not in scales},
            labeler=rows[0].labeler_id,
        )
        yield Stored(row_id=rows[0].id, record=record)


def read_generations(connection: Connection, policy: str | None) -> Iterator[AnswerGroup]:
    """Every prompt that was answered, with its answers."""
    statement = select(t.prompt.c.id, *PROMPT_COLUMNS, *COMPLETION_COLUMNS).join(
        t.generation, t.generation.c.prompt_id == t.prompt.c.id
    )
    if policy is not None:
        statement = statement.where(t.generation.c.policy == policy)
    rows = connection.execute(statement.order_by(t.prompt.c.id, t.generation.c.id))
    for _, group in groupby(rows, key=lambda row: row.id):
        members = list(group)
        yield AnswerGroup(prompt=prompt_of(members[0]), completions=tuple(completion_of(row) for row in members))


def read_labelers(connection: Connection) -> Iterator[Labeler]:
    """Everyone, by id, withdrawn or not."""
    for row in connection.execute(select(t.labeler).order_by(t.labeler.c.id)):
        yield Labeler(id=row.id, kind=row.kind, group=row.labeler_group)


def count(connection: Connection) -> dict[str, int]:
    """How much of everything there is."""
    tables = {
        "prompts": t.prompt,
        "generations": t.generation,
        "labelers": t.labeler,
        "exports": t.export,
        "models": t.model,
    }
    counts = {name: connection.execute(select(func.count()).select_from(table)).scalar_one()
              for name, table in tables.items()}  # fmt: skip
    chosen = Selection()
    ranked = _responses(chosen).join(
        t.rank_tier, (t.rank_tier.c.response_id == t.response.c.id) & (t.rank_tier.c.ordinal == 0)
    )
    answers = _responses(chosen).join(t.answer, t.answer.c.response_id == t.response.c.id)
    kinds = {
        "demonstrations": answers.where(t.answer.c.question.in_(_WRITTEN)),
        "rankings": ranked,
        "ratings": answers.where(t.answer.c.question == OVERALL),
        "edits": _edits(connection, chosen),
    }
    for name, statement in kinds.items():
        if statement is not None:
            inner = statement.order_by(None).subquery()
            counts[name] = connection.execute(select(func.count()).select_from(inner)).scalar_one()
    counts["rankings"] += counts.pop("edits", 0)
    return counts


def _edits(connection: Connection, chosen: Selection, *columns: Any) -> Select[Any] | None:
    """Responses that made an answer better, with what it was and what it became; nothing where no form asks that."""
    forms = [row.id for row in connection.execute(select(t.form)) if row.definition.get("task") == "edit"]
    if not forms:
        return None
    before, after = t.generation.alias("before"), t.generation.alias("after")
    sides = [
        one.c[column.name].label(f"{one.name}_{column.name}")
        for one in (before, after)
        for column in COMPLETION_COLUMNS
    ]
    return (
        _responses(chosen, *columns, *(sides if columns else ()))
        .join(t.answer, (t.answer.c.response_id == t.response.c.id) & (t.answer.c.question == EDIT))
        .join(after, after.c.id == t.answer.c.generation_id)
        .join(t.item_candidate, t.item_candidate.c.item_id == t.response.c.item_id)
        .join(before, before.c.id == t.item_candidate.c.generation_id)
        .where(t.item.c.form_id.in_(forms), before.c.text != after.c.text)
    )


def _read_edits(connection: Connection, edits: Select[Any]) -> Iterator[Stored]:
    prompts = _Prompts()
    for row in connection.execute(edits):
        before, after = (
            Completion(**{_FIELDS.get(c.name, c.name): getattr(row, f"{side}_{c.name}") for c in COMPLETION_COLUMNS})
            for side in ("before", "after")
        )
        record = Ranking(prompt=prompts.of(row), completions=(after, before), tiers=(0, 1), labeler=row.labeler_id)
        yield Stored(row_id=row.id, record=record)


def _scales(connection: Connection) -> set[tuple[int, str]]:
    """(form, question) of numbers about an answer that are no flags."""
    return {
        (row.id, question["name"])
        for row in connection.execute(select(t.form))
        for question in row.definition["questions"]
        if question["kind"] not in ("flag", "answer")
    }


def _responses(chosen: Selection, *columns: Any) -> Select[Any]:
    """The responses of a selection that still count, joined with their item, prompt, assignment and labeler.

    What was asked to test labelers, or twice of the same person, is no datum about answers.
    """
    newer = t.response.alias("newer")
    statement = (
        select(t.response.c.id, *columns)
        .select_from(t.response)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        .where(t.labeler.c.withdrawn_at.is_(None))
        .where(t.item.c.purpose == "ordinary")
        .where(~select(newer.c.id).where(newer.c.supersedes == t.response.c.id).exists())
        .order_by(t.response.c.id)
    )
    if chosen.campaign is not None:
        statement = statement.where(t.item.c.campaign == chosen.campaign)
    if chosen.arm is not None:
        statement = statement.where(t.item.c.arm == chosen.arm)
    if chosen.max_round is not None:
        statement = statement.where(t.item.c.round <= chosen.max_round)
    if chosen.labeler_group is not None:
        statement = statement.where(t.labeler.c.labeler_group == chosen.labeler_group)
    if chosen.final:
        decided = _deciding_assignment()
        statement = statement.where(decided.is_(None) | (decided == t.response.c.assignment_id))
    return _restrict_prompts(statement, chosen)


def _deciding_assignment() -> ScalarSelect[int]:
    """The assignment of the newest answer by which a lead decided about the item at hand; nothing if none did."""
    said, held, lead = t.response.alias("said"), t.assignment.alias("held"), t.labeler.alias("lead")
    return (
        select(said.c.assignment_id)
        .join(s.adjudication, s.adjudication.c.response_id == said.c.id)
        .join(held, held.c.id == said.c.assignment_id)
        .join(lead, lead.c.id == held.c.labeler_id)
        .where(s.adjudication.c.item_id == t.item.c.id, lead.c.withdrawn_at.is_(None))
        .order_by(s.adjudication.c.id.desc())
        .limit(1)
        .correlate(t.item)
        .scalar_subquery()
    )


def _restrict_prompts(statement: Select[Any], chosen: Selection) -> Select[Any]:
    if chosen.split is not None:
        statement = statement.where(t.prompt.c.split == chosen.split)
    if chosen.source is not None:
        statement = statement.where(t.prompt.c.source == chosen.source)
    return statement


class _Prompts:
    """Prompts already built from rows, so that the judgements of one prompt share one object."""

    def __init__(self) -> None:
        self._built: dict[str, Prompt] = {}

    def of(self, row: Any) -> Prompt:
        """The prompt of a row."""
        prompt = self._built.get(row.prompt_record)
        if prompt is None:
            prompt = self._built[row.prompt_record] = prompt_of(row)
        return prompt


def prompt_of(row: Any) -> Prompt:
    """The prompt of a row with :data:`PROMPT_COLUMNS`."""
    return Prompt(
        id=row.prompt_record,
        messages=tuple(Message(role=role, content=content) for role, content in row.messages),
        source=row.source,
        category=row.category,
        user=row.author,
        split=row.split,
        meta=row.prompt_meta,
    )


def completion_of(row: Any) -> Completion:
    """The answer of a row with :data:`COMPLETION_COLUMNS`."""
    return Completion(
        id=row.record_id,
        text=row.text,
        token_ids=row.token_ids,
        logprobs=row.logprobs,
        stop=row.stop,
        policy=row.policy,
        meta=row.meta,
    )
