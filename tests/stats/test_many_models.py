"""Strengths of many models and ratings on a scale: by hand, against choix and over all pairs, and in symmetry."""

from __future__ import annotations

from itertools import product

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.stats import bradley_terry
from heed.stats.ratings import ELO, compare_ratings, strengths, summarize_ratings, win_chance

Comparison = tuple[int, int, float, object]


def tournament(seed: int, models: int = 4, prompts: int = 60, ties: float = 0.2) -> list[Comparison]:
    rng = np.random.default_rng(seed)
    true = np.linspace(-0.8, 0.8, models)
    found: list[Comparison] = []
    for prompt in range(prompts):
        for _ in range(3):
            i, j = rng.choice(models, 2, replace=False)
            won = float(rng.random() < 1 / (1 + np.exp(true[j] - true[i])))
            found.append((int(i), int(j), 0.5 if rng.random() < ties else won, prompt))
    return found


# --- strengths


def test_two_models_by_hand() -> None:
    """Two wins and two ties of four are three to one: ln 3, or 400 log10(3) = 190.8 Elo points."""
    played = [(0, 1, 1.0, "p"), (0, 1, 0.5, "q"), (1, 0, 0.5, "r"), (1, 0, 0.0, "s")]
    _, first = strengths(played, 2, baseline=0, prior=1e-9)
    assert first.value == pytest.approx(-np.log(3), abs=1e-6)
    base, _ = strengths(played, 2, baseline=1, scale="elo", prior=1e-9)
    assert base.value == pytest.approx(400 * np.log10(3), abs=1e-3) == pytest.approx(190.8, abs=0.05)
    assert (
        win_chance(base.value, scale="elo") == pytest.approx(0.75, abs=1e-6) == pytest.approx(win_chance(-first.value))
    )
    assert base.n == 4


@pytest.mark.parametrize("seed", range(5))
def test_strengths_are_those_of_choix(seed: int) -> None:
    played = tournament(seed, ties=0.0)
    pairs = [(i, j) if won else (j, i) for i, j, won, _ in played]
    found = np.array([one.value for one in strengths(played, 4, prior=1e-9)])
    for oracle in (choix.ilsr_pairwise(4, pairs), choix.opt_pairwise(4, pairs)):
        np.testing.assert_allclose(found, oracle - oracle[0], atol=1e-4)


def test_ties_are_half_of_each() -> None:
    """As ``bradley_terry`` has it, whose maximum is sought in another way."""
    played, wins = tournament(11), np.zeros((4, 4))
    for i, j, won, _ in played:
        wins[i, j] += won
        wins[j, i] += 1 - won
    expected = bradley_terry(wins, prior=0.01)
    np.testing.assert_allclose([one.value for one in strengths(played, 4)], expected - expected[0], atol=1e-4)


def test_the_baseline_is_zero_and_only_shifts() -> None:
    played = tournament(12)
    first, other = strengths(played, 4), strengths(played, 4, baseline=2)
    assert (other[2].value, other[2].low, other[2].high) == (0, 0, 0)
    for one, two in zip(first, other, strict=True):
        assert one.value - first[2].value == pytest.approx(two.value, abs=1e-6)
    for elo, two in zip(strengths(played, 4, baseline=2, scale="elo"), other, strict=True):
        assert (elo.low, elo.value, elo.high) == pytest.approx((ELO * two.low, ELO * two.value, ELO * two.high))


def test_who_is_named_first_does_not_matter() -> None:
    played = tournament(13)
    turned = [(j, i, 1 - won, prompt) for i, j, won, prompt in played]
    for one, two in zip(strengths(played, 4), strengths(turned, 4), strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high), abs=1e-6)


def test_copies_of_a_comparison_are_one_observation() -> None:
    played = tournament(14)
    copied = [one for one in played for _ in range(3)]
    once, thrice = strengths(played, 4, prior=1e-6), strengths(copied, 4, prior=3e-6)
    apart = strengths([(*one[:3], number) for number, one in enumerate(copied)], 4, prior=3e-6)
    for one, two, three in zip(once[1:], thrice[1:], apart[1:], strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high), abs=1e-5)
        assert three.high - three.low < 0.8 * (two.high - two.low)


def test_models_without_a_common_scale_are_named() -> None:
    played = [(0, 1, 1.0, 0), (2, 3, 0.0, 1)]
    with pytest.raises(ValueError, match="2 parts that were never compared with each other: sft, ppo; flan, t0"):
        strengths(played, 4, names=["sft", "ppo", "flan", "t0"])
    with pytest.raises(ValueError, match="2 parts that were never compared with each other: 0, 1; 2"):
        strengths(played[:1], 3)
    assert len(strengths([*played, (1, 3, 0.5, 2)], 4)) == 4


def test_a_constant_winner_is_not_certain() -> None:
    """Ten wins on ten prompts allow a share of .025^(1/10): its log-odds are .81, and the prior takes a little."""
    loser, winner = strengths([(1, 0, 1.0, prompt) for prompt in range(10)], 2)
    share = 0.025 ** (1 / 10)
    assert winner.low == pytest.approx(np.log(share / (1 - share)), abs=0.01)
    assert winner.low < winner.value == winner.high < 20
    assert loser.value == 0


def test_a_constant_winner_among_others() -> None:
    played = [*tournament(15, models=3), *((3, k % 3, 1.0, f"more {k}") for k in range(12))]
    found = strengths(played, 4)
    assert found[3].low > 0
    assert found[3].low < 3 < found[3].value


def test_intervals_hold_the_truth() -> None:
    true = np.linspace(-0.8, 0.8, 4)
    held = [
        one.low <= true[k] - true[0] <= one.high
        for seed in range(60)
        for k, one in enumerate(strengths(tournament(seed, ties=0.0), 4))
        if k
    ]
    assert 0.88 < np.mean(held) <= 1.0


@pytest.mark.parametrize(
    ("played", "message"),
    [
        ([], "no comparisons"),
        ([(0, 0, 1.0, 0)], "comparison 0 is of models 0 and 0, expected two of 0 to 1"),
        ([(0, 1, 1.0, 0), (0, 2, 1.0, 0)], "comparison 1 is of models 0 and 2"),
        ([(0, 1, 2.0, 0)], "comparison 0 has outcome 2.0"),
    ],
)
def test_bad_comparisons_are_named(played: list[Comparison], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        strengths(played, 2)


# --- ratings


def test_a_summary_by_hand() -> None:
    found = summarize_ratings([7, 7, 4, 1], ["p", "p", "q", "r"])
    assert found.mean.value == 4.75
    assert [(grade, share.value) for grade, share in found.shares if share.value] == [(1, 0.25), (4, 0.25), (7, 0.5)]
    assert len(found.shares) == 7
    assert all(0 <= share.low <= share.value < share.high <= 1 for _, share in found.shares)
    assert found.as_json()["shares"]["7"]["value"] == 0.5  # type: ignore[index]


def test_a_comparison_by_hand() -> None:
    """Prompt 0: 7 and 6 against 5; prompt 1: 5 against 6. Prompts 2 and 3 were rated for one model only."""
    found = compare_ratings([7, 6, 5, 4], [0, 0, 1, 2], [5, 6, 5], [0, 1, 3])
    assert found.difference.value == pytest.approx((1.5 - 1) / 2)
    assert (found.superiority.value, found.superiority.better, found.superiority.worse) == (0.5, 0.5, 0.5)
    assert (found.prompts, found.left_out) == (2, 2)
    assert found.as_json()["left_out"] == 2


RATED = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 7)), min_size=1, max_size=14)


@settings(max_examples=40, deadline=None)
@given(RATED, RATED)
def test_superiority_is_over_all_pairs_of_a_prompt(ours: list[tuple[int, int]], theirs: list[tuple[int, int]]) -> None:
    shares, gaps = [], []
    for prompt in {p for p, _ in ours} & {p for p, _ in theirs}:
        pairs = list(product([g for p, g in ours if p == prompt], [g for p, g in theirs if p == prompt]))
        shares.append(np.mean([(a > b) + (a == b) / 2 for a, b in pairs]))
        gaps.append(np.mean([a - b for a, b in pairs]))
    our_prompts, our_grades = zip(*ours, strict=True)
    their_prompts, their_grades = zip(*theirs, strict=True)
    found = compare_ratings(our_grades, our_prompts, their_grades, their_prompts)
    assert found.prompts == len(shares)
    if not shares:
        assert found.superiority.n == 0
        return
    assert found.superiority.value == pytest.approx(np.mean(shares))
    assert found.difference.value == pytest.approx(np.mean(gaps))
    turned = compare_ratings(their_grades, their_prompts, our_grades, our_prompts)
    assert turned.superiority.value == pytest.approx(1 - found.superiority.value)
    assert turned.superiority.better == pytest.approx(found.superiority.worse)


def test_only_the_order_of_grades_makes_superiority() -> None:
    rng = np.random.default_rng(0)
    ours, theirs, prompts = rng.integers(1, 4, 40), rng.integers(1, 4, 40), np.arange(40)
    stretched = np.array([0, 1, 2, 7])
    plain = compare_ratings(ours, prompts, theirs, prompts)
    apart = compare_ratings(stretched[ours], prompts, stretched[theirs], prompts)
    assert apart.superiority == plain.superiority
    assert apart.difference.value != plain.difference.value


def test_grades_off_the_scale_are_refused() -> None:
    with pytest.raises(ValueError, match="ratings holds 8, expected whole grades from 1 to 7"):
        summarize_ratings([7, 8])
    with pytest.raises(ValueError, match=r"theirs holds 2\.5, expected whole grades"):
        compare_ratings([1], [0], [2.5], [0])
