"""Requests to a server that answers JSON with JSON: asked again where that may help, given up where it cannot.

Shared by all that speaks to an endpoint: sampling, judging, scoring.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from heed.errors import ConfigError, EndpointError

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that may be gone the next time one asks."""
HOPELESS = frozenset({401, 403, 404, 405})
"""HTTP statuses that every other request would get too."""
LONGEST_WAIT_SECONDS = 60.0


class Refused(EndpointError):
    """The server answered with an HTTP error."""

    def __init__(self, url: str, error: urllib.error.HTTPError) -> None:
        self.status = error.code
        self.wait_seconds = _seconds(error.headers.get("Retry-After"))
        where = f" (it redirects to {error.headers['Location']})" if "Location" in error.headers else ""
        super().__init__(f"{url} answered with HTTP status {error.code}{where}: {_message(error.read())}")


class Poster:
    """Posts JSON to one address.

    Args:
        url: the address.
        headers: what is sent besides the content type, such as an authorization.
        attempts: how often a request is made before it is given up.
        timeout_seconds: of one attempt.
        sleep: waits so many seconds between attempts.
        shown_url: what errors call the address, where it holds a key.

    Raises:
        ConfigError: an address that is not one of HTTP, or a number that makes no sense.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        attempts: int = 5,
        timeout_seconds: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
        shown_url: str = "",
    ) -> None:
        check_address(url, "url")
        if attempts < 1 or timeout_seconds <= 0:
            raise ConfigError(
                f"attempts is {attempts} and timeout_seconds is {timeout_seconds}, expected at least 1, and more than 0"
            )
        self.url, self.shown_url = url, shown_url or url
        self.attempts, self.timeout_seconds, self._sleep = attempts, timeout_seconds, sleep
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        self._opener = urllib.request.build_opener(_NoRedirect())

    def post(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request and its response, asked again where that may help.

        Raises:
            EndpointError: no answer after all attempts, or one that cannot be read; ``Refused`` for an HTTP error.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return self._post_once(body)
            except Refused as error:
                if error.status not in RETRIED or attempt == self.attempts:
                    raise
                self._sleep(min(error.wait_seconds or 0.5 * 2**attempt, LONGEST_WAIT_SECONDS))
            except EndpointError:
                raise
            except (OSError, http.client.HTTPException) as error:  # no connection, or it broke off, or it took too long
                if attempt == self.attempts:
                    reason = getattr(error, "reason", None) or error
                    raise EndpointError(f"{self.shown_url} did not answer in {attempt} attempts: {reason}") from error
                self._sleep(min(0.5 * 2**attempt, LONGEST_WAIT_SECONDS))
        raise AssertionError("unreachable")

    def post_all(self, bodies: Sequence[Mapping[str, Any]], parallel: int) -> list[dict[str, Any] | EndpointError]:
        """For each request its response, or why there is none.

        Once the server has said what it would say to every request (a wrong key), those left are not sent.
        """
        hopeless = Event()

        def one(body: Mapping[str, Any]) -> dict[str, Any] | EndpointError:
            if hopeless.is_set():
                return EndpointError(f"not sent, as {self.shown_url} refuses all requests")
            try:
                return self.post(body)
            except EndpointError as error:
                if isinstance(error, Refused) and error.status in HOPELESS:
                    hopeless.set()
                return error

        with ThreadPoolExecutor(max_workers=parallel) as pool:
            return list(pool.map(one, bodies))

    def _post_once(self, body: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self.url, json.dumps(body).encode(), self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=self.timeout_seconds) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(self.shown_url, error) from None
        try:
            value = json.loads(content)
        except ValueError as error:
            raise EndpointError(
                f"{self.shown_url} answered with something else than JSON: {excerpt(content)}"
            ) from error
        if not isinstance(value, dict):
            raise EndpointError(f"{self.shown_url} answered with something else than an object: {excerpt(content)}")
        return value


def check_address(url: str, name: str) -> None:
    """Refuse what is no address of HTTP.

    Raises:
        ConfigError: says the setting's ``name`` and its value.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise ConfigError(f"{name} is {url!r}, expected an address such as http://localhost:8000/v1")


def excerpt(value: object, length: int = 200) -> str:
    """The beginning of what a server sent, for a message."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= length else text[:length] + "..."


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn the POST into a GET, and carry the key to another host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none: the answer then counts as an error."""


def _seconds(text: str | None) -> float:
    """Of a ``Retry-After`` header: 0 if there is none, or if it is a date."""
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


def _message(body: bytes) -> str:
    """What the server says of an error, in the form OpenAI gives it or as it is."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return excerpt(body)
