"""The guideline: written, compared with what it was, and what a change did to the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from heed.errors import DataError, HeedError
from heed.feedback.shift import Shift, label_shift
from heed.forms import clean_text
from heed.records import Json
from heed.store.studio.asks import Ask
from heed.store.studio.items import ItemFilter
from heed.web.pages.lead_common import row_number, whole
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.campaigns import Guideline
    from heed.web.visit import Visit

LONGEST = 100_000
"""Characters of a guideline."""
MOST_REOPENED = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a difference."""

    kind: str
    """``same``, ``gone`` or ``new``; ``skip`` stands for lines that are the same on both sides."""
    text: str


def guidelines(visit: Visit) -> Response:
    """All versions, and the editor with the newest one in it."""
    return _page(visit)


def _page(visit: Visit, *, text: str | None = None, preview: bool = False, error: str = "") -> Response:
    versions = visit.studio.campaigns.guidelines()
    newest = versions[0].markdown if versions else ""
    item = _quoted(visit)
    if text is None:
        text = newest + (_quotation(item.prompt.text, visit.query["item"]) if item is not None else "")
    return visit.page(
        "lead/guidelines.html",
        title="Guidelines",
        status=422 if error else 200,
        versions=versions,
        use={one.version: one for one in visit.studio.review.guideline_use()},
        text=text,
        changes=difference(newest, text) if preview else [],
        preview=preview,
        item=item,
        error=error,
    )


def _quoted(visit: Visit) -> Any:
    given = visit.query.get("item", "")
    return visit.studio.review.item(row_number(given)) if given else None


def _quotation(text: str, number: str) -> str:
    lines = "\n".join(f"> {line}" for line in text[:600].splitlines())
    return f"\n\n### A case that was unclear (item {number})\n\n{lines}\n\nWhat to do: \n"


def save(visit: Visit) -> Response:
    """Show how it would look, or keep it as a new version."""
    text = visit.form.get("text", "")
    try:
        text = clean_text(text, "the guideline", LONGEST).strip() + "\n"
        if not text.strip():
            raise DataError("the guideline is empty")
        if visit.form.get("do") == "preview":
            return _page(visit, text=text, preview=True)
        known = {one.version for one in visit.studio.campaigns.guidelines()}
        version = visit.studio.store.add_guideline(text)
    except HeedError as error:
        return _page(visit, text=text, error=str(error))
    if version in known:
        return visit.go(f"/lead/guidelines/{version}", "Nothing has changed.")
    visit.studio.audit.record(visit.me.id, "guideline.add", f"version {version}", {"characters": len(text)})
    return visit.go(
        f"/lead/guidelines/{version}", "Kept. Choose it in a campaign's settings, so that new items are asked under it."
    )


def version(visit: Visit) -> Response:
    """One version: how it reads, what changed, and what that did to the labels."""
    return _version_page(visit, _version(visit))


def _version_page(visit: Visit, one: Guideline, error: str = "") -> Response:
    versions = visit.studio.campaigns.guidelines()
    others = [other for other in versions if other.version != one.version]
    against = visit.query.get("against", "")
    old = next((other for other in others if str(other.version) == against), None) or next(
        (other for other in others if other.version < one.version), None
    )
    shift: Shift | None = None
    if old is not None:
        judged = visit.studio.review.judgements(shared_only=True).judged
        shift = label_shift((row for row in judged if row.kind == "human"), old.version, one.version)
    return visit.page(
        "lead/guideline.html",
        title=f"Guideline, version {one.version}",
        status=422 if error else 200,
        one=one,
        old=old,
        others=others,
        changes=difference(old.markdown, one.markdown) if old is not None else [],
        use={row.version: row for row in visit.studio.review.guideline_use()},
        shift=shift,
        campaigns=visit.studio.campaigns.list(),
        categories=sorted({row.category for row in visit.studio.review.prompt_counts() if row.category}),
        error=error,
        given=visit.form,
    )


def reopen(visit: Visit) -> Response:
    """Ask items again under this version, in a campaign of their own; what was said before is kept."""
    one = _version(visit)
    form = visit.form
    try:
        source = visit.studio.campaigns.get(form.get("campaign", ""))
        count = whole(form, "count", 1, MOST_REOPENED, 100)
        cause = "guideline_gap" if form.get("gaps") == "yes" else ""
        chosen = ItemFilter(
            campaign=source.name, purpose="ordinary", category=form.get("category", ""), cause=cause, order="oldest"
        )
        ids = _answered(visit, chosen, count)
        if not ids:
            raise DataError("no answered item of that campaign fits")
        contents = visit.studio.review.contents(ids)
        name = form.get("name", "").strip()
        asks = [Ask(prompt=contents[key].prompt, candidates=contents[key].candidates) for key in ids]
        visit.studio.campaigns.create(name, source.form, guideline=one.version, settings=source.settings, state="draft")
        added = visit.studio.campaigns.add_items(name, asks)
    except HeedError as error:
        return _version_page(visit, one, str(error))
    detail: dict[str, Json] = {"from": source.name, "items": added, "guideline": one.version}
    visit.studio.audit.record(visit.me.id, "guideline.reopen", name, detail)
    return visit.go(f"/lead/campaigns/{quote(name, safe='')}", f"{added} items will be asked again once it is started.")


def _answered(visit: Visit, chosen: ItemFilter, count: int) -> list[int]:
    ids: list[int] = []
    place: int | None = None
    while len(ids) < count:
        page = visit.studio.review.items(chosen, place, limit=500)
        ids += [row.id for row in page.rows if row.answered]
        place = page.after
        if place is None:
            break
    return ids[:count]


def _version(visit: Visit) -> Guideline:
    number = row_number(visit.path["version"])
    found = next((one for one in visit.studio.campaigns.guidelines() if one.version == number), None)
    if found is None:
        raise NotFound()
    return found


def difference(old: str, new: str, context: int = 2) -> list[Change]:
    """Line by line what went and what came, with ``context`` lines of what stayed around it.

    >>> [(c.kind, c.text) for c in difference("a\\nb", "a\\nc")]
    [('same', 'a'), ('gone', 'b'), ('new', 'c')]
    """
    before, after_ = old.splitlines(), new.splitlines()
    changes: list[Change] = []
    matcher = SequenceMatcher(None, before, after_, autojunk=False)
    blocks = matcher.get_opcodes()
    for index, (tag, i1, i2, j1, j2) in enumerate(blocks):
        if tag == "equal":
            changes += _same(before[i1:i2], context, first=index == 0, last=index == len(blocks) - 1)
            continue
        changes += [Change(kind="gone", text=line) for line in before[i1:i2]]
        changes += [Change(kind="new", text=line) for line in after_[j1:j2]]
    return changes


def _same(lines: Sequence[str], context: int, *, first: bool, last: bool) -> list[Change]:
    head, tail = (0 if first else context), (0 if last else context)
    if len(lines) <= head + tail + 1:
        return [Change(kind="same", text=line) for line in lines]
    hidden = len(lines) - head - tail
    return [
        *(Change(kind="same", text=line) for line in lines[:head]),
        Change(kind="skip", text=f"{hidden} lines are the same"),
        *(Change(kind="same", text=line) for line in lines[len(lines) - tail :]),
    ]


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/lead/guidelines", endpoint=guidelines, who="lead"),
    Route(method="POST", path="/lead/guidelines", endpoint=save, who="lead", body="form"),
    Route(method="GET", path="/lead/guidelines/{version}", endpoint=version, who="lead"),
    Route(method="POST", path="/lead/guidelines/{version}/reopen", endpoint=reopen, who="lead", body="form"),
)
