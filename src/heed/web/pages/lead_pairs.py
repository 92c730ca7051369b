"""The pairs that a reward model would get, before anything is exported: how many, whose, and how they look."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from heed.feedback.pairs import Decided, PairCounts, PairRule, count_pairs, counted, pairs_of
from heed.records import Prompt
from heed.store.studio.judged import Judged
from heed.web.pages.lead_common import one_of, person_name, row_number
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.feedback.agreement import TieRule
    from heed.web.visit import Visit

SAMPLE = 20
MOST_LABELERS = 200
"""Names offered for the choice of labelers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What another rule would come to."""

    name: str
    rule: PairRule
    counts: PairCounts
    chosen: bool
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One pair as text."""

    item_id: int
    prompt: Prompt
    chosen: str
    rejected: str
    chosen_policy: str
    rejected_policy: str
    labeler: str
    weight: float
    decided: bool


def pairs(visit: Visit) -> Response:
    """The page; the address is the rule."""
    review = visit.studio.review
    names = [one.campaign for one in review.progress() if one.done]
    campaign = one_of(visit, "campaign", names)
    ties: TieRule = "half" if visit.query.get("ties") == "half" else "drop"
    adjudicated: Decided = "all" if visit.query.get("adjudicated") == "all" else "decided"
    people = review.people()
    only = [one for one in visit.request.query_params.getlist("labeler") if one in people]
    labelers = frozenset(only) if only else None
    judged = review.judgements(campaign or None, "training").judged
    rule = PairRule(ties=ties, adjudicated=adjudicated, labelers=labelers)
    counts = count_pairs(judged, rule)
    seed = row_number(visit.query.get("seed") or "0")
    common = [("campaign", campaign), *(("labeler", one) for one in only)]
    everyone = count_pairs(judged, PairRule(ties="half", adjudicated="all")).by_labeler
    return visit.page(
        "lead/pairs.html",
        title="Pairs",
        campaigns=names,
        campaign=campaign,
        rule=rule,
        counts=counts,
        variants=[
            Variant(
                name=words,
                rule=other,
                counts=count_pairs(judged, other),
                chosen=other == rule,
                link=urlencode([*common, ("ties", other.ties), ("adjudicated", other.adjudicated)]),
            )
            for words, other in _variants(labelers)
        ],
        by_labeler=[(person_name(people, one), one, n) for one, n in counts.by_labeler.items()],
        everyone=[(one, person_name(people, one)) for one in list(everyone)[:MOST_LABELERS]],
        only=frozenset(only),
        heldout=len(review.judgements(campaign or None, "heldout").judged),
        decisions=sum(one.decides for one in judged),
        sample=_sample(visit, counted(judged, rule), ties, seed),
        again=urlencode([*common, ("ties", ties), ("adjudicated", adjudicated), ("seed", str(seed + 1))]),
    )


def _variants(labelers: frozenset[str] | None) -> list[tuple[str, PairRule]]:
    words: list[tuple[str, TieRule, Decided]] = [
        ("Ties dropped, decisions stand for their items", "drop", "decided"),
        ("Ties dropped, everyone counts", "drop", "all"),
        ("Ties half each way, decisions stand for their items", "half", "decided"),
        ("Ties half each way, everyone counts", "half", "all"),
    ]
    return [(name, PairRule(ties=ties, adjudicated=decided, labelers=labelers)) for name, ties, decided in words]


def _sample(visit: Visit, rankings: list[Judged], ties: TieRule, seed: int) -> list[Shown]:
    """Pairs at random, at most one from a ranking."""
    draw = random.Random(seed)
    review = visit.studio.review
    people = review.people()
    picked = []
    for one in draw.sample(rankings, min(len(rankings), 3 * SAMPLE)):
        if found := pairs_of(one, ties):
            picked.append((one, draw.choice(found)))
    picked = picked[:SAMPLE]
    contents = review.contents([one.item_id for one, _ in picked])
    answers = review.item_answers([one.item_id for one, _ in picked])
    texts = review.texts({row for rows in answers.values() for row in rows})
    shown = []
    for one, pair in picked:
        rows = sorted(answers[one.item_id])
        chosen, rejected = texts[rows[pair.chosen]], texts[rows[pair.rejected]]
        shown.append(
            Shown(
                item_id=one.item_id,
                prompt=contents[one.item_id].prompt,
                chosen=chosen[0],
                rejected=rejected[0],
                chosen_policy=chosen[1] or "a person",
                rejected_policy=rejected[1] or "a person",
                labeler=person_name(people, one.labeler),
                weight=pair.weight,
                decided=one.decides,
            )
        )
    return shown


ROUTES: tuple[Route, ...] = (Route(method="GET", path="/lead/pairs", endpoint=pairs, who="lead"),)
