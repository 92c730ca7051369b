"""Heed's own JSON lines: every record whole, one to a line; writing what was read gives the same bytes.

Each line names its kind in ``record``. A ranking names its answers by id, best first, ties together::

    {"record": "ranking", "prompt": {...}, "completions": [{"id": "a1", ...}, ...], "order": [["a1"], ["b2", "c3"]]}

Empty fields are left out. Unknown fields are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, get_args

from heed.data.lines import Row, read_rows, to_line, write_lines
from heed.errors import DataError, nearest
from heed.records import (
    Completion,
    Demonstration,
    Json,
    Labeler,
    LabelerGroup,
    LabelerKind,
    Message,
    Prompt,
    Ranking,
    Rating,
    Role,
    StopReason,
)
from heed.store import lines

AnyRecord: TypeAlias = Prompt | Demonstration | Ranking | Rating | Labeler | str
KINDS = ("prompt", "demonstration", "ranking", "rating", "labeler", "text")


def read(path: Path) -> Iterator[AnyRecord]:
    """All records of a file, in its order.

    Raises:
        DataError: an unknown kind or field, a field of the wrong type, or a ranking that names an unknown answer.
    """
    return map(from_row, read_rows(path))


def write(path: Path, records: Iterable[AnyRecord]) -> int:
    """Write records; how many."""
    return write_lines(path, (to_line(as_json(record)) for record in records))


def as_json(record: AnyRecord) -> dict[str, Json]:
    """What a record's line says; :mod:`heed.store.lines` says it of what the store keeps, and freezes it so."""
    if isinstance(record, str):
        return {"record": "text", "text": record}
    if isinstance(record, Labeler):
        return {"record": "labeler", "id": record.id, "kind": record.kind, "group": record.group}
    return lines.as_json(record)


def from_row(row: Row) -> AnyRecord:
    """The record that a line holds."""
    kind = row.text("record")
    if kind == "text":
        row.refuse_others("record", "text")
        return row.text("text")
    if kind == "prompt":
        return _prompt(row, "record")
    if kind == "labeler":
        return _labeler(row)
    if kind == "ranking":
        return _ranking(row)
    if kind == "demonstration":
        row.refuse_others("record", "prompt", "completion", "labeler")
        return Demonstration(
            prompt=_prompt(row.row("prompt")),
            completion=completion_of(row.row("completion")),
            labeler=row.text_or("labeler"),
        )
    if kind == "rating":
        return _rating(row)
    raise row.error(f"there is no record {kind!r}, expected one of {', '.join(KINDS)}.{nearest(kind, KINDS)}")


def _ranking(row: Row) -> Ranking:
    row.refuse_others("record", "prompt", "completions", "order", "labeler")
    completions = [completion_of(value) for value in row.rows("completions")]
    places: dict[str, list[int]] = {}  # of each id, the completions that have it: the same answer may be there twice
    for index, completion in enumerate(completions):
        places.setdefault(completion.id, []).append(index)
    known = ", ".join(map(repr, places))
    tiers = [-1] * len(completions)
    for tier, names in enumerate(row.items("order")):
        if not isinstance(names, list) or not names:
            raise row.error(f"order[{tier}] is {names!r}, expected a list of one or more completion ids")
        for name in names:
            if not isinstance(name, str) or name not in places:
                raise row.error(f"the ranking names answer {name!r}, which is not among its completions ({known})")
            if not places[name]:
                raise row.error(f"the ranking names answer {name!r} more than once")
            tiers[places[name].pop(0)] = tier
    left = [completion.id for completion, tier in zip(completions, tiers, strict=True) if tier < 0]
    if left:
        raise row.error(f"the ranking does not say where answer {left[0]!r} stands")
    try:
        return Ranking(
            prompt=_prompt(row.row("prompt")),
            completions=tuple(completions),
            tiers=tuple(tiers),
            labeler=row.text_or("labeler"),
        )
    except DataError as error:
        raise error if str(error).startswith(row.where) else row.error(str(error)) from error


def _rating(row: Row) -> Rating:
    row.refuse_others("record", "prompt", "completion", "overall", "flags", "labeler")
    flags = row.row("flags").value if row.has("flags") else {}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise row.error(f"flag {name!r} is {flag!r}, expected true or false")
    prompt, completion = _prompt(row.row("prompt")), completion_of(row.row("completion"))
    try:
        return Rating(
            prompt=prompt,
            completion=completion,
            overall=row.integer("overall"),
            flags={name: bool(flag) for name, flag in flags.items()},
            labeler=row.text_or("labeler"),
        )
    except DataError as error:
        raise error if str(error).startswith(row.where) else row.error(str(error)) from error


def _labeler(row: Row) -> Labeler:
    row.refuse_others("record", "id", "kind", "group")
    kind, group = _one_of(row, "kind", LabelerKind, "human"), _one_of(row, "group", LabelerGroup, "training")
    return Labeler(id=row.text("id"), kind=kind, group=group)


def _prompt(row: Row, *also: str) -> Prompt:
    row.refuse_others(*also, "id", "messages", "source", "category", "user", "split", "meta")
    messages = []
    for message in row.rows("messages"):
        message.refuse_others("role", "content")
        messages.append(Message(role=_one_of(message, "role", Role), content=message.text("content")))
    return row.prompt(
        messages,
        id=row.text_or("id"),
        source=row.text_or("source"),
        category=row.text_or("category"),
        user=row.text_or("user"),
        split=row.text_or("split", "train"),
        meta=row.row("meta").value if row.has("meta") else {},
    )


def completion_of(row: Row) -> Completion:
    """The answer that an object of a line holds."""
    row.refuse_others("id", "text", "token_ids", "logprobs", "stop", "policy", "meta")
    return Completion(
        id=row.text_or("id"),
        text=row.text("text"),
        token_ids=tuple(_numbers(row, "token_ids", int)),
        logprobs=tuple(_numbers(row, "logprobs", float)),
        stop=_one_of(row, "stop", StopReason, "written"),
        policy=row.text_or("policy"),
        meta=row.row("meta").value if row.has("meta") else {},
    )


def _numbers(row: Row, name: str, kind: type[Any]) -> Iterator[Any]:
    for value in row.items(name) if row.has(name) else ():
        if isinstance(value, bool) or not isinstance(value, (int, kind)):
            raise row.error(f"field {name!r} holds {value!r}, expected numbers")
        yield kind(value)


def _one_of(row: Row, name: str, literal: object, default: str | None = None) -> Any:
    """A field whose value must be one that a ``Literal`` type lists."""
    value = row.text(name) if default is None else row.text_or(name, default)
    if value not in get_args(literal):
        raise row.error(f"field {name!r} is {value!r}, expected one of {', '.join(get_args(literal))}")
    return value
