"""What a labeler may do with a task just now, and in which words it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, DateTime, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from heed.errors import AccessError, DataError, LeaseError
from heed.store import schema as t
from heed.store.studio import claims, leases
from heed.store.studio import tables as s
from heed.store.studio.settings import CampaignSettings

UNKNOWN: Final = "this task is not yours, or there is no such task; ask for the next one"
UNKNOWN_RESPONSE: Final = "this answer is not yours, or there is no such answer"
ENDED: Final = {
    "submitted": "this task is answered already",
    "skipped": "you have skipped this task",
    "expired": "the time for this task ran out; ask for the next one. Your draft is kept",
    "returned": "you have given this task back; ask for the next one. Your draft is kept",
}
TAKEN_KEY: Final = "this answer's key was used before, for another task; draw a new key and send it again"
_LOST: Final = "the time for this task ran out, and somebody else has it now. Your draft is kept"


def person_of(connection: Connection, labeler: str, now: datetime) -> Any:
    """Who asks for work.

    Raises:
        AccessError: nobody, or they may not work now.
    """
    row = connection.execute(_PERSON, {"labeler": labeler, "now": now}).one_or_none()
    if row is None or row.withdrawn_at is not None or row.status == "closed":
        raise AccessError("this account does no work here any more; ask a lead")
    if row.status == "onboarding":
        raise AccessError("finish the introduction first; then there is work")
    if row.status == "paused":
        raise AccessError("your account is paused; ask a lead")
    return row


def campaigns_of(connection: Connection, name: str | None) -> list[Any]:
    """The active campaigns that may be asked, by name."""
    if name is None:
        return list(connection.execute(_ACTIVE).all())
    row = connection.execute(_CAMPAIGN, {"name": name}).one_or_none()
    if row is None:
        raise DataError(f"there is no campaign {name!r}")
    return [row] if row.state == "active" else []


def held(connection: Connection, labeler: str, token: str, *, whole: bool = False) -> Any:
    """The assignment behind a token, held fast until the end of the transaction.

    Args:
        whole: with its prompt, guideline and draft.

    Raises:
        LeaseError: there is none, or it is somebody else's; which of both is not said.
    """
    row = connection.execute(_TOKEN if whole else _BARE_TOKEN, {"token": token, "labeler": labeler}).one_or_none()
    if row is None:
        raise LeaseError(UNKNOWN)
    if row.withdrawn_at is not None:
        raise AccessError("this account does no work here any more; ask a lead")
    return row


def renew(connection: Connection, row: Any) -> None:
    """Hold an item again whose time ran out, if its slot is still free.

    Raises:
        LeaseError: it is not, or the task is over.
    """
    if row.state == "leased":
        return
    if row.state in ("submitted", "skipped"):
        raise LeaseError(ENDED[row.state])
    if not claims.take_slot(connection, row.item_id):
        raise LeaseError(_LOST)
    key = {"item": row.item_id, "labeler": row.labeler_id}
    if connection.execute(_ELSEWHERE, key).first() is not None:
        raise LeaseError("you have opened this task again since; answer it there, your draft is in it")
    connection.execute(_HOLD_AGAIN, {"key": row.assignment_id})


def shows_gold(row: Any, settings: CampaignSettings) -> bool:
    """Whether a labeler sees the known answer as soon as they have answered."""
    return settings.feedback or (row.purpose == "screening" and row.gold.get("part") == "training")


def check_key(key: str) -> None:
    """Whether this can be an answer's key; a ``DataError`` if not."""
    if not (isinstance(key, str) and 8 <= len(key) <= 100 and key.isascii() and key.isprintable()):
        raise DataError("the answer's key is not a text of 8 to 100 plain characters, such as a random UUID")


def check_times(active_ms: int, idle_ms: int) -> tuple[int, int]:
    """Times as they can be stored; a ``DataError`` if they are none."""
    for name, value in (("active_ms", active_ms), ("idle_ms", idle_ms)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise DataError(f"{name} is {value!r}, expected a number of milliseconds from 0 on")
    return min(active_ms, 2**31 - 1), min(idle_ms, 2**31 - 1)


def within(at: datetime | None, first: datetime, last: datetime) -> datetime | None:
    """A browser's time in UTC, as far as it can be true."""
    if at is None:
        return None
    naive = at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    return max(first, min(naive, last))


@contextmanager
def one_key() -> Iterator[None]:
    """Two answers that arrive with one key at one moment, from different people: one of them is refused."""
    try:
        yield
    except IntegrityError as error:
        if "idempotency_key" in str(error.orig):
            raise LeaseError(TAKEN_KEY) from error
        raise


_PERSON: Final = (
    select(
        t.labeler.c.id,
        t.labeler.c.labeler_group,
        t.labeler.c.withdrawn_at,
        s.account.c.status,
        leases.num_held(t.labeler.c.id).label("held"),
        claims.due_of(bindparam("now", type_=DateTime)).label("due"),
        claims.reserved_of(t.labeler.c.id).label("reserved"),
        claims.place_of(t.labeler.c.id).label("has_place"),
    )
    .outerjoin(s.account, s.account.c.labeler_id == t.labeler.c.id)
    .where(t.labeler.c.id == bindparam("labeler"))
)
_CAMPAIGN_ROWS = select(s.campaign.c.name, s.campaign.c.settings, s.campaign.c.state, s.campaign.c.form_id)
_ACTIVE: Final = _CAMPAIGN_ROWS.where(s.campaign.c.state == "active").order_by(s.campaign.c.name)
_CAMPAIGN: Final = _CAMPAIGN_ROWS.where(s.campaign.c.name == bindparam("name"))
ITEM: Final = (
    select(t.item.c.campaign, t.item.c.purpose, t.item.c.audience, t.item.c.reserved_for, s.campaign.c.settings)
    .join(s.campaign, s.campaign.c.name == t.item.c.campaign)
    .where(t.item.c.id == bindparam("item"), s.campaign.c.state == "active")
)
_BARE_TOKEN: Final = leases.BARE_BY_TOKEN.with_for_update(of=t.assignment, key_share=True)
_TOKEN: Final = leases.BY_TOKEN.with_for_update(of=t.assignment, key_share=True)
REVISION: Final = select(s.draft.c.revision).where(s.draft.c.assignment_id == bindparam("key"))
BEAT: Final = (
    update(t.assignment)
    .where(t.assignment.c.id == bindparam("key"), t.assignment.c.state == "leased")
    .values(lease_until=bindparam("until"))
)
_HOLD_AGAIN: Final = update(t.assignment).where(t.assignment.c.id == bindparam("key")).values(state="leased")
SUBMIT: Final = (
    update(t.assignment)
    .where(t.assignment.c.id == bindparam("key"), t.assignment.c.state == "leased")
    .values(
        state="submitted",
        submitted_at=bindparam("at"),
        first_input_at=bindparam("first"),
        active_ms=bindparam("active"),
        idle_ms=bindparam("idle"),
    )
)
SKIP_LATE: Final = (
    update(t.assignment)
    .where(t.assignment.c.id == bindparam("key"), t.assignment.c.state.in_(("expired", "returned")))
    .values(state="skipped")
)
FORGET_DRAFT: Final = delete(s.draft).where(s.draft.c.assignment_id == bindparam("key"))
_ELSEWHERE: Final = select(t.assignment.c.id).where(
    t.assignment.c.item_id == bindparam("item"),
    t.assignment.c.labeler_id == bindparam("labeler"),
    t.assignment.c.state.in_(("leased", "submitted", "skipped")),
)
BY_KEY: Final = select(t.response.c.id, t.response.c.assignment_id).where(
    t.response.c.idempotency_key == bindparam("key")
)
RESPONSE: Final = (
    select(t.response.c.id, t.response.c.assignment_id, t.assignment.c.lease_token)
    .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
    .where(t.response.c.id == bindparam("response"), t.assignment.c.labeler_id == bindparam("labeler"))
)
NEWER: Final = select(t.response.c.id).where(t.response.c.supersedes == bindparam("response"))
