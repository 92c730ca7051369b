"""Drift: whether the same pairs of answers are still judged as they were, week by week, on a control chart.

Anchors are fixed pairs (Stiennon et al. 2020, appendix C): what changes in how often the first of them wins is the
labelers or their rules, since the answers stay the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from scipy.stats import betabinom

from heed.feedback.concord import Figure
from heed.stats import Estimate, wilson
from heed.store.studio.said import Said

ALARM_RATE = 0.0027
"""Chance that a week without drift falls outside: that of three standard deviations, one week in 370."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The anchors of one week."""

    monday: date
    rate: Estimate
    """How often the first answer of a pair was preferred, a tie as half; n is the number of judgements."""
    low: float
    high: float
    """Control limits: where the rate should be, if nothing has changed."""
    outside: bool
    baseline: bool
    """Whether the week is one of those that say what is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The anchors' win rate over time."""

    weeks: tuple[Week, ...]
    centre: Estimate | None
    """The rate of the baseline weeks together."""
    undefined: str = ""
    """Why there is no chart, in words."""

    @property
    def alarms(self) -> tuple[Week, ...]:
        """Weeks outside their limits."""
        return tuple(week for week in self.weeks if week.outside)


def chart(said: Iterable[Said], baseline_weeks: int = 4) -> Chart:
    """A p-chart of the anchors.

    The limits of a week come from the baseline weeks, without the week itself: its number of wins should be a draw of
    the beta-binomial distribution that they predict, which knows how few they were.

    Args:
        said: answers to anchor items; those that rank nothing are left out.
        baseline_weeks: how many weeks with anchors, from the first, say what is usual.
    """
    weeks: dict[date, list[float]] = defaultdict(list)
    for one in said:
        if one.submitted_at is not None and len(one.tiers) >= 2:
            day = one.submitted_at.date()
            gap = one.tiers[0] - one.tiers[1]
            weeks[day - timedelta(days=day.weekday())].append(0.5 if gap == 0 else float(gap < 0))
    mondays = sorted(weeks)
    if not mondays:
        return Chart(weeks=(), centre=None, undefined="no anchor was judged yet")
    base = mondays[: max(1, baseline_weeks)]
    usual = [win for monday in base for win in weeks[monday]]
    rows = []
    for monday in mondays:
        wins = weeks[monday]
        others = [win for other in base if other != monday for win in weeks[other]]
        low, high = limits(sum(others), len(others), len(wins))
        rate = wilson(sum(wins), len(wins))
        outside = not low <= rate.value <= high
        rows.append(Week(monday=monday, rate=rate, low=low, high=high, outside=outside, baseline=monday in base))
    return Chart(weeks=tuple(rows), centre=wilson(sum(usual), len(usual)))


def limits(wins: float, usual: int, n: int) -> tuple[float, float]:
    """Between which rates ``n`` judgements should fall after ``wins`` out of ``usual``; (0, 1) when ``usual`` is 0.

    Jeffreys' prior; each end is left with a chance of at most half the alarm rate.
    """
    if usual == 0 or n == 0:
        return 0.0, 1.0
    expected = betabinom(n, wins + 0.5, usual - wins + 0.5)
    low = int(expected.ppf(ALARM_RATE / 2))
    high = int(expected.ppf(1 - ALARM_RATE / 2))
    return low / n, high / n


def by_labeler(said: Iterable[Said]) -> dict[str, Figure]:
    """How often each labeler prefers the first answer of the anchors."""
    wins: dict[str, list[float]] = defaultdict(list)
    for one in said:
        if len(one.tiers) >= 2:
            gap = one.tiers[0] - one.tiers[1]
            wins[one.labeler].append(0.5 if gap == 0 else float(gap < 0))
    return {labeler: _figure(values) for labeler, values in sorted(wins.items())}


def _figure(values: Sequence[float]) -> Figure:
    return Figure(estimate=wilson(sum(values), len(values)), num_units=len(values), num_labelers=1)
