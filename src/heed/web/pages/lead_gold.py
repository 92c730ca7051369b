"""Gold: items that a lead has answered become tasks with a known answer, which look like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from heed.errors import DataError, HeedError
from heed.forms import clean_text
from heed.store.studio.asks import Ask
from heed.store.studio.items import ItemView, Voice
from heed.web.pages.lead_common import known_campaign, row_number
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """An item with the lead's answer that would be the known one."""

    item: ItemView
    voice: Voice


def gold(visit: Visit) -> Response:
    """Items of a campaign that leads have answered."""
    return _page(visit, known_campaign(visit))


def _page(visit: Visit, name: str, error: str = "") -> Response:
    return visit.page(
        "lead/gold.html",
        title="Gold items",
        status=422 if error else 200,
        campaign=name,
        possible=_possible(visit, name),
        gold_items=visit.studio.review.count_items(name, "gold"),
        letters="ABCDEFGHI",
        error=error,
        given=visit.form,
    )


def _possible(visit: Visit, name: str) -> list[Possible]:
    found = []
    for item_id, response_id, _ in visit.studio.review.answered_by_leads(name, limit=30):
        view = visit.studio.review.item(item_id)
        voice = next((v for v in view.voices if v.response_id == response_id), None) if view is not None else None
        if view is not None and voice is not None:
            found.append(Possible(item=view, voice=voice))
    return found


def make_gold(visit: Visit) -> Response:
    """Make the chosen items gold, with the reason that labelers are told."""
    name = known_campaign(visit)
    try:
        chosen = {row_number(one) for one in visit.form_list("item")}
        if not chosen:
            raise DataError("choose at least one item")
        asks = []
        for one in _possible(visit, name):
            if one.item.id not in chosen:
                continue
            reason = clean_text(visit.form.get(f"reason-{one.item.id}", "").strip(), "the reason", 2000)
            if not reason:
                raise DataError(f"item {one.item.id} needs a reason: it is what a labeler reads who answers otherwise")
            asks.append(
                Ask(
                    prompt=one.item.prompt,
                    candidates=tuple(candidate.completion for candidate in one.item.candidates),
                    purpose="gold",
                    gold=known_answer(one.voice, reason),
                )
            )
        added = visit.studio.campaigns.add_items(name, asks)
    except HeedError as error:
        return _page(visit, name, str(error))
    visit.studio.audit.record(visit.me.id, "campaign.gold", name, {"items": sorted(chosen), "added": added})
    return visit.go(f"/lead/campaigns/{quote(name, safe='')}/gold", f"{added} gold items made.")


def known_answer(voice: Voice, reason: str) -> Mapping[str, Any]:
    """What a lead said, as an item holds its known answer."""
    return {
        "tiers": list(voice.tiers),
        "item": dict(voice.item),
        "candidates": [dict(one) for one in voice.candidates],
        "reason": reason,
    }


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/lead/campaigns/{name}/gold", endpoint=gold, who="lead"),
    Route(method="POST", path="/lead/campaigns/{name}/gold", endpoint=make_gold, who="lead", body="form"),
)
