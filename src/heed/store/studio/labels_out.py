"""Labels with all that belongs to them, one to a line: the order shown, the times, notes, flags, form and guideline.

Records (:mod:`heed.records`) are what training needs; these are what another project needs to go on from, or a paper
to be checked by. First come the forms, guidelines, labelers and campaigns that the labels name. Reading the lines into
an empty workspace and writing them again gives the same bytes. Left out: who has withdrawn, texts that were removed,
and the devices that people used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from heed.records import Completion, Json
from heed.store import schema as t
from heed.store.lines import as_json, completion_json
from heed.store.reading import COMPLETION_COLUMNS, PROMPT_COLUMNS, completion_of, prompt_of
from heed.store.redacted import MARK, MESSAGES
from heed.store.rows import CHUNK
from heed.store.studio import tables as s

_BATCH = min(1000, CHUNK)


def read_labels(connection: Connection, campaign: str | None = None) -> Iterator[dict[str, Json]]:
    """Every line, in order; of one campaign or of all, and what was imported."""
    heads = connection.execute(_heads(campaign)).all()
    yield from _named(connection, heads)
    for start in range(0, len(heads), _BATCH):
        yield from _labels(connection, heads[start : start + _BATCH])


def moment(value: datetime | None) -> str | None:
    """A time in UTC, to the microsecond."""
    return None if value is None else value.isoformat()


def _heads(campaign: str | None) -> Any:
    origin, older = t.item.alias("origin"), t.response.alias("older")
    statement = (
        select(
            t.response, t.assignment.c.labeler_id, t.assignment.c.attempt, t.assignment.c.order_seed,
            t.assignment.c.served_at, t.assignment.c.submitted_at, t.assignment.c.active_ms, t.assignment.c.idle_ms,
            t.assignment.c.first_input_at, t.item.c.content_key, t.item.c.campaign, t.item.c.round,
            t.item.c.purpose, t.item.c.audience, t.item.c.arm, t.item.c.gold, t.item.c.priority,
            t.item.c.guideline_id, t.item.c.created_at.label("asked_at"), origin.c.content_key.label("origin_key"),
            t.form.c.name.label("form_name"), t.form.c.version.label("form_version"),
            t.guideline.c.version.label("guideline_version"), older.c.idempotency_key.label("older_key"),
            *PROMPT_COLUMNS,
        )
        .select_from(t.response)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        .join(t.form, t.form.c.id == t.item.c.form_id)
        .outerjoin(t.guideline, t.guideline.c.id == t.item.c.guideline_id)
        .outerjoin(origin, origin.c.id == t.item.c.origin_id)
        .outerjoin(older, older.c.id == t.response.c.supersedes)
        .where(t.labeler.c.withdrawn_at.is_(None))
        .order_by(t.response.c.id)
    )  # fmt: skip
    return statement if campaign is None else statement.where(t.item.c.campaign == campaign)


def _named(connection: Connection, heads: Sequence[Any]) -> Iterator[dict[str, Json]]:
    """What the labels name, each once, in an order of its own."""
    used = {(head.form_name, head.form_version) for head in heads}
    campaigns = {head.campaign for head in heads}
    rows = connection.execute(
        select(s.campaign, t.form.c.name.label("form_name"), t.form.c.version.label("form_version"),
               t.guideline.c.version.label("guideline_version"))
        .join(t.form, t.form.c.id == s.campaign.c.form_id)
        .outerjoin(t.guideline, t.guideline.c.id == s.campaign.c.guideline_id)
        .order_by(s.campaign.c.name)
    ).all()  # fmt: skip
    known = [row for row in rows if row.name in campaigns]
    used |= {(row.form_name, row.form_version) for row in known}
    guidelines = {head.guideline_version for head in heads} | {row.guideline_version for row in known}
    for row in connection.execute(select(t.form).order_by(t.form.c.name, t.form.c.version)):
        if (row.name, row.version) in used:
            yield {"record": "form", "name": row.name, "version": row.version, "definition": row.definition,
                   "created_at": moment(row.created_at)}  # fmt: skip
    for row in connection.execute(select(t.guideline).order_by(t.guideline.c.version)):
        if row.version in guidelines:
            yield {"record": "guideline", "version": row.version, "markdown": row.markdown,
                   "created_at": moment(row.created_at)}  # fmt: skip
    people = {head.labeler_id for head in heads}
    for row in connection.execute(select(t.labeler).order_by(t.labeler.c.id)):
        if row.id in people:
            yield {"record": "labeler", "id": row.id, "kind": row.kind, "group": row.labeler_group}
    for row in known:
        yield {"record": "campaign", "name": row.name, "form": [row.form_name, row.form_version],
               "guideline": row.guideline_version, "settings": row.settings, "state": row.state,
               "created_at": moment(row.created_at)}  # fmt: skip


def _labels(connection: Connection, heads: Sequence[Any]) -> Iterator[dict[str, Json]]:
    responses = [head.id for head in heads]
    items = sorted({head.item_id for head in heads})
    candidates = _candidates(connection, items)
    tiers: dict[int, list[int]] = {}
    order = select(t.rank_tier).where(t.rank_tier.c.response_id.in_(responses))
    for row in connection.execute(order.order_by(t.rank_tier.c.response_id, t.rank_tier.c.ordinal)):
        tiers.setdefault(row.response_id, []).append(row.tier)
    answers = _answers(connection, responses)
    note = select(t.note).where(t.note.c.response_id.in_(responses))
    notes = {row.response_id: row.text for row in connection.execute(note)}
    parts: dict[int, list[str]] = defaultdict(list)
    part = select(s.response_part).where(s.response_part.c.response_id.in_(responses))
    for row in connection.execute(part.order_by(s.response_part.c.response_id, s.response_part.c.said_key)):
        parts[row.response_id].append(row.said_key)
    prompts = select(s.written_prompt.c.response_id, *PROMPT_COLUMNS).join(
        t.prompt, t.prompt.c.id == s.written_prompt.c.prompt_id
    )
    written = {
        row.response_id: prompt_of(row)
        for row in connection.execute(prompts.where(s.written_prompt.c.response_id.in_(responses)))
    }
    for head in heads:
        prompt, shown = prompt_of(head), candidates.get(head.item_id, [])
        if prompt.messages == MESSAGES or any(one.text == MARK for one in shown):
            continue
        label: dict[str, Json] = {
            "record": "label",
            "key": head.idempotency_key,
            "labeler": head.labeler_id,
            "campaign": head.campaign,
            "round": head.round,
            "item": head.content_key,
            "purpose": head.purpose,
            "audience": head.audience,
            "arm": head.arm,
            "priority": head.priority,
            "gold": head.gold,
            "origin": head.origin_key,
            "asked_at": moment(head.asked_at),
            "form": [head.form_name, head.form_version],
            "guideline": head.guideline_version,
            "prompt": as_json(prompt),
            "candidates": [completion_json(one) for one in shown],
            "order_seed": head.order_seed,
            "attempt": head.attempt,
            "served_at": moment(head.served_at),
            "submitted_at": moment(head.submitted_at),
            "said_at": moment(head.created_at),
            "active_ms": head.active_ms,
            "idle_ms": head.idle_ms,
            "first_input_at": moment(head.first_input_at),
            "tiers": list(tiers.get(head.id, ())),
            "answers": answers.get(head.id, []),
            "note": notes.get(head.id, ""),
            "said": [head.said_key, *parts.get(head.id, ())],
            "supersedes": head.older_key,
            "written_prompt": as_json(written[head.id]) if head.id in written else None,
        }
        yield label


def _candidates(connection: Connection, items: Sequence[int]) -> dict[int, list[Completion]]:
    statement = (
        select(t.item_candidate.c.item_id, *COMPLETION_COLUMNS)
        .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
        .where(t.item_candidate.c.item_id.in_(items))
        .order_by(t.item_candidate.c.item_id, t.item_candidate.c.ordinal)
    )
    groups = groupby(connection.execute(statement), key=lambda row: row.item_id)
    return {item: [completion_of(row) for row in rows] for item, rows in groups}


def _answers(connection: Connection, responses: Sequence[int]) -> dict[int, list[Json]]:
    """By response: question, candidate, and a number, a text or what was written."""
    statement = (
        select(t.answer.c.response_id, t.answer.c.question, t.answer.c.ordinal, t.answer.c.generation_id,
               t.answer.c.value_number, t.answer.c.value_text, *COMPLETION_COLUMNS)
        .outerjoin(t.generation, t.generation.c.id == t.answer.c.generation_id)
        .where(t.answer.c.response_id.in_(responses))
        .order_by(t.answer.c.response_id, t.answer.c.id)
    )  # fmt: skip
    found: dict[int, list[Json]] = {}
    for row in connection.execute(statement):
        answer: dict[str, Json] = {"question": row.question}
        if row.ordinal is not None:
            answer["candidate"] = row.ordinal
        if row.value_number is not None:
            answer["number"] = row.value_number
        if row.value_text is not None:
            answer["text"] = row.value_text
        if row.generation_id is not None:
            answer["written"] = completion_json(completion_of(row))
        found.setdefault(row.response_id, []).append(answer)
    return found
