"""Who decided what, in a chain that shows when something was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from heed.web.pages.lead_common import after, one_of
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

PAGE = 50


def audit(visit: Visit) -> Response:
    """Events, newest first, of one kind or person if so asked."""
    log = visit.studio.audit
    people = {one.id: one.name for one in visit.studio.people.accounts()}
    verb = one_of(visit, "verb", log.verbs())
    actor = one_of(visit, "actor", [*people, "system"])
    events = log.events(PAGE + 1, after(visit, "before"), verb or None, actor or None)
    older = events[PAGE - 1].id if len(events) > PAGE else None
    kept = {name: value for name, value in (("verb", verb), ("actor", actor)) if value}
    return visit.page(
        "lead/audit.html",
        title="Audit log",
        events=events[:PAGE],
        older=urlencode({**kept, "before": older}) if older is not None else "",
        verbs=log.verbs(),
        people=people,
        verb=verb,
        actor=actor,
        broken=log.verify(),
    )


ROUTES: tuple[Route, ...] = (Route(method="GET", path="/lead/audit", endpoint=audit, who="lead"),)
