"""Whether labelers agree: pairwise and beyond chance, in groups and between them, with what each figure rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from heed.feedback.agreement import TieRule
from heed.feedback.concord import (
    Figure,
    Level,
    Meetings,
    graded_alpha,
    labeler_matrix,
    meetings,
    pairwise,
    ranking_alpha,
    tie_share,
)
from heed.form_library import OUTPUT_FLAGS, PROMPT_FLAGS
from heed.forms import OVERALL
from heed.store.studio.judged import Graded
from heed.web.pages.lead_common import one_of, person_name
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

REFERENCE = 0.726
"""Training labelers of InstructGPT with each other (Ouyang et al. 2022, section 3.4): 72.6 +- 1.5 %."""
GROUPS = {
    "training": "training labelers",
    "heldout": "held-out labelers",
    "model": "model judges",
    "simulated": "simulated judges",
}
MOST_IN_MATRIX = 16
"""Labelers in the table of who agrees with whom: those who met others most often."""
MOST_CATEGORIES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a table of figures."""

    name: str
    figure: Figure
    note: str = ""


def agreement(visit: Visit) -> Response:
    """The page; the address chooses campaign and tie rule."""
    review = visit.studio.review
    names = [one.campaign for one in review.progress() if one.done]
    campaign = one_of(visit, "campaign", names) or None
    ties: TieRule = "half" if visit.query.get("ties") == "half" else "drop"
    found = review.judgements(campaign, shared_only=True)
    met = meetings(found.judged)
    graded = review.graded(campaign)
    people = review.people()
    tied, pairs = tie_share(one for group in met.units.values() for one in group)
    return visit.page(
        "lead/agreement.html",
        title="Agreement",
        campaigns=names,
        campaign=campaign or "",
        ties=ties,
        reference=REFERENCE,
        whole=pairwise(met, ties),
        alpha=ranking_alpha(met),
        groups=_groups(met, ties),
        categories=_categories(met, ties),
        grades=_grades(graded, _flags(visit)),
        matrix=_matrix(met, {one: person_name(people, one) for one in met.labelers}),
        tied=tied,
        pairs=pairs,
        judged=len(found.judged),
    )


def _groups(met: Meetings, ties: TieRule) -> list[Line]:
    there = [group for group in GROUPS if group in met.groups]
    lines = []
    for index, first in enumerate(there):
        for second in there[index:]:
            mask = met.between(first, second)
            if first == second and met.groups.count(first) < 2:
                continue
            name = f"{GROUPS[first]} with each other" if first == second else f"{GROUPS[first]} with {GROUPS[second]}"
            lines.append(Line(name=name, figure=pairwise(met, ties, mask)))
    return lines


def _categories(met: Meetings, ties: TieRule) -> list[Line]:
    counts = np.bincount(met.category, minlength=len(met.categories)) if met.categories else np.zeros(0)
    most = sorted(range(len(met.categories)), key=lambda index: -counts[index])[:MOST_CATEGORIES]
    return [
        Line(name=met.categories[index] or "no category", figure=pairwise(met, ties, met.category == index))
        for index in most
    ]


def _flags(visit: Visit) -> dict[str, str]:
    """Names of the questions that are answered yes or no, with their labels."""
    forms = [one.form for one in visit.studio.campaigns.forms()]
    asked = [question for form in forms for question in form.questions if question.kind == "flag"]
    return {question.name: question.label for question in (*asked, *OUTPUT_FLAGS, *PROMPT_FLAGS)}


def _grades(graded: dict[str, list[Graded]], flags: dict[str, str]) -> list[Line]:
    lines = []
    for question, things in graded.items():
        level: Level = "nominal" if question in flags else "ordinal"
        name = "Overall quality" if question == OVERALL else flags.get(question, question.replace("_", " "))
        lines.append(Line(name=name, figure=graded_alpha(things, level), note=level))
    return sorted(lines, key=lambda line: (line.note != "ordinal", line.name))


def _matrix(met: Meetings, names: dict[str, str]) -> list[tuple[str, list[float | None]]]:
    """(name, shares) of the labelers who met others most; a share of fewer than ten comparisons is left out."""
    agreed, count = labeler_matrix(met)
    if not met.labelers:
        return []
    most = np.argsort(-count.sum(axis=1), kind="stable")[:MOST_IN_MATRIX]
    return [
        (
            names[met.labelers[a]],
            [float(agreed[a, b] / count[a, b]) if a != b and count[a, b] >= 10 else None for b in most],
        )
        for a in most
    ]


ROUTES: tuple[Route, ...] = (Route(method="GET", path="/lead/agreement", endpoint=agreement, who="lead"),)
