"""Campaigns: made, looked at before they are made, started, paused, ended, and filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

from heed.errors import DataError, HeedError
from heed.feedback.overlap import plan_pool
from heed.form_library import LIBRARY
from heed.forms import LETTERS, Form
from heed.records import Json
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaign, CampaignState
from heed.store.studio.settings import CampaignSettings, parse_settings
from heed.store.studio.sources import Draw, Drawn
from heed.web.pages.lead_common import known_campaign, share, whole
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

MOST_AT_ONCE = 20_000
"""Items added by one form; more are added by sending it again."""
SHOWN = 3
"""Items in a preview."""
USUAL_SECONDS = 90.0
"""For one label, where nothing was measured yet."""
PROMPTS_ONLY = ("demonstration", "prompt", "survey", "sensitive")
"""Tasks that need no answers to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting in plain words."""

    name: str
    label: str
    help: str
    kind: str
    """``percent``, ``whole``, ``hours``, ``names`` or ``yes``."""


SETTINGS: tuple[Setting, ...] = (
    Setting(name="overlap", label="Shared pool", kind="percent",
            help="Share of items that several labelers answer, so that agreement can be told. 10 to 20 % is usual."),
    Setting(name="labels_in_pool", label="Labels for an item of the pool", kind="whole",
            help="How many people answer each of them. All other items get one label."),
    Setting(name="gold_share", label="Gold items", kind="percent",
            help="Share of tasks with a known answer that look like any other. Make them from your own answers."),
    Setting(name="recheck_share", label="Second looks", kind="percent",
            help="Share of tasks that are an own earlier item in another order: tells how far people agree with "
                 "themselves."),
    Setting(name="anchor_share", label="Anchors", kind="percent",
            help="Share of tasks from a fixed set of pairs, always the same: tells whether standards drift."),
    Setting(name="heldout_share", label="Held-out items", kind="percent",
            help="Share of items that only held-out labelers see. Nothing is ever trained on them."),
    Setting(name="random_arm", label="Random arm", kind="percent",
            help="Share of items that keep their random turn when a reward model orders the others, so that its gain "
                 "is measured."),
    Setting(name="lease_seconds", label="Time an item is held (seconds)", kind="whole",
            help="After so long without a sign of life an item goes to someone else. Drafts are kept."),
    Setting(name="held_at_once", label="Items held at once", kind="whole",
            help="At most so many by one labeler."),
    Setting(name="undo_seconds", label="Undo (seconds)", kind="whole",
            help="How long the page holds an answer back, so that it can be taken back with one key."),
    Setting(name="revise_hours", label="Changing an answer (hours)", kind="hours",
            help="How long a labeler may change what they handed in. What was said first is kept."),
    Setting(name="feedback", label="Show the known answer after each task", kind="yes",
            help="For training. Labelers then see gold answers with your reason, so use it in a campaign of its own."),
    Setting(name="policies", label="Models to talk to", kind="names",
            help="Of a chat: names of models with commas between them. Two are drawn for each talk."),
    Setting(name="note", label="Labelers may add a remark", kind="yes", help="They are shown beside the answers."),
)  # fmt: skip


def campaigns(visit: Visit) -> Response:
    """All of them."""
    progress = {one.campaign: one for one in visit.studio.review.progress()}
    return visit.page(
        "lead/campaigns.html", title="Campaigns", campaigns=visit.studio.campaigns.list(), progress=progress
    )


def new(visit: Visit) -> Response:
    """The form for a new campaign."""
    return _new_page(visit, {})


def _new_page(
    visit: Visit, given: Mapping[str, str], *, error: str = "", preview: Mapping[str, Any] | None = None
) -> Response:
    return visit.page(
        "lead/campaign_new.html",
        title="New campaign",
        status=422 if error else 200,
        forms=_forms(visit),
        guidelines=visit.studio.campaigns.guidelines(),
        settings=SETTINGS,
        values=_shown_settings(CampaignSettings()),
        given=given,
        policies_given=visit.form_list("policy"),
        error=error,
        preview=preview,
        **_sources(visit),
    )


def create(visit: Visit) -> Response:
    """Show what would be asked, or make the campaign."""
    form = visit.form
    try:
        name = form.get("name", "").strip()
        if name == "new":
            raise DataError("a campaign cannot be called 'new'; choose another name")
        asked = _forms(visit).get(form.get("form", ""))
        if asked is None:
            raise DataError("choose a form")
        settings = _settings(form)
        version = form.get("guideline", "")
        guideline = int(version) if version.isdecimal() and len(version) < 10 else None
        if asked.task == "chat" and not settings.policies:
            raise DataError("a chat needs models to talk to: name them under how the work is shared out")
        drawn = [] if asked.task == "chat" else visit.studio.review.draw(_draw(visit, asked, ""))
        asks = _asks(asked, drawn)
        if form.get("do") == "preview":
            return _new_page(visit, form, preview=_preview(visit, asked, drawn, settings))
        state: CampaignState = "active" if form.get("do") == "start" else "draft"
        visit.studio.campaigns.create(name, asked, guideline=guideline, settings=settings, state=state)
        added = visit.studio.campaigns.add_items(name, asks, seed=whole(form, "seed", 0, 2**31, 0))
    except HeedError as error:
        return _new_page(visit, form, error=str(error))
    detail: dict[str, Json] = {
        "form": asked.name,
        "items": added,
        "state": state,
        "settings": settings.model_dump(mode="json"),
    }
    visit.studio.audit.record(visit.me.id, "campaign.create", name, detail)
    return visit.go(_address(name), f"Made, with {added:,} items.")


def campaign(visit: Visit) -> Response:
    """One campaign: how far it is, and everything that can be done with it."""
    return _campaign_page(visit, visit.studio.campaigns.get(known_campaign(visit)))


def _campaign_page(
    visit: Visit, one: Campaign, *, error: str = "", preview: Mapping[str, Any] | None = None
) -> Response:
    review = visit.studio.review
    kinds = ("ordinary", "gold", "anchor", "recheck", "screening")
    return visit.page(
        "lead/campaign.html",
        title=one.name,
        status=422 if error else 200,
        campaign=one,
        progress=next((row for row in review.progress() if row.campaign == one.name), None),
        kinds={kind: n for kind in kinds if (n := review.count_items(one.name, kind))},
        guidelines=visit.studio.campaigns.guidelines(),
        settings=SETTINGS,
        values=_shown_settings(one.settings),
        states=get_args(CampaignState),
        takes_answers=one.form.task not in PROMPTS_ONLY,
        given=visit.form,
        policies_given=visit.form_list("policy"),
        error=error,
        preview=preview,
        **_sources(visit),
    )


def set_state(visit: Visit) -> Response:
    """Start, pause or end it."""
    name = known_campaign(visit)
    state = visit.form.get("state", "")
    visit.studio.campaigns.set_state(name, state)  # type: ignore[arg-type]
    visit.studio.audit.record(visit.me.id, "campaign.state", name, {"state": state})
    words = {
        "active": "Started: labelers get its items now.",
        "paused": "Paused.",
        "done": "Ended.",
        "draft": "Put back.",
    }
    return visit.go(_address(name), words.get(state, ""))


def set_settings(visit: Visit) -> Response:
    """Change how its work is shared out from now on."""
    name = known_campaign(visit)
    one = visit.studio.campaigns.get(name)
    try:
        settings = _settings(visit.form)
        visit.studio.campaigns.update_settings(name, settings)
        version = visit.form.get("guideline", "")
        if version.isdecimal() and len(version) < 10 and int(version) != one.guideline_version:
            visit.studio.campaigns.set_guideline(name, int(version))
    except HeedError as error:
        return _campaign_page(visit, one, error=str(error))
    old, new_ = one.settings.model_dump(mode="json"), settings.model_dump(mode="json")
    changed = {key: [old[key], new_[key]] for key in new_ if new_[key] != old[key]}
    if version.isdecimal() and version != str(one.guideline_version):
        changed["guideline"] = [one.guideline_version, int(version)]
    visit.studio.audit.record(visit.me.id, "campaign.settings", name, changed)
    return visit.go(_address(name), "Kept. Items that are there already keep their number of labels.")


def add_items(visit: Visit) -> Response:
    """Show what would be added, or add it."""
    name = known_campaign(visit)
    one = visit.studio.campaigns.get(name)
    purpose = "anchor" if visit.form.get("purpose") == "anchor" else "ordinary"
    try:
        drawn = visit.studio.review.draw(_draw(visit, one.form, name if visit.form.get("fresh") == "yes" else ""))
        asks = _asks(one.form, drawn, purpose)
        if not asks:
            raise DataError("nothing fits: no prompt is left that has enough answers by these policies")
        if visit.form.get("do") == "preview":
            return _campaign_page(visit, one, preview=_preview(visit, one.form, drawn, one.settings))
        seed = whole(visit.form, "seed", 0, 2**31, 0)
        added = visit.studio.campaigns.add_items(name, asks, seed=seed)
    except HeedError as error:
        return _campaign_page(visit, one, error=str(error))
    visit.studio.audit.record(visit.me.id, "campaign.items", name, {"items": added, "purpose": purpose})
    return visit.go(_address(name), f"{added:,} items added; {len(asks) - added:,} of the draw were there already.")


def overlap(visit: Visit) -> Response:
    """What a shared pool tells and costs, for several sizes of it."""
    given = visit.query
    error, rows, numbers = "", [], {"items": 1000, "answers": 4, "seconds": 90, "rate": 20}
    try:
        numbers = {
            "items": whole(given, "items", 1, 10**7, 1000),
            "answers": whole(given, "answers", 2, 9, 4),
            "seconds": whole(given, "seconds", 1, 86_400, 90),
            "rate": whole(given, "rate", 0, 10_000, 20),
        }
        agreement = share(given, "agreement", 0.726)
        for part in (0.05, 0.1, 0.15, 0.2, 0.3):
            for labels in (2, 3):
                rows.append(
                    plan_pool(
                        items=numbers["items"], share=part, labels=labels, answers=numbers["answers"],
                        seconds=numbers["seconds"], agreement=agreement,
                    )
                )  # fmt: skip
    except HeedError as problem:
        error, agreement = str(problem), 0.726
    return visit.page(
        "lead/overlap.html",
        title="How large a shared pool",
        status=422 if error else 200,
        rows=rows,
        numbers=numbers,
        agreement=agreement,
        error=error,
    )


def _forms(visit: Visit) -> dict[str, Form]:
    """The newest version of each form, and those of the library that are not kept yet."""
    newest: dict[str, Form] = {}
    for one in visit.studio.campaigns.forms():
        newest.setdefault(one.form.name, one.form)
    return {**LIBRARY, **newest}


def _sources(visit: Visit) -> dict[str, Any]:
    counts = visit.studio.review.prompt_counts()
    return {
        "prompt_counts": counts,
        "sources": sorted({one.source for one in counts if one.source}),
        "splits": sorted({one.split for one in counts if one.split}),
        "categories": sorted({one.category for one in counts if one.category}),
        "policies": visit.studio.review.policy_counts(),
        "most": MOST_AT_ONCE,
        "letters": LETTERS,
        "draws": DRAWS_FEW,
    }


DRAWS_FEW = {"compare": 2, "chat": 2, "edit": 1}
"""Answers for each prompt of tasks that fix their number."""


def _draw(visit: Visit, asked: Form, not_in: str) -> Draw:
    form = visit.form
    if asked.task in PROMPTS_ONLY:
        policies: tuple[str, ...] = ()
        size = 0
    else:
        policies = tuple("" if one == "people" else one for one in visit.form_list("policy"))
        size = DRAWS_FEW.get(asked.task) or whole(form, "answers", 2 if asked.ranks else 1, len(LETTERS), 4)
    return Draw(
        source=form.get("source", ""),
        split=form.get("split", "") or ("brief" if asked.task == "prompt" else ""),
        category=form.get("category", ""),
        policies=policies,
        answers=size,
        count=whole(form, "count", 1, MOST_AT_ONCE, 100),
        seed=whole(form, "seed", 0, 2**31, 0),
        not_in=not_in,
    )


def _asks(form: Form, drawn: Sequence[Drawn], purpose: str = "ordinary") -> list[Ask]:
    asks = [Ask(prompt=one.prompt, candidates=one.candidates, purpose=purpose) for one in drawn]  # type: ignore[arg-type]
    for number, ask in enumerate(asks, 1):
        ask.check(form, f"item {number}")
    return asks


def _preview(visit: Visit, form: Form, drawn: Sequence[Drawn], settings: CampaignSettings) -> dict[str, Any]:
    """What would be asked: some items, how many labels that makes, and how long it takes."""
    medians = [
        one.median_ms / 1000 for one in visit.studio.review.progress() if one.median_ms and one.title == form.title
    ]
    seconds = medians[0] if medians else USUAL_SECONDS
    labels = round(len(drawn) * (1 + settings.overlap * (settings.labels_in_pool - 1)))
    extra = settings.gold_share + settings.recheck_share + settings.anchor_share
    return {
        "items": drawn[:SHOWN],
        "total": len(drawn),
        "labels": labels,
        "tasks": round(labels * (1 + extra)),
        "hours": labels * (1 + extra) * seconds / 3600,
        "seconds": seconds,
        "measured": bool(medians),
        "form": form,
    }


def _settings(form: Mapping[str, str]) -> CampaignSettings:
    """Settings from a form.

    Raises:
        DataError: which one is wrong, and how.
    """
    defaults = CampaignSettings()
    values: dict[str, Any] = {}
    for one in SETTINGS:
        if one.kind == "percent":
            values[one.name] = share({one.name: form.get(one.name, "")}, one.name, getattr(defaults, one.name))
        elif one.kind == "yes":
            values[one.name] = form.get(one.name) == "yes"
        elif one.kind == "names":
            values[one.name] = [name.strip() for name in form.get(one.name, "").split(",") if name.strip()]
        elif form.get(one.name, "").strip():
            values[one.name] = form[one.name].strip()
    return parse_settings(values)


def _shown_settings(settings: CampaignSettings) -> dict[str, Any]:
    return {one.name: _written(one.kind, getattr(settings, one.name)) for one in SETTINGS}


def _written(kind: str, value: Any) -> Any:
    return f"{value * 100:g}" if kind == "percent" else ", ".join(value) if kind == "names" else value


def _address(name: str) -> str:
    return f"/lead/campaigns/{quote(name, safe='')}"


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/lead/overlap", endpoint=overlap, who="lead"),
    Route(method="GET", path="/lead/campaigns", endpoint=campaigns, who="lead"),
    Route(method="GET", path="/lead/campaigns/new", endpoint=new, who="lead"),
    Route(method="POST", path="/lead/campaigns/new", endpoint=create, who="lead", body="form"),
    Route(method="GET", path="/lead/campaigns/{name}", endpoint=campaign, who="lead"),
    Route(method="POST", path="/lead/campaigns/{name}/state", endpoint=set_state, who="lead", body="form"),
    Route(method="POST", path="/lead/campaigns/{name}/settings", endpoint=set_settings, who="lead", body="form"),
    Route(method="POST", path="/lead/campaigns/{name}/items", endpoint=add_items, who="lead", body="form"),
)
