"""The lead's side of the screening: what is set up, the candidates without their names, ratings, the decision."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.feedback.known import against_gold
from heed.feedback.screening import Screened, coverage, screen
from heed.feedback.starter import Starter, screening_set, starter
from heed.records import Json, content_id
from heed.store.studio.screening import PARTS, Candidate
from heed.store.studio.settings import CampaignSettings
from heed.web.pages.lead_common import row_number, whole
from heed.web.pages.me import expected_lines
from heed.web.pages.onboarding import PART_WORDS, TOPICS
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

SETTINGS = CampaignSettings(overlap=0, recheck_share=0, gold_share=0, anchor_share=0)
"""Of screening campaigns: everybody answers everything once."""


def code_of(labeler: str) -> str:
    """What a candidate is called while a lead decides: nothing of the person is in it."""
    return content_id("screening", labeler)[:6].upper()


def candidates(visit: Visit) -> Response:
    """Everyone who is being screened or was, by code, with figures and advice."""
    found = visit.studio.screening.candidates()
    declared = visit.studio.screening.topics()
    screened = {one.labeler: _screened(visit, one.labeler) for one in found}
    return visit.page(
        "lead/screening.html",
        title="Screening",
        candidates=sorted(found, key=lambda one: (one.decided, code_of(one.labeler))),
        codes={one.labeler: code_of(one.labeler) for one in found},
        screened=screened,
        parts=visit.studio.screening.parts(""),
        words=PART_WORDS,
        coverage=coverage(declared, [topic for topic in TOPICS if topic != "none of these"]),
        campaigns=[
            one for one in visit.studio.campaigns.list() if one.form.task in ("rank", "compare", "grade", "sensitive")
        ],
        num_parts=len(PARTS),
    )


def candidate(visit: Visit) -> Response:
    """One candidate: the four parts beside their thresholds, what they wrote, and the decision."""
    who = _known(visit)
    screening = visit.studio.screening
    looked = screening.looked(who.labeler)
    missed = [
        (one, expected_lines(one.said))
        for one in looked
        if (match := against_gold(one.said)) is not None and match.missed and one.said.gold.part != "training"  # type: ignore[union-attr]
    ]
    return visit.page(
        "lead/candidate.html",
        title=f"Candidate {code_of(who.labeler)}",
        code=code_of(who.labeler),
        who=who,
        screened=_screened(visit, who.labeler),
        parts=[part for part in screening.parts(who.labeler) if part.total],
        words=PART_WORDS,
        written=screening.written(who.labeler),
        missed=missed,
        decisions=screening.decisions(who.labeler),
        rater=visit.me.id,
    )


def rate(visit: Visit) -> Response:
    """Rate one demonstration, 1 to 7."""
    who = _known(visit)
    response, score = row_number(visit.form.get("response", "")), whole(visit.form, "score", 1, 7)
    visit.studio.screening.rate(who.labeler, response, score, visit.me.id)
    return visit.go(f"/lead/screening/{code_of(who.labeler)}", notice="Rated.")


def decide(visit: Visit) -> Response:
    """Take a candidate in, or not."""
    who = _known(visit)
    choice = visit.form.get("choice", "")
    if choice not in ("accept", "decline"):
        raise DataError(f"the decision is {choice!r}, expected accept or decline")
    found = _screened(visit, who.labeler)
    figures: dict[str, Json] = {
        str(part.part): None if part.figure.estimate is None else part.figure.estimate.as_json() for part in found.parts
    }
    visit.studio.screening.decide(
        who.labeler,
        accept=choice == "accept",
        note=visit.form.get("note", ""),
        by=visit.me.id,
        figures={"advice": found.advice, **figures},
    )
    verb = "taken in" if choice == "accept" else "declined"
    return visit.go("/lead/screening", notice=f"Candidate {code_of(who.labeler)} is {verb}.")


def set_up(visit: Visit) -> Response:
    """Put the starter set, a file of the project's own, or leads' own answers into the queue as screening."""
    source = visit.form.get("source", "")
    if source == "starter":
        sets = starter()
    elif source == "file":
        with visit.upload("file").file as file:
            text = file.read().decode("utf-8", "replace")
        sets = screening_set(text, visit.form.get("name", "").strip() or "Screening")
    elif source == "leads":
        sets = _from_leads(visit)
    else:
        raise DataError(f"the source is {source!r}, expected starter, file or leads")
    added = 0
    existing = {one.name for one in visit.studio.campaigns.list()}
    for one in sets:
        if one.name not in existing:
            visit.studio.campaigns.create(one.name, one.form, settings=SETTINGS, state="active")
        added += visit.studio.campaigns.add_items(one.name, one.asks)
    names = ", ".join(one.name for one in sets)
    visit.studio.audit.record(visit.me.id, "screening.set_up", names, {"source": source, "items": added})
    return visit.go("/lead/screening", notice=f"{added} items are in: {names}.")


def _from_leads(visit: Visit) -> tuple[Starter, ...]:
    known = {one.name: one for one in visit.studio.campaigns.list()}
    name = visit.form.get("campaign", "")
    if name not in known:
        raise DataError(f"there is no campaign {name!r}")
    limit = whole(visit.form, "limit", 1, 200, 20)
    asks = visit.studio.screening.asks_from_leads(name, "screening", limit)
    if not asks:
        raise DataError(f"no lead has answered an item of {name!r} yet; answer some of them on the Work page first")
    return (Starter(name=f"Screening {name}"[:60].strip(), form=known[name].form, asks=tuple(asks)),)


def _screened(visit: Visit, labeler: str) -> Screened:
    screening = visit.studio.screening
    ratings = {one.looked.said.response_id: [score for _, score in one.ratings] for one in screening.written(labeler)}
    declared = screening.topics()
    team = Counter(topic for other, named in declared.items() if other != labeler for topic in named)
    left = sum(part.total - part.done for part in screening.parts(labeler))
    return screen(screening.said(labeler), ratings, declared.get(labeler), team, left=left)


def _known(visit: Visit) -> Candidate:
    for one in visit.studio.screening.candidates():
        if code_of(one.labeler) == visit.path["code"]:
            return one
    raise NotFound


_CODE = "/lead/screening/{code}"
ROUTES = (
    Route(method="GET", path="/lead/screening", endpoint=candidates, who="lead"),
    Route(method="POST", path="/lead/screening", endpoint=set_up, who="lead", body="file"),
    Route(method="GET", path=_CODE, endpoint=candidate, who="lead"),
    Route(method="POST", path=_CODE + "/rate", endpoint=rate, who="lead", body="form"),
    Route(method="POST", path=_CODE + "/decide", endpoint=decide, who="lead", body="form"),
)
