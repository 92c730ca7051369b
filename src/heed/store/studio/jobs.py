"""Training runs that were started from the studio, one of a kind at a time."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import case, exists, func, insert, select, update

from heed.errors import DataError
from heed.forms import DEMONSTRATION, EDIT
from heed.records import Json
from heed.store import schema as t
from heed.store.database import Store
from heed.store.studio import tables as s
from heed.store.studio.audit import put_event

JobKind = Literal["sft", "reward"]
JobState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training run."""

    id: str
    kind: JobKind
    command: tuple[str, ...]
    directory: str
    """Where its output lies."""
    state: JobState
    process: int | None
    message: str
    """Why it failed."""
    figures: Mapping[str, Any]
    """What came out."""
    created_by: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainable:
    """What one campaign has to learn from."""

    campaign: str
    """Empty for what was imported."""
    demonstrations: int
    rankings: int
    """By training labelers."""
    heldout: int
    """Rankings by held-out labelers, which only measure."""
    labelers: int


class Jobs:
    """The list of them. What a job does and whether it still runs is for others to know."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, kind: JobKind, command: Sequence[str], directory: str, by: str) -> Job:
        """Enter a run that is about to start.

        Raises:
            DataError: one of its kind is running already.
        """
        id, now = secrets.token_hex(6), self._store.now()
        with self._store.writer() as connection:
            running = select(s.job.c.id).where(s.job.c.kind == kind, s.job.c.state == "running")
            if connection.execute(running).first() is not None:
                raise DataError("a training of this kind is running already; wait for it, or stop it")
            values = {
                "id": id,
                "kind": kind,
                "command": list(command),
                "directory": f"{directory}/{id}",
                "state": "running",
                "message": "",
                "figures": {},
                "created_by": by,
                "started_at": now,
            }
            connection.execute(insert(s.job).values(**values))
            put_event(connection, now, by, "train.start", id, {"kind": kind, "command": list(command)})
        return self.get(id)

    def set_process(self, id: str, process: int) -> None:
        """Say under which number the run's process is known."""
        with self._store.writer() as connection:
            connection.execute(update(s.job).where(s.job.c.id == id).values(process=process))

    def finish(self, id: str, state: JobState, message: str = "", figures: Mapping[str, Json] | None = None) -> None:
        """Say how a run ended; only the first to say so is heard."""
        with self._store.writer() as connection:
            ended = update(s.job).where(s.job.c.id == id, s.job.c.state == "running")
            values = {
                "state": state,
                "message": message[:2000],
                "figures": figures or {},
                "ended_at": self._store.now(),
            }
            connection.execute(ended.values(**values))

    def get(self, id: str) -> Job:
        """One run.

        Raises:
            DataError: there is none of that id.
        """
        with self._store.reader() as connection:
            row = connection.execute(select(s.job).where(s.job.c.id == id)).first()
        if row is None:
            raise DataError(f"there is no training {id!r}")
        return _job(row)

    def list(self, limit: int = 50) -> Sequence[Job]:
        """The newest first."""
        with self._store.reader() as connection:
            newest = select(s.job).order_by(s.job.c.started_at.desc(), s.job.c.id).limit(limit)
            return [_job(row) for row in connection.execute(newest)]

    def trainable(self) -> Sequence[Trainable]:
        """What there is to learn from, by campaign: ordinary items, responses that still count, nobody withdrawn."""
        newer = t.response.alias("newer")
        ranked = exists().where(t.rank_tier.c.response_id == t.response.c.id, t.rank_tier.c.ordinal == 0)
        written = exists().where(
            t.answer.c.response_id == t.response.c.id, t.answer.c.question.in_((DEMONSTRATION, EDIT))
        )
        heldout = t.labeler.c.labeler_group == "heldout"
        statement = (
            select(
                t.item.c.campaign,
                func.count(case((written & ~heldout, 1))).label("demonstrations"),
                func.count(case((ranked & ~heldout, 1))).label("rankings"),
                func.count(case((ranked & heldout, 1))).label("heldout"),
                func.count(t.labeler.c.id.distinct()).label("labelers"),
            )
            .select_from(t.response)
            .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
            .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
            .join(t.item, t.item.c.id == t.response.c.item_id)
            .where(t.labeler.c.withdrawn_at.is_(None), t.item.c.purpose == "ordinary")
            .where(~exists().where(newer.c.supersedes == t.response.c.id))
            .group_by(t.item.c.campaign)
            .order_by(t.item.c.campaign)
        )
        with self._store.reader() as connection:
            return [Trainable(**row._mapping) for row in connection.execute(statement)]


def _job(row: Any) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        command=tuple(row.command),
        directory=row.directory,
        state=row.state,
        process=row.process,
        message=row.message,
        figures=row.figures,
        created_by=row.created_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
