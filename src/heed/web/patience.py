"""The server's patience with clients that begin a request and do not get on with it."""

from __future__ import annotations

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS: Final = 20.0
"""How long the head of a request may take, from the connection or from its first byte. Bodies have a limit of their
own in :mod:`heed.web.guard`."""


class PatientProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, except that a head which does not end closes the connection."""

    _since: float | None = None
    header_seconds = HEADER_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head, but no longer because another byte of it came."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._since = None
        elif not self.transport.is_closing():
            if self._since is None:
                self._since = self.loop.time()
            self._wait()

    def _wait(self) -> None:
        assert self._since is not None
        self._unset_keepalive_if_required()
        left = max(0.0, self._since + self.header_seconds - self.loop.time())
        self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
