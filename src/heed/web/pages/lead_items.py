"""Items on which labelers differ, by cause; all items; and one item with everything that was said about it."""

from __future__ import annotations

import hashlib
import random
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median_low
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from heed.errors import DataError, HeedError
from heed.feedback.concord import differences, meetings
from heed.feedback.triage import CAUSES, Finding, Knowledge, median_times, self_consistency, triage
from heed.forms import LETTERS, Question, check_answers, clean_text
from heed.store.studio.items import ORDERS, PURPOSES, STATES, ItemFilter, ItemView, Voice
from heed.web.pages.lead_common import after, one_of, person_name, row_number
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.studio.judged import Judgements
    from heed.store.studio.review import Review
    from heed.web.visit import Visit

PAGE = 25
PLACES = {
    "ambiguous": "Decide it as a tie: there is no better answer to learn from.",
    "equal": "Decide it as a tie: there is no better answer to learn from.",
    "guideline_gap": "The guideline's editor opens next, with this item quoted.",
    "labeler_error": "Write to the labeler next, in private.",
    "model_error": "It joins the hard set, which shows where the reward model is wrong.",
    "other": "Your note says what it is.",
}
"""Where an item goes from here, by cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A finding with what a list shows of its item."""

    finding: Finding
    text: str
    category: str
    campaign: str
    decided: str


def items(visit: Visit) -> Response:
    """Contested items, or all of them."""
    if visit.query.get("view") == "all":
        return _all_items(visit)
    review = visit.studio.review
    names = [one.campaign for one in review.progress() if one.done]
    campaign = one_of(visit, "campaign", names) or None
    cause = one_of(visit, "cause", list(CAUSES))
    found = _findings(visit, campaign)
    chosen = [one for one in found if not cause or one.cause == cause]
    page = min(row_number(visit.query.get("page") or "0"), 10_000)
    shown = chosen[page * PAGE : (page + 1) * PAGE]
    rows = {row.id: row for row in review.item_rows([one.item_id for one in shown])}
    return visit.page(
        "lead/items.html",
        title="Items",
        campaigns=names,
        campaign=campaign or "",
        cause=cause,
        causes=CAUSES,
        counts=Counter(one.cause for one in found),
        rows=[
            Contested(
                finding=one,
                text=rows[one.item_id].text,
                category=rows[one.item_id].category,
                campaign=rows[one.item_id].campaign,
                decided=rows[one.item_id].cause,
            )
            for one in shown
            if one.item_id in rows
        ],
        page=page,
        more=len(chosen) > (page + 1) * PAGE,
        total=len(chosen),
    )


def _findings(visit: Visit, campaign: str | None) -> list[Finding]:
    review = visit.studio.review
    found = review.judgements(campaign, shared_only=True)
    return triage(meetings(found.judged), _knowledge(review, found, campaign))


def _knowledge(review: Review, found: Judgements, campaign: str | None) -> Knowledge:
    return Knowledge(
        median_ms=median_times(found.judged),
        consistency=self_consistency(review.second_looks(campaign)),
        scores=review.scores(found.answers),
    )


def _all_items(visit: Visit) -> Response:
    review = visit.studio.review
    names = [one.campaign for one in review.progress()]
    categories = sorted({one.category for one in review.prompt_counts() if one.category})
    chosen = {
        "campaign": one_of(visit, "campaign", names),
        "purpose": one_of(visit, "purpose", PURPOSES),
        "audience": one_of(visit, "audience", ("training", "heldout")),
        "state": one_of(visit, "state", STATES),
        "category": one_of(visit, "category", categories),
        "cause": one_of(visit, "cause", list(CAUSES)),
        "order": one_of(visit, "order", ORDERS, "newest"),
    }
    page = review.items(ItemFilter(**chosen), after(visit))
    choices = {
        "campaign": names,
        "purpose": PURPOSES,
        "audience": ("training", "heldout"),
        "state": STATES,
        "category": categories,
        "cause": tuple(CAUSES),
        "order": ORDERS,
    }
    link = urlencode({"view": "all", **{name: value for name, value in chosen.items() if value}})
    return visit.page(
        "lead/all_items.html", title="All items", page=page, chosen=chosen, choices=choices, link=link, causes=CAUSES
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A voice as the page names it: by letter until a decision was made."""

    name: str
    voice: Voice
    tiers: tuple[int, ...]
    """In the order in which the answers are shown."""


def item(visit: Visit) -> Response:
    """One item: all answers side by side, who said what, and the decision to be made."""
    view = _view(visit)
    return _item_page(visit, view)


def _item_page(visit: Visit, view: ItemView, *, error: str = "", given: Mapping[str, str] | None = None) -> Response:
    order = _order(view, visit.me.id)
    decided = bool(view.decisions)
    own = next((voice for voice in view.voices if voice.labeler == visit.me.id), None)
    guess, apart, elsewhere = _known(visit, view, order, reveal=decided)
    may_answer = own is None and view.form is not None and bool(view.candidates) and visit.me.group == view.audience
    return visit.page(
        "lead/item.html",
        title=f"Item {view.id}",
        status=422 if error else 200,
        item=view,
        shown=[view.candidates[ordinal] for ordinal in order],
        letters=LETTERS,
        voices=_spoken(view, order, reveal=decided),
        elsewhere=elsewhere,
        decided=decided,
        own=own,
        may_answer=may_answer,
        audience_differs=visit.me.group != view.audience,
        apart=apart,
        guess=guess,
        causes=CAUSES,
        places=PLACES,
        majority=_majority(view, order) if may_answer else {},
        opened=visit.studio.clock().isoformat(timespec="seconds"),
        error=error,
        given=given or {},
        odd=guess.odd if guess is not None else "",
    )


def _order(view: ItemView, who: str) -> list[int]:
    """The ordinals in the order in which this lead sees them."""
    order = list(range(len(view.candidates)))
    random.Random(_seed(view.id, who)).shuffle(order)
    return order


def _seed(item_id: int, who: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{item_id} {who}".encode()).digest()[:3], "big")


def _spoken(view: ItemView, order: list[int], *, reveal: bool) -> list[Spoken]:
    voices = list(view.voices)
    random.Random(view.id).shuffle(voices)  # so that a letter is not the same person on every item
    return [
        Spoken(
            name=voice.name if reveal else f"Labeler {number}",
            voice=voice,
            tiers=tuple(voice.tiers[ordinal] for ordinal in order) if voice.tiers else (),
        )
        for number, voice in enumerate(voices, 1)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A judgement of the same answers in another item, such as a model's or under another guideline."""

    name: str
    item_id: int
    kind: str
    tiers: tuple[int, ...]


def _known(
    visit: Visit, view: ItemView, order: list[int], *, reveal: bool
) -> tuple[Finding | None, tuple[float, int] | None, list[Elsewhere]]:
    """A guess at the cause, how far labelers differ, and who judged the same answers in other items."""
    review = visit.studio.review
    found = review.judgements(shared_only=True)
    rows = tuple(sorted(candidate.generation_id for candidate in view.candidates))
    unit = next((one.unit for one in found.judged if one.item_id == view.id), None)
    if unit is None or found.answers[unit] != rows:
        return None, None, []
    met = meetings(found.judged)
    place = [rows.index(view.candidates[ordinal].generation_id) for ordinal in order]
    others = [one for one in found.judged if one.unit == unit and one.item_id != view.id]
    people = review.people()
    elsewhere = [
        Elsewhere(
            name=person_name(people, one.labeler) if reveal else f"Judge {number}",
            item_id=one.item_id,
            kind=one.kind,
            tiers=tuple(one.tiers[at] for at in place),
        )
        for number, one in enumerate(others, 1)
    ]
    known = _knowledge(review, found, None)
    guess = next((one for one in triage(met, known) if one.unit == unit), None)
    return guess, differences(met).get(unit), elsewhere


def _majority(view: ItemView, order: list[int]) -> dict[str, dict[str, Any]]:
    """By letter, what most labelers said about each answer; of a scale, the middle."""
    if view.form is None:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for letter, ordinal in zip(LETTERS, order, strict=False):
        found[letter] = {}
        for question in view.form.of_scope("candidate"):
            said = [voice.candidates[ordinal].get(question.name) for voice in view.voices]
            values = [value for value in said if isinstance(value, int | float)]
            if values:
                found[letter][question.name] = int(median_low(values))
    return found


def decide(visit: Visit) -> Response:
    """File a decision: cause, note, and where the lead ranked the answers themselves, that answer."""
    view = _view(visit)
    form = visit.form
    try:
        cause = form.get("cause", "")
        if cause not in CAUSES:
            raise DataError("choose a cause")
        note = clean_text(form.get("note", "").strip(), "the note", 4000)
        if cause == "other" and not note:
            raise DataError("say in the note what it is")
        response = _answer(visit, view, cause)
        number = visit.studio.review.decide(view.id, visit.me.id, cause, note, response)
    except HeedError as error:
        return _item_page(visit, view, error=str(error), given=form)
    visit.studio.audit.record(
        visit.me.id, "item.decide", f"item {view.id}", {"cause": cause, "response": response, "decision": number}
    )
    if cause == "guideline_gap":
        return visit.go(
            f"/lead/guidelines?item={view.id}", "Decided. Say in the guideline what should have been clear."
        )
    if cause == "labeler_error":
        return visit.go(f"/lead/items/{view.id}", "Decided. Names are shown now; a word to the labeler may help.")
    return visit.go(f"/lead/items/{view.id}", "Decided.")


def _answer(visit: Visit, view: ItemView, cause: str) -> int | None:
    """The lead's own answer, filed through an assignment like any other; their earlier one if they had answered."""
    own = next((voice for voice in view.voices if voice.labeler == visit.me.id), None)
    if own is not None:
        return own.response_id
    if visit.form.get("answers") != "yes":
        return None
    if view.form is None or not view.candidates or visit.me.group != view.audience:
        raise DataError("this item takes no answer from you; decide with a cause and a note")
    order = _order(view, visit.me.id)
    letters = LETTERS[: len(order)]
    payload: dict[str, Any] = {"item": {}, "candidates": {letter: {} for letter in letters}}
    tie = cause in ("equal", "ambiguous") and visit.form.get("tie") == "yes"
    for question in view.form.questions:
        if question.kind == "tiers":
            payload["tiers"] = {
                letter: 0 if tie else _place(visit.form.get(f"tier-{letter}", ""), letter) for letter in letters
            }
        elif question.kind == "strength" and tie and question.ties:
            payload["item"][question.name] = 0
        elif question.scope == "item":
            payload["item"].update(_value(question, visit.form.get(f"item-{question.name}", "")))
        else:
            for letter in letters:
                given = visit.form.get(f"{letter}-{question.name}", "")
                payload["candidates"][letter].update(_value(question, given))
    check_answers(view.form, payload, len(order))
    now = visit.studio.clock()
    opened = _opened(visit.form.get("opened", ""), now)
    token = secrets.token_urlsafe(24)
    seed = _seed(view.id, visit.me.id)
    visit.studio.review.open_place(view.id, visit.me.id, token, opened, order_seed=seed)
    spent = int((now - opened).total_seconds() * 1000)
    receipt = visit.studio.queue.submit(visit.me.id, token, secrets.token_hex(16), payload, active_ms=spent, idle_ms=0)
    return receipt.response_id


def _place(text: str, letter: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= len(LETTERS)):
        raise DataError(f"answer {letter} has no place: choose 1 for the best; the same place is a tie")
    return int(text) - 1


def _value(question: Question, text: str) -> dict[str, Any]:
    """What a form field says, as a page of labelers would send it; nothing where nothing was said."""
    if question.kind == "flag":
        return {question.name: {"yes": True, "no": False}[text]} if text in ("yes", "no") else (
            {question.name: None} if question.nullable else {}
        )  # fmt: skip
    if question.kind in ("likert", "strength"):
        return {question.name: int(text)} if text.removeprefix("-").isdecimal() and len(text) < 5 else {}
    return {question.name: text} if text.strip() else {}


def _opened(text: str, now: datetime) -> datetime:
    try:
        opened = datetime.fromisoformat(text)
    except ValueError:
        return now
    return now if opened.tzinfo is not None else max(min(opened, now), now - timedelta(hours=2))


def _view(visit: Visit) -> ItemView:
    view = visit.studio.review.item(row_number(visit.path["id"]))
    if view is None:
        raise NotFound()
    return view


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/lead/items", endpoint=items, who="lead"),
    Route(method="GET", path="/lead/items/{id}", endpoint=item, who="lead"),
    Route(method="POST", path="/lead/items/{id}", endpoint=decide, who="lead", body="form"),
)
