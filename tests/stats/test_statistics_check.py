"""The simulation in ``benchmarks/statistics_check.py``, small: bounds wide enough for its noise, seeded."""

from __future__ import annotations

import pytest

from benchmarks.statistics_check import QUICK, Row, check, table


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return check(QUICK)


def test_intervals_hold_the_truth(rows: list[Row]) -> None:
    held = [row for row in rows if row.part == "coverage"]
    assert len(held) == 15
    for row in held:
        assert (0.9 if row.runs != QUICK.fits else 0.75) < row.found <= 1, row
        assert row.width > 0


def test_false_alarms_are_rare_where_they_should_be(rows: list[Row]) -> None:
    found = {(row.case, row.prompts): row.found for row in rows if row.part == "false alarms"}
    assert all(share <= 0.17 for (case, _), share in found.items() if "sign-flip" in case or "McNemar" in case)
    assert found["any of 15 pairs of 6 models, Holm", 100] <= 0.15
    assert found["any of 15 pairs of 6 models, unadjusted", 100] > 0.15
    assert found["the same, prompts ignored", 200] > found["paired sign-flip, by prompt", 200]


def test_planted_effects_are_found_as_often_as_forecast(rows: list[Row]) -> None:
    assert all(0.6 < row.found < 0.95 for row in rows if row.part == "power")


def test_biased_judges_are_found_and_fair_ones_are_not(rows: list[Row]) -> None:
    found = {row.case: row.found for row in rows if row.part == "judges"}
    assert found["length-biased, equal models: ours found better, plain"] > 0.9
    assert found["length-biased, equal models: ours found better, at equal length"] < 0.25
    assert found["fair, better model: ours found better, at equal length"] > 0.6
    assert found["order-biased: order bias found"] > 0.9
    assert found["fair: order bias found"] < 0.15


def test_the_table_is_markdown(rows: list[Row]) -> None:
    lines = table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert {line.count("|") for line in lines} == {8}
