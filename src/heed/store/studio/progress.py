"""How far the work is: counts by campaign, with no query for each of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, and_, case, distinct, extract, func, select

from heed.store import schema as t
from heed.store.studio import tables as s

DAYS = 14
"""Days in a sparkline, today included."""
RECENT = 5000
"""Newest submitted assignments from which the usual time is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one campaign is. ``open + live + done == total`` over ordinary items."""

    campaign: str
    state: str
    """Empty for judgements that were imported and never asked for here."""
    title: str = ""
    """Of the form."""
    open: int = 0
    live: int = 0
    done: int = 0
    total: int = 0
    items: int = 0
    """Ordinary items."""
    pool: int = 0
    """Items in the shared pool: those that several labelers get."""
    pool_full: int = 0
    """Of them, those with no label missing."""
    days: tuple[tuple[date, int], ...] = ()
    """Answers on each of the last days (UTC), today last."""
    hours: tuple[int, ...] = ()
    """Answers in each of the last 24 hours, the current one last."""
    median_ms: float | None = None
    """Median active time of recent answers."""
    timed: int = 0
    """Answers behind the median."""
    skips: Mapping[str, int] = field(default_factory=dict)
    """Skips by reason."""
    labelers: int = 0
    """People who hold an item now."""

    @property
    def today(self) -> int:
        """Answers today (UTC)."""
        return self.days[-1][1] if self.days else 0


def read_progress(connection: Connection, now: datetime, past: dict[date, Mapping[str, int]]) -> list[Progress]:
    """All campaigns, by name; work without a campaign last.

    Args:
        past: answers by campaign on days that are over; filled in here, since they change no more.
    """
    items = {row.campaign: row for row in connection.execute(_items())}
    known = {row.name: row for row in connection.execute(
        select(s.campaign.c.name, s.campaign.c.state, t.form.c.definition).join(
            t.form, t.form.c.id == s.campaign.c.form_id
        )
    )}  # fmt: skip
    days = _days(connection, now, past)
    hours = _hours(connection, now)
    times = _times(connection)
    skips = _skips(connection)
    people = dict(connection.execute(_holding(now)).all())
    names = sorted(known.keys() | items.keys(), key=lambda name: (name not in known, name))
    return [
        Progress(
            campaign=name,
            state=known[name].state if name in known else "",
            title=known[name].definition.get("title", "") if name in known else "",
            **_counts(items.get(name)),
            days=tuple((day, counts.get(name, 0)) for day, counts in days),
            hours=tuple(hours[name]),
            median_ms=float(median(times[name])) if times[name] else None,
            timed=len(times[name]),
            skips=skips[name],
            labelers=people.get(name, 0),
        )
        for name in names
    ]


def _items() -> Any:
    ordinary = t.item.c.purpose == "ordinary"
    shared = and_(ordinary, t.item.c.slots_total > 1)
    return select(
        t.item.c.campaign,
        func.sum(case((ordinary, 1), else_=0)).label("items"),
        func.sum(case((ordinary, t.item.c.slots_total), else_=0)).label("total"),
        func.sum(case((ordinary, t.item.c.slots_open), else_=0)).label("open"),
        func.sum(case((shared, 1), else_=0)).label("pool"),
        func.sum(case((and_(shared, t.item.c.slots_open == 0), 1), else_=0)).label("pool_full"),
        (
            select(func.count())
            .select_from(t.assignment)
            .join(item := t.item.alias("leased_item"), item.c.id == t.assignment.c.item_id)
            .where(t.assignment.c.state == "leased", item.c.purpose == "ordinary", item.c.campaign == t.item.c.campaign)
            .correlate(t.item)
            .scalar_subquery()
            .label("live")
        ),
    ).group_by(t.item.c.campaign)


def _counts(row: Any) -> dict[str, Any]:
    if row is None:
        return {}
    total, free, live = int(row.total), int(row.open), int(row.live)
    return {
        "items": int(row.items),
        "total": total,
        "open": free,
        "live": live,
        "done": total - free - live,
        "pool": int(row.pool),
        "pool_full": int(row.pool_full),
    }


def _days(
    connection: Connection, now: datetime, past: dict[date, Mapping[str, int]]
) -> list[tuple[date, Mapping[str, int]]]:
    """Answers by campaign on each of the last days; a change of mind is not a second answer."""
    today = now.date()
    wanted = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    first = next(day for day in wanted if day not in past)  # today at the latest
    found: dict[date, dict[str, int]] = {day: {} for day in wanted}
    statement = (
        select(t.item.c.campaign, func.date(t.response.c.created_at).label("day"), func.count().label("n"))
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .where(t.response.c.created_at >= datetime.combine(first, time()), t.response.c.supersedes.is_(None))
        .group_by(t.item.c.campaign, func.date(t.response.c.created_at))
    )
    for row in connection.execute(statement):
        day = row.day if isinstance(row.day, date) else date.fromisoformat(row.day)
        found.setdefault(day, {})[row.campaign] = int(row.n)
    settled = now.time() > time(0, 5)  # transactions of just before midnight are over
    for day in [day for day in past if day not in wanted]:
        past.pop(day, None)
    for day in wanted[:-1]:
        if settled or day < today - timedelta(days=1):
            past.setdefault(day, found[day])
    return [(day, past.get(day, found[day])) for day in wanted]


def _hours(connection: Connection, now: datetime) -> dict[str, list[int]]:
    """Answers by campaign in each of the last 24 hours on the clock, the current one last."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    hour = extract("hour", t.response.c.created_at)
    statement = (
        select(t.item.c.campaign, hour.label("hour"), func.count().label("n"))
        .join(t.item, t.item.c.id == t.response.c.item_id)
        .where(t.response.c.created_at >= start, t.response.c.supersedes.is_(None))
        .group_by(t.item.c.campaign, hour)
    )
    found: dict[str, list[int]] = defaultdict(lambda: [0] * 24)
    for row in connection.execute(statement):
        found[row.campaign][(int(row.hour) - start.hour) % 24] = int(row.n)
    return found


def _times(connection: Connection) -> dict[str, list[int]]:
    newest = (
        select(t.assignment.c.item_id, t.assignment.c.active_ms)
        .where(t.assignment.c.state == "submitted", t.assignment.c.active_ms.is_not(None))
        .order_by(t.assignment.c.id.desc())
        .limit(RECENT)
        .subquery()
    )
    statement = select(t.item.c.campaign, newest.c.active_ms).join(newest, newest.c.item_id == t.item.c.id)
    found: dict[str, list[int]] = defaultdict(list)
    for row in connection.execute(statement):
        found[row.campaign].append(row.active_ms)
    return found


def _skips(connection: Connection) -> dict[str, Counter[str]]:
    statement = (
        select(t.item.c.campaign, s.skip.c.reason, func.count().label("n"))
        .select_from(s.skip)
        .join(t.assignment, t.assignment.c.id == s.skip.c.assignment_id)
        .join(t.item, t.item.c.id == t.assignment.c.item_id)
        .group_by(t.item.c.campaign, s.skip.c.reason)
    )
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in connection.execute(statement):
        found[row.campaign][row.reason] = int(row.n)
    return found


def _holding(now: datetime) -> Any:
    return (
        select(t.item.c.campaign, func.count(distinct(t.assignment.c.labeler_id)))
        .join(t.item, t.item.c.id == t.assignment.c.item_id)
        .where(t.assignment.c.state == "leased", t.assignment.c.lease_until > now)
        .group_by(t.item.c.campaign)
    )
