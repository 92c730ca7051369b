"""Drift and bias: the anchors' control chart, and what sways preferences besides content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heed.feedback.bias import SHORT, Bias, Shown, bias_meter, style_of
from heed.feedback.drift import ALARM_RATE, Chart, by_labeler, chart
from heed.store.studio.standing import STYLED
from heed.store.studio.works import Which
from heed.web import charts
from heed.web.pages.lead_common import one_of, person_name
from heed.web.routes import Route

if TYPE_CHECKING:
    from markupsafe import Markup
    from starlette.responses import Response

    from heed.web.visit import Visit

BASELINES = {"2": "two", "4": "four", "8": "eight"}
"""How many weeks may say what is usual."""


def drift(visit: Visit) -> Response:
    """The control chart of the anchors."""
    baseline = one_of(visit, "baseline", BASELINES, "4")
    said = visit.studio.standing.said(Which(purposes=("anchor",)))
    found = chart(said, int(baseline))
    return visit.page(
        "lead/drift.html",
        title="Drift",
        chart=found,
        drawing=_drawing(found),
        labelers=by_labeler(said),
        people=visit.studio.review.people(),
        person_name=person_name,
        baseline=baseline,
        baselines=BASELINES,
        rate=ALARM_RATE,
    )


def _drawing(found: Chart) -> Markup | None:
    if not found.weeks or found.centre is None:
        return None
    ticks = [(float(index), f"{week.monday:%d %b}") for index, week in enumerate(found.weeks)]
    every = max(1, len(ticks) // 8)
    line = charts.Series(
        name="Win rate of the first answer, with its control limits",
        points=[(float(index), week.rate.value) for index, week in enumerate(found.weeks)],
        band=[(float(index), week.low, week.high) for index, week in enumerate(found.weeks)],
        dots=True,
    )
    outside = len(found.alarms)
    words = f"Anchors' win rate in {len(found.weeks)} weeks; {outside} outside the control limits"
    return charts.line_chart(
        [line],
        label=words,
        x_label="week",
        y_range=(0.0, 1.0),
        x_ticks=ticks[::every],
        limits=[(found.centre.value, f"usual {charts.percent(found.centre.value)}")],
        write=charts.percent,
        numbers=False,
    )


def bias(visit: Visit) -> Response:
    """Length, lists, code, headings and place on the screen: for the project, and labeler by labeler."""
    project, each = meter(visit)
    return visit.page(
        "lead/bias.html",
        title="Bias",
        project=project,
        each=each,
        people=visit.studio.review.people(),
        person_name=person_name,
        newest=STYLED,
        short=SHORT,
    )


def meter(visit: Visit) -> tuple[Bias, list[Bias]]:
    """The project's sways and each labeler's, made anew when something was said since."""

    def make() -> tuple[Bias, list[Bias]]:
        return bias_meter(_shown(visit))

    return visit.studio.standing.keep("bias", make)


def _shown(visit: Visit) -> list[Shown]:
    standing = visit.studio.standing
    said = [one for one in standing.said(Which(purposes=("ordinary",), newest=STYLED)) if len(one.tiers) > 1]
    texts = standing.texts([one.item_id for one in said])
    styles = {item: tuple(style_of(one.text) for one in group) for item, group in texts.items()}
    return [
        Shown(
            item_id=one.item_id,
            labeler=one.labeler,
            order=one.order,
            tiers=one.tiers,
            styles=styles[one.item_id],
            policies=tuple(answer.policy for answer in texts[one.item_id]),
        )
        for one in said
        if one.order
    ]


ROUTES = (
    Route(method="GET", path="/lead/drift", endpoint=drift, who="lead"),
    Route(method="GET", path="/lead/bias", endpoint=bias, who="lead"),
)
