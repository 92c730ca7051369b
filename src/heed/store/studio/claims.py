"""Which item a labeler gets next, and slots: taken, kept, given back, each exactly once.

The first index entry that is still free is the next item. What could slow that down is a labeler who has already been
through thousands of items of the shared pool that others still have to answer: these stand at the head of the index,
free, but not for them. ``place`` remembers how far they have come. It is only a hint: it is forgotten every few
minutes and whenever items are added, and nothing is said to be left over before the whole queue was looked through.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from heed.records import content_id
from heed.store import schema as t
from heed.store.dialect import first_free, insert_new, insert_or_none, reserve_ids, upsert
from heed.store.studio import tables as s

_WINDOWS: Final = (8, 64, 512)
"""How many index entries are looked at in one statement; the last again and again."""
_PLACE_STEP: Final = 64
_PLACE_MINUTES: Final = 5
_DUE_AT_ONCE: Final = 100
_BEGINNING: Final = (-1e308, 0)
_RECHECK_AFTER_ITEMS: Final = 20
_RECHECK_AFTER: Final = timedelta(hours=1)
_RECHECK_LOOK: Final = 50
RECHECKED_TASKS: Final = ("grade", "rank", "compare", "sensitive")
"""Tasks of which an own item may come back unannounced. Nobody is asked to write the same thing twice."""

_BLOCKED, _AGAIN = 2, 1

# Spelled out, since an index of part of a table serves no statement that leaves the values open.
LEASED: Final[ColumnElement[bool]] = literal_column("assignment.state = 'leased'")
_KEPT: Final[ColumnElement[bool]] = literal_column("item.reserved_for IS NOT NULL AND item.slots_open > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Who asks, and for what."""

    labeler: str
    audience: str
    campaign: str
    device: str
    now: datetime
    has_place: bool = True
    """Whether a place of theirs may be remembered; false saves looking."""


def _own_state(item_id: Any) -> Any:
    """What a labeler has had to do with an item: nothing (NULL), held it once, or it is not for them any more."""
    state = case((t.assignment.c.state.in_(("leased", "submitted", "skipped")), _BLOCKED), else_=_AGAIN)
    return (
        select(func.max(state))
        .where(t.assignment.c.item_id == item_id, t.assignment.c.labeler_id == bindparam("labeler"))
        .scalar_subquery()
    )


_free = (
    select(t.item.c.id, t.item.c.priority)
    .where(
        t.item.c.campaign == bindparam("campaign"),
        t.item.c.purpose == bindparam("purpose"),
        t.item.c.audience == bindparam("audience"),
        literal_column("item.reserved_for IS NULL AND item.slots_open > 0"),
        tuple_(t.item.c.priority, t.item.c.id) > tuple_(bindparam("priority"), bindparam("after")),
    )
    .order_by(t.item.c.priority, t.item.c.id)
    .limit(bindparam("n"))
    .subquery("free")
)
_WINDOW: Final = select(_free.c.id, _free.c.priority, _own_state(_free.c.id).label("own")).order_by(
    _free.c.priority, _free.c.id
)
_RESERVED: Final = (
    select(t.item.c.id, t.item.c.purpose, _own_state(t.item.c.id).label("own"))
    .where(
        t.item.c.reserved_for == bindparam("labeler"),
        _KEPT,
        t.item.c.campaign == bindparam("campaign"),
    )
    .order_by(t.item.c.id)
)
_PLACE: Final = select(s.place).where(
    s.place.c.labeler_id == bindparam("labeler"),
    s.place.c.campaign == bindparam("campaign"),
    s.place.c.purpose == bindparam("purpose"),
    s.place.c.audience == bindparam("audience"),
)
_OWN: Final = (
    select(t.assignment)
    .where(t.assignment.c.item_id == bindparam("item"), t.assignment.c.labeler_id == bindparam("labeler"))
    .order_by(t.assignment.c.attempt)
)
_TAKE: Final = (
    update(t.item)
    .where(t.item.c.id == bindparam("key"), t.item.c.slots_open > 0)
    .values(slots_open=t.item.c.slots_open - 1)
)
_GIVE: Final = update(t.item).where(t.item.c.id == bindparam("key")).values(slots_open=t.item.c.slots_open + 1)
_DUE: Final = (
    select(t.assignment.c.id, t.assignment.c.item_id)
    .where(LEASED, t.assignment.c.lease_until < bindparam("now"))
    .order_by(t.assignment.c.lease_until)
    .limit(bindparam("n"))
    .with_for_update(skip_locked=True, key_share=True)
)
_END: Final = (
    update(t.assignment)
    .where(t.assignment.c.id == bindparam("key"), t.assignment.c.state == "leased")
    .values(state=bindparam("ending"))
)
_FREE_SLOT: Final = t.item.c.slots_open > 0


def due_of(now: Any) -> Any:
    """Whether a lease has run out, as a part of a statement."""
    first = select(func.min(t.assignment.c.lease_until)).where(LEASED).scalar_subquery()
    return first < now


def reserved_of(labeler: ColumnElement[str]) -> Any:
    """Whether an item is kept for a labeler who has not skipped it, as a part of a statement."""
    skipped = exists().where(
        t.assignment.c.item_id == t.item.c.id, t.assignment.c.labeler_id == labeler, t.assignment.c.state == "skipped"
    )
    return exists().where(t.item.c.reserved_for == labeler, _KEPT, ~skipped)


def place_of(labeler: ColumnElement[str]) -> Any:
    """Whether a labeler has a place in any queue, as a part of a statement."""
    return exists().where(s.place.c.labeler_id == labeler)


def expire_due(connection: Connection, now: datetime, limit: int = _DUE_AT_ONCE) -> int:
    """Give back the slots of leases that have run out, at most ``limit`` of them; how many."""
    due = connection.execute(_DUE, {"now": now, "n": limit}).all()
    ended = 0
    for row in sorted(due, key=lambda row: row.item_id):  # all workers in one order, so that none waits in a ring
        ended += end(connection, row.id, row.item_id, "expired")
    return ended


def end(connection: Connection, assignment_id: int, item_id: int, ending: str) -> bool:
    """End a lease and give its slot back; false, and nothing done, if it was no lease any more."""
    ended = connection.execute(_END, {"key": assignment_id, "ending": ending}).rowcount == 1
    if ended:
        connection.execute(_GIVE, {"key": item_id})
    return ended


def take_slot(connection: Connection, item_id: int) -> bool:
    """Take one of an item's slots, if one is free."""
    return connection.execute(_TAKE, {"key": item_id}).rowcount == 1


def next_item(connection: Connection, who: Claimant, purpose: str) -> int | None:
    """The next item of a purpose that is free and for this labeler; on a server it is locked.

    Items that they once held and let go come only when nothing else is left.
    """
    audiences = (who.audience,) if purpose == "ordinary" else ("training", "heldout")
    for audience in audiences:
        found = _Sweep(connection, who, purpose, audience).find()
        if found is not None:
            return found
    return None


def reserved_item(connection: Connection, who: Claimant, purpose: str) -> int | None:
    """An item that is kept for this labeler alone."""
    rows = connection.execute(_RESERVED, {"labeler": who.labeler, "campaign": who.campaign})
    ids = [row.id for row in rows if row.purpose == purpose and row.own != _BLOCKED]
    return first_free(connection, t.item, _FREE_SLOT, ids)


def assign(
    connection: Connection, who: Claimant, item_id: int, *, token: str, lease_until: datetime, order_seed: int
) -> int | None:
    """Give an item that is locked to a labeler: the assignment, or nothing if it is not for them or has no slot left.

    Who held it before, and let it go, finds the same order and their draft again.
    """
    if not take_slot(connection, item_id):
        return None
    row = {
        "item_id": item_id,
        "labeler_id": who.labeler,
        "attempt": 1,
        "state": "leased",
        "lease_token": token,
        "lease_until": lease_until,
        "order_seed": order_seed,
        "served_at": who.now,
        "device": who.device[:200] or None,
    }
    key = insert_or_none(connection, t.assignment, row)
    if key is not None:
        return key
    before = connection.execute(_OWN, {"item": item_id, "labeler": who.labeler}).all()
    if any(one.state in ("leased", "submitted", "skipped") for one in before):
        connection.execute(_GIVE, {"key": item_id})
        return None
    last = before[-1]
    key = insert_or_none(connection, t.assignment, {**row, "attempt": last.attempt + 1, "order_seed": last.order_seed})
    assert key is not None
    draft = connection.execute(_DRAFT, {"key": last.id}).one_or_none()
    if draft is not None:
        connection.execute(insert(s.draft), {**draft._mapping, "assignment_id": key})
    return key


def make_recheck(connection: Connection, who: Claimant, draw: random.Random) -> tuple[int, int] | None:
    """An own item once more, for this labeler alone, and the seed of its new order; nothing if none is old enough.

    The place where the search among their work begins is drawn, so that no part of it is favoured for long.
    """
    bounds = connection.execute(_WORK_BOUNDS, {"labeler": who.labeler}).one()
    if bounds.first is None:
        return None
    recent = connection.execute(_RECENT, {"labeler": who.labeler, "n": _RECHECK_AFTER_ITEMS}).scalar()
    start = draw.randint(bounds.first, bounds.last)
    for low in dict.fromkeys((start, bounds.first)):
        values = {
            "labeler": who.labeler,
            "campaign": who.campaign,
            "low": low,
            "recent": bounds.first - 1 if recent is None else recent,
            "early": who.now - _RECHECK_AFTER,
            "n": _RECHECK_LOOK,
        }
        found = connection.execute(_OLD_WORK, values).one_or_none()
        if found is not None:
            copy = _copy_item(connection, found, who)
            return None if copy is None else (copy, other_order(draw, found.order_seed, found.num_candidates))
    return None


def other_order(draw: random.Random, seed: int, num_candidates: int) -> int:
    """A seed that shuffles the candidates into another order than ``seed`` does, if there is another."""
    before = order_of(seed, num_candidates)
    while True:
        other = new_seed(draw)
        if other != seed and (num_candidates < 2 or order_of(other, num_candidates) != before):
            return other


def order_of(seed: int, num_candidates: int) -> tuple[int, ...]:
    """The order in which a labeler sees the candidates: at place i stands the candidate of ordinal ``order[i]``."""
    order = list(range(num_candidates))
    random.Random(seed).shuffle(order)
    return tuple(order)


def new_seed(draw: random.Random) -> int:
    """A seed that fits every database's integers."""
    return draw.getrandbits(31)


def forget_places(connection: Connection, campaign: str) -> None:
    """Everybody looks through a campaign's queue from its beginning once more: after items or priorities changed."""
    connection.execute(delete(s.place).where(s.place.c.campaign == campaign))


class _Sweep:
    """One look through a queue, from the labeler's place on."""

    def __init__(self, connection: Connection, who: Claimant, purpose: str, audience: str) -> None:
        self._connection = connection
        self._who = who
        self._key = {"labeler": who.labeler, "campaign": who.campaign, "purpose": purpose, "audience": audience}
        self._passed = 0
        self._at: tuple[float, int] = _BEGINNING

    def find(self) -> int | None:
        """The next item for this labeler."""
        kept = self._connection.execute(_PLACE, self._key).one_or_none() if self._who.has_place else None
        stale = kept is None or not timedelta(0) <= self._who.now - kept.set_at < timedelta(minutes=_PLACE_MINUTES)
        if kept is not None and not stale:
            found = self._from((kept.priority, kept.item_id), kept.set_at)
            if found is not None:
                return found
        again: list[int] = []
        found = self._from(_BEGINNING, self._who.now, again)
        return found if found is not None else first_free(self._connection, t.item, _FREE_SLOT, again)

    def _from(self, start: tuple[float, int], set_at: datetime, again: list[int] | None = None) -> int | None:
        self._passed, self._at = 0, start
        in_one_run = True
        for window in self._windows(start):
            fresh = [row.id for row in window if row.own is None]
            if again is not None:
                again += [row.id for row in window if row.own == _AGAIN][: _WINDOWS[1] - len(again)]
            for row in window:
                in_one_run = in_one_run and row.own == _BLOCKED
                if in_one_run:
                    self._passed, self._at = self._passed + 1, (row.priority, row.id)
            found = first_free(self._connection, t.item, _FREE_SLOT, fresh)
            if found is not None:
                break
        else:
            found = None
        if self._passed >= _PLACE_STEP:
            self._remember(set_at)
        return found

    def _windows(self, start: tuple[float, int]) -> Iterator[Sequence[Row[Any]]]:
        sizes = iter(_WINDOWS)
        size = next(sizes)
        while True:
            values = {**self._key, "priority": start[0], "after": start[1], "n": size}
            window = self._connection.execute(_WINDOW, values).all()
            yield window
            if len(window) < size:
                return
            start = (window[-1].priority, window[-1].id)
            size = next(sizes, size)

    def _remember(self, set_at: datetime) -> None:
        values = {"priority": self._at[0], "item_id": self._at[1], "set_at": set_at}
        key = {"labeler_id" if name == "labeler" else name: value for name, value in self._key.items()}
        upsert(self._connection, s.place, {**key, **values})


def _copy_item(connection: Connection, old: Any, who: Claimant) -> int | None:
    item = connection.execute(select(t.item).where(t.item.c.id == old.item_id)).one()
    row = {
        "content_key": content_id("recheck", item.id, who.labeler),
        "campaign": item.campaign,
        "round": item.round,
        "prompt_id": item.prompt_id,
        "form_id": item.form_id,
        "guideline_id": item.guideline_id,
        "priority": item.priority,
        "slots_total": 1,
        "slots_open": 1,
        "created_at": who.now,
        "purpose": "recheck",
        "audience": item.audience,
        "arm": item.arm,
        "origin_id": item.id,
        "reserved_for": who.labeler,
    }
    key = reserve_ids(connection, t.item, 1)[0]
    insert_new(connection, t.item, [{"id": key, **row}])
    if connection.execute(select(t.item.c.id).where(t.item.c.id == key)).first() is None:
        return None  # another tab of theirs was quicker
    shown = select(literal_column(str(key)), t.item_candidate.c.ordinal, t.item_candidate.c.generation_id)
    columns = ["item_id", "ordinal", "generation_id"]
    connection.execute(
        insert(t.item_candidate).from_select(columns, shown.where(t.item_candidate.c.item_id == item.id))
    )
    return key


_DRAFT: Final = select(s.draft).where(s.draft.c.assignment_id == bindparam("key"))
_WORK_BOUNDS: Final = select(  # two questions to the index: SQLite answers both at once by reading all of it
    *(
        select(end(t.assignment.c.id))
        .where(t.assignment.c.labeler_id == bindparam("labeler"))
        .scalar_subquery()
        .label(name)
        for name, end in (("first", func.min), ("last", func.max))
    )
)
_RECENT: Final = (
    select(t.assignment.c.id)
    .where(t.assignment.c.labeler_id == bindparam("labeler"))
    .order_by(t.assignment.c.id.desc())
    .offset(bindparam("n"))
    .limit(1)
)
_again = t.item.alias("again")
_work = (
    select(t.assignment.c.id, t.assignment.c.item_id, t.assignment.c.order_seed, t.assignment.c.state,
           t.assignment.c.submitted_at)
    .where(t.assignment.c.labeler_id == bindparam("labeler"), t.assignment.c.id >= bindparam("low"))
    .order_by(t.assignment.c.id)
    .limit(bindparam("n"))
    .subquery("work")
)  # fmt: skip
_OLD_WORK: Final = (
    select(
        _work,
        select(func.count())
        .where(t.item_candidate.c.item_id == _work.c.item_id)
        .scalar_subquery()
        .label("num_candidates"),
    )
    .join(t.item, t.item.c.id == _work.c.item_id)
    .where(
        _work.c.state == "submitted",
        t.item.c.campaign == bindparam("campaign"),
        t.item.c.purpose == "ordinary",
        t.item.c.reserved_for.is_(None),
        or_(_work.c.id <= bindparam("recent"), _work.c.submitted_at <= bindparam("early")),
        ~exists().where(and_(_again.c.origin_id == _work.c.item_id, _again.c.reserved_for == bindparam("labeler"))),
    )
    .order_by(_work.c.id)
    .limit(1)
)
