"""Pairs under a rule, and the plan of a shared pool: numbers by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.errors import ConfigError
from heed.feedback.overlap import plan_pool
from heed.feedback.pairs import PairRule, count_pairs, counted, pairs_of
from heed.records import Completion, Prompt, Ranking
from heed.store.studio.judged import Judged


def ranked(response: int, item: int, labeler: str, *tiers: int, decides: bool = False) -> Judged:
    return Judged(unit=item, response_id=response, item_id=item, labeler=labeler, tiers=tiers, decides=decides)


def test_pairs_of_a_ranking_with_a_tie() -> None:
    """b is best, a and c are equal."""
    one = ranked(1, 1, "a", 1, 0, 1)
    assert [(p.chosen, p.rejected, p.weight) for p in pairs_of(one, "drop")] == [(1, 0, 1.0), (1, 2, 1.0)]
    assert [(p.chosen, p.rejected, p.weight) for p in pairs_of(one, "half")] == [
        (1, 0, 1.0), (0, 2, 0.5), (2, 0, 0.5), (1, 2, 1.0),
    ]  # fmt: skip


def test_counts_and_whose_they_are() -> None:
    rows = [ranked(1, 1, "a", 1, 0, 1), ranked(2, 1, "b", 0, 0, 0), ranked(3, 2, "a", 0, 1)]
    drop = count_pairs(rows, PairRule(ties="drop"))
    assert (drop.pairs, drop.ties, drop.rankings, drop.items, drop.by_labeler) == (3, 4, 2, 2, {"a": 3})
    half = count_pairs(rows, PairRule(ties="half"))
    assert (half.pairs, half.ties, half.by_labeler) == (7, 4, {"a": 4, "b": 3})
    assert count_pairs(rows, PairRule(labelers=frozenset({"b"}))).pairs == 0


def test_a_decision_stands_for_its_item() -> None:
    rows = [
        ranked(1, 1, "a", 0, 1),
        ranked(2, 1, "b", 1, 0),
        ranked(3, 1, "lead", 0, 1, decides=True),
        ranked(4, 1, "boss", 1, 0, decides=True),
        ranked(5, 2, "a", 0, 1),
    ]
    assert [one.response_id for one in counted(rows, PairRule())] == [4, 5]
    assert [one.response_id for one in counted(rows, PairRule(adjudicated="all"))] == [1, 2, 3, 4, 5]
    some = PairRule(labelers=frozenset({"a"}))
    assert [one.response_id for one in counted(rows, some)] == [4, 5]
    assert [one.response_id for one in counted(rows, PairRule(adjudicated="all", labelers=some.labelers))] == [1, 5]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_dropping_ties_is_what_reward_training_does(raw: list[int]) -> None:
    tiers = tuple(sorted(set(raw)).index(one) for one in raw)
    completions = tuple(Completion(text=str(k)) for k in range(len(raw)))
    record = Ranking(prompt=Prompt.from_text("p"), completions=completions, tiers=tiers)
    expected = [(c.chosen.text, c.rejected.text) for c in record.comparisons()]
    one = ranked(1, 1, "a", *tiers)
    assert [(str(p.chosen), str(p.rejected)) for p in pairs_of(one, "drop")] == expected
    half = pairs_of(one, "half")
    assert sum(p.weight for p in half) == len(raw) * (len(raw) - 1) / 2
    assert sum(p.weight for p in half) == count_pairs([one], PairRule(ties="half")).pairs


def test_a_pool_by_hand() -> None:
    """1,000 items, a tenth in the pool, three labels of two answers: 100 items, 300 comparisons, 200 more labels."""
    pool = plan_pool(items=1000, share=0.1, labels=3, answers=2, seconds=36, agreement=0.5, likeness=0.0)
    assert (pool.items, pool.comparisons, pool.extra_labels) == (100, 300, 200)
    assert pool.extra_hours == pytest.approx(2.0)
    assert pool.half_width == pytest.approx(1.96 * (0.25 / 300) ** 0.5, rel=1e-3)
    alike = plan_pool(items=1000, share=0.1, labels=3, answers=2, seconds=36, agreement=0.5, likeness=1.0)
    assert alike.half_width == pytest.approx(1.96 * (0.25 / 100) ** 0.5, rel=1e-3)
    assert plan_pool(items=1000, share=0.0, labels=3, answers=2, seconds=36).half_width == 1.0


def test_a_plan_says_what_is_wrong() -> None:
    with pytest.raises(ConfigError, match="labels is 1, expected 2 to 100"):
        plan_pool(items=10, share=0.1, labels=1, answers=2, seconds=1)
