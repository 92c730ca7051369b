"""One request, as the pages see it: who asks, what they sent, and the ways to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment
from starlette.datastructures import FormData, UploadFile
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from heed.errors import AccessError, DataError
from heed.records import Json

if TYPE_CHECKING:
    from starlette.requests import Request

    from heed.store.studio.people import Account, Session
    from heed.web.studio import Studio


class NotFound(Exception):
    """There is no such page, or none that the asker may know of."""


class Forbidden(Exception):
    """The asker may not do this, and may know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request and its answerer."""

    request: Request
    studio: Studio
    templates: Environment
    account: Account | None
    session: Session | None
    csrf: str
    """The token that this visitor's forms must carry."""
    path: Mapping[str, str] = field(default_factory=dict)
    """What stands in the address's placeholders."""
    form_data: FormData | None = None
    json_data: Mapping[str, Any] | None = None

    @property
    def me(self) -> Account:
        """Who asks.

        Raises:
            AccessError: nobody has signed in.
        """
        if self.account is None:
            raise AccessError("you are not signed in")
        return self.account

    @property
    def here(self) -> str:
        """The page's own address, without the prefix under which a proxy shows it."""
        return self.request.url.path.removeprefix(self.studio.settings.prefix) or "/"

    @property
    def device(self) -> str:
        """A few words of what the browser calls itself."""
        return self.request.headers.get("user-agent", "")[:200]

    @property
    def address(self) -> str:
        """Where the request came from."""
        return self.request.client.host if self.request.client else ""

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark; of a name that is given twice, the last."""
        return dict(self.request.query_params)

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form; files are not among them."""
        data = self.form_data or FormData()
        return {name: value for name, value in data.multi_items() if isinstance(value, str)}

    def form_list(self, name: str) -> list[str]:
        """Every value of a field that may be given several times."""
        data = self.form_data or FormData()
        return [value for value in data.getlist(name) if isinstance(value, str)]

    def upload(self, name: str) -> UploadFile:
        """A file that was sent.

        Raises:
            DataError: none was chosen.
        """
        found = None if self.form_data is None else self.form_data.get(name)
        if not isinstance(found, UploadFile) or not found.filename:
            raise DataError("no file was chosen")
        return found

    @property
    def json(self) -> Mapping[str, Any]:
        """The object that was sent as JSON."""
        return {} if self.json_data is None else self.json_data

    def url(self, path: str) -> str:
        """An address of the studio, under the prefix where a proxy shows it."""
        return self.studio.settings.prefix + path

    def page(self, template: str, *, title: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A page drawn from a template."""
        notice = self.request.cookies.get("heed-notice", "")
        html = self.templates.get_template(template).render(
            visit=self, studio=self.studio, title=title, url=self.url, notice=_read_notice(notice), **context
        )
        response = HTMLResponse(html, status_code=status)
        if notice:
            response.delete_cookie("heed-notice", path=self.url("/"))
        return response

    def fragment(self, template: str, **context: Any) -> HTMLResponse:
        """A part of a page, for refreshing it."""
        template_ = self.templates.get_template(template)
        return HTMLResponse(template_.render(visit=self, studio=self.studio, url=self.url, **context))

    def go(self, path: str, notice: str = "") -> Response:
        """Send the browser to another page of the studio, where ``notice`` is shown once."""
        response = RedirectResponse(self.url(path), status_code=303)
        if notice:
            response.set_cookie(
                "heed-notice",
                quote(notice[:300]),
                max_age=30,
                path=self.url("/"),
                httponly=True,
                samesite="lax",
                secure=self.studio.settings.secure,
            )
        return response

    def answer(self, value: Mapping[str, Json]) -> JSONResponse:
        """An object as JSON."""
        return JSONResponse(dict(value))


def _read_notice(cookie: str) -> str:
    from urllib.parse import unquote

    return unquote(cookie)[:300]
