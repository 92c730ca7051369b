"""Agreement from arrays: numbers by hand, and the slow way over records as the reference."""

from __future__ import annotations

import random
import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.feedback.agreement import agreement
from heed.feedback.concord import (
    differences,
    graded_alpha,
    labeler_matrix,
    meetings,
    pairwise,
    ranking_alpha,
    tie_share,
)
from heed.records import Completion, Prompt, Ranking
from heed.stats import krippendorff_alpha
from heed.store.studio.judged import Graded, Judged


def judged(unit: int, labeler: str, tiers: tuple[int, ...], **fields: object) -> Judged:
    return Judged(unit=unit, item_id=unit, response_id=0, labeler=labeler, tiers=tiers, **fields)  # type: ignore[arg-type]


def test_three_labelers_by_hand() -> None:
    """a and b agree on all three pairs, c turns one of them round: 3 + 2 + 2 of 9 comparisons."""
    met = meetings([judged(1, "a", (0, 1, 2)), judged(1, "b", (0, 1, 2)), judged(1, "c", (1, 0, 2))])
    figure = pairwise(met, "drop")
    assert figure.estimate is not None
    assert figure.estimate.value == pytest.approx(7 / 9)
    assert (figure.estimate.n, figure.num_units, figure.num_labelers) == (9, 1, 3)
    agreed, count = labeler_matrix(met)
    assert agreed.tolist() == [[0, 3, 2], [3, 0, 2], [2, 2, 0]]
    assert count[0].tolist() == [0, 3, 3]
    assert differences(met) == {1: (pytest.approx(2 / 9), 9)}


def test_a_tie_is_left_out_or_half() -> None:
    met = meetings([judged(1, "a", (0, 0)), judged(1, "b", (0, 1))])
    left_out = pairwise(met, "drop")
    assert left_out.estimate is None and "tie" in left_out.undefined
    half = pairwise(met, "half").estimate
    assert half is not None and half.value == 0.5 and half.n == 1


def test_why_a_figure_is_not_defined() -> None:
    assert "two of these labelers" in pairwise(meetings([judged(1, "a", (0, 1))]), "drop").undefined
    assert "two labelers" in ranking_alpha(meetings([])).undefined
    all_tied = meetings([judged(1, "a", (0, 0)), judged(1, "b", (0, 0))])
    assert "0 / 0" in ranking_alpha(all_tied).undefined
    assert "two labelers" in graded_alpha([Graded(unit=1, cluster=1, counts=((3.0, 1),))], "ordinal").undefined
    assert "same value" in graded_alpha([Graded(unit=1, cluster=1, counts=((3.0, 2),))], "ordinal").undefined


def test_the_first_judgement_of_the_same_answers_counts() -> None:
    met = meetings([judged(1, "a", (0, 1)), judged(1, "a", (1, 0)), judged(1, "b", (0, 1))])
    estimate = pairwise(met, "drop").estimate
    assert estimate is not None and estimate.value == 1.0 and estimate.n == 1


def test_groups_meet_within_and_between() -> None:
    rows = [
        judged(1, "a", (0, 1)),
        judged(1, "b", (0, 1)),
        judged(1, "h", (1, 0), group="heldout"),
    ]
    met = meetings(rows)
    within = pairwise(met, "drop", met.between("training", "training")).estimate
    between = pairwise(met, "drop", met.between("training", "heldout")).estimate
    assert within is not None and (within.value, within.n) == (1.0, 1)
    assert between is not None and (between.value, between.n) == (0.0, 2)
    assert pairwise(met, "drop", met.between("heldout", "heldout")).estimate is None


def test_tie_share() -> None:
    assert tie_share([judged(1, "a", (0, 0, 1)), judged(1, "b", (0, 1, 2))]) == (1, 6)


@given(st.lists(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=4), max_size=6))
def test_equals_the_slow_reference(groups: list[list[list[int]]]) -> None:
    """The figures of ``heed.feedback.agreement``, which loops over records."""
    rows, records = [], []
    for unit, labelers in enumerate(groups):
        prompt = Prompt.from_text(f"p{unit}")
        completions = tuple(Completion(text=f"{unit} {k}") for k in range(3))
        for who, raw in enumerate(labelers):
            tiers = tuple(sorted(set(raw)).index(one) for one in raw)
            rows.append(judged(unit, f"l{who}", tiers))
            records.append(Ranking(prompt=prompt, completions=completions, tiers=tiers, labeler=f"l{who}"))
    met = meetings(rows)
    for ties in ("drop", "half"):
        slow = agreement(records, ties)  # type: ignore[arg-type]
        fast = pairwise(met, ties).estimate  # type: ignore[arg-type]
        assert (slow is None) == (fast is None)
        if slow is None or fast is None:
            continue
        assert fast.value == pytest.approx(slow.pairwise.value)
        assert fast.n == slow.pairwise.n
        alpha = ranking_alpha(met).estimate
        assert (alpha is None) == bool(np.isnan(slow.alpha))
        if alpha is not None:
            assert alpha.value == pytest.approx(slow.alpha)
            assert alpha.low <= alpha.value <= alpha.high


@given(st.lists(st.lists(st.integers(1, 7), min_size=2, max_size=4), min_size=1, max_size=12))
def test_alpha_from_counts_equals_alpha_of_the_table(things: list[list[int]]) -> None:
    table = np.full((4, len(things)), np.nan)
    for column, values in enumerate(things):
        table[: len(values), column] = values
    graded = [
        Graded(unit=u, cluster=u, counts=tuple((float(v), values.count(v)) for v in sorted(set(values))))
        for u, values in enumerate(things)
    ]
    for level in ("nominal", "ordinal"):
        expected = krippendorff_alpha(table, level)  # type: ignore[arg-type]
        figure = graded_alpha(graded, level)  # type: ignore[arg-type]
        assert (figure.estimate is None) == bool(np.isnan(expected))
        if figure.estimate is not None:
            assert figure.estimate.value == pytest.approx(expected)


def test_interval_covers_what_is_true_and_narrows() -> None:
    """Two labelers agree on a pair with probability 0.7; the interval from 2,000 units is narrower than from 100."""
    draw = random.Random(3)

    def width(n: int) -> float:
        rows = []
        for unit in range(n):
            same = draw.random() < 0.7
            rows += [judged(unit, "a", (0, 1)), judged(unit, "b", (0, 1) if same else (1, 0))]
        estimate = pairwise(meetings(rows), "drop").estimate
        assert estimate is not None and estimate.low < 0.7 < estimate.high
        return estimate.high - estimate.low

    assert width(2000) < width(100) / 3
    assert width(2000) == pytest.approx(2 * 1.96 * (0.21 / 2000) ** 0.5, rel=0.15)


def test_thousands_of_labels_take_less_than_a_second() -> None:
    draw = random.Random(1)
    rows = []
    for unit in range(3000):
        for who in draw.sample(range(40), 3):
            raw = [draw.randrange(4) for _ in range(4)]
            rows.append(judged(unit, f"l{who:02}", tuple(sorted(set(raw)).index(r) for r in raw)))
    started = time.perf_counter()
    met = meetings(rows)
    pairwise(met, "drop")
    pairwise(met, "half")
    ranking_alpha(met)
    seconds = time.perf_counter() - started
    assert met.unit.size == 3000 * len(list(combinations(range(3), 2)))
    assert seconds < 1.5, f"{seconds:.2f} s"


def test_a_lead_who_decides_has_seen_the_others() -> None:
    rows = [judged(1, "a", (0, 1)), judged(1, "b", (1, 0)), judged(1, "lead", (0, 1), decides=True)]
    estimate = pairwise(meetings(rows), "drop").estimate
    assert estimate is not None and (estimate.value, estimate.n) == (0.0, 1)
