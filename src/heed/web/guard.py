"""What stands before every page: sizes, sessions, forged requests, rights, and the headers of every answer."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from heed.errors import DataError
from heed.web.visit import Forbidden, NotFound, Visit

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from heed.web.routes import Route
    from heed.web.studio import StudioSettings

BODY_SECONDS: Final = 30.0
"""How long a body may take; an upload may take twenty times as long."""
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types heed"
)
HEADERS: Final = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # "no-referrer" would make browsers send "Origin: null"
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
UNSAFE: Final = ("POST", "PUT", "DELETE", "PATCH")
WORKING: Final = ("screening", "active")


class _Headers:
    """Every answer's headers, whoever made it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        start = perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.setdefault("headers", [])
                given.append((b"server-timing", f"app;dur={1000 * (perf_counter() - start):.1f}".encode()))
                names = {name.lower() for name, _ in given}
                given.extend(one for one in HEADERS if one[0] not in names)
                if b"cache-control" not in names:
                    given.append((b"cache-control", b"no-store"))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def wrap(app: Starlette, settings: StudioSettings) -> Starlette:
    """The app with the headers around all of it."""
    app.add_middleware(_Headers)
    return app


async def read_body(request: Request, route: Route, settings: StudioSettings) -> tuple[FormData | None, Any]:
    """The form or the JSON object that was sent, within limits of size and time."""
    from heed.web.app import parse_json

    if route.body == "none" and request.method not in UNSAFE:
        return None, None
    limit = settings.max_upload if route.body == "file" else settings.max_body
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > limit:
        raise HTTPException(413, f"That is too large; at most {limit // 2**10:,} KiB are taken here.")
    seconds = BODY_SECONDS * (20 if route.body == "file" else 1)
    try:
        async with asyncio.timeout(seconds):
            if route.body == "json":
                return None, parse_json(await _bytes(request, limit))
            _limit_stream(request, limit)
            return await request.form(max_files=4, max_fields=2000, max_part_size=limit), None
    except TimeoutError as error:
        raise HTTPException(408, "The request took too long to arrive.") from error


async def _bytes(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise HTTPException(413, f"That is too large; at most {limit // 2**10:,} KiB are taken here.")
        parts.append(part)
    return b"".join(parts)


def _limit_stream(request: Request, limit: int) -> None:
    receive, size = request._receive, 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413, f"That is too large; at most {limit // 2**10:,} KiB are taken here.")
        return message

    request._receive = counted


def cookie_name(visit: Visit) -> str:
    """Of the session's cookie; the prefix makes browsers insist on TLS and on this very host."""
    return "__Host-heed" if visit.studio.settings.secure and not visit.studio.settings.prefix else "heed"


def identify(visit: Visit, form: FormData | None, data: Any) -> Visit:
    """The visit with who asks and what they sent."""
    token = visit.request.cookies.get(cookie_name(visit), "")
    session = visit.studio.people.session(token) if token else None
    account = visit.studio.people.account(session.account_id) if session else None
    if account is not None and account.status == "closed":
        account, session = None, None
    csrf = session.csrf if session else visit.request.cookies.get("heed-visitor", "") or secrets.token_urlsafe(24)
    return replace(visit, account=account, session=session, csrf=csrf, form_data=form, json_data=data)


def check_origin(visit: Visit, route: Route) -> None:
    """Refuse what another site made a browser send.

    Raises:
        Forbidden: the request is not from one of the studio's own pages.
    """
    if route.method not in UNSAFE:
        return
    request = visit.request
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This came from another site.")
    origin = request.headers.get("origin")
    own = {urlsplit(one).netloc for one in visit.studio.settings.base_urls} or {request.headers.get("host", "")}
    if origin is not None and urlsplit(origin).netloc not in own:
        raise Forbidden("This came from another site.")
    given = request.headers.get("x-heed-csrf") or visit.form.get("csrf", "")
    if visit.session is None and not request.cookies.get("heed-visitor"):
        raise Forbidden("The page is too old, or your browser takes no cookies. Load the page again.")
    if not hmac.compare_digest(given.encode(), visit.csrf.encode()):
        raise Forbidden("The page is too old. Load it again.")


def check_access(visit: Visit, route: Route) -> None:
    """Refuse what is not the asker's to do.

    Raises:
        NotFound: a lead's page, to someone who is none.
        Forbidden: work, to someone who may not work now.
    """
    account = visit.account
    if route.who == "anyone":
        return
    assert account is not None
    if route.who == "owner" and account.role != "owner":
        raise NotFound
    if route.who == "lead" and (account.role not in ("lead", "owner") or account.status == "paused"):
        raise NotFound
    if route.who == "labeler" and account.status not in WORKING:
        raise Forbidden(
            "Your account is paused; ask the lead." if account.status == "paused" else "Finish your onboarding first."
        )


def finish(visit: Visit, response: Response) -> Response:
    """The response, with the visitor's cookie when there is no session yet."""
    if visit.session is None and visit.request.cookies.get("heed-visitor") != visit.csrf:
        response.set_cookie(
            "heed-visitor",
            visit.csrf,
            max_age=24 * 3600,
            path="/",
            httponly=True,
            samesite="strict",
            secure=visit.studio.settings.secure,
        )
    return response


def check_size(text: str, limit: int, what: str) -> str:
    """The text, unless it is too long.

    Raises:
        DataError: it is.
    """
    if len(text) > limit:
        raise DataError(f"{what} is {len(text):,} characters long, expected at most {limit:,}")
    return text
