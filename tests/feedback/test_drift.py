"""The control chart of the anchors."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from scipy.stats import betabinom

from heed.feedback.drift import ALARM_RATE, by_labeler, chart, limits
from heed.store.studio.said import Said

MONDAY = datetime(2026, 1, 5, 12)


def anchors(week: int, wins: int, losses: int, ties: int = 0, labeler: str = "a") -> list[Said]:
    tiers = [(0, 1)] * wins + [(1, 0)] * losses + [(0, 0)] * ties
    return [
        Said(
            response_id=100 * week + n,
            item_id=n,
            unit=n,
            labeler=labeler,
            purpose="anchor",
            tiers=one,
            submitted_at=MONDAY + timedelta(weeks=week, hours=n),
        )
        for n, one in enumerate(tiers)
    ]


def test_weeks_and_rates_by_hand() -> None:
    said = anchors(0, 7, 3) + anchors(1, 6, 2, 2) + anchors(3, 8, 2)
    found = chart(said)
    assert [week.monday.isoformat() for week in found.weeks] == ["2026-01-05", "2026-01-12", "2026-01-26"]
    assert [week.rate.value for week in found.weeks] == pytest.approx([0.7, 0.7, 0.8])
    assert found.centre is not None and found.centre.value == pytest.approx(22 / 30) and found.centre.n == 30
    assert not found.alarms


def test_a_turned_team_is_outside() -> None:
    said = [one for week in range(5) for one in anchors(week, 32, 8)] + anchors(5, 12, 28)
    assert [week.monday.day for week in chart(said).alarms] == [9]
    reversed_weeks = anchors(0, 5, 35) + [one for week in range(1, 4) for one in anchors(week, 32, 8)]
    assert [week.baseline for week in chart(reversed_weeks).alarms] == [True]


def test_limits_are_quantiles_of_what_the_baseline_predicts() -> None:
    low, high = limits(30, 40, 20)
    inside = betabinom(20, 30.5, 10.5)
    assert sum(inside.pmf(k) for k in range(21) if k / 20 < low) <= ALARM_RATE / 2
    assert sum(inside.pmf(k) for k in range(21) if k / 20 > high) <= ALARM_RATE / 2
    assert limits(0, 0, 20) == (0, 1)
    narrow = limits(3000, 4000, 20)
    assert low <= narrow[0] and narrow[1] <= high


def test_steady_weeks_seldom_alarm() -> None:
    draw = random.Random(2)
    alarms = 0
    for _ in range(150):
        counts = [sum(draw.random() < 0.7 for _ in range(30)) for _ in range(8)]
        alarms += len(chart([one for week, k in enumerate(counts) for one in anchors(week, k, 30 - k)]).alarms)
    assert alarms <= 10  # 1,200 weeks; 3.2 expected at most


def test_nothing_yet() -> None:
    assert chart([]).undefined == "no anchor was judged yet" and by_labeler([]) == {}
    single = chart(anchors(0, 3, 1))
    assert single.weeks[0].low == 0 and single.weeks[0].high == 1 and not single.weeks[0].outside


def test_each_labeler() -> None:
    found = by_labeler(anchors(0, 3, 1) + anchors(0, 0, 2, labeler="b"))
    assert {name: figure.estimate.value for name, figure in found.items() if figure.estimate} == {"a": 0.75, "b": 0}
