"""Bets against a hypothesis: worked by hand, fair under it, and winning without it."""

from __future__ import annotations

import random
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.feedback.evidence import STAKES, holm, log_wealth, log_wealth_of_habit, p_value


def test_wealth_by_hand() -> None:
    """Bound 1/2: at stake s (of 2) a 0 multiplies by 1 + s, a 1 by 1 - s, and the bettor holds all stakes equally."""
    expected = sum((1 + s) * (1 + s) * (1 - s) for s in STAKES) / len(STAKES)
    assert exp(log_wealth([0, 0, 1], 0.5, "below")) == pytest.approx(expected)
    assert exp(log_wealth([1, 1, 0], 0.5, "above")) == pytest.approx(expected)
    assert log_wealth([], 0.5, "below") == 0 and p_value(0) == 1


@given(st.floats(0.05, 0.95), st.sampled_from(["below", "above"]))
def test_the_odds_are_fair(bound: float, side: str) -> None:
    """Over the two outcomes of one coin whose chance is the bound, expected wealth is what was staked."""
    wealth = {value: exp(log_wealth([value], bound, side)) for value in (0.0, 1.0)}  # type: ignore[arg-type]
    assert bound * wealth[1.0] + (1 - bound) * wealth[0.0] == pytest.approx(1)


def test_looking_every_day_condemns_hardly_anyone() -> None:
    """Of 400 coins at the bound, looked at after each of 150 throws, at most one in twenty ever passes 1/20."""
    draw = random.Random(1)
    named = 0
    for _ in range(400):
        seen: list[float] = []
        for throw in range(150):
            seen.append(float(draw.random() < 0.5))
            if throw % 10 == 9 and log_wealth(seen, 0.5, "below") >= log(20):
                named += 1
                break
    assert named <= 20


def test_someone_far_below_is_found_soon() -> None:
    assert p_value(log_wealth([1, 0, 0, 0] * 15, 0.5, "below")) < 0.01
    assert p_value(log_wealth([1, 1, 1, 0] * 15, 0.5, "below")) == 1


def test_habit_by_hand() -> None:
    """Two possible patterns, the same twice: the forecast gives 1/2, then (1 + 1/4) / (1 + 1/2) = 5/6, against 1/4."""
    assert exp(log_wealth_of_habit({2: ["a", "a"]})) == pytest.approx((1 / 2) * (5 / 6) * 4)
    assert exp(log_wealth_of_habit({2: ["a", "b"]})) == pytest.approx((1 / 2) * (1 / 6) * 4)
    assert log_wealth_of_habit({}) == 0


def test_habit_is_fair_over_all_sequences() -> None:
    """Three patterns, two looks: the mean wealth over the nine sequences is 1."""
    both = [exp(log_wealth_of_habit({3: [a, b]})) for a in "xyz" for b in "xyz"]
    assert sum(both) / 9 == pytest.approx(1)


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}


def test_bounds_and_values_are_checked() -> None:
    with pytest.raises(ValueError, match="bound is 0"):
        log_wealth([0.5], 0, "below")
    with pytest.raises(ValueError, match="expected 0 to 1"):
        log_wealth([1.5], 0.5, "below")
    with pytest.raises(ValueError, match="2 or more"):
        log_wealth_of_habit({1: ["a"]})
