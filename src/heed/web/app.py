"""The app put together: routes joined, every request checked, every error answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as Address

from heed.errors import AccessError, DataError, HeedError, LeaseError
from heed.web import guard
from heed.web.assets import Assets, environment
from heed.web.pages import (
    chat,
    data,
    drift,
    entry,
    lead_agreement,
    lead_appeals,
    lead_audit,
    lead_campaigns,
    lead_forms,
    lead_gold,
    lead_guidelines,
    lead_items,
    lead_pairs,
    lead_progress,
    lead_screening,
    me,
    models,
    onboarding,
    people,
    privacy,
    settings,
    train,
    work,
)
from heed.web.routes import Route
from heed.web.visit import Forbidden, NotFound, Visit

if TYPE_CHECKING:
    from heed.web.studio import Studio

ROUTES: Final[tuple[Route, ...]] = (
    *entry.ROUTES,
    *settings.ROUTES,
    *work.ROUTES,
    *me.ROUTES,
    *onboarding.ROUTES,
    *people.ROUTES,
    *lead_screening.ROUTES,
    *lead_appeals.ROUTES,
    *drift.ROUTES,
    *lead_progress.ROUTES,
    *lead_campaigns.ROUTES,
    *lead_gold.ROUTES,
    *lead_agreement.ROUTES,
    *lead_items.ROUTES,
    *lead_pairs.ROUTES,
    *lead_guidelines.ROUTES,
    *lead_forms.ROUTES,
    *lead_audit.ROUTES,
    *train.ROUTES,
    *models.ROUTES,
    *chat.ROUTES,
    *data.ROUTES,
    *privacy.ROUTES,
)
"""Every page there is."""
log = logging.getLogger("heed.web")


def build_app(studio: Studio) -> Starlette:
    """The studio as an ASGI application."""
    assets = Assets(Path(__file__).parent / "static", studio.settings.prefix)
    templates = environment(assets, studio.settings.prefix)
    addresses: list[Any] = [
        Address(route.path, _answerer(route, studio, templates), methods=[route.method]) for route in ROUTES
    ]
    addresses.append(Mount("/static", assets))
    app = Starlette(routes=addresses, exception_handlers={HTTPException: _http_error(studio, templates)})
    return guard.wrap(app, studio.settings)


def _answerer(route: Route, studio: Studio, templates: Any) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        visit = Visit(
            request=request, studio=studio, templates=templates, account=None, session=None, csrf="",
            path=dict(request.path_params),
        )  # fmt: skip
        try:
            form, data = await guard.read_body(request, route, studio.settings)
            return await run_in_threadpool(_serve, route, visit, form, data)
        except (NotFound, Forbidden, HeedError) as error:
            return error_response(visit, error)
        except HTTPException as error:
            return refusal(visit, error.status_code, str(error.detail))
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return refusal(visit, 500, "Something went wrong here. It has been noted; nothing of yours was changed.")
        finally:
            await request.close()  # files that were sent

    return answer


def _serve(route: Route, visit: Visit, form: Any, data: Any) -> Response:
    known = guard.identify(visit, form, data)
    if known.account is None and route.who != "anyone":
        if route.path.startswith("/api/") or route.method != "GET":
            return refusal(known, 401, "You are signed out. Sign in again; nothing is lost.")
        return RedirectResponse(known.url("/login"), status_code=303)
    try:
        guard.check_origin(known, route)
        guard.check_access(known, route)
        response = route.endpoint(known)
    except (NotFound, Forbidden, HeedError) as error:
        response = error_response(known, error)  # with the navigation of who asked
    return guard.finish(known, response)


def error_response(visit: Visit, error: Exception) -> Response:
    """The answer to something that cannot be done."""
    if isinstance(error, NotFound):
        return refusal(visit, 404, "There is nothing here.")
    if isinstance(error, Forbidden):
        return refusal(visit, 403, str(error) or "This is not yours to do.")
    status = 409 if isinstance(error, LeaseError) else 403 if isinstance(error, AccessError) else 422
    return refusal(visit, status if isinstance(error, AccessError | LeaseError | DataError) else 422, str(error))


def refusal(visit: Visit, status: int, sentence: str) -> Response:
    """A status with one sentence, as JSON or as a page, whichever the asker reads."""
    if visit.here.startswith("/api/"):
        return JSONResponse({"error": sentence}, status_code=status)
    try:
        return visit.page("entry/refusal.html", title=str(status), status=status, sentence=sentence)
    except Exception:
        log.exception("the page that says so failed too")
        return HTMLResponse("Something went wrong here.", status_code=status)


def _http_error(studio: Studio, templates: Any) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        visit = Visit(request=request, studio=studio, templates=templates, account=None, session=None, csrf="")
        sentence = {404: "There is nothing here.", 405: "That cannot be done here."}.get(
            error.status_code, str(error.detail)
        )
        return await run_in_threadpool(refusal, visit, error.status_code, sentence)

    return answer


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object from a request's body.

    Raises:
        DataError: it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DataError("the request is not JSON") from error
    if not isinstance(value, dict):
        raise DataError("the request is not a JSON object")
    return value
