"""Several models compared: strengths from pairwise comparisons with intervals, and 1-7 ratings."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit

from heed.stats.fitting import newton
from heed.stats.intervals import (
    BLOCK,
    Array,
    Clusters,
    Estimate,
    Values,
    bootstrap_mean,
    bootstrap_means,
    cluster_index,
    percentiles,
    resampled,
    vector,
)
from heed.stats.preference import WinRate

ELO = 400.0 / log(10.0)
"""Elo points of one unit of log-odds, 173.7 (Bai et al. 2022, section 2.4)."""

# --- strengths


def strengths(
    comparisons: Sequence[tuple[int, int, float, Hashable]],
    num_models: int,
    *,
    baseline: int = 0,
    scale: Literal["log-odds", "elo"] = "log-odds",
    names: Sequence[str] | None = None,
    prior: float = 0.01,
    seed: int = 0,
) -> list[Estimate]:
    """Bradley-Terry strengths of all models over the baseline, with the clustered bootstrap interval of each.

    Args:
        comparisons: (i, j, outcome, cluster): 1 when model i was preferred to j, 0 when j was, 1/2 for a tie.
        num_models: models are numbered from zero.
        baseline: the model whose strength is zero.
        scale: differences of strength are log-odds of winning, or Elo points.
        names: what an error calls the models. Default: their numbers.
        prior: weight of ``sum(strength^2)``, as in ``heed.stats.bradley_terry``. It keeps someone who always wins, in
            the data or in a resample of it, at a finite strength, and is otherwise too little to be seen.
        seed: of the resampling.

    Returns:
        For each model its strength; ``n`` is the number of comparisons it took part in. The strength of one that
        always won has no upper end in the data; what stands there is the prior's, the lower end is the data's.

    Raises:
        ValueError: models that were never compared, directly or through others, have no common scale.

    Source: Bradley and Terry 1952; Bai et al. 2022, appendix B.5 (there without ties).
    """
    labels = [str(number) for number in range(num_models)] if names is None else list(names)
    if len(labels) != num_models or not 0 <= baseline < num_models:
        raise ValueError(f"{len(labels)} names and baseline {baseline}, expected {num_models} and one of them")
    table, games = _tables(comparisons, num_models)
    _check_connected(games, labels)
    factor = ELO if scale == "elo" else 1.0
    fitted = _fit_strengths(table.sum(axis=0)[None], prior)[0]
    drawn = resampled(table.reshape(table.shape[0], -1), seed).reshape(-1, num_models, num_models)
    rows = max(1, BLOCK // (10 * num_models**2))
    draws = np.concatenate([_fit_strengths(drawn[at : at + rows], prior) for at in range(0, len(drawn), rows)])
    unseen = _fit_strengths(_with_unseen(table)[None], prior)[0]
    gaps, other = (factor * (one - one[baseline]) for one in (fitted, unseen))
    draws = factor * (draws - draws[:, baseline, None])
    ends = [percentiles(draws[:, model], table.shape[0]) for model in range(num_models)]
    return [
        Estimate(value=float(gap), low=float(min(low, gap, turned)), high=float(max(high, gap, turned)), n=int(played))
        for gap, turned, (low, high), played in zip(gaps, other, ends, games.sum(axis=1), strict=True)
    ]


def win_chance(gap: float, *, scale: Literal["log-odds", "elo"] = "log-odds") -> float:
    """The win rate that a difference in strength stands for: 191 Elo points are three wins of four."""
    return float(expit(gap / (ELO if scale == "elo" else 1.0)))


def _tables(comparisons: Sequence[tuple[int, int, float, Hashable]], num_models: int) -> tuple[Array, Array]:
    """Wins of i over j in each cluster (C, M, M), ties as half; and how often each two met (M, M)."""
    if not comparisons:
        raise ValueError("no comparisons, expected at least one")
    for number, (i, j, outcome, _) in enumerate(comparisons):
        if i == j or not (0 <= i < num_models and 0 <= j < num_models):
            raise ValueError(f"comparison {number} is of models {i} and {j}, expected two of 0 to {num_models - 1}")
        if not 0 <= outcome <= 1:
            raise ValueError(f"comparison {number} has outcome {outcome}, expected 0, 1/2 or 1")
    places: dict[Hashable, int] = {}
    where = np.array([places.setdefault(cluster, len(places)) for *_, cluster in comparisons])
    first, second = (np.array([one[side] for one in comparisons]) for side in (0, 1))
    won = np.array([one[2] for one in comparisons], dtype=np.float64)
    table = np.zeros((len(places), num_models, num_models))
    np.add.at(table, (where, first, second), won)
    np.add.at(table, (where, second, first), 1.0 - won)
    total = table.sum(axis=0)
    return table, total + total.T


def _check_connected(games: Array, labels: Sequence[str]) -> None:
    parts, part_of = connected_components(coo_array(games > 0), directed=False)
    if parts > 1:
        groups = [
            [label for label, part in zip(labels, part_of, strict=True) if part == number] for number in range(parts)
        ]
        listed = "; ".join(", ".join(group) for group in groups)
        raise ValueError(
            f"the comparisons fall into {parts} parts that were never compared with each other: {listed}. Strengths of "
            "different parts have no common scale: compare across the parts, or rate each part alone"
        )


def _with_unseen(table: Array) -> Array:
    """The wins of all clusters (M, M), with the reverses that nobody saw but the rule of three allows.

    Where a set of models won all games against the rest, a resample never shows anything else, though the rest may
    still win a share of 1 - 0.025^(1/C) of games, C being the clusters that have such games.
    """
    wins: Array = table.sum(axis=0)
    _, part_of = connected_components(coo_array(wins > 0), connection="strong")
    across = part_of[:, None] != part_of[None, :]
    held = int((table * across).any(axis=(1, 2)).sum())
    if not held:
        return wins
    unseen = 1.0 - 0.025 ** (1.0 / held)
    return np.where(across, (1.0 - unseen) * wins + unseen * wins.T, wins)


def _fit_strengths(wins: Array, prior: float) -> Array:
    """(R, M): maximum-likelihood strengths, with mean zero, of each table of wins (R, M, M)."""
    games = wins + wins.transpose(0, 2, 1)
    models = wins.shape[1]
    level = np.full((models, models), 1.0 / models)  # the likelihood does not know the mean, which stays zero

    def loss(found: Array) -> Array:
        surprise = wins * log_expit(found[:, :, None] - found[:, None, :])
        total: Array = prior * (found**2).sum(axis=1) - surprise.sum(axis=(1, 2))
        return total

    def slopes(found: Array) -> tuple[Array, Array]:
        chance = expit(found[:, :, None] - found[:, None, :])
        gradient = (games * chance - wins).sum(axis=2) + 2.0 * prior * found
        curve = games * chance * (1.0 - chance)
        hessian = (curve.sum(axis=2) + 2.0 * prior)[:, :, None] * np.eye(models) - curve + level
        return gradient, hessian

    def reach(step: Array) -> Array:
        gaps: Array = step.max(axis=1) - step.min(axis=1)
        return gaps

    return newton(np.zeros(wins.shape[:2]), loss, slopes, reach, tolerance=1e-7)


# --- ratings on a scale


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingSummary:
    """Ratings of one model on a scale of whole grades."""

    mean: Estimate
    shares: tuple[tuple[int, Estimate], ...]
    """Each grade of the scale, from low to high, and the share of ratings that gave it."""

    def as_json(self) -> dict[str, object]:
        """``{"mean", "shares": {grade: estimate}}``."""
        return {"mean": self.mean.as_json(), "shares": {str(grade): share.as_json() for grade, share in self.shares}}


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingComparison:
    """Ratings of two models on the same prompts."""

    difference: Estimate
    """Mean over prompts of the mean rating of one minus that of the other, in grades."""
    superiority: WinRate
    """Chance that a rating of one is higher than a rating of the other on the same prompt, equal ones as half. It uses
    only the order of grades, not their distances."""
    prompts: int
    """Prompts on which both were rated."""
    left_out: int
    """Prompts on which only one was."""

    def as_json(self) -> dict[str, object]:
        """``{"difference", "superiority", "prompts", "left_out"}``."""
        return {
            "difference": self.difference.as_json(),
            "superiority": self.superiority.as_json(),
            "prompts": self.prompts,
            "left_out": self.left_out,
        }


def summarize_ratings(
    ratings: Values, clusters: Clusters | None = None, *, scale: tuple[int, int] = (1, 7), seed: int = 0
) -> RatingSummary:
    """Mean and distribution of ratings on a scale of whole grades (Ouyang et al. 2022, section 3.6: 1 to 7)."""
    given = _grades(ratings, scale, "ratings")
    grades = np.arange(scale[0], scale[1] + 1)
    shares = bootstrap_means(given[:, None] == grades, clusters, unit_interval=True, seed=seed)
    mean = bootstrap_mean(given, clusters, seed=seed)
    return RatingSummary(mean=mean, shares=tuple(zip(grades.tolist(), shares, strict=True)))


def compare_ratings(
    ours: Values,
    our_prompts: Clusters,
    theirs: Values,
    their_prompts: Clusters,
    *,
    scale: tuple[int, int] = (1, 7),
    seed: int = 0,
) -> RatingComparison:
    """Two models' ratings on the same prompts, one or more for each: the paired difference and who is rated higher.

    Within a prompt every rating of one meets every rating of the other; prompts count alike and are what is resampled.
    ``superiority`` is the probability of superiority (Grissom 1994; Vargha and Delaney 2000), within prompts.
    """
    first, second = _grades(ours, scale, "ours"), _grades(theirs, scale, "theirs")
    labels = np.concatenate([np.asarray(our_prompts), np.asarray(their_prompts)])
    index = cluster_index(labels, first.size + second.size)
    grades, prompts = scale[1] - scale[0] + 1, int(index.max(initial=-1)) + 1
    counted = [
        _grade_counts(values - scale[0], at, prompts, grades)
        for values, at in ((first, index[: first.size]), (second, index[first.size :]))
    ]
    both = (counted[0].sum(axis=1) > 0) & (counted[1].sum(axis=1) > 0)
    a, b = (counts[both] / counts[both].sum(axis=1, keepdims=True) for counts in counted)
    below = np.cumsum(b, axis=1) - b  # share of the other's ratings under each grade
    better, level = (a * below).sum(axis=1), (a * b).sum(axis=1)
    apart = (a - b) @ np.arange(grades, dtype=np.float64)
    higher = bootstrap_mean(better + level / 2.0, unit_interval=True, seed=seed)
    held = max(int(both.sum()), 1)
    superiority = WinRate(
        value=higher.value,
        low=higher.low,
        high=higher.high,
        n=higher.n,
        better=float(better.sum()) / held,
        worse=float((1.0 - better - level).sum()) / held,
    )
    return RatingComparison(
        difference=bootstrap_mean(apart, seed=seed),
        superiority=superiority,
        prompts=int(both.sum()),
        left_out=int((~both).sum()),
    )


def _grades(ratings: Values, scale: tuple[int, int], name: str) -> Array:
    given = vector(ratings, name)
    wrong = (given < scale[0]) | (given > scale[1]) | (given != np.round(given))
    if wrong.any():
        raise ValueError(f"{name} holds {given[wrong][0]:g}, expected whole grades from {scale[0]} to {scale[1]}")
    return given


def _grade_counts(grades: Array, prompts_of: npt.NDArray[np.intp], prompts: int, num_grades: int) -> Array:
    """(prompts, grades): how often each prompt got each grade."""
    table = np.zeros((prompts, num_grades))
    np.add.at(table, (prompts_of, grades.astype(np.intp)), 1.0)
    return table
