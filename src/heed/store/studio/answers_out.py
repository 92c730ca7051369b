"""Rows of a response back into what the labeler's page sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from heed.forms import LETTERS, Form, Question
from heed.records import Json
from heed.store import schema as t

_ANSWERS: Final = (
    select(t.answer, t.generation.c.text)
    .outerjoin(t.generation, t.generation.c.id == t.answer.c.generation_id)
    .where(t.answer.c.response_id == bindparam("response"))
)
_TIERS: Final = select(t.rank_tier.c.ordinal, t.rank_tier.c.tier).where(
    t.rank_tier.c.response_id == bindparam("response")
)
_NOTE: Final = select(t.note.c.text).where(t.note.c.response_id == bindparam("response"))


def payload_of(connection: Connection, response_id: int, form: Form, order: Sequence[int]) -> Mapping[str, Json]:
    """The answers of a response by letters, as :func:`heed.forms.check_answers` takes them."""
    key = {"response": response_id}
    given: dict[int | None, dict[str, Any]] = {None: {}, **{ordinal: {} for ordinal in order}}
    for row in connection.execute(_ANSWERS, key):
        given[row.ordinal][row.question] = row
    tiers = {row.ordinal: row.tier for row in connection.execute(_TIERS, key)}
    asked = any(question.kind == "tiers" for question in form.questions)
    about = form.of_scope("candidate")
    item: dict[str, Any] = _values(form.of_scope("item"), given[None])
    for question in form.questions:
        if question.kind == "strength" and tuple(order) == (1, 0) and question.name in item:
            item[question.name] = -item[question.name]
    return {
        "item": item,
        "candidates": {LETTERS[i]: _values(about, given[one]) for i, one in enumerate(order)} if about else {},
        "tiers": {LETTERS[i]: tiers[ordinal] for i, ordinal in enumerate(order)} if asked else {},
        "note": connection.execute(_NOTE, key).scalar() or "",
    }


def _values(questions: Sequence[Question], given: Mapping[str, Any]) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for question in questions:
        if question.name in given:
            values[question.name] = _value(question, given[question.name])
        elif question.nullable:
            values[question.name] = None
    return values


def _value(question: Question, row: Any) -> Json:
    match question.kind:
        case "flag":
            return bool(row.value_number)
        case "likert" | "strength":
            return int(row.value_number)
        case "answer":
            return str(row.text)
        case "choices":
            return list(json.loads(row.value_text))
        case "examples":
            return [{"query": query, "response": response} for query, response in json.loads(row.value_text)]
        case _:
            return str(row.value_text)
