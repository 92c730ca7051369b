"""The labeler's pages: the task page and its JSON endpoints, the guideline, and what one has done and may revise.

What goes to the browser is made here, from a lease: letters and texts in the shown order. Purposes, known answers,
policies and scores never leave the server; a known answer only after the labeler has committed, in training mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from heed.errors import DataError, LeaseError
from heed.forms import LETTERS, Form
from heed.records import Completion, Prompt
from heed.store.studio.queue import SkipReason
from heed.web.render import safe_html
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.leases import Done, Lease
    from heed.store.studio.settings import CampaignSettings
    from heed.web.visit import Visit

HELD_AT_ONCE = 3
"""Tasks that one labeler may hold: the one in front, the one fetched ahead, and one in another tab."""
PAGE = 30
"""Entries on one page of the history."""
SKIP_REASONS: tuple[tuple[SkipReason, str], ...] = (
    ("unclear", "I cannot tell what is wanted"),
    ("too_hard", "It needs knowledge that I do not have"),
    ("upsetting", "I would rather not work on this"),
    ("language", "It is in a language that I do not speak well"),
    ("personal_data", "It holds someone's personal data"),
    ("broken", "It is broken: text missing or garbled"),
    ("other", "Something else"),
)
"""Why a task may be skipped, as stored and as shown."""
MAX_MS = 24 * 3600 * 1000
"""The longest time that one task can have taken, in milliseconds; a browser's clock may be wrong."""


def work(visit: Visit) -> Response:
    """The task page, perhaps of one campaign; all else it fetches itself."""
    campaign = visit.query.get("campaign", "")
    return visit.page("work/work.html", title="Work", skip_reasons=SKIP_REASONS, campaign=campaign)


def held(visit: Visit) -> Response:
    """The tasks this labeler holds: a tab that was closed comes back to them."""
    return visit.answer({"tasks": [task_json(visit, lease) for lease in visit.studio.queue.live(visit.me.id)]})


def next_task(visit: Visit) -> Response:
    """One task that this tab does not hold yet: first what the labeler still holds, then a new one."""
    have = visit.json.get("have") or []
    campaign = visit.json.get("campaign") or None
    if not isinstance(have, list) or not (campaign is None or isinstance(campaign, str)):
        raise DataError("the request needs have: a list of tokens, and may name a campaign")
    queue = visit.studio.queue
    live = [lease for lease in queue.live(visit.me.id) if campaign in (None, lease.campaign)]
    for lease in live:
        if lease.token not in have:
            return visit.answer({"task": task_json(visit, lease), "left": True, "message": ""})
    if len(live) >= HELD_AT_ONCE:
        message = f"You hold {len(live)} tasks already; finish or skip one of them first."
        return visit.answer({"task": None, "left": True, "message": message})
    found = queue.claim(visit.me.id, campaign=campaign, device=visit.device)
    message = "" if found or live else "There is nothing left for you at the moment."
    task = task_json(visit, found) if found else None
    return visit.answer({"task": task, "left": found is not None, "message": message})


def save_draft(visit: Visit) -> Response:
    """Keep what has been typed; the highest revision wins."""
    revision, payload = visit.json.get("revision"), visit.json.get("payload")
    if not isinstance(revision, int) or isinstance(revision, bool) or not isinstance(payload, Mapping):
        raise DataError("a draft needs a revision (a whole number) and a payload (an object)")
    return visit.answer({"revision": visit.studio.queue.save_draft(visit.me.id, _token(visit), revision, payload)})


def submit(visit: Visit) -> Response:
    """Hand an answer in. The same key again changes nothing and gets the same receipt."""
    said = visit.json
    receipt = visit.studio.queue.submit(
        visit.me.id,
        _token(visit),
        _text(said, "key"),
        _payload(said),
        active_ms=_milliseconds(said, "active_ms"),
        idle_ms=_milliseconds(said, "idle_ms"),
        first_input_at=_moment(said.get("first_input_at")),
    )
    gold = None if receipt.gold is None else dict(receipt.gold)
    return visit.answer({"response": str(receipt.response_id), "replayed": receipt.replayed, "gold": gold})


def skip(visit: Visit) -> Response:
    """Put a task aside for good, with a reason."""
    given = _text(visit.json, "reason")
    reason = next((known for known, _ in SKIP_REASONS if known == given), None)
    if reason is None:
        raise DataError(f"reason {given[:40]!r} is unknown; expected one of {', '.join(dict(SKIP_REASONS))}")
    note = visit.json.get("note") or ""
    if not isinstance(note, str):
        raise DataError("the note is not text")
    visit.studio.queue.skip(visit.me.id, _token(visit), reason, note[:2000])
    return visit.answer({"skipped": True})


def beat(visit: Visit) -> Response:
    """Still at work: the lease runs on."""
    return visit.answer({"lease_until": _iso(visit.studio.queue.beat(visit.me.id, _token(visit)))})


def give_back(visit: Visit) -> Response:
    """Let someone else have a task that was not begun."""
    visit.studio.queue.give_back(visit.me.id, _token(visit))
    return visit.answer({"returned": True})


def revise(visit: Visit) -> Response:
    """A change of mind: a new answer that supersedes the old one."""
    number = _number(visit.path["id"])
    receipt = visit.studio.queue.revise(visit.me.id, number, _text(visit.json, "key"), _payload(visit.json))
    return visit.answer({"response": str(receipt.response_id), "replayed": receipt.replayed, "gold": None})


def preview(visit: Visit) -> Response:
    """What Markdown will look like to whoever reads it."""
    return visit.answer({"html": _rich(visit, _text(visit.json, "text", empty=True))})


def guideline(visit: Visit) -> Response:
    """The guideline, the newest or the version asked for, as a page."""
    versions = sorted(visit.studio.campaigns.guidelines(), key=lambda one: -one.version)
    asked = visit.query.get("version", "")
    found = next((one for one in versions if not asked or str(one.version) == asked), None)
    if asked and found is None:
        raise NotFound()
    return visit.page("work/guideline.html", title="Guideline", guideline=found, versions=versions)


def guideline_text(visit: Visit) -> Response:
    """One version of the guideline for the panel beside a task."""
    number = _number(visit.path["version"])
    found = next((one for one in visit.studio.campaigns.guidelines() if one.version == number), None)
    if found is None:
        raise NotFound()
    return visit.answer({"version": found.version, "html": _rich(visit, found.markdown)})


def history(visit: Visit) -> Response:
    """What this labeler has handed in, newest first."""
    before = _number(visit.query["before"]) if visit.query.get("before") else None
    done = visit.studio.queue.history(visit.me.id, limit=PAGE + 1, before=before)
    newest = [at for at, one in enumerate(done) if not one.superseded]  # each followed by its earlier versions
    shown, older = done, None
    if len(newest) > PAGE:
        shown, older = done[: newest[PAGE]], done[newest[PAGE - 1]].response_id
    return visit.page("work/history.html", title="History", done=shown, older=older)


def history_entry(visit: Visit) -> Response:
    """One answer again; while it may be revised, the task page with it."""
    entry = _own_entry(visit)
    return visit.page("work/entry.html", title=entry.form.title, entry=entry, skip_reasons=SKIP_REASONS)


def response_task(visit: Visit) -> Response:
    """An answer that was handed in, as a task to be revised."""
    entry = _own_entry(visit)
    settings = visit.studio.campaigns.get(entry.campaign).settings
    return visit.answer(
        {
            **_asked(visit, entry.form, entry.prompt, entry.shown, settings),
            "token": "",
            "response": str(entry.response_id),
            "campaign": entry.campaign,
            "draft": dict(entry.payload),
            "revision": 0,
            "lease_until": None,
            "guideline": entry.guideline_version,
            "revisable": entry.revisable,
        }
    )


def task_json(visit: Visit, lease: Lease) -> dict[str, Any]:
    """A lease as the browser gets it."""
    settings = visit.studio.campaigns.get(lease.campaign).settings
    return {
        **_asked(visit, lease.form, lease.prompt, lease.shown, settings),
        "token": lease.token,
        "campaign": lease.campaign,
        "draft": dict(lease.draft) if lease.draft is not None else None,
        "revision": lease.revision,
        "lease_until": _iso(lease.lease_until),
        "guideline": lease.guideline_version,
    }


def _asked(
    visit: Visit, form: Form, prompt: Prompt, shown: Sequence[Completion], settings: CampaignSettings
) -> dict[str, Any]:
    brief = prompt.split == "brief"
    return {
        "title": form.title,
        "instruction": form.instruction,
        "task": form.task,
        "form": {"questions": [question.model_dump() for question in form.questions]},
        "brief": brief,
        "prompt": [
            {"role": message.role, "text": message.content, "html": _rich(visit, message.content)}
            for message in prompt.messages
        ],
        "answers": [
            {"letter": letter, "text": completion.text, "html": _rich(visit, completion.text)}
            for letter, completion in zip(LETTERS, shown, strict=False)
        ],
        "settings": {
            "undo_seconds": settings.undo_seconds,
            "note": settings.note,
            "feedback": settings.feedback,
            "lease_seconds": settings.lease_seconds,
        },
    }


def _rich(visit: Visit, text: str) -> str:
    return str(safe_html(text, visit.studio.settings.prefix))


def _own_entry(visit: Visit) -> Done:
    number = _number(visit.path["id"])
    try:
        return visit.studio.queue.done(visit.me.id, number)
    except LeaseError as error:
        raise NotFound() from error


def _token(visit: Visit) -> str:
    return visit.path["token"]


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 15:
        raise NotFound()
    return int(text)


def _text(said: Mapping[str, Any], name: str, empty: bool = False) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not (value or empty) or len(value) > 100_000:
        raise DataError(f"{name} is {type(value).__name__}, expected text")
    return value


def _payload(said: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = said.get("payload")
    if not isinstance(payload, Mapping):
        raise DataError("the payload is not an object")
    return payload


def _milliseconds(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise DataError(f"{name} is {value!r}, expected milliseconds, 0 or more")
    return int(min(value, MAX_MS))


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise DataError(f"first_input_at is {str(value)[:40]!r}, expected a date and time") from error
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _iso(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/work", endpoint=work, who="labeler"),
    Route(method="GET", path="/work/history", endpoint=history, who="signed_in"),
    Route(method="GET", path="/work/history/{id}", endpoint=history_entry, who="signed_in"),
    Route(method="GET", path="/guideline", endpoint=guideline, who="signed_in"),
    Route(method="GET", path="/api/guideline/{version}", endpoint=guideline_text, who="signed_in"),
    Route(method="POST", path="/api/preview", endpoint=preview, who="signed_in", body="json"),
    Route(method="GET", path="/api/tasks", endpoint=held, who="labeler"),
    Route(method="POST", path="/api/next", endpoint=next_task, who="labeler", body="json"),
    Route(method="PUT", path="/api/task/{token}/draft", endpoint=save_draft, who="labeler", body="json"),
    Route(method="POST", path="/api/task/{token}/submit", endpoint=submit, who="labeler", body="json"),
    Route(method="POST", path="/api/task/{token}/skip", endpoint=skip, who="labeler", body="json"),
    Route(method="POST", path="/api/task/{token}/beat", endpoint=beat, who="labeler", body="json"),
    Route(method="POST", path="/api/task/{token}/return", endpoint=give_back, who="labeler", body="json"),
    Route(method="GET", path="/api/response/{id}", endpoint=response_task, who="signed_in"),
    Route(method="POST", path="/api/response/{id}/revise", endpoint=revise, who="labeler", body="json"),
)
