"""How far labelers agree, and what their noise allows a scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from heed.stats.intervals import Array, Estimate, bootstrap_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBound:
    """The accuracy on noisy labels that no scorer can pass, from how often two labelers agree."""

    agreement: Estimate
    floor: float
    """What the best scorer reaches at least: the agreement rate itself."""
    ceiling: float
    """What no scorer can pass."""


def pair_agreement(groups: Sequence[Sequence[Sequence[int]]], *, ties: Literal["drop", "half"] = "drop") -> Estimate:
    """How often two labelers agree which of two answers is better, over all pairs of labelers and of answers.

    Args:
        groups: for each answer group, the tiers that each of its labelers gave to the same K answers.
        ties: ``"drop"`` counts only pairs of answers that neither labeler tied; ``"half"`` counts one labeler's tie
            against the other's preference as half an agreement, and two ties as one.
    """
    agreed: list[float] = []
    clusters: list[int] = []
    for number, labelers in enumerate(groups):
        for first, second in combinations(labelers, 2):
            for i, j in combinations(range(len(first)), 2):
                a, b = int(np.sign(first[i] - first[j])), int(np.sign(second[i] - second[j]))
                if ties == "drop" and (a == 0 or b == 0):
                    continue
                agreed.append(1.0 - abs(a - b) / 2)
                clusters.append(number)
    return bootstrap_mean(agreed, clusters or None, unit_interval=True)


def krippendorff_alpha(ratings: npt.ArrayLike, level: Literal["nominal", "ordinal", "interval"] = "nominal") -> float:
    """Krippendorff's alpha: 1 is perfect agreement, 0 is what chance gives.

    Args:
        ratings: (raters, items), NaN where a rater did not see an item. Items with one rating do not count.
        level: how far two ratings are apart: different or not, by rank, or by their difference.

    Source: Krippendorff 2004, chapter 11. NaN when all ratings are equal, or nothing was rated twice.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"ratings has shape {table.shape}, expected (raters, items)")
    domain = np.unique(table[~np.isnan(table)])
    counts = np.stack([(table == value).sum(axis=0) for value in domain], axis=1).astype(np.float64)  # (items, values)
    counts = counts[counts.sum(axis=1) >= 2]
    if counts.size == 0:
        return float("nan")
    return float(alphas(coincidences(counts).sum(axis=0)[None], domain, level)[0])


def coincidences(counts: Array) -> Array:
    """(items, V, V): how often each two values meet on an item, from (items, V) counts of values, all 2 or more.

    Each pair of ratings counts 1 / (ratings of the item - 1), in both directions: Krippendorff's coincidences, which
    add up over items.
    """
    spare = counts.sum(axis=1)[:, None, None] - 1.0
    meeting = counts[:, :, None] * counts[:, None, :] - np.eye(counts.shape[1]) * counts[:, None, :]
    result: Array = meeting / spare
    return result


def alphas(observed: Array, domain: Array, level: Literal["nominal", "ordinal", "interval"]) -> Array:
    """Krippendorff's alpha of (N, V, V) coincidences of the values in ``domain``; NaN where nothing varies."""
    totals = observed.sum(axis=2)
    n = totals.sum(axis=1)[:, None, None]
    pairs = totals[:, :, None] * totals[:, None, :] - np.eye(domain.size) * totals[:, None, :]
    expected = pairs / np.maximum(n - 1, 1e-12)
    if level == "nominal":
        distance = np.broadcast_to(1.0 - np.eye(domain.size), observed.shape)
    else:
        centres = (
            np.cumsum(totals, axis=1) - totals / 2 if level == "ordinal" else np.broadcast_to(domain, totals.shape)
        )
        distance = (centres[:, :, None] - centres[:, None, :]) ** 2
    chance = (expected * distance).sum(axis=(1, 2))
    ratio = np.divide(
        (observed * distance).sum(axis=(1, 2)), chance, out=np.full(chance.shape, np.nan), where=chance > 0
    )
    result: Array = 1.0 - ratio
    return result


def noise_bound(agreement: Estimate) -> NoiseBound:
    """What the labelers' noise allows a scorer that predicts one labeler's choice.

    Let a pair's labels be independent draws that fall on the commoner side with probability (1 + q) / 2. Two labelers
    then agree at a rate a = (1 + E[q^2]) / 2, and the best scorer, which always names the commoner side, is right at a
    rate (1 + E[q]) / 2. As q^2 <= q and E[q]^2 <= E[q^2], that is at least a and at most (1 + sqrt(2a - 1)) / 2,
    whatever the distribution of q. The ceiling is reached when all pairs are equally hard.
    """
    surplus = min(max(2 * agreement.value - 1, 0.0), 1.0)
    return NoiseBound(agreement=agreement, floor=agreement.value, ceiling=(1 + surplus**0.5) / 2)
