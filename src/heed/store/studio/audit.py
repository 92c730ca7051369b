"""Who decided what about the project, in a chain in which nothing can be changed unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from heed.records import Json
from heed.store.database import Store
from heed.store.dialect import lock_events
from heed.store.studio import tables as s

START = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One decision."""

    id: int
    at: datetime
    actor: str
    """Account id, or ``system``."""
    verb: str
    """What was done, such as ``campaign.create``."""
    object: str
    detail: Mapping[str, Any]


class Audit:
    """The log of decisions. What labelers answer is not in it; that is in the responses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, actor: str, verb: str, object: str = "", detail: Mapping[str, Json] | None = None) -> None:
        """Enter a decision."""
        with self._store.writer() as connection:
            put_event(connection, self._store.now(), actor, verb, object, detail or {})

    def events(
        self, limit: int = 100, before: int | None = None, verb: str | None = None, actor: str | None = None
    ) -> list[Event]:
        """The newest first; ``before`` an event's id, for the next page."""
        statement = select(s.event).order_by(s.event.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(s.event.c.id < before)
        if verb is not None:
            statement = statement.where(s.event.c.verb == verb)
        if actor is not None:
            statement = statement.where(s.event.c.actor == actor)
        with self._store.reader() as connection:
            return [_event(row) for row in connection.execute(statement)]

    def verbs(self) -> list[str]:
        """Every kind of decision there has been."""
        with self._store.reader() as connection:
            return list(connection.execute(select(s.event.c.verb).distinct().order_by(s.event.c.verb)).scalars())

    def verify(self) -> int | None:
        """The first event that does not follow from the one before it, or None if the chain is whole."""
        previous = START
        with self._store.reader() as connection:
            for row in connection.execute(select(s.event).order_by(s.event.c.id)):
                event = _event(row)
                if row.previous_hash != previous or row.hash != _hash(previous, event):
                    return event.id
                previous = row.hash
        return None


def put_event(
    connection: Connection, at: datetime, actor: str, verb: str, object: str, detail: Mapping[str, Json]
) -> None:
    """Enter a decision within a transaction that carries it out."""
    lock_events(connection)
    newest = select(s.event.c.id, s.event.c.hash).order_by(s.event.c.id.desc()).limit(1)
    last = connection.execute(newest).one_or_none()
    previous = START if last is None else last.hash
    plain = json.loads(json.dumps(detail, default=str))
    event = Event(id=0 if last is None else last.id, at=at, actor=actor, verb=verb, object=object, detail=plain)
    values = {"at": at, "actor": actor, "verb": verb, "object": object, "detail": plain}
    connection.execute(insert(s.event).values(**values, previous_hash=previous, hash=_hash(previous, event)))


def _event(row: Any) -> Event:
    return Event(id=row.id, at=row.at, actor=row.actor, verb=row.verb, object=row.object, detail=row.detail)


def _hash(previous: str, event: Event) -> str:
    parts = [previous, event.at.isoformat(), event.actor, event.verb, event.object, dict(event.detail)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def iterate(audit: Audit, page: int = 500) -> Iterator[Event]:
    """Every event, newest first."""
    before: int | None = None
    while events := audit.events(page, before):
        yield from events
        before = events[-1].id
