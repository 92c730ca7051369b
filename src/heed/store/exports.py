"""Frozen data sets: what a model was trained on, as a file that never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Select, select

from heed.errors import DataError
from heed.files import atomic_directory, file_hash
from heed.records import Demonstration, Json, Prompt, Ranking, Rating
from heed.store import schema as t
from heed.store.dialect import insert_new
from heed.store.judgements import judgement_of, said_key
from heed.store.lines import Record, to_line
from heed.store.reading import WRITTEN_SOURCE
from heed.store.rows import chunks, rows_by_key
from heed.store.studio import tables as s

ExportKind = Literal["prompts", "demonstrations", "rankings", "ratings"]
DATA, MANIFEST = "data.jsonl", "manifest.json"
FORMAT = "heed-jsonl-1"
_TYPES: dict[str, type] = {
    "prompts": Prompt,
    "demonstrations": Demonstration,
    "rankings": Ranking,
    "ratings": Rating,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A frozen data set."""

    hash: str
    """SHA-256 of the manifest, which holds that of the data: one number for both."""
    kind: ExportKind
    rows: int
    path: Path
    """The data, one record on a line; its manifest lies beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Rows of the database behind some records."""

    prompt_ids: Sequence[int] = ()
    response_ids: Sequence[int] = ()
    forms: Sequence[dict[str, Json]] = ()
    """Name and version of every form that the judgements answered."""


def find_sources(connection: Connection, kind: ExportKind, records: Sequence[Record]) -> Sources:
    """The rows that these records are in.

    Raises:
        DataError: there are no records, one is of another kind, or one is not in the store.
    """
    if kind not in get_args(ExportKind):
        raise DataError(f"cannot export {kind!r}; expected one of {', '.join(get_args(ExportKind))}")
    if not records:
        raise DataError(f"there are no {kind} to export")
    for number, record in enumerate(records, 1):
        if not isinstance(record, _TYPES[kind]):
            raise DataError(f"record {number} is a {type(record).__name__}, expected {kind} only")
    if kind == "prompts":
        ids = {record.id: record for record in records if isinstance(record, Prompt)}
        found = rows_by_key(connection, t.prompt.c.record_id, [t.prompt.c.id], ids)
        _check_all_found(kind, ids, found)
        prompt_ids = sorted(row.id for row in found.values())
        return Sources(prompt_ids=prompt_ids, response_ids=_writers(connection, ids))
    judged = [record for record in records if not isinstance(record, Prompt)]
    keys = {said_key(judgement_of(record)): record for record in judged}
    responses: dict[str, list[int]] = {}
    forms: set[tuple[str, int]] = set()
    for chunk in chunks(keys):
        for statement in _said_in(chunk):
            for row in connection.execute(statement):
                responses.setdefault(row.said_key, []).append(row.id)
                forms.add((row.name, row.version))
    _check_all_found(kind, keys, responses)
    writers = _writers(connection, {record.prompt.id for record in judged})
    return Sources(
        response_ids=sorted({*chain.from_iterable(responses.values()), *writers}),
        forms=[{"name": name, "version": version} for name, version in sorted(forms)],
    )


def write_files(
    directory: Path, kind: ExportKind, records: Sequence[Record], sources: Sources
) -> tuple[Export, dict[str, Json]]:
    """Write data and manifest under ``directory``, unless they are there already; also returns the manifest.

    Raises:
        WorkspaceError: the disk is full.
    """
    data = "".join(map(to_line, records)).encode()
    manifest: dict[str, Json] = {
        "format": FORMAT,
        "kind": kind,
        "rows": len(records),
        "sha256": hashlib.sha256(data).hexdigest(),
        "forms": list(sources.forms),
        "ties": "kept",
    }
    text = (json.dumps(manifest, indent=2) + "\n").encode()
    export = Export(
        hash=hashlib.sha256(text).hexdigest(),
        kind=kind,
        rows=len(records),
        path=directory / hashlib.sha256(text).hexdigest()[:16] / DATA,
    )
    if not _is_whole(export, str(manifest["sha256"])):
        with atomic_directory(export.path.parent) as temporary:
            (temporary / DATA).write_bytes(data)
            (temporary / MANIFEST).write_bytes(text)
    return export, manifest


def put_export(connection: Connection, export: Export, manifest: Json, sources: Sources, now: datetime) -> None:
    """Enter an export into the database, with the rows it was made from."""
    row = {"hash": export.hash, "kind": export.kind, "row_count": export.rows, "manifest": manifest, "created_at": now}
    insert_new(connection, t.export, [row])
    export_id = connection.execute(select(t.export.c.id).where(t.export.c.hash == export.hash)).scalar_one()
    members: Iterable[tuple[Any, str, Sequence[int]]] = (
        (t.export_prompt, "prompt_id", sources.prompt_ids),
        (t.export_response, "response_id", sources.response_ids),
    )
    for table, column, ids in members:
        insert_new(connection, table, [{"export_id": export_id, column: one} for one in ids])


def _said_in(keys: Sequence[str]) -> Iterator[Select[Any]]:
    """Responses that said one of these, first or beside it, and the forms they answered."""
    for said in (t.response.c.said_key, s.response_part.c.said_key):
        statement = (
            select(t.response.c.id, said, t.form.c.name, t.form.c.version)
            .join(t.item, t.item.c.id == t.response.c.item_id)
            .join(t.form, t.form.c.id == t.item.c.form_id)
            .where(said.in_(keys), t.item.c.purpose == "ordinary")
        )
        if said is s.response_part.c.said_key:
            statement = statement.join(s.response_part, s.response_part.c.response_id == t.response.c.id)
        yield statement


def _writers(connection: Connection, prompts: Iterable[str]) -> list[int]:
    """The responses by which those prompts were written that are labelers' own work."""
    found: list[int] = []
    for chunk in chunks(prompts):
        statement = (
            select(s.written_prompt.c.response_id)
            .join(t.prompt, t.prompt.c.id == s.written_prompt.c.prompt_id)
            .where(t.prompt.c.record_id.in_(chunk), t.prompt.c.source == WRITTEN_SOURCE)
        )
        found += connection.execute(statement).scalars()
    return sorted(found)


def _check_all_found(kind: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    missing = [record for key, record in wanted.items() if key not in found]
    if missing:
        prompt = missing[0] if isinstance(missing[0], Prompt) else missing[0].prompt
        raise DataError(
            f"{len(missing)} of {len(wanted)} {kind} are not in the store, the first for prompt {prompt.id}; "
            f"add them with add_{kind} before they are frozen"
        )


def _is_whole(export: Export, data_hash: str) -> bool:
    manifest = export.path.with_name(MANIFEST)
    if not (export.path.exists() and manifest.exists()):
        return False
    return file_hash(export.path) == data_hash and file_hash(manifest) == export.hash
