"""The studio behind a socket: one process, or several that share the database."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.supervisors import Multiprocess

from heed.errors import ConfigError
from heed.generation.desk import ModelDesk
from heed.store import Workspace
from heed.web.app import build_app
from heed.web.patience import PatientProtocol
from heed.web.studio import Studio, StudioSettings

if TYPE_CHECKING:
    from starlette.applications import Starlette

BACKLOG = 512
STOP_SECONDS = 10
"""How long requests that have begun may take when the server is asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the server listens, and what it serves."""

    workspace: Path
    database: str | None = None
    """A database URL instead of the workspace's own file."""
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    settings: StudioSettings = field(default_factory=StudioSettings)


def make_app(place: Place) -> Starlette:
    """The app of one process, with a store of its own."""
    workspace = Workspace.open(place.workspace, place.database)
    desk = ModelDesk(workspace.models_dir)
    return build_app(Studio.of(workspace, workspace.store(), place.settings, desk))


def listen(place: Place) -> socket.socket:
    """The socket, bound.

    Raises:
        ConfigError: the port is in use, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((place.host, place.port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"cannot listen on {place.host} port {place.port}: {error.strerror}; name another one with --port"
        ) from error
    bound.set_inheritable(True)
    return bound


def serve(place: Place, bound: socket.socket) -> None:
    """Answer until the process is asked to stop."""
    config = uvicorn.Config(
        partial(make_app, place),
        factory=True,
        http=PatientProtocol,
        lifespan="off",
        log_level="warning",
        access_log=False,
        workers=place.workers,
        proxy_headers=bool(place.settings.trusted_proxies),
        forwarded_allow_ips=list(place.settings.trusted_proxies) or None,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
        limit_concurrency=2000,
    )
    if place.workers > 1:
        Multiprocess(config, sockets=[bound]).run()
    else:
        uvicorn.Server(config).run(sockets=[bound])


def is_public(host: str) -> bool:
    """Whether others than this machine can reach an address."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
