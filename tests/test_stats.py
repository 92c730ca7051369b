"""Statistics: worked by hand, against a slow reference or another library, and in simulation."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt

import choix
import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.stats import (
    Estimate,
    bootstrap_mean,
    bradley_terry,
    calibration,
    krippendorff_alpha,
    length_controlled_win_rate,
    noise_bound,
    outcomes,
    pair_agreement,
    wilson,
    win_rate,
)

# --- intervals


def test_wilson_by_hand() -> None:
    """7 of 10: centre (0.7 + 1.9208/10) / 1.38416, half-width as in Wilson 1927."""
    z2 = 1.959963984540054**2
    centre = (0.7 + z2 / 20) / (1 + z2 / 10)
    half = sqrt(z2) / (1 + z2 / 10) * sqrt(0.7 * 0.3 / 10 + z2 / 400)
    found = wilson(7, 10)
    assert (found.value, found.n) == (0.7, 10)
    assert found.low == pytest.approx(centre - half) == pytest.approx(0.396778, abs=1e-6)
    assert found.high == pytest.approx(centre + half) == pytest.approx(0.892209, abs=1e-6)


def test_wilson_of_nothing_knows_nothing() -> None:
    found = wilson(0, 0)
    assert np.isnan(found.value) and (found.low, found.high) == (0, 1)


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError, match="successes is 3, expected 0 to n = 2"):
        wilson(3, 2)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share_and_stays_in_range(case: tuple[int, int]) -> None:
    found = wilson(*case)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, 2000)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.01)
    assert found.high == pytest.approx(values.mean() + half, abs=0.01)


def test_the_bootstrap_is_deterministic() -> None:
    values = np.arange(50.0)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values)


def test_values_of_one_cluster_are_one_observation() -> None:
    """Every value copied four times: clustered, the interval does not shrink; taken as independent, it halves."""
    values = np.random.default_rng(1).normal(size=400)
    once = bootstrap_mean(values)
    clustered = bootstrap_mean(np.repeat(values, 4), np.repeat(np.arange(400), 4))
    naive = bootstrap_mean(np.repeat(values, 4))
    assert clustered.high - clustered.low == pytest.approx(once.high - once.low, rel=1e-9)
    assert naive.high - naive.low == pytest.approx((once.high - once.low) / 2, rel=0.1)


def test_equal_outcomes_do_not_make_certainty() -> None:
    """Twenty wins of twenty: the exact (Clopper-Pearson) lower end is 0.025^(1/20) = 0.832."""
    found = bootstrap_mean(np.ones(20), unit_interval=True)
    assert found.value == found.high == 1
    assert found.low == pytest.approx(0.025 ** (1 / 20))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="1 numbers that are not finite"):
        bootstrap_mean([1.0, float("nan")])
    with pytest.raises(ValueError, match=r"clusters has shape \(1,\), expected one label for each of 2 values"):
        bootstrap_mean([1.0, 2.0], ["a"])


@pytest.mark.parametrize("probabilities", [(0.5, 0.0), (0.35, 0.3), (0.1, 0.1)], ids=["even", "ties", "rare"])
def test_intervals_cover_what_they_should(probabilities: tuple[float, float]) -> None:
    """Of 95 % intervals of a win rate on clustered data, 93 to 97 % hold the truth (400 simulated comparisons)."""
    win, tie = probabilities
    truth = win + tie / 2
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        per_prompt = rng.choice([1.0, 0.5, 0.0], size=150, p=[win, tie, 1 - win - tie])
        values = np.repeat(per_prompt, 2)  # two judges who always agree
        found = bootstrap_mean(values, np.repeat(np.arange(150), 2), unit_interval=True)
        covered += found.low <= truth <= found.high
    assert 0.925 <= covered / 400 <= 0.975


# --- win rates


def test_win_rate_by_hand_with_ties() -> None:
    """Two wins, one loss, two ties of five: (2 + 2 * 0.5) / 5 = 0.6."""
    found = win_rate([3, 1, 2, 5, 0], [1, 2, 2, 4, 0])
    assert (found.value, found.better, found.worse, found.n) == (0.6, 0.4, 0.2, 5)
    assert found.ties == pytest.approx(0.4)
    assert found.low < 0.6 < found.high


def test_almost_equal_scores_tie() -> None:
    assert outcomes([0.1 + 0.2], [0.3]).tolist() == [0.5]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=40))
def test_a_win_rate_and_its_mirror_make_one(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    first, second = win_rate(ours, theirs), win_rate(theirs, ours)
    assert first.value + second.value == pytest.approx(1)
    assert (first.better, first.worse) == (second.worse, second.better)


def test_nulls_are_seldom_found() -> None:
    """Between equal models, an interval that excludes one half is a false alarm: about 5 % of 400."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        found = win_rate(rng.integers(0, 4, 200), rng.integers(0, 4, 200))
        alarms += not found.low <= 0.5 <= found.high
    assert alarms / 400 <= 0.075


def test_a_planted_difference_is_found() -> None:
    rng = np.random.default_rng(4)
    found = [
        win_rate(won, 1 - won).low > 0.5 for won in (rng.random((50, 1000)) < 0.55).astype(float)
    ]  # 1,000 prompts, true win rate .55
    assert np.mean(found) > 0.8


def test_length_control_takes_away_what_length_won() -> None:
    """A judge who only counts words, and a model that writes longer: .8 plainly, one half at equal length."""
    rng = np.random.default_rng(5)
    gaps = rng.normal(0.84, 1.0, 4000)
    noise = rng.normal(0, 0.01, 4000)
    plain = win_rate(gaps + noise, np.zeros(4000))
    controlled = length_controlled_win_rate(gaps + noise, np.zeros(4000), gaps)
    assert plain.value == pytest.approx(0.8, abs=0.02)
    assert controlled.value < 0.57  # a line through a step leaves a little
    assert controlled.worse == plain.worse


def test_length_control_leaves_what_length_did_not_win() -> None:
    rng = np.random.default_rng(6)
    gaps = rng.normal(0, 1, 4000)
    won = (rng.random(4000) < 0.7).astype(float)
    controlled = length_controlled_win_rate(won, 1 - won, gaps)
    assert controlled.low < 0.7 < controlled.high
    equal = length_controlled_win_rate(won, 1 - won, np.zeros(4000))
    assert equal.value == pytest.approx(won.mean())


def test_length_control_is_the_intercept_of_a_regression() -> None:
    rng = np.random.default_rng(8)
    scores, gaps = rng.normal(size=60), rng.normal(size=60)
    design = np.stack([np.ones(60), gaps], axis=1)
    expected = np.linalg.lstsq(design, outcomes(scores, np.zeros(60)), rcond=None)[0][0]
    assert length_controlled_win_rate(scores, np.zeros(60), gaps).value == pytest.approx(expected)


# --- Bradley-Terry


def test_two_players_by_hand() -> None:
    """Three wins to one: the log-odds are ln 3."""
    strengths = bradley_terry([[0, 3], [1, 0]])
    assert strengths[0] - strengths[1] == pytest.approx(log(3), abs=1e-5)
    assert strengths.sum() == pytest.approx(0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_bradley_terry_equals_choix(seed: int) -> None:
    wins = np.random.default_rng(seed).integers(1, 30, (5, 5)).astype(float)
    np.fill_diagonal(wins, 0)
    expected = choix.opt_pairwise(5, [(i, j) for i in range(5) for j in range(5) for _ in range(int(wins[i, j]))])
    np.testing.assert_allclose(bradley_terry(wins), expected - expected.mean(), atol=1e-4)


def test_a_prior_keeps_a_constant_winner_finite() -> None:
    strengths = bradley_terry([[0, 10], [0, 0]], prior=0.1)
    assert 0 < strengths[0] < 10


# --- agreement


def test_pair_agreement_by_hand() -> None:
    """Of the three pairs, the labelers agree on (0, 1) and (0, 2), and differ on (1, 2)."""
    assert pair_agreement([[(0, 1, 2), (0, 2, 1)]]).value == pytest.approx(2 / 3)


def test_ties_are_dropped_or_halved() -> None:
    groups = [[(0, 0, 1), (0, 1, 1)]]  # (0,1): tie, better; (0,2): both better; (1,2): better, tie
    assert pair_agreement(groups).n == 1
    assert pair_agreement(groups, ties="half").value == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert pair_agreement([]).n == 0


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(5))
def test_alpha_equals_krippendorff(level: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, 30)
    table = np.where(rng.random((4, 30)) < 0.6, truth, rng.integers(1, 6, (4, 30))).astype(float)
    table[rng.random(table.shape) < 0.25] = np.nan
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement=level)
    assert krippendorff_alpha(table, level) == pytest.approx(expected)  # type: ignore[arg-type]


def test_alpha_at_its_ends() -> None:
    assert krippendorff_alpha([[1, 2, 3], [1, 2, 3]]) == pytest.approx(1)
    assert np.isnan(krippendorff_alpha([[1, 1], [1, 1]]))
    noise = np.random.default_rng(0).integers(0, 3, (2, 5000))
    assert krippendorff_alpha(noise) == pytest.approx(0, abs=0.03)


# --- what noise allows


def _agreement(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, n=100)


def test_noise_bound_by_hand() -> None:
    """Labels right nine times in ten: two agree .81 + .01 = .82, and nobody can predict them better than .9."""
    bound = noise_bound(_agreement(0.82))
    assert bound.ceiling == pytest.approx(0.9)
    assert bound.floor == 0.82
    assert noise_bound(_agreement(0.5)).ceiling == noise_bound(_agreement(0.4)).ceiling == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_best_scorer_lies_between_the_bounds(hardness: list[float]) -> None:
    """Pairs of any mixture of hardness q: agreement (1 + E q^2) / 2, the best accuracy (1 + E q) / 2."""
    q = np.array(hardness)
    bound = noise_bound(_agreement((1 + float((q * q).mean())) / 2))
    assert bound.floor - 1e-9 <= (1 + float(q.mean())) / 2 <= bound.ceiling + 1e-9


# --- calibration


def test_calibration_by_hand() -> None:
    """Bins [0, .5) and [.5, 1]: confidence .2 with accuracy .5, confidence .8 with accuracy 1; ECE (.3 + .2) / 2."""
    found = calibration([0.1, 0.3, 0.7, 0.9], [0, 1, 1, 1], num_bins=2)
    assert [(round(b.confidence, 9), b.accuracy, b.n) for b in found.bins] == [(0.2, 0.5, 2), (0.8, 1.0, 2)]
    assert found.ece == pytest.approx(0.25)
    assert found.brier == pytest.approx((0.01 + 0.49 + 0.09 + 0.01) / 4)


def test_honest_probabilities_have_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 40_000)
    assert calibration(p, rng.random(40_000) < p, start=0.5).ece < 0.01
    overconfident = 1 / (1 + np.exp(-3 * np.log(p / (1 - p))))
    assert calibration(overconfident, rng.random(40_000) < p, start=0.5).ece > 0.1


@pytest.mark.parametrize("values", [[], [0.5]])
def test_calibration_of_little(values: Sequence[float]) -> None:
    found = calibration(values, values)
    assert len(found.bins) == len(values)


def test_bradley_terry_probabilities_are_the_observed_shares() -> None:
    """Maximum likelihood matches the expected to the observed number of wins of each player."""
    wins = np.array([[0, 4, 7], [6, 0, 5], [3, 5, 0]], dtype=float)
    strengths = bradley_terry(wins)
    games = wins + wins.T
    expected = sum(games[0, j] / (1 + exp(strengths[j] - strengths[0])) for j in (1, 2))
    assert expected == pytest.approx(wins[0].sum(), abs=1e-3)
