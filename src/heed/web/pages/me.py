"""A labeler's own page: time and pay, what they did, what leads told them, known answers they missed, appeals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.feedback.quality import Quality, quality_table
from heed.forms import LETTERS
from heed.store.studio.said import Said
from heed.store.studio.standing import Appeal, Day
from heed.store.studio.works import Looked, Which
from heed.web.pages.lead_common import row_number
from heed.web.routes import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

DAYS = 14
MISSES = 20
"""Missed known answers on the page, the newest."""
MOST_PAY = 10_000.0
"""An hourly rate beyond is a slip of the finger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A known answer that was missed, as its labeler reads it."""

    looked: Looked
    share: float
    """How much of the known answer was given."""
    lines: tuple[tuple[str, str, str], ...]
    """(what was asked, what one said, what was expected)."""
    reason: str
    appeal: Appeal | None


def me(visit: Visit) -> Response:
    """The page. What leads wrote counts as read once it was shown."""
    standing, account = visit.studio.standing, visit.me
    said = standing.said(Which(labeler=account.id))
    row = quality_table(said).get(account.id)
    appeals = standing.appeals(labeler=account.id)
    days = standing.days(account.id, DAYS)
    told = standing.feedback(account.id, limit=50)
    page = visit.page(
        "me/me.html",
        title="Me",
        counts=standing.counts()[account.id],
        row=row,
        days=days,
        pay=_pay(visit, days),
        told=told,
        misses=_misses(visit, said, row, appeals),
        appeals=appeals,
    )
    if any(one.read_at is None for one in told):
        standing.mark_read(account.id)
    return page


def set_pay(visit: Visit) -> Response:
    """The own hourly rate, with which the pay clock counts; nobody else sees it."""
    text = visit.form.get("rate", "").strip().replace(",", ".")
    settings = dict(visit.me.settings)
    if text:
        try:
            rate = float(text)
        except ValueError as error:
            raise DataError(f"the hourly rate is {text[:40]!r}, expected a number such as 18.50") from error
        if not 0 <= rate <= MOST_PAY:
            raise DataError(f"the hourly rate is {rate:g}, expected 0 to {MOST_PAY:g}")
        settings["hourly_rate"] = rate
        settings["currency"] = "".join(visit.form.get("currency", "").split())[:8]
    else:
        settings.pop("hourly_rate", None)
        settings.pop("currency", None)
    visit.studio.people.set_settings(visit.me.id, settings)
    return visit.go("/me", notice="Saved." if text else "The pay clock is off.")


def appeal(visit: Visit) -> Response:
    """Ask a lead to look at a known answer again."""
    response = row_number(visit.form.get("response", ""))
    visit.studio.standing.appeal(visit.me.id, response, visit.form.get("text", ""))
    return visit.go("/me", notice="A lead will look at it and answer here.")


def _pay(visit: Visit, days: list[Day]) -> dict[str, float | str] | None:
    """What the days come to at the own rate, or None without one."""
    rate = visit.me.settings.get("hourly_rate")
    if not isinstance(rate, int | float):
        return None
    hours = [day.active_ms / 3_600_000 for day in days]
    return {
        "rate": float(rate),
        "currency": str(visit.me.settings.get("currency", "")),
        "today": hours[-1] * rate,
        "week": sum(hours[-7:]) * rate,
        "fortnight": sum(hours) * rate,
    }


def _misses(visit: Visit, said: list[Said], row: Quality | None, appeals: list[Appeal]) -> list[Miss]:
    """The newest misses that can no longer be revised: who may still change an answer is not told the known one."""
    missed = {match.response_id: match for match in row.misses} if row is not None else {}
    newest = sorted((one for one in said if one.response_id in missed), key=lambda one: -one.response_id)[:MISSES]
    by_response = {one.response_id: one for one in appeals}
    return [
        Miss(
            looked=looked,
            share=missed[looked.said.response_id].share,
            lines=expected_lines(looked.said),
            reason=looked.said.gold.reason if looked.said.gold else "",
            appeal=by_response.get(looked.said.response_id),
        )
        for looked in visit.studio.standing.looked(newest)
        if not visit.studio.queue.done(visit.me.id, looked.said.response_id).revisable
    ]


def expected_lines(said: Said) -> tuple[tuple[str, str, str], ...]:
    """What was asked, said and expected, in the letters that were on the screen; where both are known."""
    gold = said.gold
    if gold is None:
        return ()
    order = said.order or tuple(range(max(len(gold.tiers), len(said.tiers))))
    letters = {ordinal: LETTERS[place] for place, ordinal in enumerate(order)}
    lines = []
    if gold.tiers and len(gold.tiers) == len(said.tiers):
        lines.append(("Best to worst", in_order(said.tiers, letters), in_order(gold.tiers, letters)))
    for (question, ordinal), value in gold.values.items():
        given = said.values.get((question, ordinal))
        where = "" if ordinal is None else f" of answer {letters.get(ordinal, LETTERS[ordinal])}"
        if given is not None:
            lines.append((question.replace("_", " ").capitalize() + where, _word(given), _word(value)))
    return tuple(lines)


def in_order(tiers: tuple[int, ...], letters: dict[int, str]) -> str:
    """A ranking in letters, best first: ``B > A = C``."""
    groups = [
        " = ".join(sorted(letters[ordinal] for ordinal, tier in enumerate(tiers) if tier == place))
        for place in sorted(set(tiers))
    ]
    return " > ".join(groups)


def _word(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return {0.0: "no", 1.0: "yes"}.get(value, f"{value:g}")


ROUTES = (
    Route(method="GET", path="/me", endpoint=me, who="signed_in"),
    Route(method="POST", path="/me/pay", endpoint=set_pay, who="signed_in", body="form"),
    Route(method="POST", path="/me/appeal", endpoint=appeal, who="signed_in", body="form"),
)
