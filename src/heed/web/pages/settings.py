"""One's own settings: how the pages look, the password, and where one is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from heed.errors import DataError
from heed.web import guard
from heed.web.passwords import hash_password, sign_in
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

CHOICES: Final = {"theme": ("auto", "light", "dark"), "text": ("normal", "large")}
"""What may be chosen; anything else is refused."""


def settings(visit: Visit) -> Response:
    """The page."""
    sessions = visit.studio.people.sessions(visit.me.id)
    return visit.page("entry/settings.html", title="Settings", choices=CHOICES, sessions=sessions)


def choose(visit: Visit) -> Response:
    """Keep a preference.

    Raises:
        DataError: it is not one of those there are.
    """
    chosen = dict(visit.me.settings)
    for name, values in CHOICES.items():
        value = visit.form.get(name)
        if value is not None:
            if value not in values:
                raise DataError(f"{name} is {value[:40]!r}, expected one of {', '.join(values)}")
            chosen[name] = value
    visit.studio.people.set_settings(visit.me.id, chosen)
    return visit.go("/settings", "Saved.")


def password(visit: Visit) -> Response:
    """Another password; every other session ends, and this one is made anew."""
    form, me = visit.form, visit.me
    old, address = form.get("old", ""), visit.address
    if me.has_password and sign_in(visit.studio.people, me.name, old, address) is None:
        raise DataError("the old password is not right")
    if form.get("new") != form.get("again"):
        raise DataError("the two new passwords differ")
    visit.studio.people.set_password(me.id, hash_password(form.get("new", ""), me.name))
    session = visit.studio.people.open_session(me.id, visit.device)
    response = visit.go("/settings", "The password is changed, and other browsers are signed out.")
    response.set_cookie(
        guard.cookie_name(visit), session.token, max_age=14 * 24 * 3600, path="/", httponly=True, samesite="lax",
        secure=visit.studio.settings.secure,
    )  # fmt: skip
    return response


def leave_everywhere(visit: Visit) -> Response:
    """Sign out in every browser."""
    visit.studio.people.close_sessions(visit.me.id)
    return visit.go("/login", "You are signed out everywhere.")


ROUTES = (
    Route(method="GET", path="/settings", endpoint=settings, who="signed_in"),
    Route(method="POST", path="/settings", endpoint=choose, who="signed_in", body="form"),
    Route(method="POST", path="/settings/password", endpoint=password, who="signed_in", body="form"),
    Route(method="POST", path="/settings/leave", endpoint=leave_everywhere, who="signed_in", body="form"),
)
