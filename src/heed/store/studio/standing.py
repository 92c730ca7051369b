"""How labelers stand: what they did and when, a lead's word to them, their appeals, and leaving."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import Connection, delete, func, select, update

from heed.errors import DataError
from heed.forms import clean_text
from heed.records import Completion, Json
from heed.store import schema as t
from heed.store.database import Store
from heed.store.lineage import Dependents
from heed.store.rows import insert_rows
from heed.store.studio import tables as s
from heed.store.studio.audit import put_event
from heed.store.studio.said import Gold, Said, gold_of
from heed.store.studio.works import Counts, Looked, Which, read_counts, read_looked, read_said, read_texts

T = TypeVar("T")
AppealState = Literal["open", "accepted", "rejected"]
NEWEST = 20_000
"""Answers that the table of labelers looks at, the newest ones."""
STYLED = 4_000
"""Rankings that the bias meter looks at, the newest ones."""
KEPT_FOR = 20
"""How many times as long as it took to make them figures are kept while answers come in."""
MAX_WORDS = 4_000
"""Characters of a word of feedback, an appeal or its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day's work."""

    day: date
    responses: int
    active_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A word from a lead."""

    id: int
    labeler: str
    by: str
    """Name of the lead."""
    text: str
    response_id: int | None
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """A labeler who thinks that a known answer is wrong."""

    id: int
    response_id: int
    item_id: int
    labeler: str
    name: str
    """Of the account, or the labeler's id."""
    text: str
    state: AppealState
    answer: str
    """The lead's."""
    decided_by: str
    created_at: datetime
    decided_at: datetime | None


class Standing:
    """Reads and writes around one labeler or all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[Hashable, _Kept] = {}

    def said(self, which: Which | None = None) -> list[Said]:
        """Responses that still count, oldest first."""
        with self._store.reader() as connection:
            return read_said(connection, which or Which())

    def looked(self, said: Sequence[Said]) -> list[Looked]:
        """Responses with what was on the screen."""
        with self._store.reader() as connection:
            return read_looked(connection, said)

    def texts(self, items: Sequence[int]) -> dict[int, tuple[Completion, ...]]:
        """By item, its candidates in canonical order."""
        with self._store.reader() as connection:
            return read_texts(connection, items)

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gave the last time, unless something was withdrawn or decided since, or said.

        What took long is kept a while although something was said: twenty times as long as it took, so that no more
        than a twentieth of the time goes into it.
        """
        with self._store.reader() as connection:
            decided, said = _stamp(connection)
        now = self._store.now()
        kept = self._kept.get(key)
        if kept is None or kept.decided != decided or (kept.said != said and not kept.made <= now < kept.until):
            began = perf_counter()
            value = make()
            until = now + timedelta(seconds=KEPT_FOR * (perf_counter() - began))
            kept = self._kept[key] = _Kept(decided=decided, said=said, made=now, until=until, value=value)
        return cast(T, kept.value)

    def counts(self) -> dict[str, Counts]:
        """By labeler, how much they did; everybody is there."""
        with self._store.reader() as connection:
            return read_counts(connection)

    def days(self, labeler: str, days: int = 14) -> list[Day]:
        """The last days of a labeler in UTC, today last; days without work are there."""
        today = self._store.now().date()
        first = today - timedelta(days=days - 1)
        day = func.date(t.assignment.c.submitted_at)
        statement = (
            select(day.label("day"), func.count().label("n"), func.sum(t.assignment.c.active_ms).label("ms"))
            .where(
                t.assignment.c.labeler_id == labeler,
                t.assignment.c.state == "submitted",
                t.assignment.c.submitted_at >= datetime(first.year, first.month, first.day),
            )
            .group_by(day)
        )
        with self._store.reader() as connection:
            found = {str(row.day): (int(row.n), int(row.ms or 0)) for row in connection.execute(statement)}
        wanted = [first + timedelta(days=offset) for offset in range(days)]
        rows = [(one, *found.get(one.isoformat(), (0, 0))) for one in wanted]
        return [Day(day=one, responses=n, active_ms=ms) for one, n, ms in rows]

    def tell(self, labeler: str, text: str, by: str, response_id: int | None = None) -> int:
        """A lead's word to a labeler; its number.

        Raises:
            DataError: it is empty or too long, or about a response that is not the labeler's.
        """
        text = _words(text, "the feedback")
        with self._store.writer() as connection:
            if response_id is not None and _owner(connection, response_id) != labeler:
                raise DataError(f"response {response_id} is not this labeler's")
            row = {
                "labeler_id": labeler,
                "account_id": by,
                "response_id": response_id,
                "text": text,
                "created_at": self._store.now(),
            }
            return insert_rows(connection, s.feedback, [row])[0]

    def feedback(self, labeler: str, limit: int = 100) -> list[Feedback]:
        """What leads told a labeler, newest first."""
        statement = (
            select(s.feedback, s.account.c.name)
            .join(s.account, s.account.c.id == s.feedback.c.account_id)
            .where(s.feedback.c.labeler_id == labeler)
            .order_by(s.feedback.c.id.desc())
            .limit(limit)
        )
        with self._store.reader() as connection:
            return [
                Feedback(
                    id=row.id,
                    labeler=row.labeler_id,
                    by=row.name,
                    text=row.text,
                    response_id=row.response_id,
                    created_at=row.created_at,
                    read_at=row.read_at,
                )
                for row in connection.execute(statement)
            ]

    def mark_read(self, labeler: str) -> int:
        """The labeler has seen everything; how much of it was new."""
        unread = (s.feedback.c.labeler_id == labeler) & s.feedback.c.read_at.is_(None)
        with self._store.writer() as connection:
            return connection.execute(update(s.feedback).where(unread).values(read_at=self._store.now())).rowcount

    def appeal(self, labeler: str, response_id: int, text: str) -> int:
        """A labeler appeals against the known answer to something they answered; the appeal's number.

        Raises:
            DataError: the response is not theirs, has no known answer, or was appealed before; or the text is empty.
        """
        text = _words(text, "the appeal")
        with self._store.writer() as connection:
            row = connection.execute(
                select(t.assignment.c.labeler_id, t.item.c.gold)
                .select_from(t.response)
                .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
                .join(t.item, t.item.c.id == t.response.c.item_id)
                .where(t.response.c.id == response_id)
            ).one_or_none()
            if row is None or row.labeler_id != labeler or not row.gold:
                raise DataError("there is no answer of yours here that was compared with a known one")
            taken = select(s.appeal.c.id).where(s.appeal.c.response_id == response_id)
            if connection.execute(taken).first() is not None:
                raise DataError("you have appealed against this already; a lead will answer, or has answered")
            values = {
                "response_id": response_id,
                "labeler_id": labeler,
                "text": text,
                "state": "open",
                "answer": "",
                "created_at": self._store.now(),
            }
            return insert_rows(connection, s.appeal, [values])[0]

    def appeals(self, *, labeler: str | None = None, state: AppealState | None = None) -> list[Appeal]:
        """Appeals of a labeler, or in a state, or all; the oldest first, so that nobody waits for ever."""
        lead = s.account.alias("lead")
        statement = (
            select(s.appeal, t.response.c.item_id, s.account.c.name, lead.c.name.label("lead_name"))
            .join(t.response, t.response.c.id == s.appeal.c.response_id)
            .outerjoin(s.account, s.account.c.labeler_id == s.appeal.c.labeler_id)
            .outerjoin(lead, lead.c.id == s.appeal.c.decided_by)
            .order_by(s.appeal.c.id)
        )
        if labeler is not None:
            statement = statement.where(s.appeal.c.labeler_id == labeler)
        if state is not None:
            statement = statement.where(s.appeal.c.state == state)
        with self._store.reader() as connection:
            return [
                Appeal(
                    id=row.id,
                    response_id=row.response_id,
                    item_id=row.item_id,
                    labeler=row.labeler_id,
                    name=row.name or row.labeler_id,
                    text=row.text,
                    state=row.state,
                    answer=row.answer,
                    decided_by=row.lead_name or "",
                    created_at=row.created_at,
                    decided_at=row.decided_at,
                )
                for row in connection.execute(statement)
            ]

    def decide_appeal(self, appeal_id: int, *, accept: bool, answer: str, by: str, gold: Gold | None = None) -> Appeal:
        """Answer an appeal. An accepted one can correct the item's known answer; the old one stays in the audit log.

        Args:
            gold: the corrected known answer, with an accepted appeal; None leaves it as it is.

        Raises:
            DataError: there is no such open appeal, the answer is empty, or the gold does not fit the item.
        """
        answer = _words(answer, "the answer to an appeal")
        with self._store.writer() as connection:
            row = connection.execute(
                select(s.appeal, t.response.c.item_id, t.item.c.gold)
                .join(t.response, t.response.c.id == s.appeal.c.response_id)
                .join(t.item, t.item.c.id == t.response.c.item_id)
                .where(s.appeal.c.id == appeal_id)
            ).one_or_none()
            if row is None or row.state != "open":
                raise DataError(f"appeal {appeal_id} is not open; it was answered, or there is none")
            detail: dict[str, Json] = {"appeal": appeal_id, "response": row.response_id}
            if accept and gold is not None:
                _check_gold(connection, row.item_id, gold)
                detail |= {"gold_before": row.gold, "gold_after": gold.as_json()}
                connection.execute(update(t.item).where(t.item.c.id == row.item_id).values(gold=gold.as_json()))
            state = "accepted" if accept else "rejected"
            values = {"state": state, "answer": answer, "decided_by": by, "decided_at": self._store.now()}
            connection.execute(update(s.appeal).where(s.appeal.c.id == appeal_id).values(values))
            put_event(connection, self._store.now(), by, f"appeal.{state}", str(row.item_id), detail)
        return next(one for one in self.appeals() if one.id == appeal_id)

    def gold(self, item_id: int) -> Gold | None:
        """The known answer of an item, if there is one."""
        with self._store.reader() as connection:
            return gold_of(connection.execute(select(t.item.c.gold).where(t.item.c.id == item_id)).scalar())

    def withdraw(self, labeler: str, by: str, reason: str) -> Dependents:
        """Leave a labeler's work out of everything from now on, and close the account; what must be rebuilt.

        Raises:
            WorkspaceError: there is no such labeler.
        """
        dependents = self._store.withdraw_labeler(labeler)
        detail: dict[str, Json] = {"reason": reason, **dependents.as_json()}
        with self._store.writer() as connection:
            account = select(s.account.c.id).where(s.account.c.labeler_id == labeler)
            connection.execute(delete(s.session).where(s.session.c.account_id.in_(account)))
            closed = update(s.account).where(s.account.c.labeler_id == labeler, s.account.c.role != "owner")
            connection.execute(closed.values(status="closed"))
            put_event(connection, self._store.now(), by, "labeler.withdraw", labeler, detail)
        return dependents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    decided: Hashable
    said: Hashable
    made: datetime
    until: datetime
    value: Any


def _stamp(connection: Connection) -> tuple[Hashable, Hashable]:
    """What changes with every decision, and what changes with every answer."""
    said = connection.execute(select(func.max(t.response.c.id))).scalar()
    row = connection.execute(
        select(
            select(func.count(t.labeler.c.withdrawn_at)).scalar_subquery(),
            select(func.count(s.appeal.c.decided_at)).scalar_subquery(),
            select(func.max(s.screening_result.c.id)).scalar_subquery(),
        )
    ).one()
    return tuple(row), said


def _words(text: str, what: str) -> str:
    text = clean_text(text, what, MAX_WORDS).strip()
    if not text:
        raise DataError(f"{what} is empty; say in a sentence what you mean")
    return text


def _owner(connection: Connection, response_id: int) -> str | None:
    statement = select(t.assignment.c.labeler_id).join(t.response, t.response.c.assignment_id == t.assignment.c.id)
    return connection.execute(statement.where(t.response.c.id == response_id)).scalar()


def _check_gold(connection: Connection, item_id: int, gold: Gold) -> None:
    size = connection.execute(
        select(func.count()).select_from(t.item_candidate).where(t.item_candidate.c.item_id == item_id)
    ).scalar_one()
    if gold.tiers and len(gold.tiers) != size:
        raise DataError(f"the known ranking has {len(gold.tiers)} places, and item {item_id} has {size} answers")
    if any(ordinal is not None and not 0 <= ordinal < size for _, ordinal in gold.values):
        raise DataError(f"the known answer is about an answer that item {item_id} does not have")
    if not gold.tiers and not gold.values:
        raise DataError("the corrected known answer says nothing")
