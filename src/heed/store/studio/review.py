"""What the lead's pages ask of the store: progress, judgements to compare, items, sources, and decisions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, func, select, update

from heed.errors import DataError
from heed.records import LabelerGroup
from heed.store import schema as t
from heed.store.database import Store
from heed.store.rows import chunks, insert_rows
from heed.store.studio import tables as s
from heed.store.studio.items import (
    CAUSES,
    ItemFilter,
    ItemPage,
    ItemRow,
    ItemView,
    read_item,
    read_item_rows,
    read_items,
)
from heed.store.studio.judged import Graded, Judged, Judgements
from heed.store.studio.judging import (
    read_graded,
    read_item_judgements,
    read_judgements,
    read_scores,
    read_second_looks,
)
from heed.store.studio.progress import Progress, read_progress
from heed.store.studio.sources import (
    Draw,
    Drawn,
    PolicyCount,
    PromptCount,
    draw_items,
    read_contents,
    read_policy_counts,
    read_prompt_counts,
)

T = TypeVar("T")

KEPT = 24
"""Answers to questions that are kept until there are new responses."""
PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A labeler as a lead knows them."""

    labeler: str
    name: str
    """Of the account; the labeler's id where there is none."""
    kind: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidelineUse:
    """What was asked and answered under one version of the guideline."""

    version: int
    items: int
    answered: int


class Review:
    """Reads for lead's pages, and the decisions made on them.

    What takes long is kept until a response, a withdrawal or a decision changes it. The number of queries never depends
    on the number of items.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._past: dict[date, Mapping[str, int]] = {}
        self._kept: dict[Hashable, tuple[Hashable, Any]] = {}

    def progress(self) -> list[Progress]:
        """Every campaign, by name; imported work last."""
        with self._store.reader() as connection:
            return read_progress(connection, self._store.now(), self._past)

    def judgements(
        self, campaign: str | None = None, group: LabelerGroup | None = None, *, shared_only: bool = False
    ) -> Judgements:
        """Rankings that still count; only those of prompts that several labelers answered, if so asked."""
        key = ("judgements", campaign, group, shared_only)
        return self._keep(key, lambda c: read_judgements(c, campaign=campaign, group=group, shared_only=shared_only))

    def item_judgements(self, item_id: int) -> Judgements:
        """Everyone's ranking of one item."""
        with self._store.reader() as connection:
            return read_item_judgements(connection, item_id)

    def second_looks(self, campaign: str | None = None) -> list[tuple[Judged, Judged]]:
        """First and second judgement of labelers who got an item of their own again."""
        return self._keep(("second", campaign), lambda c: read_second_looks(c, campaign))

    def scores(self, answers: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[float, ...]]:
        """Reward models' mean score of each answer, for the units whose answers all have one."""
        with self._store.reader() as connection:
            return read_scores(connection, answers)

    def graded(self, campaign: str | None = None, group: LabelerGroup | None = None) -> dict[str, list[Graded]]:
        """By question, how often each value was given to what several labelers graded."""
        return self._keep(("graded", campaign, group), lambda c: read_graded(c, campaign=campaign, group=group))

    def people(self) -> dict[str, Person]:
        """Everyone who judged or may judge, by labeler id."""
        statement = select(t.labeler, s.account.c.name).outerjoin(s.account, s.account.c.labeler_id == t.labeler.c.id)
        with self._store.reader() as connection:
            return {
                row.id: Person(labeler=row.id, name=row.name or row.id, kind=row.kind, group=row.labeler_group)
                for row in connection.execute(statement.order_by(t.labeler.c.id))
            }

    def items(self, chosen: ItemFilter, after: int | None = None, limit: int = PAGE) -> ItemPage:
        """Items after an id, in the chosen order."""
        with self._store.reader() as connection:
            return read_items(connection, chosen, after, limit)

    def count_items(self, campaign: str, purpose: str) -> int:
        """Items of one purpose in a campaign."""
        statement = select(func.count()).where(t.item.c.campaign == campaign, t.item.c.purpose == purpose)
        with self._store.reader() as connection:
            return int(connection.execute(statement).scalar_one())

    def item_rows(self, ids: list[int]) -> tuple[ItemRow, ...]:
        """These items as a list shows them, in this order."""
        with self._store.reader() as connection:
            return read_item_rows(connection, ids)

    def item(self, item_id: int) -> ItemView | None:
        """One item with everything that was said about it, or nothing."""
        with self._store.reader() as connection:
            return read_item(connection, item_id)

    def prompt_counts(self) -> list[PromptCount]:
        """How many prompts of each source, split and category there are."""
        with self._store.reader() as connection:
            return read_prompt_counts(connection)

    def policy_counts(self) -> list[PolicyCount]:
        """How much each policy wrote."""
        with self._store.reader() as connection:
            return read_policy_counts(connection)

    def draw(self, draw: Draw) -> list[Drawn]:
        """Prompts at random with answers at random, to be put to labelers."""
        with self._store.reader() as connection:
            return draw_items(connection, draw)

    def answered_by_leads(self, campaign: str, limit: int = PAGE) -> list[tuple[int, int, str]]:
        """(item, response, labeler) of ordinary items that a lead answered, newest first: what may become gold."""
        newer = t.response.alias("newer")
        statement = (
            select(t.item.c.id, t.response.c.id, t.assignment.c.labeler_id)
            .select_from(s.account)
            .join(t.assignment, t.assignment.c.labeler_id == s.account.c.labeler_id)
            .join(t.response, t.response.c.assignment_id == t.assignment.c.id)
            .join(t.item, t.item.c.id == t.response.c.item_id)
            .where(
                s.account.c.role.in_(("lead", "owner")),
                t.item.c.campaign == campaign,
                t.item.c.purpose == "ordinary",
                ~select(newer.c.id).where(newer.c.supersedes == t.response.c.id).exists(),
            )
            .order_by(t.response.c.id.desc())
            .limit(limit)
        )
        with self._store.reader() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(statement)]

    def decide(self, item_id: int, account_id: str, cause: str, note: str, response_id: int | None = None) -> int:
        """File what a lead found about an item; its number.

        Raises:
            DataError: the cause is not one, or the item or response is not there.
        """
        if cause not in CAUSES:
            raise DataError(f"cause is {cause!r}, expected one of {', '.join(CAUSES)}")
        values = {
            "item_id": item_id,
            "account_id": account_id,
            "response_id": response_id,
            "cause": cause,
            "note": note,
            "created_at": self._store.now(),
        }
        with self._store.writer() as connection:
            if connection.execute(select(t.item.c.id).where(t.item.c.id == item_id)).first() is None:
                raise DataError(f"item {item_id} is not there")
            if response_id is not None:
                about = select(t.response.c.item_id).where(t.response.c.id == response_id)
                if connection.execute(about).scalar() != item_id:
                    raise DataError(f"response {response_id} is not about item {item_id}")
            return insert_rows(connection, s.adjudication, [values])[0]

    def open_place(self, item_id: int, labeler: str, token: str, opened_at: datetime, *, order_seed: int = 0) -> None:
        """Give a lead one more place at an item, leased to them, so that their decision is an answer like any other.

        Args:
            opened_at: when they began to look at it.
            order_seed: of the order in which they were shown its answers.

        Raises:
            DataError: the item is not there, or they hold or answered it already.
        """
        now = self._store.now()
        with self._store.writer() as connection:
            taken = select(t.assignment.c.attempt, t.assignment.c.state).where(
                t.assignment.c.item_id == item_id, t.assignment.c.labeler_id == labeler
            )
            attempts = connection.execute(taken).all()
            if any(row.state in ("leased", "submitted") for row in attempts):
                raise DataError(f"item {item_id} is already yours: finish or change your own answer first")
            grown = update(t.item).where(t.item.c.id == item_id).values(slots_total=t.item.c.slots_total + 1)
            if connection.execute(grown).rowcount != 1:
                raise DataError(f"item {item_id} is not there")
            values = {
                "item_id": item_id,
                "labeler_id": labeler,
                "attempt": max((row.attempt for row in attempts), default=0) + 1,
                "state": "leased",
                "lease_token": token,
                "lease_until": now + timedelta(minutes=10),
                "served_at": max(min(opened_at, now), now - timedelta(days=1)),
                "order_seed": order_seed,
                "device": "lead",
            }
            insert_rows(connection, t.assignment, [values])

    def guideline_use(self) -> list[GuidelineUse]:
        """What was asked and answered under each version, oldest first."""
        statement = (
            select(
                t.guideline.c.version,
                func.count(t.item.c.id).label("items"),
                func.coalesce(func.sum(t.item.c.slots_total - t.item.c.slots_open), 0).label("answered"),
            )
            .outerjoin(t.item, (t.item.c.guideline_id == t.guideline.c.id) & (t.item.c.purpose == "ordinary"))
            .group_by(t.guideline.c.version)
            .order_by(t.guideline.c.version)
        )
        with self._store.reader() as connection:
            return [
                GuidelineUse(version=row.version, items=int(row.items), answered=int(row.answered))
                for row in connection.execute(statement)
            ]

    def texts(self, answers: Iterable[int]) -> dict[int, tuple[str, str]]:
        """(text, policy) of answers, by their row."""
        found: dict[int, tuple[str, str]] = {}
        with self._store.reader() as connection:
            for chunk in chunks(answers):
                columns = (t.generation.c.id, t.generation.c.text, t.generation.c.policy)
                for row in connection.execute(select(*columns).where(t.generation.c.id.in_(chunk))):
                    found[row.id] = (row.text, row.policy)
        return found

    def item_answers(self, items: Iterable[int]) -> dict[int, tuple[int, ...]]:
        """The answers of items in their canonical order, as rows of the database."""
        found: dict[int, tuple[int, ...]] = {}
        with self._store.reader() as connection:
            for chunk in chunks(items):
                statement = select(t.item_candidate.c.item_id, t.item_candidate.c.generation_id)
                statement = statement.where(t.item_candidate.c.item_id.in_(chunk))
                for row in connection.execute(
                    statement.order_by(t.item_candidate.c.item_id, t.item_candidate.c.ordinal)
                ):
                    found[row.item_id] = (*found.get(row.item_id, ()), row.generation_id)
        return found

    def contents(self, items: list[int]) -> dict[int, Drawn]:
        """Prompts and answers of items, by item, so that they can be asked again."""
        with self._store.reader() as connection:
            return read_contents(connection, items)

    def _keep(self, key: Hashable, read: Callable[[Connection], T]) -> T:
        """What ``read`` gave the last time, if nothing was said, withdrawn or decided since."""
        with self._store.reader() as connection:
            stamp = tuple(
                connection.execute(
                    select(
                        select(func.max(t.response.c.id)).scalar_subquery(),
                        select(func.count(t.labeler.c.withdrawn_at)).scalar_subquery(),
                        select(func.max(s.adjudication.c.id)).scalar_subquery(),
                    )
                ).one()
            )
            kept = self._kept.get(key)
            if kept is not None and kept[0] == stamp:
                return cast(T, kept[1])
            value = read(connection)
        if len(self._kept) >= KEPT:
            self._kept.clear()
        self._kept[key] = (stamp, value)
        return value
