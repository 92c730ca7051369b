"""What a labeler has answered, as they gave it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from heed.errors import LeaseError
from heed.store import schema as t
from heed.store.reading import prompt_of
from heed.store.studio import claims, holding, leases
from heed.store.studio.answers_out import payload_of
from heed.store.studio.leases import Done, Forms
from heed.store.studio.settings import CampaignSettings, parse_settings


def read_history(
    connection: Connection, labeler: str, limit: int, before: int | None, now: datetime, forms: Forms
) -> list[Done]:
    """A labeler's answers, latest first, each followed by its earlier versions."""
    values = {"labeler": labeler, "n": limit, "before": 2**31 - 1}
    if before is not None:
        found = connection.execute(holding.RESPONSE, {"response": before, "labeler": labeler}).one_or_none()
        values["before"] = 0 if found is None else found.assignment_id
    return [_done(connection, row, now, forms) for row in connection.execute(_HISTORY, values).all()]


def read_done(connection: Connection, labeler: str, response_id: int, now: datetime, forms: Forms) -> Done:
    """One answer.

    Raises:
        LeaseError: there is no such answer of theirs.
    """
    row = connection.execute(_DONE, {"response": response_id, "labeler": labeler}).one_or_none()
    if row is None:
        raise LeaseError(holding.UNKNOWN_RESPONSE)
    return _done(connection, row, now, forms)


def revisable(row: Any, settings: CampaignSettings, now: datetime) -> bool:
    """Whether an answer may still be changed: not for long, and not after the solution was shown."""
    if row.purpose == "screening" or (row.gold is not None and holding.shows_gold(row, settings)):
        return False
    return bool(now <= row.submitted_at + timedelta(hours=settings.revise_hours))


def _done(connection: Connection, row: Any, now: datetime, forms: Forms) -> Done:
    form = forms.of(connection, row.form_id)
    candidates = leases.candidates_of(connection, row.item_id)
    order = claims.order_of(row.order_seed, len(candidates))
    superseded = row.newer is not None
    return Done(
        response_id=row.response_id,
        campaign=row.campaign,
        form=form,
        form_version=forms.version(connection, row.form_id),
        guideline_version=row.guideline_version,
        prompt=prompt_of(row),
        shown=tuple(candidates[ordinal] for ordinal in order),
        payload=payload_of(connection, row.response_id, form, order),
        submitted_at=row.submitted_at,
        active_ms=row.active_ms or 0,
        revisable=not superseded and revisable(row, parse_settings(row.settings), now),
        superseded=superseded,
    )


_newer = t.response.alias("newer")
_DONE_ROWS = (
    leases.HELD.order_by(None)
    .add_columns(t.response.c.id.label("response_id"), _newer.c.id.label("newer"))
    .join(t.response, t.response.c.assignment_id == t.assignment.c.id)
    .outerjoin(_newer, _newer.c.supersedes == t.response.c.id)
    .order_by(t.assignment.c.id.desc(), t.response.c.id.desc())
)
_DONE: Final = _DONE_ROWS.where(
    t.response.c.id == bindparam("response"), t.assignment.c.labeler_id == bindparam("labeler")
)
_HISTORY: Final = _DONE_ROWS.where(
    t.assignment.c.id.in_(
        select(t.assignment.c.id)
        .where(
            t.assignment.c.labeler_id == bindparam("labeler"),
            t.assignment.c.state == "submitted",
            t.assignment.c.id < bindparam("before"),
        )
        .order_by(t.assignment.c.id.desc())
        .limit(bindparam("n"))
        .correlate(None)
    )
)
