"""Checked answers into rows, in canonical order, and into the records that they amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert

from heed.forms import DEMONSTRATION, EDIT, OVERALL, PROMPT, Answers, Form, Question, Value
from heed.records import Completion, Demonstration, Message, Prompt, Ranking, Rating, content_id
from heed.store import schema as t
from heed.store.columns import encode_json
from heed.store.judgements import judgement_of, said_key
from heed.store.reading import WRITTEN_SOURCE
from heed.store.studio import tables as s
from heed.store.writing import put_generations, put_prompts

_QUERY, _RESPONSE = "Query: ", "Response: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """Who answered what, and when."""

    assignment_id: int
    item_id: int
    labeler: str
    form: Form
    prompt: Prompt
    prompt_row: int
    candidates: tuple[Completion, ...]
    """In canonical order."""
    now: datetime


def canonical(form: Form, answers: Answers, order: Sequence[int]) -> Answers:
    """Answers about the candidates as they were shown, as answers about them in canonical order.

    A strength says by how much the second candidate is better; it changes its sign when the two were shown the other
    way round.
    """
    place = {ordinal: i for i, ordinal in enumerate(order)}
    back = [place[ordinal] for ordinal in range(len(order))]
    item = dict(answers.item)
    for question in form.questions:
        if question.kind == "strength" and tuple(order) == (1, 0):
            item[question.name] = -_number(item[question.name])
    return Answers(
        item=item,
        candidates=tuple(answers.candidates[i] for i in back) if answers.candidates else (),
        tiers=tuple(answers.tiers[i] for i in back) if answers.tiers else (),
        note=answers.note,
    )


def put_response(
    connection: Connection, occasion: Occasion, answers: Answers, key: str, supersedes: int | None = None
) -> int:
    """Store canonical answers as one response; its number."""
    prompt = written_prompt(occasion, answers)
    said = _said_keys(occasion, answers, prompt, key)
    row = {
        "assignment_id": occasion.assignment_id,
        "item_id": occasion.item_id,
        "idempotency_key": key,
        "said_key": said[0],
        "supersedes": supersedes,
        "created_at": occasion.now,
    }
    inserted = connection.execute(_RESPONSE_ROW, row).inserted_primary_key
    assert inserted is not None
    response_id = int(inserted[0])
    ids = {"response_id": response_id, "item_id": occasion.item_id}
    parts = [{"response_id": response_id, "said_key": one} for one in said[1:]]
    tiers = [
        {**ids, "ordinal": ordinal, "tier": tier}
        for tier, ordinal in sorted((tier, ordinal) for ordinal, tier in enumerate(answers.tiers))
    ]  # best first: the database refuses a tier whose better neighbour is not there
    if parts:
        connection.execute(_PART_ROW, parts)
    if tiers:
        connection.execute(_TIER_ROW, tiers)
    values = _answer_rows(connection, occasion, answers, ids)
    if values:
        connection.execute(_ANSWER_ROW, values)
    if answers.note.strip():
        connection.execute(insert(t.note).values(response_id=response_id, text=answers.note))
    if prompt is not None:
        prompt_id = put_prompts(connection, [prompt], occasion.now)[prompt.id]
        connection.execute(insert(s.written_prompt).values(response_id=response_id, prompt_id=prompt_id))
    return response_id


def records_of(occasion: Occasion, answers: Answers) -> list[Demonstration | Ranking | Rating]:
    """What canonical answers amount to for training, the main thing first; reading gives the same records.

    A rewritten answer is a demonstration, and better than what it was made from, unless nothing was changed.
    """
    common: dict[str, Any] = {"prompt": occasion.prompt, "labeler": occasion.labeler}
    records: list[Demonstration | Ranking | Rating] = []
    for name in (DEMONSTRATION, EDIT):
        if name in answers.item and occasion.form.question(name).kind == "answer":
            written = Completion(text=str(answers.item[name]))
            records.append(Demonstration(completion=written, **common))
            if name == EDIT and written.text != occasion.candidates[0].text:
                records.append(Ranking(completions=(written, occasion.candidates[0]), tiers=(0, 1), **common))
    if answers.tiers:
        records.append(Ranking(completions=occasion.candidates, tiers=answers.tiers, **common))
    flags = {question.name for question in occasion.form.of_scope("candidate") if question.kind == "flag"}
    for completion, given in zip(occasion.candidates, answers.candidates or (), strict=bool(answers.candidates)):
        if OVERALL in given:
            records.append(
                Rating(
                    completion=completion,
                    overall=_number(given[OVERALL]),
                    flags={name: bool(value) for name, value in given.items() if name in flags},
                    **common,
                )
            )
    return records


def written_prompt(occasion: Occasion, answers: Answers) -> Prompt | None:
    """The prompt that was written, where that was the task: worked examples first, then the instruction."""
    if occasion.form.task != "prompt":
        return None
    examples: Any = answers.item.get("examples") or ()
    parts = [f"{_QUERY}{query}\n{_RESPONSE}{response}" for query, response in examples]
    text = "\n\n".join([*parts, str(answers.item[PROMPT])])
    meta = {name: str(answers.item[name]) for name in ("style", "use_case") if answers.item.get(name)}
    return Prompt(
        messages=(Message(role="user", content=text),),
        source=WRITTEN_SOURCE,
        category=occasion.prompt.category,
        user=occasion.labeler,
        split="train",
        meta=meta,
    )


def _said_keys(occasion: Occasion, answers: Answers, prompt: Prompt | None, key: str) -> list[str]:
    if prompt is not None:
        return [content_id("prompt", prompt.id, occasion.labeler)]
    said = [said_key(judgement_of(record)) for record in records_of(occasion, answers)]
    return list(dict.fromkeys(said)) or [content_id("said", key)]


def _answer_rows(
    connection: Connection, occasion: Occasion, answers: Answers, ids: Mapping[str, int]
) -> list[dict[str, Any]]:
    rows = []
    places = [(None, answers.item), *enumerate(answers.candidates)]
    questions = {question.name: question for question in occasion.form.questions}
    for ordinal, given in places:
        for name, value in given.items():
            columns: dict[str, Any] = {"generation_id": None, "value_number": None, "value_text": None}
            if questions[name].kind == "answer":
                written = Completion(text=str(value))
                found = put_generations(connection, [(occasion.prompt_row, written)], occasion.now)
                columns["generation_id"] = found[occasion.prompt_row, written.id]
            else:
                columns.update(_stored(questions[name], value))
            rows.append({**ids, "question": name, "ordinal": ordinal, **columns})
    return rows


def _stored(question: Question, value: Value) -> dict[str, Any]:
    match question.kind:
        case "flag" | "likert" | "strength":
            return {"value_number": float(_number(value))}
        case "choices" | "examples":
            return {"value_text": encode_json(value)}
        case _:
            return {"value_text": str(value)}


def _number(value: Value) -> int:
    assert isinstance(value, int)
    return int(value)


_RESPONSE_ROW: Final = insert(t.response)
_PART_ROW: Final = insert(s.response_part)
_TIER_ROW: Final = insert(t.rank_tier)
_ANSWER_ROW: Final = insert(t.answer)
