"""A labeler's browser: cookies, the token of the pages, and patience with a network and a server that come and go."""

from __future__ import annotations

import asyncio
import html
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from heed.errors import EndpointError
from heed.records import Json

PATIENCE = 60.0
"""Seconds for which a request is tried again before one gives up."""
PAUSE = 0.2
"""Seconds before the second try; each further pause is longer by half."""
_TOKEN = re.compile(r'<meta name="heed-csrf" content="([^"]*)"')
_FIELD = re.compile(r"<(?:input|button)\b[^>]*>")
_ATTRIBUTE = re.compile(r'([a-z-]+)(?:="([^"]*)")?')
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)


class Refused(EndpointError):
    """The server understood and said no."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status = status


@dataclass(slots=True, kw_only=True)
class Browser:
    """One person's browser."""

    client: httpx.AsyncClient
    patience: float = PATIENCE
    csrf: str = ""
    server_ms: list[tuple[str, float]] = field(default_factory=list)
    """What the server says it took, by address."""
    retries: int = 0
    """How often something had to be sent again."""

    @classmethod
    def at(cls, url: str, patience: float = PATIENCE, transport: httpx.AsyncBaseTransport | None = None) -> Browser:
        """A browser for the studio at ``url``, which nobody has signed in with yet."""
        agent = {"User-Agent": "heed crew"}
        limits = httpx.Limits(max_connections=2, max_keepalive_connections=2)
        client = httpx.AsyncClient(base_url=url, timeout=30.0, headers=agent, limits=limits, transport=transport)
        return cls(client=client, patience=patience)

    async def close(self) -> None:
        """Close all tabs."""
        await self.client.aclose()

    async def page(self, path: str) -> httpx.Response:
        """Load a page, as one who clicks on a link; redirections are followed."""
        response = await self._send("GET", path, follow_redirects=True)
        found = _TOKEN.search(response.text)
        if found:
            self.csrf = html.unescape(found[1])
        return response

    async def sent_to(self) -> str:
        """Where the studio sends someone who comes to its front door."""
        response = await self._send("GET", "/")
        return str(urlsplit(response.headers.get("location", "")).path)

    async def submit_form(self, page: httpx.Response, action: str, fields: Mapping[str, str]) -> None:
        """Fill in the form of a page whose address contains ``action`` and send it off; what follows is not loaded.

        Raises:
            EndpointError: the page has no such form.
        """
        given = form_fields(page.text, action)
        await self._send("POST", given.pop("action") or page.url.path, data={**given, **fields})

    async def call(self, method: str, path: str, body: Mapping[str, Json]) -> dict[str, Any]:
        """Send JSON as the pages' scripts do. Where no answer comes, the same is sent again.

        Raises:
            Refused: the server said no.
            EndpointError: there was no answer for longer than one waits.
        """
        headers = {"X-Heed-CSRF": self.csrf, "Accept": "application/json"}
        options = {} if method == "GET" else {"json": body}
        response = await self._send(method, path, headers=headers, **options)
        answer: dict[str, Any] = response.json()
        return answer

    async def drop(self, method: str, path: str, body: Mapping[str, Json], after: float) -> None:
        """Send JSON over a connection that breaks ``after`` so many seconds; whether it arrived is not known."""
        headers = {"X-Heed-CSRF": self.csrf, "Accept": "application/json", "Connection": "close"}
        try:
            await self.client.request(method, path, json=body, headers=headers, timeout=after)
        except httpx.TransportError:
            return

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + self.patience, PAUSE
        while True:
            try:
                response = await self.client.request(method, path, **options)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if response.status_code < 400:
                    self._clock(path, response)
                    return response
                reason = _sentence(response)
                if response.status_code < 500 and response.status_code not in (408, 429):
                    raise Refused(response.status_code, reason)
            if loop.time() > give_up:
                raise EndpointError(f"{method} {path}: no answer for {self.patience:.0f} s: {reason}")
            self.retries += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(1.5 * pause, 5.0)

    def _clock(self, path: str, response: httpx.Response) -> None:
        timing = re.search(r"app;dur=([0-9.]+)", response.headers.get("server-timing", ""))
        if timing:
            self.server_ms.append((path, float(timing[1])))


def form_fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form whose address contains ``action``, and ``action``: where it is sent.

    Raises:
        EndpointError: there is no such form.
    """
    for attributes, inside in _FORM.findall(page):
        address = dict(_ATTRIBUTE.findall(attributes)).get("action", "")
        if action in address:
            fields = {"action": urlsplit(html.unescape(address)).path}
            for tag in _FIELD.findall(inside):
                given = dict(_ATTRIBUTE.findall(tag))
                if given.get("type") == "hidden":
                    fields[given["name"]] = html.unescape(given.get("value", ""))
            return fields
    raise EndpointError(f"the page has no form for {action!r}")


def _sentence(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase or str(response.status_code)
