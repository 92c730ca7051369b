"""How many comparisons are needed: by hand, against exact binomial sums, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from heed.stats import sign_flips
from heed.stats.power import (
    comparisons_needed,
    design_effect,
    detectable,
    detectable_gain,
    items_needed,
    paired_power,
    win_rate_power,
)


def test_comparisons_by_hand() -> None:
    """For .55: ((1.95996 x .5 + .84162 x sqrt(.55 x .45)) / .05)^2 = 782.4; half a step makes it 1 / .05 more."""
    root = (1.959964 * 0.5 + 0.841621 * np.sqrt(0.55 * 0.45)) / 0.05
    assert root**2 == pytest.approx(782.4, abs=0.5)
    assert comparisons_needed(0.05) == comparisons_needed(-0.05) == pytest.approx(root**2 + 20, abs=1)


@pytest.mark.parametrize("difference", [0.03, 0.05, 0.1, 0.2])
def test_the_power_is_that_of_the_exact_binomial_test(difference: float) -> None:
    """On average over forty sizes from the one that is needed, for the exact test moves in steps."""
    first, exact, forecast = comparisons_needed(difference), [], []
    for n in range(first, first + 40):
        rejected = 2 * binom.cdf(np.arange(n + 1), n, 0.5) <= 0.05
        chance = binom.pmf(np.arange(n + 1), n, 0.5 + difference)
        exact.append(chance[rejected].sum() + chance[rejected[::-1]].sum())
        forecast.append(win_rate_power(n, difference))
    assert forecast[0] == pytest.approx(0.8, abs=0.005)
    assert np.mean(forecast) == pytest.approx(np.mean(exact), abs=0.012)


@pytest.mark.parametrize(("difference", "correlation"), [(0.05, 0.5), (0.1, 0.0), (0.2, 0.3)])
def test_the_power_is_that_of_the_exact_mcnemar_test(difference: float, correlation: float) -> None:
    """Over all numbers of items that one alone got right, and of those the first got right; averaged as above."""
    rate, other = 0.6, 0.6 + difference
    both = rate * other + correlation * np.sqrt(rate * (1 - rate) * other * (1 - other))
    apart, share = rate + other - 2 * both, (other - both) / (rate + other - 2 * both)
    n = items_needed(rate, difference, correlation=correlation)
    exact = 0.0
    for held, chance in enumerate(binom.pmf(np.arange(n + 1), n, apart)):
        if chance > 1e-8:
            rejected = 2 * binom.cdf(np.arange(held + 1), held, 0.5) <= 0.05
            pmf = binom.pmf(np.arange(held + 1), held, share)
            exact += chance * (pmf[rejected].sum() + pmf[rejected[::-1]].sum())
    assert exact == pytest.approx(0.8, abs=0.04)
    assert paired_power(n, rate, difference, correlation=correlation) == pytest.approx(0.8, abs=0.005)


def test_the_power_with_ties_and_prompts_by_simulation() -> None:
    """Four comparisons of each prompt with correlation .3: 1.9 times as many. 1,000 runs, three standard errors."""
    assert design_effect(4, 0.3) == pytest.approx(1.9)
    n = comparisons_needed(0.1, per_cluster=4, correlation=0.3)
    assert n == pytest.approx(1.9 * comparisons_needed(0.1), abs=2)
    rng, prompts = np.random.default_rng(0), n // 4
    wins = rng.binomial(4, rng.beta(0.6 * 7 / 3, 0.4 * 7 / 3, (prompts, 1000)))
    found = np.array(sign_flips(wins - 2.0, draws=1000)) <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.04)
    n = comparisons_needed(0.1, ties=0.4)
    drawn = rng.choice([0.5, 0.0, -0.5], p=[0.4, 0.4, 0.2], size=(n, 1000))
    found = np.array(sign_flips(drawn, draws=1000)) <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.04)


def test_ties_save_comparisons() -> None:
    assert comparisons_needed(0.05, ties=0.2) < comparisons_needed(0.05)


def test_no_difference_is_found_as_often_as_the_level_says() -> None:
    """A little less, for the exact test moves in steps."""
    assert 0.044 < win_rate_power(500, 0.0) < 0.05
    assert 0.04 < paired_power(500, 0.6, 0.0, correlation=0.3) < 0.05


@given(st.floats(0.01, 0.4), st.floats(0.3, 0.99), st.floats(0, 0.15))
def test_detectable_undoes_comparisons_needed(difference: float, power: float, ties: float) -> None:
    n = comparisons_needed(difference, power=power, ties=ties)
    smallest = detectable(n, power=power, ties=ties)
    assert smallest <= difference + 1e-9
    smaller = detectable(max(n - 1, 1), power=power, ties=ties)  # NaN when nothing is
    assert smaller > difference - 1e-9 or np.isnan(smaller)


@given(st.integers(20, 5000), st.floats(0.02, 0.2))
def test_more_comparisons_show_more(n: int, difference: float) -> None:
    assert win_rate_power(n + 10, difference) >= win_rate_power(n, difference)
    assert win_rate_power(n, difference + 0.01) >= win_rate_power(n, difference)
    assert detectable(n + 10) < detectable(n)


def test_items_by_hand() -> None:
    """Rates .6 and .7, independent: one alone is right on .6 x .3 + .4 x .7 = .46 of items (Connor's formula)."""
    root = (1.959964 * np.sqrt(0.46) + 0.841621 * np.sqrt(0.46 - 0.01)) / 0.1
    assert items_needed(0.6, 0.1) == pytest.approx(root**2 + 2 / 0.1, abs=1.2)  # and half a step of two
    assert items_needed(0.7, -0.1) == items_needed(0.6, 0.1) == items_needed(0.4, -0.1)
    assert items_needed(0.6, 0.1, per_cluster=3, cluster_correlation=0.5) == pytest.approx(2 * root**2 + 40, abs=2.4)


def test_items_that_both_find_hard_save_items() -> None:
    n = items_needed(0.6, 0.05, correlation=0.5)
    assert n < 0.6 * items_needed(0.6, 0.05)
    assert paired_power(n, 0.6, 0.05, correlation=0.5) == pytest.approx(0.8, abs=0.005)
    assert detectable_gain(n, 0.6, correlation=0.5) == pytest.approx(0.05, abs=1e-4)


def test_what_too_few_show_is_nothing() -> None:
    assert np.isnan(detectable(3))
    assert np.isnan(detectable_gain(20, 0.95))
    assert np.isnan(detectable_gain(5, 0.5, correlation=0.9))
    assert detectable_gain(50, 0.0) > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: comparisons_needed(0.0), "difference is 0"),
        (lambda: items_needed(0.5, 0.0), "difference is 0"),
        (lambda: comparisons_needed(0.45, ties=0.2), "no win rate is 0.95 when a share of 0.2 are ties"),
        (lambda: comparisons_needed(0.1, power=0.01), "power is 0.01 at alpha 0.05"),
        (lambda: design_effect(0.5, 0.1), "per_cluster is 0.5"),
        (lambda: items_needed(0.5, 0.4, correlation=0.9), "cannot have correlation 0.9: both would be right"),
        (lambda: items_needed(0.8, 0.4), "rates are 0.8 and 1.2"),
    ],
)
def test_the_impossible_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_a_certain_effect_is_shown_or_not() -> None:
    """A side that always wins: its share has no spread, and .5 is above .98 / sqrt(n) + .5 / n from n = 6 on,
    as 2 / 2^n is below .05 from there on."""
    assert win_rate_power(6, 0.5) == 1.0
    assert win_rate_power(5, 0.5) == 0.0
