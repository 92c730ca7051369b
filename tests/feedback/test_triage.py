"""Each cause of disagreement, planted once and found."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.feedback.concord import meetings
from heed.feedback.triage import CAUSES, Finding, Knowledge, median_times, self_consistency, triage
from heed.store.studio.judged import Judged


def judged(unit: int, labeler: str, *tiers: int, **fields: object) -> Judged:
    return Judged(unit=unit, item_id=unit, response_id=0, labeler=labeler, tiers=tiers, **fields)  # type: ignore[arg-type]


def only(rows: list[Judged], known: Knowledge | None = None, unit: int = 1) -> Finding:
    [found] = [one for one in triage(meetings(rows), known) if one.unit == unit]
    return found


def test_nothing_contested_nothing_found() -> None:
    assert triage(meetings([judged(1, "a", 0, 1), judged(1, "b", 0, 1)])) == []
    assert triage(meetings([])) == []


def test_one_against_all_others_is_a_slip() -> None:
    found = only([judged(1, "a", 0, 1, 2), judged(1, "b", 0, 1, 2), judged(1, "c", 2, 1, 0)])
    assert (found.cause, found.odd) == ("labeler_error", "c")
    assert found.difference == pytest.approx(2 / 3) and found.comparisons == 9


def test_of_two_the_hurried_one_slipped() -> None:
    rows = [judged(1, "a", 0, 1, active_ms=30_000), judged(1, "b", 1, 0, active_ms=2_000)]
    found = only(rows, Knowledge(median_ms={"a": 30_000, "b": 25_000}))
    assert (found.cause, found.odd) == ("labeler_error", "b")
    assert "took 2 s where 25 s are usual" in found.why


def test_of_two_the_unsteady_one_slipped() -> None:
    known = Knowledge(consistency={"a": (0.9, 20), "b": (0.5, 20)})
    assert only([judged(1, "a", 0, 1), judged(1, "b", 1, 0)], known).odd == "b"


def test_an_even_split_of_steady_labelers_is_ambiguous() -> None:
    rows = [judged(1, "a", 0, 1), judged(1, "b", 0, 1), judged(1, "c", 1, 0), judged(1, "d", 1, 0)]
    found = only(rows, Knowledge(consistency=dict.fromkeys("abcd", (0.95, 20))))
    assert found.cause == "ambiguous" and "agree with themselves" in found.why


def test_mostly_ties_is_a_near_tie() -> None:
    found = only([judged(1, "a", 0, 0, 0), judged(1, "b", 0, 0, 1), judged(1, "c", 1, 0, 0), judged(1, "d", 0, 1, 0)])
    assert found.cause == "equal"


def test_sides_that_differ_elsewhere_too_read_the_rules_differently() -> None:
    """a and b always say the opposite of c and d."""
    rows = []
    for unit in range(1, 20):
        rows += [judged(unit, who, 0, 1) for who in "ab"] + [judged(unit, who, 1, 0) for who in "cd"]
    found = only(rows)
    assert found.cause == "guideline_gap" and "0 % elsewhere" in found.why


def test_the_item_divides_where_its_sides_agree_elsewhere() -> None:
    rows = [judged(unit, who, 0, 1) for unit in range(2, 20) for who in "abcd"]
    rows += [judged(1, "a", 0, 1), judged(1, "b", 0, 1), judged(1, "c", 1, 0), judged(1, "d", 1, 0)]
    assert only(rows).cause == "ambiguous"


def test_sides_under_two_guidelines() -> None:
    rows = [judged(1, who, 0, 1, guideline=1) for who in "ab"] + [judged(1, who, 1, 0, guideline=2) for who in "cd"]
    found = only(rows)
    assert found.cause == "guideline_gap" and "versions" in found.why


def test_the_model_is_wrong_where_labelers_agree() -> None:
    rows = [judged(1, "a", 0, 1, 2), judged(1, "b", 0, 1, 2), judged(2, "a", 0, 1, 2), judged(2, "b", 0, 1, 2)]
    found = triage(meetings(rows), Knowledge(scores={1: [-1.0, 0.0, 1.0], 2: [1.0, 0.0, -1.0]}))
    assert [(one.unit, one.cause) for one in found] == [(1, "model_error")]
    assert "turns 3 of their 3" in found[0].why


def test_more_evidence_goes_first() -> None:
    """Unit 1: two labelers, opposite. Unit 2: four labelers, two against two, of three answers."""
    rows = [judged(1, "a", 0, 1), judged(1, "b", 1, 0)]
    rows += [judged(2, who, 0, 1, 2) for who in "ab"] + [judged(2, who, 2, 1, 0) for who in "cd"]
    found = triage(meetings(rows))
    assert [one.unit for one in found] == [2, 1]
    assert found[0].difference < found[1].difference and found[0].weight > found[1].weight
    assert len(triage(meetings(rows), limit=1)) == 1


def test_what_is_known_of_labelers() -> None:
    rows = [judged(u, "a", 0, 1, active_ms=ms) for u, ms in enumerate((1000, 3000, 8000))] + [judged(4, "b", 0, 1)]
    assert median_times(rows) == {"a": 3000.0}
    same, turned = (judged(1, "a", 0, 1), judged(1, "a", 0, 1)), (judged(2, "a", 0, 1), judged(2, "a", 1, 0))
    tied = (judged(3, "b", 0, 0), judged(3, "b", 0, 1))
    assert self_consistency([same, turned, tied]) == {"a": (0.5, 2), "b": (0.5, 1)}


@given(st.randoms(use_true_random=False), st.integers(2, 6), st.integers(2, 4))
def test_the_order_of_labelers_and_answers_changes_nothing(draw: random.Random, labelers: int, answers: int) -> None:
    rows = []
    for unit in range(4):
        for who in range(labelers):
            raw = [draw.randrange(3) for _ in range(answers)]
            rows.append(judged(unit, f"l{who}", *(sorted(set(raw)).index(one) for one in raw)))
    turned = [judged(one.unit, one.labeler, *reversed(one.tiers)) for one in reversed(rows)]
    here, there = triage(meetings(rows)), triage(meetings(turned))
    assert [(one.unit, one.difference, one.odd) for one in here] == [
        (one.unit, one.difference, one.odd) for one in there
    ]
    assert all(one.cause in CAUSES for one in here)


def test_one_who_differs_from_everybody_is_no_reading_of_the_rules() -> None:
    """d turns everything round; on item 1, which only a and d judged, the slip is d's."""
    rows = [judged(unit, who, *((1, 0) if who == "d" else (0, 1))) for unit in range(2, 20) for who in "abcd"]
    found = only([judged(1, "a", 0, 1), judged(1, "d", 1, 0), *rows])
    assert (found.cause, found.odd) == ("labeler_error", "d")
    assert "0 % elsewhere too, where 100 % is usual" in found.why
