"""A labeler's row by hand, and the crew's bad apples found without blaming the good ones."""

from __future__ import annotations

import random
from typing import Any

import pytest

from feedback.crew_fakes import answers
from heed.feedback.consensus import Vote, one_coin, votes_of, with_the_others
from heed.feedback.quality import (
    gold_matches,
    position_figure,
    quality_table,
    second_looks,
    shown_patterns,
    speed_of,
    too_fast,
)
from heed.feedback.suspicion import suspicions
from heed.store.studio.said import Gold, Said


def said(item: int, labeler: str, *tiers: int, **fields: Any) -> Said:
    fields = {"order": tuple(range(len(tiers))), **fields}
    return Said(response_id=item, item_id=item, unit=fields.pop("unit", item), labeler=labeler, tiers=tiers, **fields)


def test_one_row_by_hand() -> None:
    everything = [
        said(1, "a", 0, 1, active_ms=3_000),
        said(1, "b", 1, 0),
        said(2, "a", 0, 1, 2, active_ms=30_000),
        said(2, "b", 0, 2, 1),
        said(3, "a", 1, 0, purpose="gold", gold=Gold(tiers=(0, 1), reason="no")),
        said(4, "a", 0, 1, purpose="gold", gold=Gold(tiers=(0, 1))),
        said(5, "a", 0, 0, 1, purpose="recheck", origin_id=2, order=(2, 1, 0)),
    ]
    row = quality_table(everything)["a"]
    assert row.responses == 5
    assert row.gold.estimate is not None and row.gold.estimate.value == 0.5 and row.gold.num_units == 2
    assert [miss.item_id for miss in row.misses] == [3]
    assert row.agreement.estimate is not None and row.agreement.estimate.value == pytest.approx(2 / 4)
    assert row.consistency.estimate is not None and row.consistency.estimate.value == pytest.approx(2.5 / 3)
    # earlier won: item 1 yes, item 2 three times, 3 no, 4 yes; item 5 showed 2 before 1 before 0: twice no
    assert row.position.estimate is not None and row.position.estimate.value == pytest.approx(5 / 8)
    assert row.tied.estimate is not None and row.tied.estimate.value == 0
    assert row.speed is not None and row.speed.n == 2 and row.speed.median_s == 16.5
    assert row.speed.too_fast.estimate is not None and row.speed.too_fast.estimate.value == 0.5


def test_what_is_not_known_says_why() -> None:
    row = quality_table([said(1, "a", 0, 0)])["a"]
    assert row.gold.undefined == "no item with a known answer was met yet"
    assert row.agreement.undefined == "no one else has judged the same answers yet"
    assert row.consistency.undefined == "no own item came back yet"
    assert row.position.undefined == "nothing was preferred over anything yet"
    assert row.speed is None and quality_table([]) == {}


def test_gold_does_not_count_as_agreement_nor_others_gold_as_mine() -> None:
    everything = [said(1, one, 0, 1, purpose="gold", gold=Gold(tiers=(1, 0))) for one in "ab"]
    rows = quality_table(everything)
    assert rows["a"].agreement.estimate is None
    assert [match.share for match in gold_matches(everything)] == [0, 0]


def test_second_looks_need_a_first() -> None:
    assert second_looks([said(2, "a", 0, 1, purpose="recheck", origin_id=1)]) == {}


def test_position_is_blind_to_the_order_that_is_judged() -> None:
    first = [said(n, "a", 0, 1, order=(0, 1)) for n in range(5)] + [
        said(n + 5, "a", 1, 0, order=(1, 0)) for n in range(5)
    ]
    assert position_figure(first).estimate.value == 1  # type: ignore[union-attr]
    content = [said(n, "a", 0, 1, order=(0, 1) if n % 2 else (1, 0)) for n in range(10)]
    assert position_figure(content).estimate.value == 0.5  # type: ignore[union-attr]


def test_patterns_are_counted_by_what_was_possible() -> None:
    found = shown_patterns([said(1, "a", 0, 1, order=(1, 0)), said(2, "a", 0, 0, 1), said(3, "a", 0, 0)])
    assert found == {2: [(1, 0)], 3: [(0, 0, 1)]}


def test_speed_has_its_own_floor_for_each_task() -> None:
    assert too_fast("compare", 1_900) and not too_fast("compare", 2_000) and too_fast("grade", 7_999)
    assert speed_of([]) is None
    one = speed_of([said(1, "a", 0, 1, active_ms=7_000)])
    assert one is not None and (one.median_s, one.low_s, one.high_s) == (7, 7, 7)


def test_with_the_others_by_hand() -> None:
    """One answer set, three labelers alike and one against: each of the three has the others behind them."""
    everything = [said(n, one, 0, 1) for n in range(20) for one in "abc"]
    everything += [said(n, "d", 1, 0) for n in range(19)] + [said(19, "d", 0, 0), said(99, "a", 0, 1)]
    shares = with_the_others(everything)
    assert set(shares["a"].values()) == {1.0} and 99 not in shares["a"]
    assert [shares["d"][n] for n in (0, 19)] == [0.0, 0.5]
    assert with_the_others([said(1, "a", 0, 1)]) == {}


def test_careful_people_beside_hostile_ones_keep_their_name() -> None:
    habits = {f"good{n}": "careful" for n in range(5)} | {f"bad{n}": "hostile" for n in range(3)}
    for seed in range(5):
        everything = answers(random.Random(seed), habits, items=90, gold_every=1000)
        assert {one.labeler for one in suspicions(everything)} == {"bad0", "bad1", "bad2"}
        right = with_the_others(everything)["good0"].values()
        assert sum(right) / len(right) > 0.75


def test_the_bad_apples_are_named_for_what_they_do() -> None:
    habits = {f"good{n}": "careful" for n in range(6)} | {
        "against": "hostile", "dice": "random", "robot": "same", "shrug": "tied",
    }  # fmt: skip
    found = suspicions(answers(random.Random(4), habits, items=120))
    named = {(one.labeler, one.sign) for one in found}
    assert {
        ("against", "hostile"),
        ("dice", "noisy"),
        ("robot", "habit"),
        ("robot", "fast"),
        ("shrug", "ties"),
    } <= named
    assert not any(labeler.startswith("good") for labeler, _ in named)
    assert ("against", "noisy") not in named
    against = next(one for one in found if one.labeler == "against")
    assert against.p <= 0.05 and "on 40 gold items" in against.why and "on 80 shared items" in against.why


def test_a_team_of_careful_people_is_left_alone() -> None:
    for seed in range(10):
        habits = {f"good{n}": "careful" for n in range(6)}
        assert suspicions(answers(random.Random(seed), habits, items=45)) == []


def test_consensus_finds_who_answers_against_the_truth() -> None:
    habits = {f"good{n}": "careful" for n in range(5)} | {"against": "hostile", "dice": "random"}
    everything = answers(random.Random(5), habits, items=90, gold_every=1000)
    truth = {name: figure.estimate for name, figure in one_coin(votes_of(everything)).items()}
    right = {name: value.value for name, value in truth.items() if value is not None}
    assert right["against"] < 0.3 and 0.35 < right["dice"] < 0.65 and min(right[f"good{n}"] for n in range(5)) > 0.75


def test_consensus_is_the_best_of_a_grid() -> None:
    """Three labelers, votes with known posterior: no grid point near or far has a higher penalised likelihood."""
    draw = random.Random(6)
    chances = {"a": 0.9, "b": 0.8, "c": 0.6}
    votes = [
        Vote(pair=(item, 0, 1), labeler=name, first=(draw.random() < chance) == (item % 2 == 0))
        for item in range(60)
        for name, chance in chances.items()
    ]
    found = {name: figure.estimate.value for name, figure in one_coin(votes).items() if figure.estimate}

    def score(guess: dict[str, float]) -> float:
        total = 1.0
        for item in range(60):
            sides = [1.0, 1.0]
            for vote in votes[3 * item : 3 * item + 3]:
                for side in (0, 1):
                    chance = guess[vote.labeler]
                    sides[side] *= chance if vote.first == (side == 1) else 1 - chance
            total *= 2 * sum(sides)
        for chance in guess.values():
            total *= chance**2 * (1 - chance) ** 0.5
        return total

    grid = [step / 20 for step in range(10, 20)]
    best = max(({"a": a, "b": b, "c": c} for a in grid for b in grid for c in grid), key=score)
    assert score(found) >= score(best)
    assert all(abs(found[name] - best[name]) <= 0.05 for name in chances)


def test_consensus_leaves_lonely_votes_out() -> None:
    assert one_coin([]) == {} and one_coin([Vote(pair=(1, 0, 1), labeler="a", first=True)]) == {}
