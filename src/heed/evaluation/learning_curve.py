"""What more labels would add: accuracy against the number of labels, carried on a little, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heed.errors import DataError
from heed.stats import Array, percentiles

DRAWS = 2000
FARTHEST = 2.0
"""A curve is not carried on beyond so many times the labels it was measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One reward model of the curve."""

    labels: int
    """Rankings it was trained on."""
    right: tuple[float, ...]
    """For each validation prompt the share of its pairs that the model ordered as the labeler did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Accuracy at one number of labels."""

    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Accuracy as it was measured, and what more labels are likely to add."""

    points: tuple[Point, ...]
    more: int
    """How many more labels were asked about."""
    gain: float
    """Expected change of the accuracy with so many more."""
    low: float
    high: float
    verdict: str
    """The same in a sentence that claims no more than the interval does."""


def fit_learning_curve(measured: Sequence[Measured], more: int = 500, seed: int = 0) -> LearningCurve:
    """Accuracy is taken to be a line in the logarithm of the number of labels, which it nearly is over a few doublings.

    Both what was drawn into the validation set (its prompts are resampled, the same ones for all models) and the luck
    of each training (models are resampled within each number of labels) widen the interval.

    Raises:
        DataError: fewer than two different numbers of labels, or models measured on different prompts.
    """
    sizes = sorted({one.labels for one in measured})
    if len(sizes) < 2 or sizes[0] < 1:
        raise DataError(f"a learning curve needs models of two numbers of labels or more, got {sizes}")
    right = np.array([one.right for one in measured], dtype=float)
    if right.ndim != 2 or right.shape[1] == 0:
        raise DataError("the models of a learning curve must be measured on the same validation prompts")
    labels = np.array([one.labels for one in measured])
    rng = np.random.default_rng(seed)
    largest = sizes[-1]
    target = min(largest + more, FARTHEST * largest)
    by_size = [np.flatnonzero(labels == size) for size in sizes]
    gains, curves = np.empty(DRAWS), np.empty((DRAWS, len(sizes)))
    for draw in range(DRAWS):
        prompts = rng.integers(0, right.shape[1], right.shape[1])
        chosen = [rng.choice(rows, len(rows)) for rows in by_size]
        curves[draw] = [right[np.ix_(rows, prompts)].mean() for rows in chosen]
        gains[draw] = _slope(np.log(np.array(sizes)), curves[draw]) * np.log(target / largest)
    means = np.array([right[rows].mean() for rows in by_size])
    gain = float(_slope(np.log(np.array(sizes)), means) * np.log(target / largest))
    low, high = percentiles(gains)
    bounds = [percentiles(curves[:, index]) for index in range(len(sizes))]
    points = tuple(
        Point(labels=size, accuracy=float(mean), low=bound[0], high=bound[1])
        for size, mean, bound in zip(sizes, means, bounds, strict=True)
    )
    verdict = _verdict(int(target) - largest, gain, low, high, capped=target < largest + more)
    return LearningCurve(points=points, more=more, gain=gain, low=low, high=high, verdict=verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Reward models on as many labels of items that models chose, and of items that chance chose."""

    labels: int
    ensemble: float
    random: float
    gain: float
    """Accuracy on chosen items less that on random ones."""
    low: float
    high: float
    verdict: str


def compare_arms(ensemble: Sequence[Measured], random: Sequence[Measured], seed: int = 0) -> Arms:
    """What it was worth to let reward models choose the items, on the same validation prompts for both.

    Raises:
        DataError: the models were trained on different numbers of labels, or measured on different prompts.
    """
    sizes = {one.labels for one in (*ensemble, *random)}
    if len(sizes) != 1 or not ensemble or not random:
        raise DataError(f"arms are compared at one number of labels, got {sorted(sizes)}")
    chosen, chance = np.array([one.right for one in ensemble]), np.array([one.right for one in random])
    if chosen.ndim != 2 or chosen.shape[1:] != chance.shape[1:] or chosen.shape[1] == 0:
        raise DataError("the models of both arms must be measured on the same validation prompts")
    rng = np.random.default_rng(seed)
    gains = np.empty(DRAWS)
    for draw in range(DRAWS):
        prompts = rng.integers(0, chosen.shape[1], chosen.shape[1])
        means = [part[np.ix_(rng.integers(0, len(part), len(part)), prompts)].mean() for part in (chosen, chance)]
        gains[draw] = means[0] - means[1]
    low, high = percentiles(gains)
    gain = float(chosen.mean() - chance.mean())
    figures = f"{100 * gain:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    said = "is worth" if low > 0 else "costs" if high < 0 else "makes no difference that can be seen yet:"
    return Arms(
        labels=sizes.pop(),
        ensemble=float(chosen.mean()),
        random=float(chance.mean()),
        gain=gain,
        low=low,
        high=high,
        verdict=f"Choosing items on which reward models differ {said} {figures}.",
    )


def _slope(x: Array, y: Array) -> float:
    centred = x - x.mean()
    return float((centred * (y - y.mean())).sum() / (centred**2).sum())


def _verdict(more: int, gain: float, low: float, high: float, *, capped: bool) -> str:
    figures = f"{100 * gain:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    reach = f"{more:,} more labels" + (", as far as this curve can be carried on," if capped else "")
    if low > 0:
        return f"{reach} are likely to add {figures}."
    if high < 0.01:
        return f"{reach} are unlikely to add a whole point: {figures}."
    return f"What {reach} would add cannot be told yet: {figures}."
