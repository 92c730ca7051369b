"""Forms: what labelers are asked, as data that is checked and shown before it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heed.errors import DataError, HeedError
from heed.form_library import LIBRARY
from heed.forms import Form, parse_form
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.campaigns import FormVersion
    from heed.web.visit import Visit

LONGEST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A form in the list."""

    form: Form
    versions: tuple[int, ...]
    """Newest first; empty for a form of the library that is not in use."""
    campaigns: int


def forms(visit: Visit) -> Response:
    """All forms, by name."""
    kept: dict[str, list[FormVersion]] = {}
    for one in visit.studio.campaigns.forms():
        kept.setdefault(one.form.name, []).append(one)
    used = [one.form.name for one in visit.studio.campaigns.list()]
    listed = [
        Listed(
            form=kept[name][0].form if name in kept else LIBRARY[name],
            versions=tuple(one.version for one in kept.get(name, ())),
            campaigns=used.count(name),
        )
        for name in sorted(kept.keys() | LIBRARY.keys())
    ]
    return visit.page("lead/forms.html", title="Forms", forms=listed)


def form(visit: Visit) -> Response:
    """One form as labelers see it, and its definition to be changed."""
    name = visit.path["name"]
    versions = [one for one in visit.studio.campaigns.forms() if one.form.name == name]
    asked = visit.query.get("version", "")
    found = next((one for one in versions if not asked or str(one.version) == asked), None)
    shown = found.form if found is not None else LIBRARY.get(name) if not asked else None
    if shown is None:
        raise NotFound()
    return _page(visit, name, definition(shown), shown, version=found.version if found else None)


def _page(
    visit: Visit, name: str, text: str, shown: Form | None, *, version: int | None = None, error: str = "",
    preview: bool = False,
) -> Response:  # fmt: skip
    versions = [one for one in visit.studio.campaigns.forms() if one.form.name == name]
    return visit.page(
        "lead/form.html",
        title=f"Form {name}",
        status=422 if error else 200,
        name=name,
        text=text,
        shown=shown,
        version=version,
        versions=versions,
        error=error,
        preview=preview,
        letters="AB" if shown is not None and shown.task in ("compare", "chat") else "ABC",
    )


def save(visit: Visit) -> Response:
    """Check a definition and show it, or keep it as a new version."""
    name, text = visit.path["name"], visit.form.get("definition", "")[:LONGEST]
    try:
        found = read_definition(text)
        if found.name != name:
            raise DataError(f"the definition's name is {found.name!r}; on this page it is {name!r}")
        if visit.form.get("do") == "preview":
            return _page(visit, name, text, found, preview=True)
        version = visit.studio.campaigns.add_form(found)
    except HeedError as error:
        return _page(visit, name, text, None, error=str(error))
    visit.studio.audit.record(visit.me.id, "form.add", name, {"version": version})
    return visit.go(
        f"/lead/forms/{name}", f"Kept as version {version}. New campaigns take it; running ones keep theirs."
    )


def copy(visit: Visit) -> Response:
    """Begin a form of one's own from one that is there."""
    start, name = visit.form.get("start", ""), visit.form.get("name", "").strip()
    kept = {one.form.name: one.form for one in reversed(visit.studio.campaigns.forms())}
    origin = kept.get(start) or LIBRARY.get(start)
    if origin is None:
        raise DataError("choose the form to start from")
    if name in kept or name in LIBRARY:
        raise DataError(f"there is a form {name!r} already; choose another name")
    made = parse_form({**origin.model_dump(mode="json"), "name": name}, "the form")
    version = visit.studio.campaigns.add_form(made)
    visit.studio.audit.record(visit.me.id, "form.add", name, {"version": version, "from": start})
    return visit.go(f"/lead/forms/{name}", "Made. Change its definition below.")


def read_definition(text: str) -> Form:
    """A form from the JSON that was typed.

    Raises:
        DataError: where it is not JSON, or not a form.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else "too deep"
        raise DataError(f"this is not JSON: {place}") from error
    if not isinstance(value, Mapping):
        raise DataError("the definition is not a JSON object in braces")
    return parse_form(value, "the definition")


def definition(form: Form) -> str:
    """A form as JSON to be edited: without what has its default value."""
    return json.dumps(form.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/lead/forms", endpoint=forms, who="lead"),
    Route(method="POST", path="/lead/forms", endpoint=copy, who="lead", body="form"),
    Route(method="GET", path="/lead/forms/{name}", endpoint=form, who="lead"),
    Route(method="POST", path="/lead/forms/{name}", endpoint=save, who="lead", body="form"),
)
