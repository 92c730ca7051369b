"""The four parts of a screening, by hand, and the arithmetic of what they suggest."""

from __future__ import annotations

from typing import Any

import pytest

from heed.feedback.known import against_gold, mean_figure, order_points
from heed.feedback.screening import Thresholds, coverage, screen
from heed.store.studio.said import Gold, Said, gold_of


def flagged(item: int, said: bool, known: bool) -> Said:
    return Said(
        response_id=item,
        item_id=item,
        unit=item,
        labeler="x",
        task="sensitive",
        purpose="screening",
        values={("sensitive", None): float(said)},
        gold=Gold(values={("sensitive", None): float(known)}),
    )


def ranked(item: int, said: tuple[int, ...], known: tuple[int, ...], **fields: Any) -> Said:
    fields = {"task": "rank", "purpose": "screening", "order": tuple(range(len(said))), **fields}
    return Said(response_id=item, item_id=item, unit=item, labeler="x", tiers=said, gold=Gold(tiers=known), **fields)


def test_points_of_an_order_by_hand() -> None:
    """Known: b best, then a, then c and d tied. Said: b and a tied, then d, then c."""
    assert order_points((1, 0, 2, 2), (0, 0, 2, 1)) == [0.5, 1, 1, 1, 1]
    assert order_points((0, 0), (0, 1)) == []
    assert order_points((0, 1), (1, 0)) == [0]


def test_known_answers_of_every_kind() -> None:
    said = Said(
        response_id=1,
        item_id=1,
        unit=1,
        labeler="x",
        tiers=(0, 1),
        values={("overall", 0): 6.0, ("overall", 1): 4.0, ("sexual", 0): 0.0, ("topic", None): "law"},
        gold=Gold(
            tiers=(0, 1),
            values={
                ("overall", 0): 7.0,
                ("overall", 1): 2.0,
                ("sexual", 0): 1.0,
                ("topic", None): "law",
                ("q", 1): 1.0,
            },
        ),
    )
    match = against_gold(said)
    assert match is not None and match.points == (1, 1, 0, 0, 1) and match.share == 0.6 and match.missed
    ranking = against_gold(said, what="ranking")
    assert ranking is not None and ranking.points == (1,) and not ranking.missed
    assert against_gold(Said(response_id=1, item_id=1, unit=1, labeler="x")) is None


def test_gold_comes_back_as_it_was_stored() -> None:
    gold = Gold(tiers=(0, 1), values={("sexual", 1): 1.0, ("topic", None): "law"}, reason="because")
    assert gold_of(gold.as_json()) == gold
    assert gold_of(None) is None and gold_of({}) is None
    with pytest.raises(ValueError, match="unknown part 'tier'"):
        gold_of({"tier": [0]})


def test_parts_by_hand() -> None:
    said = [flagged(1, True, True), flagged(2, True, True), flagged(3, False, True), flagged(4, False, False)]
    said += [ranked(5, (0, 1, 2), (0, 1, 2)), ranked(6, (1, 0), (0, 1))]
    found = screen(said, {7: [6, 7], 8: [5]}, ["law"], {"law": 0})
    sensitive, ranking, written = found.parts
    assert sensitive.figure.estimate is not None and sensitive.figure.estimate.value == 0.75
    assert sensitive.figure.num_units == 4 and sensitive.standing == "above" and sensitive.by_habit == 0.75
    assert ranking.figure.estimate is not None and ranking.figure.estimate.value == pytest.approx(3 / 4)
    assert written.figure.estimate is not None and written.figure.estimate.value == pytest.approx(5.75)
    assert written.standing == "about" and found.advice == "look closer"
    assert found.topics == ("law",) and found.adds == ("law",)


def test_advice_goes_with_the_intervals() -> None:
    right = [flagged(item, True, True) for item in range(40)]
    wrong = [flagged(item, False, True) for item in range(40)]
    orders = [ranked(100 + item, (0, 1), (0, 1)) for item in range(40)]
    ratings = {200 + item: [7.0] for item in range(4)}
    assert screen(right + orders, ratings, None).advice == "accept"
    assert "the intervals still reach under it: Writes" not in screen(right + orders, ratings, None).why
    assert screen(right + orders, ratings, None, left=2).why == "still open: 2 items to answer"
    assert screen(right + orders, ratings | {300: []}, None).why == "still open: 1 texts to rate"
    assert screen(wrong + orders, ratings, None).advice == "decline"
    assert screen(right, ratings, None).advice == "not finished"
    assert "no ranking" in screen(right, {}, None).parts[1].figure.undefined
    assert screen(right, {9: []}, None).parts[2].figure.undefined == "no lead has rated a demonstration yet"
    assert screen(right + orders, ratings, None, thresholds=Thresholds(demonstration=7)).advice == "accept"


def test_the_mean_of_a_few_ratings() -> None:
    """6, 7, 5: mean 6, standard deviation 1, t(2) = 4.303, half 2.484, cut at 7."""
    figure = mean_figure([6, 7, 5], "", 1, 7)
    assert figure.estimate is not None
    assert figure.estimate.value == 6 and figure.estimate.high == 7
    assert figure.estimate.low == pytest.approx(6 - 2.484, abs=1e-3)
    one = mean_figure([6], "", 1, 7).estimate
    assert one is not None and (one.low, one.high) == (1, 7)
    assert mean_figure([], "none", 1, 7).undefined == "none"


def test_coverage_lists_what_nobody_knows() -> None:
    assert coverage({"a": ["law", "law"], "b": ["law", "dance"]}, ["law", "age"]) == {"law": 2, "age": 0, "dance": 1}
