"""The frozen data sets there are, and whether their files are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from heed.files import read_json
from heed.store import schema as t
from heed.store.database import Store
from heed.store.exports import DATA, MANIFEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A data set as it is listed."""

    id: str
    """The beginning of its hash, and the name of its directory."""
    hash: str
    kind: str
    rows: int
    created_at: datetime
    size: int | None
    """Bytes; None if the file is not here."""
    redacted: int
    """Rows from which texts were taken out at their writers' request."""
    models: tuple[str, ...]
    """Those that were trained on it."""


def frozen_exports(store: Store, directory: Path) -> list[Frozen]:
    """Every data set, newest first."""
    with store.reader() as connection:
        rows = connection.execute(select(t.export).order_by(t.export.c.id.desc())).all()
        trained: dict[int, list[str]] = {}
        statement = select(t.model.c.name, t.model.c.export_id).where(t.model.c.export_id.is_not(None))
        for row in connection.execute(statement.order_by(t.model.c.id)):
            trained.setdefault(row.export_id, []).append(row.name)
    return [
        Frozen(
            id=row.hash[:16],
            hash=row.hash,
            kind=row.kind,
            rows=row.row_count,
            created_at=row.created_at,
            size=_size(directory / row.hash[:16] / DATA),
            redacted=_redacted(directory / row.hash[:16] / MANIFEST),
            models=tuple(trained.get(row.id, ())),
        )
        for row in rows
    ]


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _redacted(path: Path) -> int:
    manifest = read_json(path) if path.is_file() else None
    return int(str(manifest.get("redacted_rows", 0))) if isinstance(manifest, dict) else 0
