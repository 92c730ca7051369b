"""The way in for a new labeler: the guideline, then training and screening on the same task page as all work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.form_library import LIBRARY
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

TOPICS = next(question.choices for question in LIBRARY["topics"].questions if question.name == "topics")
"""Topics that are offered; others may be written in."""
PART_WORDS = {
    "training": ("Practice", "You see what was expected, and why, as soon as you have answered. It does not count."),
    "sensitive": ("Sensitive text", "Say which texts could make someone feel uncomfortable, unsafe or attacked."),
    "ranking": ("Ranking", "Put answers in order. Ties are welcome where two are equally good."),
    "demonstration": ("Writing", "Write the answer that you would like to get, to prompts that need care."),
}


def onboarding(visit: Visit) -> Response:
    """The guideline, and what comes next."""
    guidelines = visit.studio.campaigns.guidelines()
    return visit.page(
        "me/onboarding.html",
        title="Welcome",
        guideline=guidelines[0] if guidelines else None,
        waiting=visit.me.status == "onboarding",
    )


def has_read(visit: Visit) -> Response:
    """The labeler has read the guideline and goes on to the screening."""
    if visit.me.status != "onboarding":
        return visit.go("/")
    if visit.form.get("read") != "yes":
        raise DataError("tick the box once you have read the guideline")
    visit.studio.people.set_status(visit.me.id, "screening", visit.me.id)
    guidelines = visit.studio.campaigns.guidelines()
    version = guidelines[0].version if guidelines else 0
    visit.studio.audit.record(visit.me.id, "guideline.read", visit.me.id, {"version": version})
    return visit.go("/screening")


def screening(visit: Visit) -> Response:
    """Which parts are done, which is next, and the topics."""
    if visit.me.status == "onboarding":
        return visit.go("/onboarding")
    screening = visit.studio.screening
    parts = screening.parts(visit.me.id)
    declared = screening.topics().get(visit.me.id)
    offered = [*TOPICS, *(topic for topic in declared or () if topic not in TOPICS)]
    return visit.page(
        "me/screening.html",
        title="Screening",
        parts=[part for part in parts if part.total],
        left=sum(part.total - part.done for part in parts),
        words=PART_WORDS,
        declared=declared,
        offered=offered,
        state=visit.me.status,
        decided=screening.decisions(visit.me.id),
    )


def declare(visit: Visit) -> Response:
    """The topics and groups that the labeler knows."""
    chosen = [topic for topic in visit.form_list("topic") if topic]
    more = [topic for topic in visit.form.get("more", "").split(",") if topic.strip()]
    if not chosen and not more:
        raise DataError("choose at least one topic, or 'none of these'")
    visit.studio.screening.declare(visit.me.id, [*chosen, *more])
    return visit.go("/screening", notice="Saved.")


ROUTES = (
    Route(method="GET", path="/onboarding", endpoint=onboarding, who="signed_in"),
    Route(method="POST", path="/onboarding/read", endpoint=has_read, who="signed_in", body="form"),
    Route(method="GET", path="/screening", endpoint=screening, who="signed_in"),
    Route(method="POST", path="/screening/topics", endpoint=declare, who="labeler", body="form"),
)
