"""Appeals: a lead looks at a known answer again, without seeing who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.forms import LETTERS, clean_text
from heed.store.studio.said import Gold, Place
from heed.store.studio.standing import Appeal
from heed.store.studio.works import Looked, Which
from heed.web.pages.lead_common import row_number, whole
from heed.web.pages.me import expected_lines
from heed.web.routes import Route
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An open appeal with what it is about."""

    appeal: Appeal
    looked: Looked
    lines: tuple[tuple[str, str, str], ...]
    gold: Gold


def appeals(visit: Visit) -> Response:
    """Open appeals, the oldest first, and those that were answered."""
    standing = visit.studio.standing
    everything = standing.appeals()
    cases = []
    for one in everything:
        if one.state != "open":
            continue
        said = [said for said in standing.said(Which(labeler=one.labeler)) if said.item_id == one.item_id]
        for looked in standing.looked(said):
            if looked.said.gold is not None:
                lines = expected_lines(looked.said)
                cases.append(Case(appeal=one, looked=looked, lines=lines, gold=looked.said.gold))
    return visit.page(
        "lead/appeals.html",
        title="Appeals",
        cases=cases,
        answered=[one for one in reversed(everything) if one.state != "open"],
        letters=LETTERS,
        places=place_names,
    )


def decide(visit: Visit) -> Response:
    """Answer an appeal; an accepted one may correct the known answer."""
    number = row_number(visit.path["appeal"])
    found = next((one for one in visit.studio.standing.appeals(state="open") if one.id == number), None)
    if found is None:
        raise NotFound
    choice = visit.form.get("choice", "")
    if choice not in ("accept", "reject"):
        raise DataError(f"the decision is {choice!r}, expected accept or reject")
    gold = visit.studio.standing.gold(found.item_id)
    changed = corrected(gold, visit.form) if choice == "accept" and gold is not None else None
    visit.studio.standing.decide_appeal(
        number,
        accept=choice == "accept",
        answer=visit.form.get("answer", ""),
        by=visit.me.id,
        gold=changed if changed != gold else None,
    )
    return visit.go("/lead/appeals", notice="Answered. The labeler finds it on their own page.")


def corrected(gold: Gold, form: Mapping[str, str]) -> Gold:
    """The known answer as the form has it; what the form leaves out stays.

    Raises:
        DataError: a place or value is none.
    """
    places = [whole(form, f"tier-{ordinal}", 1, len(LETTERS), tier + 1) for ordinal, tier in enumerate(gold.tiers)]
    order = sorted(set(places))
    values: dict[Place, float | str] = {}
    for number, (place, value) in enumerate(gold.values.items()):
        text = form.get(f"value-{number}", "").strip()
        if not text:
            values[place] = value
        elif isinstance(value, float):
            values[place] = float(whole(form, f"value-{number}", -9, 9))
        else:
            values[place] = clean_text(text, place[0], 2000)
    reason = clean_text(form.get("reason", gold.reason), "the reason", 4000).strip()
    tiers = tuple(order.index(place) for place in places)
    return Gold(tiers=tiers, values=values, reason=reason or gold.reason, part=gold.part)


def place_names(gold: Gold) -> list[tuple[str, float | str]]:
    """(what is asked, the known value) of each value, in the order of the form's fields."""
    return [
        (question.replace("_", " ") + ("" if ordinal is None else f", answer {ordinal + 1}"), value)
        for (question, ordinal), value in gold.values.items()
    ]


ROUTES = (
    Route(method="GET", path="/lead/appeals", endpoint=appeals, who="lead"),
    Route(method="POST", path="/lead/appeals/{appeal}", endpoint=decide, who="lead", body="form"),
)
