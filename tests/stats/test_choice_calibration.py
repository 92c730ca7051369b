"""Calibration of choices: published values, by hand, against scikit-learn, and in invariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from heed.stats.calibration import (
    auroc,
    brier,
    calibration,
    choice_calibration,
    fit_temperature,
    log_score,
    noise_floor,
    rms_error,
    softmax,
)


def questions(seed: int, n: int, options: int = 4) -> tuple[np.ndarray, list[int]]:
    """Logits of a calibrated model, and which option is right, drawn from its own probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, options))
    shares = softmax(list(logits))
    return logits, [int(rng.choice(options, p=share)) for share in shares]


# --- events


def test_equal_count_bins_by_hand() -> None:
    """Two bins of two: (.1, .2) with one of two true, (.3, .9) with both: |.5 - .15| and |1 - .6|, each one half."""
    found = calibration([0.9, 0.1, 0.3, 0.2], [1, 0, 1, 1], num_bins=2, binning="count")
    assert [(round(one.confidence, 9), one.accuracy, one.n) for one in found.bins] == [(0.15, 0.5, 2), (0.6, 1.0, 2)]
    assert found.ece == pytest.approx((0.35 + 0.4) / 2)
    assert rms_error(found) == pytest.approx(np.sqrt((0.35**2 + 0.4**2) / 2))


@pytest.mark.parametrize(("binning", "strategy"), [("width", "uniform"), ("count", "quantile")])
def test_the_chart_is_that_of_scikit_learn(binning: str, strategy: str) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(1000)
    y = (rng.random(1000) < p**2).astype(float)
    shares, means = calibration_curve(y, p, n_bins=10, strategy=strategy)
    found = calibration(p, y, binning=binning)  # type: ignore[arg-type]
    assert [one.accuracy for one in found.bins] == pytest.approx(shares.tolist())
    assert [one.confidence for one in found.bins] == pytest.approx(means.tolist())
    assert binning == "width" or {one.n for one in found.bins} == {100}


def test_equal_confidences_share_a_bin() -> None:
    """Five words for confidence make five bins, not ten with the same x."""
    p = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], [5, 40, 15, 20, 20])
    found = calibration(p, p > 0.4, binning="count")
    assert [(round(one.confidence, 9), one.n) for one in found.bins] == [
        (0.1, 5),
        (0.3, 40),
        (0.5, 15),
        (0.7, 20),
        (0.9, 20),
    ]


EVENTS = st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=2, max_size=30)


@settings(max_examples=50, deadline=None)
@given(EVENTS)
def test_scores_are_those_of_scikit_learn(events: list[tuple[int, bool]]) -> None:
    p, y = np.array([percent / 100 for percent, _ in events]), np.array([true for _, true in events])
    assert brier(p, y) == pytest.approx(brier_score_loss(y, p, labels=[False, True]))
    assert log_score(p, y) == pytest.approx(log_loss(y, p, labels=[False, True]))
    if 0 < y.sum() < y.size:
        assert auroc(p, y) == pytest.approx(roc_auc_score(y, p))
        assert auroc(p**3, y) == auroc(p, y)  # only the order counts
        assert auroc(-p, y) == pytest.approx(1 - auroc(p, y))
    else:
        assert np.isnan(auroc(p, y))


def test_scores_of_nothing_and_of_certain_error() -> None:
    assert np.isnan(brier([], [])) and np.isnan(log_score([], [])) and np.isnan(noise_floor([]))
    assert np.isnan(rms_error(calibration([], [])))
    assert log_score([0.0], [1]) == np.inf
    assert brier([0.5, 0.5], [0, 1]) == 0.25


@pytest.mark.parametrize(("n", "floor"), [(200, 0.075), (1000, 0.032), (5000, 0.015)])
def test_the_noise_floor_is_the_known_one(n: int, floor: float) -> None:
    """Confidences spread evenly over [.5, 1]; in a bin, the mean distance is sqrt(2 / pi) standard deviations."""
    p = np.linspace(0.5, 1, n)
    assert noise_floor(p) == pytest.approx(floor, abs=0.0035)
    spread = np.sqrt([(one * (1 - one)).sum() for one in np.split(p, 10)]) / (n / 10)
    assert noise_floor(p) == pytest.approx(np.sqrt(2 / np.pi) * spread.mean(), rel=0.06)


def test_the_noise_floor_is_the_error_of_honest_predictions() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0, 1, 400)
    errors = [calibration(p, rng.random(400) < p, binning="count").ece for _ in range(300)]
    assert noise_floor(p) == pytest.approx(np.mean(errors), rel=0.06)
    wide = [calibration(p, rng.random(400) < p).ece for _ in range(300)]
    assert noise_floor(p, binning="width") == pytest.approx(np.mean(wide), rel=0.06)


def test_events_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"probabilities holds 1\.5, expected 0 to 1"):
        brier([0.5, 1.5], [0, 1])
    with pytest.raises(ValueError, match="2 probabilities for 1 outcomes"):
        log_score([0.5, 0.5], [1])
    with pytest.raises(ValueError, match="1 scores for 2 outcomes"):
        auroc([3.0], [0, 1])


# --- choices


@pytest.mark.parametrize(
    ("scale", "ece", "rms", "score"),
    [(1.0, 0.013, 0.007, 0.210), (0.5, 0.158, 0.099, 0.237), (2.5, 0.198, 0.122, 0.255)],
)
def test_known_errors_of_scaled_logits(scale: float, ece: float, rms: float, score: float) -> None:
    """6,000 questions with four options, logits normal with deviation 1.5, scaled: too sure, and not sure enough."""
    logits, right = questions(0, 6000)
    found = choice_calibration(softmax(list(logits * scale)), right, draws=50)
    assert found.top.ece == pytest.approx(ece, abs=0.013)
    assert found.rms == pytest.approx(rms, abs=0.008)
    assert found.top.brier == pytest.approx(score, abs=0.012)
    assert (found.top.ece > 2 * found.noise_floor) == (scale != 1.0)
    assert (found.n, found.base_rate) == (6000, 0.25)


def test_choices_by_hand() -> None:
    """Three questions, with two or three options; the second is got wrong."""
    found = choice_calibration([[0.6, 0.4], [2.0, 1.0, 1.0], [0.1, 0.1, 0.8]], [0, 2, (1, 2)], num_bins=1)
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.base_rate == pytest.approx((1 / 2 + 1 / 3 + 2 / 3) / 3)
    assert found.log_score == pytest.approx(-np.log([0.6, 0.25, 0.9]).mean())
    assert found.top.brier == pytest.approx((0.4**2 + 0.5**2 + 0.2**2) / 3)
    assert found.top.ece == pytest.approx(abs(2 / 3 - 1.9 / 3))
    assert found.auroc == 1.0
    assert found.chart.bins[0].n == 8
    assert found.rms == pytest.approx(abs(4 / 8 - 3 / 8))
    assert found.as_json()["bins"] == [{"x": pytest.approx(3 / 8), "y": 0.5, "count": 8}]


def test_no_questions_make_no_figures() -> None:
    found = choice_calibration([], [])
    assert found.n == 0 and np.isnan(found.accuracy) and np.isnan(found.top.ece)


@pytest.mark.parametrize("sharpened", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_comes_out(sharpened: float) -> None:
    logits, right = questions(2, 4000)
    found = fit_temperature(list(logits * sharpened), right)
    assert found.value == pytest.approx(sharpened, rel=0.07)
    assert found.after <= found.before
    before = choice_calibration(softmax(list(logits * sharpened)), right, draws=20)
    after = choice_calibration(softmax(list(logits * sharpened), found.value), right, draws=20)
    assert after.accuracy == before.accuracy
    assert after.top.ece < 0.025
    assert after.log_score == pytest.approx(found.after)
    assert before.log_score == pytest.approx(found.before)


def test_the_temperature_is_the_best_of_a_grid_and_scales_with_the_logits() -> None:
    rng = np.random.default_rng(3)
    ragged = [rng.normal(0, 2, k) for k in rng.integers(2, 6, 200)]
    right = [int(rng.integers(one.size)) if rng.random() < 0.5 else int(one.argmax()) for one in ragged]
    found = fit_temperature(ragged, right)
    grid = np.exp(np.linspace(-2, 3, 151))
    losses = [-np.mean([np.log(share[k]) for share, k in zip(softmax(ragged, t), right, strict=True)]) for t in grid]
    assert found.value == pytest.approx(grid[int(np.argmin(losses))], rel=0.034)  # a step of the grid
    assert found.after <= min(losses) + 1e-12
    assert fit_temperature([5 * one + 3 for one in ragged], right).value == pytest.approx(5 * found.value, rel=1e-4)


def test_a_perfect_model_would_like_to_be_surer() -> None:
    assert fit_temperature([[2.0, 0.0], [0.0, 1.0]], [0, 1]).value < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choice_calibration([[0.5, 0.5]], [2]), r"question 0 has right options \[2\], expected some of 0 to 1"),
        (lambda: choice_calibration([[0.5, 0.5]], [[]]), r"question 0 has right options \[\]"),
        (lambda: choice_calibration([[0.0, 0.0]], [0]), "question 0 has probabilities"),
        (lambda: choice_calibration([[1.0]], []), "1 questions and 0 sets of right options"),
        (lambda: fit_temperature([], []), "no questions"),
    ],
)
def test_bad_questions_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
