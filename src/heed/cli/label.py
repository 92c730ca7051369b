"""``heed label``: the labeling studio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from heed.cli.common import DEFAULT_WORKSPACE, WorkspaceOption, create_workspace, open_workspace, say
from heed.errors import ConfigError

if TYPE_CHECKING:
    from heed.web.studio import StudioSettings


def label(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1, max=64)] = 1,
    base_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="How browsers reach it, such as https://label.example.org. May be repeated."),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="A proxy whose X-Forwarded headers are believed.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen to other machines without TLS: passwords travel readable.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Print a new one-time link for the owner, and leave; for a running server.")
    ] = False,
) -> None:
    """Start the labeling studio: a web app for labelers and their leads.

    [dim]Example:[/]  heed label --workspace my-project --port 8000
    """
    from heed.web.server import Place, is_public, listen, serve

    settings = _settings(base_url or [], trusted_proxy or [])
    if link:
        _print_link(open_workspace(workspace).root, settings.base_urls, f"http://{_shown(host)}:{port}")
        return
    if is_public(host) and not settings.secure and not insecure:
        raise ConfigError(
            f"{host} can be reached from other machines, and without TLS passwords would travel readable. Put a proxy "
            "with TLS in front and name it with --base-url https://..., or say --insecure"
        )
    create_workspace(workspace).store().close()
    place = Place(
        workspace=workspace.resolve(),
        database=os.environ.get("HEED_DATABASE_URL"),
        host=host,
        port=port,
        workers=workers,
        settings=settings,
    )
    bound = listen(place)
    _print_link(place.workspace, settings.base_urls, f"http://{_shown(host)}:{bound.getsockname()[1]}")
    serve(place, bound)


def _settings(base_urls: list[str], proxies: list[str]) -> StudioSettings:
    from heed.web.studio import StudioSettings

    prefixes = set()
    for address in base_urls:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise ConfigError(f"--base-url {address}: expected an address like https://label.example.org")
        prefixes.add(parts.path.rstrip("/"))
    if len(prefixes) > 1:
        raise ConfigError(f"--base-url: the addresses have different paths {sorted(prefixes)}; give them the same one")
    return StudioSettings(
        base_urls=tuple(one.rstrip("/") for one in base_urls),
        prefix=prefixes.pop() if prefixes else "",
        secure=bool(base_urls) and all(urlsplit(one).scheme == "https" for one in base_urls),
        trusted_proxies=tuple(proxies),
    )


def _print_link(root: Path, base_urls: tuple[str, ...], local: str) -> None:
    from heed.store.studio.people import People

    with open_workspace(root).store() as store:
        token = People(store).owner_link()
    base = base_urls[0] if base_urls else local
    say(f"The studio is at {base}")
    say(f"Come in once, within 15 minutes: {base}/join/{token}")


def _shown(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
