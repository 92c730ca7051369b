"""The bootstrap's resamples, its interval for few clusters, and many figures at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, norm, t

from heed.stats import RESAMPLES, bootstrap_mean, bootstrap_means, percentiles, resample_weights
from heed.stats.intervals import resampled, weight_blocks


def test_blocks_are_the_rows_of_the_whole() -> None:
    whole = resample_weights(9, 4)
    assert whole.shape == (RESAMPLES, 9)
    assert (whole.sum(axis=1) == 9).all()
    blocks = list(weight_blocks(9, 4, width=40_000))
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_totals_are_of_what_was_drawn() -> None:
    sums = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(resampled(sums, 4), resample_weights(9, 4) @ sums)


@pytest.mark.parametrize("clusters", [5, 20, 400])
def test_expanded_percentiles_by_hand(clusters: int) -> None:
    """Of normal draws with the bootstrap's spread, the interval is Student's: half = t(C - 1) s / sqrt(C)."""
    spread = np.sqrt((clusters - 1) / clusters)  # what resampling makes of a standard deviation of one
    draws = spread * norm.ppf((np.arange(400_000) + 0.5) / 400_000)
    low, high = percentiles(draws, clusters)
    assert high == pytest.approx(t.ppf(0.975, clusters - 1), rel=2e-3)
    assert low == pytest.approx(-high)
    plain = percentiles(draws)
    assert plain[1] == pytest.approx(1.96 * spread, rel=1e-3)


def test_of_one_cluster_all_draws_are_alike() -> None:
    assert percentiles(np.array([1.0, 1.0]), 1) == (1.0, 1.0)
    assert percentiles(np.array([1.0, 2.0, 5.0]), 2) == (1.0, 5.0)


def test_many_figures_are_each_what_they_are_alone() -> None:
    rng = np.random.default_rng(1)
    table, labels = rng.random((60, 4)), rng.integers(0, 25, 60)
    together = bootstrap_means(table, labels, unit_interval=True, seed=3)
    for column, found in zip(table.T, together, strict=True):
        alone = bootstrap_mean(column, labels, unit_interval=True, seed=3)
        assert (found.value, found.low, found.high, found.n) == pytest.approx(
            (alone.value, alone.low, alone.high, alone.n)
        )


def test_of_nothing_nothing_is_known() -> None:
    found = bootstrap_means(np.empty((0, 2)))
    assert len(found) == 2
    assert np.isnan(found[1].value) and found[1].n == 0


def test_bad_tables_are_refused() -> None:
    with pytest.raises(ValueError, match=r"table has shape \(3,\), expected \(values, figures\)"):
        bootstrap_means([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="2 numbers that are not finite"):
        bootstrap_means([[1.0, np.nan], [np.inf, 0.0]])


def test_values_are_moved_and_scaled_with_the_data() -> None:
    values = np.random.default_rng(2).exponential(size=40)
    once, moved = bootstrap_mean(values), bootstrap_mean(3 * values + 7)
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        (3 * once.value + 7, 3 * once.low + 7, 3 * once.high + 7)
    )


def test_what_was_never_seen_may_be() -> None:
    """Five clusters of four wins each: five observations' worth, as nothing shows that answers differ in a cluster."""
    found = bootstrap_mean(np.ones(20), np.repeat(np.arange(5), 4), unit_interval=True)
    assert found.low == pytest.approx(0.025 ** (1 / 5)) == pytest.approx(beta.ppf(0.025, 5, 1))
    independent = bootstrap_mean(np.tile([1.0, 1.0, 1.0, 0.0], 5), np.repeat(np.arange(5), 4), unit_interval=True)
    assert independent.low < 0.75 < independent.high


def test_the_rule_of_three_knows_how_much_was_seen() -> None:
    """One loss in 400 answers to 100 prompts: worth 400 trials, for the loss spread as if answers were independent."""
    values = np.ones(400)
    values[0] = 0.0
    found = bootstrap_mean(values, np.repeat(np.arange(100), 4), unit_interval=True)
    assert found.low <= 0.9975 * 0.025 ** (1 / 400)
    assert found.low > 0.9975 * 0.025 ** (1 / 100)
