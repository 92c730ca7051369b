"""One file that holds all of a workspace's database, whatever engine it is on, and puts it back on any other.

The file is a zip: ``manifest.json``, a ``tables/<name>.jsonl`` for every table (one row on a line, as a list in the
order of the manifest's columns) and, beside them, the frozen data sets and, if asked for, the models. The manifest has
the SHA-256 of every member. All tables are read in one transaction, so the backup is one state of the database, while
labelers go on working. Signed-in sessions and failed sign-ins are left out: a restore must not sign anyone in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from sqlalchemy import Connection, DateTime, Integer, LargeBinary, Table, bindparam, column, insert, select, table
from sqlalchemy.types import TypeDecorator, TypeEngine

from heed import __version__
from heed.errors import WorkspaceError
from heed.files import atomic_write
from heed.store import dialect
from heed.store.database import Store
from heed.store.schema import REVISIONS, metadata, model
from heed.store.studio import tables as studio_tables

FORMAT = "heed-backup-1"
MANIFEST = "manifest.json"
LEFT_OUT = frozenset({studio_tables.session.name, studio_tables.attempt.name})
"""Tables that are about this moment alone."""
_ROWS = 2000
"""Rows in one statement of a restore."""
_ORDER = {"rank_tier": ("response_id", "tier", "ordinal")}
"""The order of a table's rows where it is not that of its key: the database refuses a tier without its better one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds."""

    path: Path
    schema: str
    created_at: str
    """ISO 8601, UTC."""
    rows: Mapping[str, int]
    """By table."""
    files: int
    """Files beside the tables."""

    @property
    def total(self) -> int:
        """Rows in all tables."""
        return sum(self.rows.values())


def write_backup(store: Store, path: Path, *, root: Path | None = None, folders: Sequence[str] = ()) -> Backup:
    """Write a backup to ``path``, which is either whole or as it was. Only its owner may read the file.

    Args:
        root: the workspace's directory.
        folders: the directories in it to take along, such as ``"exports"``.

    Raises:
        WorkspaceError: the disk is full.
    """
    members: dict[str, dict[str, Any]] = {}
    created = store.now().isoformat()
    with atomic_write(path, permissions=0o600) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with store.reader() as connection:
            dialect.hold_still(connection)
            for one in _tables():
                members[_member(one)] = _write_table(archive, connection, one)
        files = {name: _write_file(archive, name, source) for name, source in _files(root, folders)}
        manifest = {
            "format": FORMAT,
            "schema": REVISIONS[-1],
            "heed": __version__,
            "created_at": created,
            "tables": members,
            "files": files,
        }
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return _summary(path, manifest)


def read_backup(path: Path) -> Backup:
    """What is in a backup, every byte of which is checked.

    Raises:
        WorkspaceError: it is not one, is damaged, or was written by a newer Heed.
    """
    with _opened(path) as (archive, manifest):
        _verify(path, archive, manifest)
        return _summary(path, manifest)


def restore_backup(store: Store, path: Path, *, root: Path | None = None) -> Backup:
    """Put a backup into a database that holds nothing yet: all of it or, if anything is wrong, nothing.

    Raises:
        WorkspaceError: the database is not empty, or the backup is damaged or of a newer Heed.
    """
    with _opened(path) as (archive, manifest):
        _verify(path, archive, manifest)
        with _unpacked(archive, manifest, root) as put_in_place, store.writer() as connection:
            _refuse_if_used(connection)
            for one in _tables():
                _read_table(archive, connection, one, manifest["tables"].get(_member(one)))
            dialect.settle_sequences(connection, [one for one in _tables() if _numbered(one)])
            put_in_place()
        return _summary(path, manifest)


def _tables() -> list[Table]:
    """Those a backup holds, what is referred to before what refers to it."""
    return [one for one in metadata.sorted_tables if one.name not in LEFT_OUT]


def _member(one: Table) -> str:
    return f"tables/{one.name}.jsonl"


def _numbered(one: Table) -> bool:
    return "id" in one.c and isinstance(one.c.id.type, Integer)


def _stored(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type of what the database really holds, without our reading of it."""
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _bare(one: Table) -> Any:
    """The table as the database sees it: its texts and bytes are moved as they are."""
    return table(one.name, *(column(c.name, _stored(c.type)) for c in one.columns))


def _write_table(archive: zipfile.ZipFile, connection: Connection, one: Table) -> dict[str, Any]:
    bare = _bare(one)
    order = _ORDER.get(one.name) or [c.name for c in one.primary_key.columns]
    statement = select(bare).order_by(*(bare.c[name] for name in order)).execution_options(yield_per=_ROWS)
    digest, rows = hashlib.sha256(), 0
    with archive.open(_member(one), "w", force_zip64=True) as member:
        for row in connection.execute(statement):
            line = (json.dumps([_plain(value) for value in row], ensure_ascii=False) + "\n").encode()
            digest.update(line)
            member.write(line)
            rows += 1
    return {"columns": [c.name for c in one.columns], "rows": rows, "sha256": digest.hexdigest()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return value


def _read_table(archive: zipfile.ZipFile, connection: Connection, one: Table, member: Mapping[str, Any] | None) -> None:
    """Insert a table's rows. References to rows of the same table that may come later are filled in afterwards."""
    if member is None:
        return  # the table is newer than the backup
    bare = _bare(one)
    columns = member["columns"]
    unknown = set(columns) - set(bare.c.keys())
    if unknown:
        raise WorkspaceError(f"{archive.filename}: table {one.name} has a column {min(unknown)!r} unknown to this Heed")
    later = [key.parent.name for key in one.foreign_keys if key.column.table is one and one is model]
    turned = [_turned(bare.c[name].type) for name in columns]
    fill = []
    with archive.open(_member(one)) as lines:
        for batch in _batches(lines):
            rows = [
                {name: turn(value) for name, turn, value in zip(columns, turned, json.loads(line), strict=True)}
                for line in batch
            ]
            for name in later:
                fill += [{"row": row["id"], "name": name, "to": row[name]} for row in rows if row[name] is not None]
                for row in rows:
                    row[name] = None
            connection.execute(insert(bare), rows)
    for name in later:
        wanted = [{"row": one["row"], "to": one["to"]} for one in fill if one["name"] == name]
        if wanted:
            connection.execute(
                bare.update().where(bare.c.id == bindparam("row")).values({name: bindparam("to")}), wanted
            )


def _turned(kind: TypeEngine[Any]) -> Any:
    """What makes of a JSON value the one that the database takes."""
    if isinstance(kind, DateTime):
        return lambda value: None if value is None else datetime.fromisoformat(value)
    if isinstance(kind, LargeBinary):
        return lambda value: None if value is None else base64.b64decode(value)
    return lambda value: value


def _batches(lines: IO[bytes]) -> Iterator[list[bytes]]:
    batch = []
    for line in lines:
        batch.append(line)
        if len(batch) == _ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _refuse_if_used(connection: Connection) -> None:
    for one in metadata.sorted_tables:
        if connection.execute(select(1).select_from(one).limit(1)).first() is not None:
            raise WorkspaceError(
                f"the database is not empty: table {one.name} has rows. A backup is restored into a new workspace only"
            )


def _files(root: Path | None, folders: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        assert root is not None
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root)
            hidden = any(part.startswith(".") for part in relative.parts)  # half-written, not yet in place
            if path.is_file() and not path.is_symlink() and not hidden:
                yield relative.as_posix(), path


def _write_file(archive: zipfile.ZipFile, name: str, source: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    info = zipfile.ZipInfo(f"files/{name}")
    info.compress_type = zipfile.ZIP_STORED if source.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
    with source.open("rb") as file, archive.open(info, "w", force_zip64=True) as member:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
            member.write(block)
    return {"bytes": size, "sha256": digest.hexdigest()}


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
                raise WorkspaceError(f"{path}: not a backup of this kind; expected {FORMAT}")
            if manifest["schema"] not in REVISIONS:
                raise WorkspaceError(
                    f"{path}: written by a newer Heed (schema {manifest['schema']}; this one knows up to "
                    f"{REVISIONS[-1]}). Upgrade Heed, for instance with pip install --upgrade heed."
                )
            yield archive, manifest
    except FileNotFoundError as error:
        raise WorkspaceError(f"{path}: there is no such file") from error
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise WorkspaceError(f"{path}: not a backup, or a damaged one ({error})") from error


def _verify(path: Path, archive: zipfile.ZipFile, manifest: Mapping[str, Any]) -> None:
    """Every member there, no other, and each with its own hash and a place inside the workspace."""
    wanted = {name: entry["sha256"] for name, entry in manifest["tables"].items()}
    wanted |= {f"files/{name}": entry["sha256"] for name, entry in manifest["files"].items()}
    present = set(archive.namelist()) - {MANIFEST}
    if present != set(wanted):
        odd = min(present ^ set(wanted))
        raise WorkspaceError(f"{path}: damaged: {odd} is {'not in its manifest' if odd in present else 'missing'}")
    known = {_member(one) for one in _tables()}
    for name in manifest["tables"]:
        if name not in known:
            raise WorkspaceError(f"{path}: holds {name}, which this Heed does not know; upgrade Heed")
    for name in manifest["files"]:
        parts = PurePosixPath(name).parts
        if parts[:1] not in (("exports",), ("models",)) or ".." in parts or "\\" in name:
            raise WorkspaceError(f"{path}: refuses to restore {name!r}, which is outside exports and models")
    for name, sha256 in wanted.items():
        digest = hashlib.sha256()
        with archive.open(name) as member:
            while block := member.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != sha256:
            raise WorkspaceError(f"{path}: damaged: {name} is not what was backed up")


@contextmanager
def _unpacked(archive: zipfile.ZipFile, manifest: Mapping[str, Any], root: Path | None) -> Iterator[Any]:
    """The files in a place aside, and what moves them to theirs; gone again if the block fails."""
    names = list(manifest["files"]) if root is not None else []
    if root is None or not names:
        yield lambda: None
        return
    for name in names:
        if (root / name).exists():
            raise WorkspaceError(f"{root / name} is there already. A backup is restored into a new workspace only")
    aside = Path(tempfile.mkdtemp(dir=root, prefix=".restore."))
    placed: list[Path] = []

    def put_in_place() -> None:
        for name in names:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (aside / name).replace(target)
            placed.append(target)

    try:
        for name in names:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            with archive.open(f"files/{name}") as member, (aside / name).open("wb") as file:
                shutil.copyfileobj(member, file, 1 << 20)
        yield put_in_place
    except BaseException:
        for target in placed:
            target.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _summary(path: Path, manifest: Mapping[str, Any]) -> Backup:
    return Backup(
        path=path,
        schema=manifest["schema"],
        created_at=manifest["created_at"],
        rows={PurePosixPath(name).stem: entry["rows"] for name, entry in manifest["tables"].items()},
        files=len(manifest["files"]),
    )
