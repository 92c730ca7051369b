"""Screening: which parts there are, what a candidate has done of them, leads' ratings, topics, the decision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from heed.errors import DataError
from heed.forms import TaskKind, clean_text
from heed.records import Completion, Json, Message, Prompt
from heed.store import schema as t
from heed.store.database import Store
from heed.store.studio import tables as s
from heed.store.studio.asks import Ask
from heed.store.studio.audit import put_event
from heed.store.studio.said import Gold, Said
from heed.store.studio.works import Looked, Which, read_looked, read_said, read_texts

Part = Literal["training", "sensitive", "ranking", "demonstration"]
PARTS: Final[tuple[Part, ...]] = ("training", "sensitive", "ranking", "demonstration")
"""In the order in which they are done; topics are declared on the page itself."""
_PART_OF_TASK: Final[Mapping[TaskKind, Part]] = {
    "sensitive": "sensitive",
    "rank": "ranking",
    "compare": "ranking",
    "grade": "ranking",
    "demonstration": "demonstration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDone:
    """How far somebody is with one part."""

    part: Part
    done: int
    total: int
    """0 where the lead has set nothing up for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A candidate's demonstration, with what leads gave it."""

    looked: Looked
    ratings: tuple[tuple[str, float], ...]
    """(account, 1 to 7), the newest of each lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a lead decided."""

    accepted: bool
    note: str
    by: str
    """Name of the lead."""
    created_at: datetime
    figures: Mapping[str, Json]
    """What the lead saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Someone who is being screened, or was."""

    account_id: str
    labeler: str
    name: str
    status: str
    answered: int
    decided: bool


class Screening:
    """Reads and writes around the screening."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def parts(self, labeler: str) -> list[PartDone]:
        """How far a labeler is with each part. Items count while their campaign is active."""
        with self._store.reader() as connection:
            totals = _items_by_part(connection, None)
            done = _items_by_part(connection, labeler)
        return [PartDone(part=part, done=done.get(part, 0), total=totals.get(part, 0)) for part in PARTS]

    def said(self, labeler: str) -> list[Said]:
        """A labeler's answers to screening items."""
        with self._store.reader() as connection:
            return read_said(connection, Which(labeler=labeler, purposes=("screening",)))

    def looked(self, labeler: str) -> list[Looked]:
        """The same, with what was on the screen."""
        with self._store.reader() as connection:
            return read_looked(connection, read_said(connection, Which(labeler=labeler, purposes=("screening",))))

    def written(self, labeler: str) -> list[Written]:
        """A labeler's screening demonstrations with leads' ratings."""
        looked = [one for one in self.looked(labeler) if one.said.task == "demonstration"]
        given: dict[int, dict[str, float]] = defaultdict(dict)
        result = s.screening_result
        statement = (
            select(result).where(result.c.labeler_id == labeler, result.c.part == "demonstration").order_by(result.c.id)
        )
        with self._store.reader() as connection:
            for row in connection.execute(statement):
                given[row.response_id][row.decided_by] = row.score
        return [Written(looked=one, ratings=tuple(given[one.said.response_id].items())) for one in looked]

    def rate(self, labeler: str, response_id: int, score: int, by: str) -> None:
        """A lead rates a demonstration. The newest rating of each lead counts.

        Raises:
            DataError: the score is not 1 to 7, or there is no such screening demonstration of this labeler.
        """
        if not 1 <= score <= 7:
            raise DataError(f"a rating is from 1 to 7, not {score}")
        known = {one.looked.said.response_id for one in self.written(labeler)}
        if response_id not in known:
            raise DataError(f"response {response_id} is not a screening demonstration of this labeler")
        self._file(labeler, "demonstration", float(score), {}, by, response_id)

    def declare(self, labeler: str, topics: Sequence[str]) -> None:
        """A labeler says which topics and groups they know; the newest declaration counts."""
        named = [clean_text(topic, "a topic", 80).strip() for topic in topics]
        kept = list(dict.fromkeys(topic for topic in named if topic))
        if len(kept) > 40:
            raise DataError(f"{len(kept)} topics, expected at most 40")
        self._file(labeler, "topics", float(len(kept)), {"topics": kept}, None, None)

    def topics(self) -> dict[str, tuple[str, ...]]:
        """By labeler, what they declared; who declared nothing yet is missing. Not of those who have withdrawn."""
        result = s.screening_result
        statement = (
            select(result.c.labeler_id, result.c.detail)
            .join(t.labeler, t.labeler.c.id == result.c.labeler_id)
            .where(result.c.part == "topics", t.labeler.c.withdrawn_at.is_(None))
            .order_by(result.c.id)
        )
        with self._store.reader() as connection:
            return {row.labeler_id: tuple(row.detail["topics"]) for row in connection.execute(statement)}

    def decide(self, labeler: str, *, accept: bool, note: str, by: str, figures: Mapping[str, Json]) -> None:
        """A lead's decision, with the figures it was made on. The account becomes active, or is closed.

        Raises:
            DataError: there is no labeler's account of that id.
        """
        with self._store.writer() as connection:
            account = connection.execute(select(s.account).where(s.account.c.labeler_id == labeler)).one_or_none()
            if account is None or account.role != "labeler":
                raise DataError(f"there is no account of labeler {labeler!r} that could be screened")
            detail: dict[str, Any] = {"note": clean_text(note, "the note", 4000), "figures": dict(figures)}
            _insert(connection, labeler, "decision", float(accept), detail, by, None, self._store.now())
            status = {"status": "active" if accept else "closed"}
            connection.execute(update(s.account).where(s.account.c.id == account.id).values(status))
            if not accept:
                connection.execute(delete(s.session).where(s.session.c.account_id == account.id))
            verb = "screening.accepted" if accept else "screening.declined"
            put_event(connection, self._store.now(), by, verb, account.id, {"figures": dict(figures)})

    def decisions(self, labeler: str) -> list[Decision]:
        """What was decided about a labeler, oldest first."""
        result = s.screening_result
        statement = (
            select(result, s.account.c.name)
            .join(s.account, s.account.c.id == result.c.decided_by)
            .where(result.c.labeler_id == labeler, result.c.part == "decision")
            .order_by(result.c.id)
        )
        with self._store.reader() as connection:
            return [
                Decision(
                    accepted=bool(row.score),
                    note=str(row.detail.get("note", "")),
                    by=row.name,
                    created_at=row.created_at,
                    figures=row.detail.get("figures", {}),
                )
                for row in connection.execute(statement)
            ]

    def candidates(self) -> list[Candidate]:
        """Everyone who is being screened, and everyone who answered a screening item, newest account last."""
        answered = (
            select(t.assignment.c.labeler_id, func.count().label("n"))
            .join(t.item, t.item.c.id == t.assignment.c.item_id)
            .where(t.item.c.purpose == "screening", t.assignment.c.state == "submitted")
            .group_by(t.assignment.c.labeler_id)
            .subquery()
        )
        result = s.screening_result
        decided = select(result.c.labeler_id).where(result.c.part == "decision")
        statement = (
            select(s.account, answered.c.n, s.account.c.labeler_id.in_(decided).label("decided"))
            .outerjoin(answered, answered.c.labeler_id == s.account.c.labeler_id)
            .where((s.account.c.status.in_(("onboarding", "screening"))) | answered.c.n.is_not(None))
            .order_by(s.account.c.created_at, s.account.c.id)
        )
        with self._store.reader() as connection:
            return [
                Candidate(
                    account_id=row.id,
                    labeler=row.labeler_id,
                    name=row.name,
                    status=row.status,
                    answered=int(row.n or 0),
                    decided=bool(row.decided),
                )
                for row in connection.execute(statement)
            ]

    def asks_from_leads(self, campaign: str, purpose: Literal["gold", "screening"], limit: int = 50) -> list[Ask]:
        """Asks with known answers, from a campaign's items that leads answered themselves, newest first.

        Where several leads answered one item, only what all of them said alike is known: of a ranking, it becomes an
        item only if all gave the same one.
        """
        with self._store.reader() as connection:
            leads = set(
                connection.execute(
                    select(s.account.c.labeler_id).where(s.account.c.role.in_(("lead", "owner")))
                ).scalars()
            )
            by_item: dict[int, list[Said]] = defaultdict(list)
            for one in read_said(connection, Which(campaign=campaign, purposes=("ordinary",), questions=True)):
                if one.labeler in leads:
                    by_item[one.item_id].append(one)
            known = {item: gold for item, said in by_item.items() if (gold := _known(said)) is not None}
            newest = sorted(known, reverse=True)[:limit]
            texts = read_texts(connection, newest)
            prompts = _prompts(connection, newest)
        return [_ask(prompts[item], texts.get(item, ()), known[item], purpose) for item in newest]

    def _file(
        self, labeler: str, part: str, score: float, detail: dict[str, Any], by: str | None, response_id: int | None
    ) -> None:
        with self._store.writer() as connection:
            _insert(connection, labeler, part, score, detail, by, response_id, self._store.now())


def _insert(
    connection: Connection,
    labeler: str,
    part: str,
    score: float,
    detail: dict[str, Any],
    by: str | None,
    response_id: int | None,
    now: datetime,
) -> None:
    row = {
        "labeler_id": labeler,
        "part": part,
        "response_id": response_id,
        "score": score,
        "detail": detail,
        "decided_by": by,
        "created_at": now,
    }
    connection.execute(insert(s.screening_result), [row])


def _items_by_part(connection: Connection, labeler: str | None) -> dict[Part, int]:
    """Screening items of active campaigns by part: all, or those that a labeler answered."""
    statement = (
        select(t.item.c.id, t.item.c.gold, t.form.c.definition)
        .join(t.form, t.form.c.id == t.item.c.form_id)
        .join(s.campaign, s.campaign.c.name == t.item.c.campaign)
        .where(t.item.c.purpose == "screening", s.campaign.c.state == "active")
    )
    if labeler is not None:
        answered = select(t.assignment.c.item_id).where(
            t.assignment.c.labeler_id == labeler, t.assignment.c.state == "submitted"
        )
        statement = statement.where(t.item.c.id.in_(answered))
    counts: dict[Part, int] = defaultdict(int)
    for row in connection.execute(statement):
        part = part_of(row.definition.get("task", ""), row.gold)
        if part is not None:
            counts[part] += 1
    return dict(counts)


def part_of(task: str, gold: Mapping[str, Any] | None) -> Part | None:
    """The part to which a screening item of a task belongs, None for tasks that are no part."""
    if gold and gold.get("part") == "training":
        return "training"
    return next((part for known, part in _PART_OF_TASK.items() if known == task), None)


def _known(said: Sequence[Said]) -> Gold | None:
    """What all of them said alike, or None."""
    first = said[0]
    if len({one.tiers for one in said}) > 1:
        return None
    values = {place: value for place, value in first.values.items() if all(o.values.get(place) == value for o in said)}
    if not first.tiers and not values:
        return None
    return Gold(tiers=first.tiers, values=values)


def _prompts(connection: Connection, items: Sequence[int]) -> dict[int, Prompt]:
    statement = select(t.item.c.id, t.prompt).join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
    return {
        row[0]: Prompt(
            id=row.record_id,
            messages=tuple(Message(role=role, content=content) for role, content in row.messages),
            source=row.source,
            category=row.category,
            user=row.author,
            split=row.split,
            meta=row.meta,
        )
        for row in connection.execute(statement.where(t.item.c.id.in_(items)))
    }


def _ask(prompt: Prompt, candidates: tuple[Completion, ...], gold: Gold, purpose: Literal["gold", "screening"]) -> Ask:
    return Ask(prompt=prompt, candidates=candidates, purpose=purpose, gold=gold.as_json())
