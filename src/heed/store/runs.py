"""The runs of a workspace: which settings, when, and how they ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select, update

from heed import __version__
from heed.records import Json
from heed.store import schema as t
from heed.store.rows import insert_rows

RunState = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCard:
    """One run of a recipe."""

    id: int
    recipe: str
    config: Mapping[str, Json]
    config_hash: str
    code_version: str
    state: RunState
    """``"running"`` also for a run whose process died without a word."""
    message: str
    """Why it failed."""
    started_at: str
    """ISO 8601, UTC."""
    ended_at: str | None


def put_run(connection: Connection, recipe: str, config: Mapping[str, Json], config_hash: str, now: datetime) -> int:
    """Enter a run that starts now; its number."""
    row = {
        "recipe": recipe,
        "config": config,
        "config_hash": config_hash,
        "code_version": __version__,
        "state": "running",
        "message": "",
        "started_at": now,
    }
    return insert_rows(connection, t.run, [row])[0]


def end_run(connection: Connection, run_id: int, state: RunState, message: str, now: datetime) -> None:
    """Say how a run ended."""
    ended = {"state": state, "message": message, "ended_at": now}
    connection.execute(update(t.run).where(t.run.c.id == run_id).values(ended))


def read_runs(connection: Connection) -> Iterator[RunCard]:
    """Every run, oldest first."""
    for row in connection.execute(select(t.run).order_by(t.run.c.id)):
        yield RunCard(
            id=row.id,
            recipe=row.recipe,
            config=row.config,
            config_hash=row.config_hash,
            code_version=row.code_version,
            state=row.state,
            message=row.message,
            started_at=row.started_at.isoformat(),
            ended_at=None if row.ended_at is None else row.ended_at.isoformat(),
        )
