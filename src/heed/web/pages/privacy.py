"""The owner removes a person's data, after seeing what there is of them and what was made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heed.errors import DataError, WorkspaceError
from heed.records import Json
from heed.store.studio.privacy import Footprint, Privacy
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit


def privacy(visit: Visit) -> Response:
    """Who is here, and who was removed."""
    service = Privacy(visit.studio.store)
    accounts = visit.studio.people.accounts()
    named = {account.id for account in accounts}
    gone = service.redactions()
    removed = {one["subject"] for one in gone}
    others = [one for one in visit.studio.store.labelers() if one.id and one.id not in named | removed]
    return visit.page(
        "lead/privacy.html",
        title="Privacy",
        accounts=[account for account in accounts if account.id not in removed],
        others=others,
        gone=list(reversed(gone)),
    )


def person(visit: Visit) -> Response:
    """What there is of one person."""
    return _person(visit)


def forget(visit: Visit) -> Response:
    """Remove it all. The name, typed in, says that it is meant."""
    footprint = _footprint(visit)
    if visit.form.get("confirm", "").strip() != _word(footprint):
        return _person(visit, f"Nothing was removed: to go on, type {_word(footprint)}", 422)
    rewrite = visit.form.get("rewrite") == "yes"
    reason = visit.form.get("reason", "")[:500]
    studio = visit.studio
    try:
        done = Privacy(studio.store).forget(
            footprint.labeler, reason=reason, exports=studio.workspace.exports_dir if rewrite else None
        )
    except DataError as error:
        return _person(visit, str(error), 422)
    detail: dict[str, Json] = {
        "exports": len(footprint.exports),
        "models": list(footprint.models),
        "rewritten": len(done.rewritten),
    }
    studio.audit.record(visit.me.id, "person.forget", done.subject, detail)
    return visit.go("/lead/privacy", "Removed. What was made from it is listed below.")


def _person(visit: Visit, error: str = "", status: int = 200) -> Response:
    footprint = _footprint(visit)
    return visit.page(
        "lead/privacy_person.html",
        title="Privacy",
        status=status,
        seen=footprint,
        word=_word(footprint),
        error=error,
        given=visit.form,
    )


def _footprint(visit: Visit) -> Footprint:
    try:
        footprint = Privacy(visit.studio.store).footprint(visit.path["id"])
    except WorkspaceError as error:
        raise NotFound from error
    if footprint.labeler != visit.path["id"]:
        raise NotFound  # found by a name: addresses hold ids only
    return footprint


def _word(footprint: Footprint) -> str:
    return footprint.name or footprint.labeler


ROUTES = (
    Route(method="GET", path="/lead/privacy", endpoint=privacy, who="owner"),
    Route(method="GET", path="/lead/privacy/{id:path}", endpoint=person, who="owner"),
    Route(method="POST", path="/lead/privacy/{id:path}", endpoint=forget, who="owner", body="form"),
)
