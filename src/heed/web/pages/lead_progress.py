"""How far each campaign is, drawn anew every few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heed.feedback.pace import Finish, finish
from heed.store.studio.progress import Progress
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A campaign with its expected end."""

    progress: Progress
    finish: Finish


def progress(visit: Visit) -> Response:
    """All campaigns at a glance."""
    return visit.page("lead/progress.html", title="Progress", **_context(visit))


def fragment(visit: Visit) -> Response:
    """The part of the page that changes."""
    return visit.fragment("lead/progress_fragment.html", **_context(visit))


def _context(visit: Visit) -> dict[str, Any]:
    now = visit.studio.clock()
    found = visit.studio.review.progress()
    rows = [Row(progress=one, finish=finish(one.open + one.live, one.hours, now)) for one in found if one.state]
    order = {"active": 0, "paused": 1, "draft": 2, "done": 3}
    rows.sort(key=lambda row: (order.get(row.progress.state, 4), row.progress.campaign))
    return {
        "rows": rows,
        "imported": [one for one in found if not one.state and one.done],
        "today": sum(one.today for one in found),
        "now": now,
        "reasons": SKIP_WORDS,
    }


SKIP_WORDS = {
    "unclear": "unclear",
    "too_hard": "too hard",
    "upsetting": "upsetting",
    "language": "language",
    "personal_data": "personal data",
    "broken": "broken",
    "other": "other",
}
"""Reasons of a skip, short."""

ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/lead", endpoint=progress, who="lead"),
    Route(method="GET", path="/lead/fragment", endpoint=fragment, who="lead"),
)
