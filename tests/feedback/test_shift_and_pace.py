"""What a guideline did, and when work will be done: by hand, and with a shift that was planted."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from heed.feedback.pace import finish
from heed.feedback.shift import label_shift
from heed.store.studio.judged import Judged

NOW = datetime(2026, 5, 1, 12)


def judged(unit: int, labeler: str, guideline: int, *tiers: int) -> Judged:
    return Judged(unit=unit, item_id=unit, response_id=0, labeler=labeler, guideline=guideline, tiers=tiers)


def test_a_shift_by_hand() -> None:
    """Under 1 both say a before b; under 2 one of them turns round: half apart across, half apart within 2."""
    rows = [judged(1, "x", 1, 0, 1), judged(1, "y", 1, 0, 1), judged(1, "x", 2, 0, 1), judged(1, "y", 2, 1, 0)]
    found = label_shift(rows, 1, 2)
    assert found.units == 1 and found.across is not None and found.within is not None and found.shift is not None
    assert (found.across.value, found.within.value, found.shift.value) == (0.5, 0.5, 0.0)


def test_answers_under_one_version_say_nothing() -> None:
    assert label_shift([judged(1, "x", 1, 0, 1), judged(2, "x", 2, 0, 1)], 1, 2).units == 0
    alone = label_shift([judged(1, "x", 1, 0, 1), judged(1, "y", 2, 0, 1)], 1, 2)
    assert alone.within is None and alone.shift is None and alone.across is not None


@pytest.mark.parametrize("moved", [0.0, 0.3])
def test_a_planted_shift_is_found_and_noise_is_not(moved: float) -> None:
    """Labelers err at 15 %; the new rule turns the truth round on some items."""
    draw = random.Random(5)
    rows = []
    for unit in range(600):
        turned = draw.random() < moved
        for guideline in (1, 2):
            for who in "xy":
                good = (draw.random() >= 0.15) != (turned and guideline == 2)
                rows.append(judged(unit, f"{who}{guideline}", guideline, *((0, 1) if good else (1, 0))))
    shift = label_shift(rows, 1, 2).shift
    assert shift is not None
    if moved:
        assert shift.low > 0 and shift.value == pytest.approx(moved * (1 - 4 * 0.15 * 0.85), abs=0.06)
    else:
        assert shift.low < 0 < shift.high


def test_a_steady_pace_has_no_range() -> None:
    found = finish(48, [1] * 24, NOW)
    assert found.per_day is not None and found.per_day.value == pytest.approx(24)
    assert found.expected == found.earliest == found.latest == NOW + timedelta(days=2)


def test_work_in_shifts_has_a_wide_range() -> None:
    found = finish(100, [0] * 16 + [10] * 8, NOW)
    assert found.earliest is not None and found.expected is not None and found.latest is not None
    assert found.earliest < found.expected < found.latest
    assert found.expected == NOW + timedelta(days=100 / 80)


def test_no_date_where_there_is_none() -> None:
    assert finish(0, [1] * 24, NOW).reason == "everything is answered"
    assert finish(5, [0] * 24, NOW).reason == "nothing was answered in a day"
    assert finish(10**9, [0] * 23 + [1], NOW).latest is None
