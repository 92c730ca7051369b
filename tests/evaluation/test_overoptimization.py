"""Best-of-n against brute force, and the fitted curves against curves they were made from."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb, e, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.evaluation.overoptimization import (
    best_of_n,
    best_of_n_points,
    best_of_n_win_rate,
    best_of_weights,
    kl_of_best_of,
)
from heed.evaluation.overoptimization_fits import fit_curve


def test_weights_by_hand() -> None:
    """Best of 2 of 4: the samples of rank 1..4 are best in 0, 1, 2, 3 of the 6 pairs."""
    np.testing.assert_allclose(best_of_weights(4, 2), np.array([0, 1, 2, 3]) / 6, atol=1e-12)
    with pytest.raises(ValueError, match="n is 5, expected 1 to the pool's 4"):
        best_of_weights(4, 5)


@given(st.integers(1, 60).flatmap(lambda pool: st.tuples(st.just(pool), st.integers(1, pool))))
def test_weights_are_binomial_ratios_and_make_one(case: tuple[int, int]) -> None:
    pool, n = case
    expected = [comb(rank - 1, n - 1) / comb(pool, n) for rank in range(1, pool + 1)]
    np.testing.assert_allclose(best_of_weights(pool, n), expected, rtol=1e-9, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 7))
def test_best_of_n_equals_all_subsets(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    proxy, gold = rng.normal(size=(1, 7)), rng.normal(size=(1, 7))
    subsets = [max(subset, key=lambda i: proxy[0, i]) for subset in combinations(range(7), n)]
    assert best_of_n(proxy, gold, n)[0] == pytest.approx(np.mean([gold[0, i] for i in subsets]))


def test_tied_samples_share() -> None:
    """Equal proxies choose evenly: the mean of gold, whatever its order."""
    assert best_of_n([[1.0, 1.0, 1.0]], [[0.0, 3.0, 6.0]], 2)[0] == pytest.approx(3)
    assert best_of_n([[0.0, 1.0, 1.0]], [[9.0, 2.0, 4.0]], 3)[0] == pytest.approx(3)


def test_kl_of_best_of_n() -> None:
    assert kl_of_best_of(1) == 0
    assert kl_of_best_of(8) == pytest.approx(1.2, abs=0.01)  # Stiennon et al. 2020, Table 10
    assert kl_of_best_of(512) == pytest.approx(5.2, abs=0.05)


def test_points_rise_in_what_is_optimised() -> None:
    rng = np.random.default_rng(0)
    gold = rng.normal(size=(300, 16))
    points = best_of_n_points(gold + rng.normal(size=gold.shape), gold)
    assert [point.at for point in points] == [1, 2, 4, 8, 16]
    assert points[0].kl == 0 and points[0].gold == pytest.approx(gold.mean())
    assert all(a.reward < b.reward and a.gold < b.gold for a, b in pairwise(points))


def test_best_of_n_win_rate_by_hand() -> None:
    """The best of both samples has gold 2 against 1 (wins) and 0 against 0 (ties): 3/4."""
    found, worse = best_of_n_win_rate([[0, 1], [1, 0]], [[0, 2], [0, 5]], [1, 0], 2, ["a", "b"])
    assert (found.value, found.n, worse) == (0.75, 2, 0.0)


def test_fits_find_the_curves_they_were_made_from() -> None:
    d = np.linspace(0.2, 4, 12)
    best = fit_curve(list(d**2), list(d * (2 - 0.4 * d)), "best_of_n")
    assert best is not None and (best.alpha, best.beta) == (pytest.approx(2), pytest.approx(0.4))
    assert best.peak_kl == pytest.approx(2.5**2) and best.peak_gain == pytest.approx(2.5)
    assert best.r_squared == pytest.approx(1)
    rl = fit_curve(list(d**2), list(d * (1 - 0.5 * np.log(d))), "rl")
    assert rl is not None and (rl.alpha, rl.beta) == (pytest.approx(1), pytest.approx(0.5))
    assert rl.peak_kl == pytest.approx(e**2) and rl.peak_gain == pytest.approx(0.5 * e)
    assert e * (1 - 0.5 * log(e)) == pytest.approx(rl.peak_gain)


def test_a_curve_that_only_rises_has_no_peak_and_two_points_no_curve() -> None:
    rising = fit_curve([1, 4, 9], [1, 2, 3], "best_of_n")
    assert rising is not None and rising.peak_kl is None
    assert fit_curve([0, 1, 4], [0, 1, 2], "rl") is None
