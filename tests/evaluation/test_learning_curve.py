"""What more labels would add."""

from __future__ import annotations

import math

import numpy as np
import pytest

from heed.errors import DataError
from heed.evaluation.learning_curve import Measured, compare_arms, fit_learning_curve


def measured(labels: int, accuracy: float, prompts: int = 400, seed: int = 0) -> Measured:
    draws = np.random.default_rng(seed).random(prompts) < accuracy
    return Measured(labels=labels, right=tuple(draws.astype(float)))


def test_a_line_in_the_logarithm_is_carried_on_exactly() -> None:
    """0.6 at 100 and 0.7 at 200: each doubling adds 0.1, so 100 more add 0.1 * log2(300 / 200)."""
    flat = [Measured(labels=100, right=(0.6,) * 5), Measured(labels=200, right=(0.7,) * 5)]
    curve = fit_learning_curve(flat, more=100)
    assert curve.gain == pytest.approx(0.1 * math.log2(1.5))
    assert (curve.low, curve.high) == pytest.approx((curve.gain, curve.gain))
    assert "are likely to add +5.8 points" in curve.verdict


def test_it_is_carried_on_to_twice_the_labels_at_most() -> None:
    flat = [Measured(labels=100, right=(0.6,) * 5), Measured(labels=200, right=(0.7,) * 5)]
    curve = fit_learning_curve(flat, more=5000)
    assert curve.gain == pytest.approx(0.1)
    assert "200 more labels, as far as this curve can be carried on" in curve.verdict


def test_noise_is_not_taken_for_a_gain() -> None:
    nothing = [measured(n, 0.65, prompts=150, seed=n + k) for n in (200, 400, 800) for k in range(2)]
    curve = fit_learning_curve(nothing)
    assert curve.low < 0 < curve.high
    assert "cannot be told" in curve.verdict or "unlikely" in curve.verdict


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = 0.05 * math.log2(1.5)
    hits = 0
    for trial in range(60):
        models = [
            measured(n, 0.6 + 0.05 * math.log2(n / 250), prompts=300, seed=1000 * trial + 10 * k + n)
            for n in (250, 500, 1000)
            for k in range(2)
        ]
        curve = fit_learning_curve(models, more=500, seed=trial)
        hits += curve.low <= truth <= curve.high
    assert hits >= 51


@pytest.mark.parametrize("models", [[], [Measured(labels=5, right=(1.0,))]])
def test_one_number_of_labels_is_no_curve(models: list[Measured]) -> None:
    with pytest.raises(DataError, match="two numbers of labels"):
        fit_learning_curve(models)


def test_arms_are_compared_on_the_same_prompts() -> None:
    """By hand: 3 of 4 against 1 of 4 is half; without luck in training or prompts the interval is a point."""
    chosen = [Measured(labels=50, right=(0.75,) * 4)] * 2
    chance = [Measured(labels=50, right=(0.25,) * 4)] * 2
    compared = compare_arms(chosen, chance)
    assert (compared.gain, compared.low, compared.high) == pytest.approx((0.5, 0.5, 0.5))
    assert "is worth +50.0 points" in compared.verdict
    assert compare_arms(chance, chosen).gain == pytest.approx(-0.5)
    assert "costs" in compare_arms(chance, chosen).verdict


def test_arms_that_do_not_differ_are_not_said_to() -> None:
    one = [measured(100, 0.6, seed=k) for k in range(2)]
    two = [measured(100, 0.6, seed=10 + k) for k in range(2)]
    assert "no difference that can be seen yet" in compare_arms(one, two).verdict


def test_arms_of_different_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="one number of labels"):
        compare_arms([measured(100, 0.5)], [measured(90, 0.5)])
    with pytest.raises(DataError, match="same validation prompts"):
        compare_arms([measured(100, 0.5, prompts=5)], [measured(100, 0.5, prompts=6)])
