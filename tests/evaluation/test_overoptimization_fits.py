"""Curves with intervals: against scipy, against curves they were made from, and by how often they hold the truth."""

from __future__ import annotations

from math import e, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from heed.evaluation.overoptimization import (
    Point,
    Probe,
    best_of_n_climb,
    best_of_n_points,
    best_of_n_table,
    path_climb,
    probes_climb,
)
from heed.evaluation.overoptimization_fits import (
    Climb,
    Form,
    best_form,
    extrapolate,
    fit,
    fit_curve,
    observed_optimum,
    study,
)

D = np.linspace(0, 3, 13)


def curve(d: Any, alpha: float, beta: float, form: Form) -> Any:
    return d * (alpha - beta * (d if form == "best_of_n" else np.log(np.maximum(d, 1e-12))))


def noisy(form: Form, alpha: float, beta: float, noise: float, prompts: int, seed: int) -> Climb:
    """Prompts that differ in level, and in noise at each stop; their mean lies on the curve."""
    rng = np.random.default_rng(seed)
    levels = rng.normal(size=(prompts, 1))
    return Climb(D**2, 2 + curve(D, alpha, beta, form) + levels + noise * rng.normal(size=(prompts, D.size)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["best_of_n", "rl"]))
def test_coefficients_are_those_of_scipy(seed: int, form: Form) -> None:
    rng = np.random.default_rng(seed)
    d = rng.uniform(0.1, 5, 8)
    gain = rng.normal(size=8)
    expected, _ = curve_fit(lambda at, alpha, beta: curve(at, alpha, beta, form), d, gain)
    found = fit_curve(d**2, gain, form)
    assert found is not None
    assert (found.alpha, found.beta) == pytest.approx(tuple(expected), rel=1e-4, abs=1e-5)
    residual = float(((gain - curve(d, *expected, form)) ** 2).sum())
    assert found.aic == pytest.approx(8 * log(residual / 8) + 6)
    np.testing.assert_allclose(found.at(d**2), curve(d, *expected, form), rtol=1e-4, atol=1e-4)


def test_peaks_by_hand() -> None:
    """d (2 - 0.4 d) is highest at 2.5, where it is 2.5; d (1 - 0.5 ln d) at e, where it is e / 2."""
    best = fit_curve(D**2, curve(D, 2, 0.4, "best_of_n"), "best_of_n")
    assert best is not None and (best.peak_kl, best.peak_gain) == (pytest.approx(6.25), pytest.approx(2.5))
    rl = fit_curve(D**2, curve(D, 1, 0.5, "rl"), "rl")
    assert rl is not None and (rl.peak_kl, rl.peak_gain) == (pytest.approx(e * e), pytest.approx(e / 2))
    # the peak of d (2 - 0.1 d) is at 10, more than twice as far as 3
    assert fit_curve(D**2, curve(D, 2, 0.1, "best_of_n"), "best_of_n").peak_kl is None  # type: ignore[union-attr]
    assert fit_curve(D**2, curve(D, -1, -0.1, "rl"), "rl").peak_kl is None  # type: ignore[union-attr]


def test_too_little_to_fit() -> None:
    assert fit_curve([0, 1, 4], [0, 1, 2], "rl") is None
    assert fit_curve([1, 1, 1], [1, 2, 3], "rl") is None, "one place does not make a line"
    assert study(Climb([0, 1, 4], [0, 1, 2]), "rl") is None
    with pytest.raises(ValueError, match="kl has shape"):
        Climb([0, 1], [[1.0, 2, 3]])
    with pytest.raises(ValueError, match="must be finite"):
        Climb([0, 1, 2], [1.0, float("nan"), 3])


@pytest.mark.parametrize("form", ["best_of_n", "rl"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(form: Form) -> None:
    """95 % intervals over 60 draws of prompts: alpha, beta and the optimum are in 51 to 60 of them."""
    alpha, beta = (1.0, 0.3) if form == "best_of_n" else (0.5, 0.4)
    peak = (alpha / (2 * beta)) ** 2 if form == "best_of_n" else np.exp(2 * (alpha / beta - 1))
    held = np.zeros(3)
    for seed in range(60):
        found = fit(noisy(form, alpha, beta, 0.6, 80, seed), form)
        assert found is not None
        ends = [(found.alpha.low, found.alpha.high), (found.beta.low, found.beta.high)]
        for index, (truth, (low, high)) in enumerate(
            zip((alpha, beta, peak), [*ends, (found.peak.low, found.peak.high or np.inf)], strict=True)
        ):
            held[index] += low <= truth <= high
    assert (held >= 51).all(), held


def test_prompts_that_move_together_do_not_widen_the_interval() -> None:
    """Gains are over each prompt's own start: levels cancel."""
    exact = fit(noisy("rl", 0.5, 0.4, 0.0, 30, 0), "rl")
    assert exact is not None and exact.alpha.high - exact.alpha.low < 1e-9
    assert exact.peak.low == pytest.approx(exact.peak.kl) == pytest.approx(exact.peak.high)


def test_an_interval_is_open_where_the_curve_may_never_turn() -> None:
    climb = noisy("best_of_n", 1.0, 0.05, 2.0, 40, 1)
    found = fit(climb, "best_of_n")
    assert found is not None and found.peak.high is None and found.peak.turns < 0.975
    assert found.as_json()["peak"]["high"] is None


def test_the_right_form_is_told_by_its_residuals() -> None:
    for form in ("best_of_n", "rl"):
        found = study(noisy(form, 0.8, 0.4, 0.2, 200, 2), form)  # type: ignore[arg-type]
        assert found is not None and found["better"] == form and found["delta_aic"] > 4
        assert found["resampled"] == "prompts" and found["n"] == 200
        assert found["forms"][form]["r_squared"] > 0.98


def test_the_observed_optimum_by_hand() -> None:
    climb = Climb([0, 1, 4, 9], [[0.0, 1, 3, 2], [0, 1, 5, 2], [0, 1, 4, 2]])
    found = observed_optimum(climb)
    assert (found.kl, found.low, found.high, found.turns, found.gain) == (4, 4, 4, 1, 4)
    rising = observed_optimum(Climb([0, 1, 4], [[0.0, 1, 3], [0, 1, 5]]))
    assert (rising.kl, rising.high, rising.turns) == (4, None, 0)
    torn = observed_optimum(Climb([0, 1, 4, 9], [[0.0, 6, 0, 0], [0, 0, 5, 0]]))
    assert (torn.kl, torn.low, torn.high) == (1, 1, 4)
    points = observed_optimum(Climb([0, 1, 4, 9], [0.0, 1, 3, 2]))
    assert (points.kl, points.low, points.high, points.gain) == (4, 0, 9, 3)


def test_the_low_part_foretells_the_high_part() -> None:
    """Three fifths of the way in d: stops up to 1.8 are fitted, those from 2 to 3 predicted."""
    climb = noisy("best_of_n", 1.0, 0.4, 0.3, 400, 3)
    found = extrapolate(climb, "best_of_n")
    assert found is not None
    assert (found.upto_kl, found.end_kl) == (pytest.approx(1.75**2), 9)
    assert (found.fitted, found.predicted) == (7, 5)
    truth = float(curve(3, 1.0, 0.4, "best_of_n"))
    assert found.end.low <= truth <= found.end.high and found.rmse < 0.2 < found.rmse_flat
    assert found.peak.kl == pytest.approx(1.25**2, rel=0.15)
    wrong = extrapolate(climb, "rl")
    assert wrong is not None and wrong.rmse > 2 * found.rmse, "the other form does not foretell it"
    assert extrapolate(climb, "rl", upto=1.0) is None and extrapolate(climb, "rl", upto=0.1) is None


def test_points_alone_give_wider_intervals_that_say_so() -> None:
    """The start itself is taken for exact: all gains are over it."""
    noise = 0.05 * np.random.default_rng(5).normal(size=D.size)
    noise[0] = 0
    climb = Climb(D**2, curve(D, 1, 0.3, "best_of_n") + noise)
    found = study(climb, "best_of_n")
    assert found is not None and (found["resampled"], found["n"]) == ("points", 13)
    alpha = found["forms"]["best_of_n"]["alpha"]
    assert alpha["low"] < 1 < alpha["high"] < alpha["low"] + 0.4


def test_a_climb_with_kl_by_prompt_resamples_both() -> None:
    """Where KL is measured too, its error is in the interval of the curve."""
    rng = np.random.default_rng(6)
    gold = np.tile(curve(D, 1, 0.3, "best_of_n"), (50, 1))
    kl = D**2 + 3 * D * rng.normal(size=(50, D.size))
    fixed, measured = fit(Climb(D**2, gold), "best_of_n"), fit(Climb(kl, gold), "best_of_n")
    assert fixed is not None and measured is not None
    assert fixed.alpha.high - fixed.alpha.low < 1e-9 < 0.01 < measured.alpha.high - measured.alpha.low


def test_best_of_n_by_prompt_has_the_means_of_the_points() -> None:
    rng = np.random.default_rng(7)
    reward, gold = rng.normal(size=(2, 40, 16))
    table = best_of_n_table(reward, gold)
    assert table.shape == (40, 5)
    points = best_of_n_points(reward, gold)
    assert [one.gold for one in points] == pytest.approx(table.mean(axis=0).tolist())
    climb = best_of_n_climb(reward, gold)
    assert climb.kl.tolist() == [one.kl for one in points]
    assert climb.gain.tolist() == pytest.approx([one.gold - points[0].gold for one in points])
    assert (best_form("best_of_n"), best_form("kl_free")) == ("best_of_n", "rl")


def test_climbs_of_points_and_of_probes() -> None:
    points = [Point(run="ppo", at=at, kl=kl, reward=0.0, gold=gold) for at, kl, gold in ((20, 4, 3), (0, 0, 1))]
    climb = path_climb(points)
    assert (climb.kl.tolist(), climb.gain.tolist(), climb.by_prompt) == ([0, 4], [0, 2], False)
    probes = [
        Probe(reward=(0.0, 0.0), gold=(1.0, 2.0), words=(1, 1), kl=(0.0, 0.0)),
        Probe(reward=(0.0, 0.0), gold=(2.0, 4.0), words=(1, 1), kl=(1.0, 3.0)),
    ]
    found = probes_climb(probes)
    assert found is not None and found.by_prompt
    assert (found.kl.tolist(), found.gain.tolist(), found.n) == ([0, 2], [0, 1.5], 2)
    assert probes_climb([Probe(reward=(0.0,), gold=(1.0,), words=(1,))]) is None and probes_climb([]) is None
    assert probes[1].figures() == {"reward": 0, "gold": 3, "words": 1, "probe_kl": 2}


def test_a_negative_estimate_of_kl_is_no_place() -> None:
    """Near the start an estimate of KL can be below zero; such a stop carries nothing, as the start itself."""
    kl, gain = [0.0, -0.01, 1.0, 4.0, 9.0], [0.0, 5.0, 0.7, 0.8, 0.3]
    with_it, without = fit_curve(kl, gain, "rl"), fit_curve(kl[2:], gain[2:], "rl")
    assert with_it == without
    assert sqrt(9.0) == D[-1]
