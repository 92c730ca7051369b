"""What length and order do to a judge's verdicts, and what is left without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from heed.stats import log_length_ratios, logistic_length_controlled, order_bias

# --- length


def verdicts(seed: int, n: int, quality: float, slope: float, mean: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gaps = rng.normal(mean, 1, n)
    return (rng.random(n) < expit(quality + slope * gaps)).astype(float), gaps


@pytest.mark.parametrize("seed", range(4))
def test_the_intercept_is_that_of_scikit_learn(seed: int) -> None:
    won, gaps = verdicts(seed, 300, 0.4, 0.8)
    won[:40] = 0.5
    doubled = np.concatenate([won > 0.5, np.where(won == 0.5, True, won > 0.5)])  # a tie is one of each
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.tile(gaps, 2)[:, None], doubled)
    found = logistic_length_controlled(won, gaps, ridge=1e-9)
    assert found.value == pytest.approx(float(expit(model.intercept_[0])), abs=1e-5)
    assert found.ties == pytest.approx(40 / 300)


def test_equal_lengths_leave_the_win_rate() -> None:
    """28 wins of 40 at equal length: .7, whatever the ridge adds."""
    won = np.array([1.0] * 28 + [0.0] * 12)
    found = logistic_length_controlled(won, np.zeros(40))
    assert found.value == pytest.approx(0.7, abs=1e-4)
    assert found.low < 0.7 < found.high


def test_a_judge_of_length_alone_is_seen_through() -> None:
    """Twelve times: it always seems to prefer the longer side, and at equal length hardly ever does."""
    found = [logistic_length_controlled(*verdicts(seed, 250, 0.0, 2.0, mean=0.8)) for seed in range(12)]
    assert min(one.better for one in found) > 0.6
    assert sum(one.low < 0.5 < one.high for one in found) >= 10
    assert np.mean([one.value for one in found]) == pytest.approx(0.5, abs=0.04)


def test_what_length_did_not_win_stays() -> None:
    won, gaps = verdicts(2, 600, 0.8, 0.0)
    found = logistic_length_controlled(won, gaps)
    assert found.low > 0.5
    assert found.low < expit(0.8) < found.high


def test_lengths_that_separate_wins_from_losses_are_no_trouble() -> None:
    gaps = np.random.default_rng(3).normal(0.8, 1, 300)
    found = logistic_length_controlled((gaps > 0).astype(float), gaps)
    assert found.better > 0.75
    assert 0 < found.low < 0.5 < found.high < 1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_swapping_sides_mirrors_it_and_units_do_not_matter(seed: int, unit: float) -> None:
    won, gaps = verdicts(seed, 60, 0.3, 0.5)
    ours, theirs = logistic_length_controlled(won, gaps), logistic_length_controlled(1 - won, -unit * gaps)
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (1 - theirs.value, 1 - theirs.high, 1 - theirs.low), abs=1e-4
    )
    assert (ours.better, ours.worse) == (theirs.worse, theirs.better)


def test_copies_of_a_prompt_are_one_observation() -> None:
    won, gaps = verdicts(4, 80, 0.3, 0.5)
    once = logistic_length_controlled(won, gaps, ridge=1e-9)
    copied = logistic_length_controlled(np.repeat(won, 3), np.repeat(gaps, 3), np.repeat(np.arange(80), 3), ridge=1e-9)
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high), abs=1e-4)


def test_twenty_wins_are_not_certainty() -> None:
    found = logistic_length_controlled(np.ones(20), np.linspace(-1, 1, 20))
    assert found.low == pytest.approx(0.025 ** (1 / 20), abs=1e-3)
    assert found.value > 0.99


def test_length_control_refuses_what_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="length_gaps has 1 values, expected 2"):
        logistic_length_controlled([1, 0], [0.5])
    with pytest.raises(ValueError, match="won holds 2, expected 0, 1/2 or 1"):
        logistic_length_controlled([1, 2], [0.5, 0.1])
    assert logistic_length_controlled([], []).n == 0


def test_length_ratios_by_hand() -> None:
    assert log_length_ratios([10, 5, 0], [5, 10, 1]).tolist() == pytest.approx([np.log(2), -np.log(2), 0])


# --- order


def test_order_bias_by_hand() -> None:
    """Four pairs: turned by order, won in both, tied in both, lost in both."""
    found = order_bias([1, 1, 0.5, 0], [0, 1, 0.5, 0])
    assert found.first.value == pytest.approx((1 + 0.5 + 0.5 + 0.5) / 4)
    assert found.consistency.value == 0.75
    assert (found.win_rate.value, found.win_rate.better, found.win_rate.worse) == (0.5, 0.25, 0.25)
    assert found.win_rate.ties == 0.5
    assert found.as_json()["biased"] is found.biased is False


def test_a_judge_of_place_alone_is_found() -> None:
    found = order_bias(np.ones(50), np.zeros(50))
    assert found.biased
    assert (found.first.value, found.consistency.value, found.win_rate.value) == (1, 0, 0.5)


@pytest.mark.parametrize("push", [-0.5, 0.0, 0.5])
def test_bias_is_measured_and_taken_away(push: float) -> None:
    rng = np.random.default_rng(5)
    own = rng.normal(0.5, 1.0, 3000)
    found = order_bias(rng.random(3000) < expit(own + push), rng.random(3000) < expit(own - push))
    first = ((expit(own + push) + 1 - expit(own - push)) / 2).mean()
    ours = ((expit(own + push) + expit(own - push)) / 2).mean()
    assert found.first.low < first < found.first.high
    assert found.win_rate.low < ours < found.win_rate.high
    assert found.biased == (push != 0.0)


@given(st.lists(st.tuples(st.sampled_from([0, 0.5, 1]), st.sampled_from([0, 0.5, 1])), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_the_other_answer_sees_the_same_bias(pairs: list[tuple[float, float]]) -> None:
    """It is shown second when ours is first, and wins what ours loses."""
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    ours, theirs = order_bias(first, second), order_bias(1 - second, 1 - first)
    assert ours.first == theirs.first
    assert ours.consistency == theirs.consistency
    assert ours.win_rate.value == pytest.approx(1 - theirs.win_rate.value)


def test_order_bias_needs_both_orders() -> None:
    with pytest.raises(ValueError, match="shown_second has 1 verdicts, expected 2, one for each pair"):
        order_bias([1, 0], [1])
