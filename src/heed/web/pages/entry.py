"""The way in and out: links that work once, signing in, signing out, and the door to other sites."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from heed.errors import AccessError, DataError
from heed.web import guard
from heed.web.passwords import hash_password, sign_in
from heed.web.render import may_leave
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.people import Account
    from heed.web.visit import Visit


def home(visit: Visit) -> Response:
    """To the page where one's work is."""
    account = visit.account
    if account is None:
        return visit.go("/login")
    if account.leads:
        return visit.go("/lead")
    return visit.go({"onboarding": "/onboarding", "screening": "/screening"}.get(account.status, "/work"))


def login_form(visit: Visit) -> Response:
    """Name and password."""
    return home(visit) if visit.account else visit.page("entry/login.html", title="Sign in", name="", error="")


def login(visit: Visit) -> Response:
    """A session, for the right password."""
    name = visit.form.get("name", "")
    try:
        account = sign_in(visit.studio.people, name, visit.form.get("password", ""), visit.address)
        error = "" if account else "The name or the password is not right."
    except DataError as refused:
        account, error = None, str(refused)
    if account is None:
        return visit.page("entry/login.html", title="Sign in", status=422, name=name, error=error)
    return _signed_in(visit, account)


def join_form(visit: Visit) -> Response:
    """The page behind a link; looking at it does not use the link up."""
    link = visit.studio.people.peek(visit.path["token"])
    if link is None:
        return visit.page("entry/stale.html", title="This link does not work", status=404)
    known = visit.studio.people.account(link.account_id) if link.account_id else None
    return visit.page("entry/join.html", title="Welcome", link=link, known=known, name="", error="")


def join(visit: Visit) -> Response:
    """A new account, or the way back into one."""
    people, token = visit.studio.people, visit.path["token"]
    link = people.peek(token)
    if link is None:
        return visit.page("entry/stale.html", title="This link does not work", status=404)
    known = people.account(link.account_id) if link.account_id else None
    name, password = visit.form.get("name", ""), visit.form.get("password", "")
    try:
        if known is None and password != visit.form.get("again", ""):
            raise DataError("the two passwords differ")
        hashed = hash_password(password, known.name if known else name) if password or known is None else None
        account = people.join(token, name, hashed)
    except (DataError, AccessError) as error:
        return visit.page(
            "entry/join.html", title="Welcome", status=422, link=link, known=known, name=name, error=str(error)
        )
    return _signed_in(visit, account)


def logout(visit: Visit) -> Response:
    """The session ends, here and in the database."""
    if visit.session is not None:
        visit.studio.people.close_session(visit.session.token)
    response = visit.go("/login")
    response.delete_cookie(guard.cookie_name(visit), path="/", secure=visit.studio.settings.secure, httponly=True)
    response.headers["clear-site-data"] = '"storage"'
    return response


def out(visit: Visit) -> Response:
    """Where a link in a text leads, before one goes there."""
    address = visit.query.get("to", "")
    if not may_leave(address) or len(address) > 2000:
        raise NotFound
    return visit.page("entry/out.html", title="Leaving", address=address, host=urlsplit(address).netloc)


def health(visit: Visit) -> Response:
    """That the app and its database answer."""
    visit.studio.people.failures("health", 1)
    return visit.answer({"ok": True})


def _signed_in(visit: Visit, account: Account) -> Response:
    if visit.session is not None:
        visit.studio.people.close_session(visit.session.token)
    session = visit.studio.people.open_session(account.id, visit.device)
    response = visit.go("/")
    response.set_cookie(
        guard.cookie_name(visit),
        session.token,
        max_age=14 * 24 * 3600,
        path="/",
        httponly=True,
        samesite="lax",
        secure=visit.studio.settings.secure,
    )
    return response


ROUTES = (
    Route(method="GET", path="/", endpoint=home, who="anyone"),
    Route(method="GET", path="/login", endpoint=login_form, who="anyone"),
    Route(method="POST", path="/login", endpoint=login, who="anyone", body="form"),
    Route(method="GET", path="/join/{token}", endpoint=join_form, who="anyone"),
    Route(method="POST", path="/join/{token}", endpoint=join, who="anyone", body="form"),
    Route(method="POST", path="/logout", endpoint=logout, who="signed_in", body="form"),
    Route(method="GET", path="/out", endpoint=out, who="signed_in"),
    Route(method="GET", path="/healthz", endpoint=health, who="anyone"),
)
