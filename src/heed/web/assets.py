"""Static files under addresses that change with their content, and the templates that name them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from heed.web import charts
from heed.web.render import plain_html, safe_html


class Assets(StaticFiles):
    """The package's static files: ``/static/HASH/NAME`` may be kept by browsers for ever."""

    def __init__(self, directory: Path, prefix: str) -> None:
        super().__init__(directory=directory)
        self._prefix = prefix
        content = hashlib.sha256()
        for path in sorted(one for one in directory.rglob("*") if one.is_file()):
            content.update(path.relative_to(directory).as_posix().encode() + path.read_bytes())
        self.version = content.hexdigest()[:12]
        """One for all files, since modules import each other by relative addresses."""

    def address(self, name: str) -> str:
        """Where a page finds a file."""
        return f"{self._prefix}/static/{self.version}/{name}"

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        version, _, name = path.partition("/")
        current = version == self.version
        response = await super().get_response(name if current else path, scope)
        lifetime = "public, max-age=31536000, immutable" if current else "no-cache"
        response.headers["cache-control"] = lifetime
        return response


def environment(assets: Assets, prefix: str) -> Environment:
    """The templates, which escape everything that is not said to be HTML."""
    templates = Environment(
        loader=PackageLoader("heed.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def rich(text: str) -> Markup:
        return safe_html(text, prefix)

    def moment(value: datetime | None) -> str:
        return "" if value is None else f"{value:%Y-%m-%d %H:%M}"

    filters: dict[str, Any] = {"rich": rich, "plain": plain_html, "moment": moment}
    templates.filters.update(filters)
    templates.globals["static"] = assets.address
    templates.globals["charts"] = charts
    return templates
