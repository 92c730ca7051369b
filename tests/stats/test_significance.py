"""Significance: by hand, against every sign pattern, every subset and scipy, and in simulation."""

from __future__ import annotations

from itertools import chain, combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from heed.stats import sign_flip, sign_flips
from heed.stats.tests import (
    EXACT,
    benjamini_hochberg,
    compare_all,
    compare_families,
    difference_intervals,
    holm,
    mcnemar,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)

# --- one difference


def test_sign_flips_by_hand() -> None:
    """Of the eight patterns of 1, 2, 3 only the two without a change of sign are as far from zero."""
    assert sign_flip([1, 2, 3]) == 2 / 8
    assert sign_flip([1, 2, 3, 0, 0]) == 2 / 8  # items without a difference turn into themselves
    assert sign_flip([1, 2, -3]) == 1
    assert sign_flip([1, 1, 2, 2], ["a", "a", "b", "b"]) == 2 / 4
    assert sign_flip([0, 0]) == sign_flip([]) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 6)), min_size=1, max_size=12))
def test_few_clusters_are_tried_in_every_way(items: list[tuple[int, int]]) -> None:
    values, clusters = zip(*items, strict=True)
    sums = [sum(v for v, c in items if c == one) for one in set(clusters)]
    patterns = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=len(sums))
    ]
    expected = np.mean([far >= abs(sum(sums)) for far in patterns])
    assert sign_flip(values, clusters) == pytest.approx(expected)


def test_random_patterns_agree_with_the_exact_distribution() -> None:
    """Thirty whole differences: the distribution of their signed sum by convolution."""
    values = np.random.default_rng(0).integers(-3, 5, 30)
    chances = {0: 1.0}
    for value in values:
        grown: dict[int, float] = {}
        for total, chance in chances.items():
            for turned in (total + value, total - value):
                grown[turned] = grown.get(turned, 0.0) + chance / 2
        chances = grown
    exact = sum(chance for total, chance in chances.items() if abs(total) >= abs(values.sum()))
    draws = 20_000
    found = sign_flip(values, draws=draws)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / draws))
    assert found == sign_flip(values, draws=draws)  # it is seeded
    assert found == sign_flip(-values, draws=draws)
    assert (np.count_nonzero(values)) > EXACT


def test_a_random_p_value_is_never_zero() -> None:
    assert sign_flip(np.ones(40), draws=999) == 1 / 1000


def test_patterns_are_the_same_in_blocks_of_any_size() -> None:
    table = np.random.default_rng(11).normal(size=(130, 2))
    wide = np.concatenate([table, np.zeros((130, 3000))], axis=1)
    assert sign_flips(wide, draws=300)[:2] == sign_flips(table, draws=300)
    few = np.concatenate([table[:13], np.zeros((13, 3000))], axis=1)
    assert sign_flips(few)[:2] == sign_flips(table[:13])


def test_many_differences_are_each_what_they_are_alone() -> None:
    table = np.random.default_rng(1).normal(size=(40, 3))
    assert sign_flips(table, draws=500) == [sign_flip(column, draws=500) for column in table.T]


def test_prompts_turn_whole() -> None:
    """Ten prompts whose four answers are alike: with prompts ignored, the evidence counts four times."""
    values = np.repeat(np.random.default_rng(2).normal(0.4, 1, 10), 4)
    assert sign_flip(values, np.repeat(np.arange(10), 4)) > 2 * sign_flip(values)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """A thousand nulls, clustered: at most .05, and not much less; four standard errors of room."""
    rng = np.random.default_rng(3)
    gaps = np.repeat(rng.normal(0, 1, (40, 1000)), 3, axis=0) + rng.normal(0, 1, (120, 1000))
    p = np.array(sign_flips(gaps, np.repeat(np.arange(40), 3), draws=1000))
    assert 0.022 < (p <= 0.05).mean() < 0.078


def test_mcnemar_by_hand() -> None:
    """Ten items on which one alone is right, nine of them the first: 2 (C(10,0) + C(10,1)) / 2^10."""
    first, second = [1] * 9 + [0] + [1, 0] * 5, [0] * 9 + [1] + [1, 0] * 5
    assert mcnemar(first, second) == pytest.approx(22 / 1024) == mcnemar(second, first)
    assert mcnemar([1, 0], [1, 0]) == 1


def test_mcnemar_is_the_exact_sign_flip() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        first, second = rng.integers(0, 2, (2, 14))
        assert mcnemar(first, second) == pytest.approx(sign_flip(first - second))


def test_tests_refuse_what_they_cannot_read() -> None:
    with pytest.raises(ValueError, match=r"first holds 0\.5, expected 0 or 1"):
        mcnemar([0.5], [1])
    with pytest.raises(ValueError, match="second has 1 values, expected 2"):
        mcnemar([0, 1], [1])
    with pytest.raises(ValueError, match="1 numbers that are not finite"):
        sign_flip([1, np.nan])
    with pytest.raises(ValueError, match=r"p_values holds 1\.5, expected 0 to 1"):
        holm([0.5, 1.5])


# --- many


def test_adjusted_by_hand() -> None:
    """Holm: 3 x .01, 2 x .03, then no less than that. Benjamini-Hochberg: 3 x .01, then .03 x 3/2 falls to .04."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([]) == benjamini_hochberg([]) == []
    assert holm([0.2]) == benjamini_hochberg([0.2]) == [0.2]


@settings(max_examples=50, deadline=None)
@given(P_VALUES)
def test_holm_is_the_closed_bonferroni_test(p: list[float]) -> None:
    """A hypothesis falls when Bonferroni rejects every set that holds it."""
    places = range(len(p))
    sets = list(chain.from_iterable(combinations(places, size) for size in range(1, len(p) + 1)))
    expected = [max(min(1.0, len(some) * min(p[k] for k in some)) for some in sets if one in some) for one in places]
    assert holm(p) == pytest.approx(expected)


@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p).tolist())


def models(seed: int, n: int = 80) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    hard = rng.normal(0, 1, n)
    return {name: hard + rng.normal(gain, 0.7, n) for name, gain in (("a", 0.0), ("b", 0.5), ("c", 0.05))}


def test_all_pairs_are_compared() -> None:
    values = models(5)
    found = compare_all(values, draws=2000)
    assert [(one.a, one.b) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    for one in found:
        assert one.estimate.value == pytest.approx(values[one.a].mean() - values[one.b].mean())
        assert one.p == sign_flip(values[one.a] - values[one.b], draws=2000)
        assert one.p <= one.p_bh <= one.p_holm
    assert found[0].p_holm < 0.05 < found[1].p_holm
    assert [one.p_holm for one in found] == holm([one.p for one in found])


def test_the_order_of_models_and_a_common_shift_do_not_matter() -> None:
    values = models(6)
    shift = np.random.default_rng(7).normal(0, 5, 80)
    backwards = {name: values[name] + shift for name in ("c", "b", "a")}
    found = {frozenset((one.a, one.b)): one for one in compare_all(values, draws=1000)}
    for one in compare_all(backwards, draws=1000):
        other = found[frozenset((one.a, one.b))]
        sign = 1 if (one.a, one.b) == (other.a, other.b) else -1
        assert one.estimate.value == pytest.approx(sign * other.estimate.value)
        assert (one.p, one.p_holm) == pytest.approx((other.p, other.p_holm))


def test_a_family_of_figures_is_adjusted_together() -> None:
    figures = {"helpful": models(8), "honest": models(9, 50), "lonely": {"a": np.ones(4)}}
    clusters = {"helpful": np.repeat(np.arange(20), 4)}
    found = compare_families(figures, clusters, draws=1000)
    assert [one.figure for one in found] == ["helpful"] * 3 + ["honest"] * 3
    assert [one.p_holm for one in found] == holm([one.p for one in found])
    assert found[0].p == sign_flip(figures["helpful"]["a"] - figures["helpful"]["b"], clusters["helpful"], draws=1000)
    against = compare_families(figures, clusters, against="b", draws=1000)
    assert [(one.figure, one.a, one.b) for one in against] == [
        (figure, model, "b") for figure in ("helpful", "honest") for model in "ac"
    ]
    assert against[0].p == found[0].p
    assert against[0].p_holm <= found[0].p_holm
    assert set(found[0].as_json()) == {"a", "b", "figure", "value", "low", "high", "n", "p", "p_holm", "p_bh"}


def test_a_large_family_can_still_find_something() -> None:
    """Of 120 tests the smallest p-value of 10,000 patterns would be adjusted to .012; a hundred for each leave .01."""
    figures = {f"figure {k}": {"a": np.ones(20) * (k == 0), "b": np.zeros(20)} for k in range(120)}
    found = compare_families(figures)
    assert found[0].p == pytest.approx(1 / 12_001, rel=0.5)
    assert found[0].p_holm < 0.012
    assert found[1].p == found[1].p_holm == 1


def test_a_family_without_pairs_is_empty() -> None:
    assert compare_families({}) == compare_all({"a": [1, 2]}) == []


def test_models_must_share_their_items() -> None:
    with pytest.raises(ValueError, match=r"figure 'f' has \{'a': 2, 'b': 1\} values, expected the same items"):
        compare_families({"f": {"a": [1, 2], "b": [1]}})


def test_models_that_never_differed_may_yet() -> None:
    [found] = compare_all({"a": np.ones(30), "b": np.ones(30)}, unit_interval=True)
    unseen = 1 - 0.025 ** (1 / 30)
    assert (found.estimate.low, found.estimate.value, found.estimate.high, found.p) == pytest.approx(
        (-unseen, 0, unseen, 1)
    )


def test_an_interval_and_its_mirror() -> None:
    gaps = np.random.default_rng(10).integers(-1, 2, (50, 1))
    [one], [other] = difference_intervals(gaps, bounded=True), difference_intervals(-gaps, bounded=True)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.021)  # percentiles of draws on a grid
    assert -1 <= one.low <= one.value <= one.high <= 1
