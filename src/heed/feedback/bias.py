"""What sways preferences besides what an answer says: length, lists, code, place on the screen.

A Bradley-Terry model with style (Li et al. 2024, "style control"): the log-odds that one answer is preferred to
another are a sum of differences in style and place, and, where the models that wrote them are known, of how good
each model is. Read each coefficient as a share: how often the answer with the trait would win, all else equal; 50 %
is no sway. Length may well be deserved; what stands out is a labeler whom it sways far more than the others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2

import numpy as np
from scipy.special import expit

from heed.stats import Array, Estimate, Z

LEAST_PAIRS = 20
"""Preferences below which nothing is fitted."""
PRIOR = 1.0
"""Weight of a normal prior on the models' strengths, which keeps those seen once or twice finite."""
MOST_DOUBLINGS = 3.0
"""An answer counts as at most eight times as long as another."""

TRAITS = {
    "length": "Twice as long",
    "lists": "Has a list, the other has none",
    "code": "Has code, the other has none",
    "headings": "Has headings or bold text, the other has none",
    "earlier": "Stands earlier on the screen",
    "first": "Was the first one on the screen",
}
"""What is measured, in words."""
SHORT = {"length": "Longer", "lists": "Lists", "code": "Code", "headings": "Headings", "earlier": "Earlier",
         "first": "First"}  # fmt: skip
"""The same at the head of a table."""

_LIST = re.compile(r"^\s*(?:[-*+\u2022]|\d{1,3}[.)])\s+\S", re.MULTILINE)
_CODE = re.compile(r"```|^(?: {4}|\t)\S", re.MULTILINE)
_BOLD = re.compile(r"^#{1,6}\s+\S|\*\*[^*\n]+\*\*", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What an answer looks like."""

    words: int
    lists: bool
    code: bool
    headings: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A ranking with what its answers look like."""

    item_id: int
    labeler: str
    order: tuple[int, ...]
    tiers: tuple[int, ...]
    styles: tuple[Style, ...]
    policies: tuple[str, ...]
    """Which model wrote each answer; empty for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sway:
    """How much one trait sways."""

    trait: str
    title: str
    share: Estimate | None
    """How often the answer with the trait would win, all else equal; n is the number of pairs that differ in it."""
    undefined: str = ""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves one half out."""
        return self.share is not None and not self.share.low <= 0.5 <= self.share.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """The traits for one labeler, or for all."""

    labeler: str
    """Empty for the whole project."""
    pairs: int
    sways: tuple[Sway, ...]


def style_of(text: str) -> Style:
    """What an answer looks like."""
    return Style(
        words=max(1, len(text.split())),
        lists=len(_LIST.findall(text)) >= 2,
        code=bool(_CODE.search(text)),
        headings=bool(_BOLD.search(text)),
    )


def bias_meter(shown: Sequence[Shown]) -> tuple[Bias, list[Bias]]:
    """The sways over the whole project, and for each labeler, by id."""
    by_labeler: dict[str, list[Shown]] = defaultdict(list)
    for one in shown:
        by_labeler[one.labeler].append(one)
    return bias_of("", shown), [bias_of(labeler, own) for labeler, own in sorted(by_labeler.items())]


def bias_of(labeler: str, shown: Sequence[Shown]) -> Bias:
    """The sways in some rankings. A tie counts as half a win for each side; intervals take items as clusters."""
    policies = sorted({policy for one in shown for policy in one.policies if policy})
    rows, outcomes, clusters = _pairs(shown, policies)
    num_traits = len(TRAITS)
    enough = outcomes.size >= LEAST_PAIRS
    used = [index for index in range(num_traits) if enough and np.count_nonzero(rows[:, index]) >= LEAST_PAIRS // 2]
    if all(len(one.order) == 2 for one in shown) and len(TRAITS) - 1 in used:
        used.remove(len(TRAITS) - 1)  # of two answers, the earlier one is the first one
    kept = used + [num_traits + index for index in range(len(policies))]
    prior = np.array([0.05] * len(used) + [PRIOR] * len(policies))
    coefficients, errors = _fit(rows[:, kept], outcomes, clusters, prior) if used else (np.zeros(0), np.zeros(0))
    sways = []
    for index, (trait, title) in enumerate(TRAITS.items()):
        n = int(np.count_nonzero(rows[:, index])) if rows.size else 0
        if index in used:
            at = used.index(index)
            value, error = float(coefficients[at]), float(errors[at])
            ends = (float(expit(value - Z * error)), float(expit(value + Z * error)))
            share = Estimate(value=float(expit(value)), low=ends[0], high=ends[1], n=n)
            sways.append(Sway(trait=trait, title=title, share=share))
        else:
            sways.append(Sway(trait=trait, title=title, share=None, undefined=_why(trait, n, outcomes.size, shown)))
    return Bias(labeler=labeler, pairs=int(outcomes.size), sways=tuple(sways))


def _why(trait: str, n: int, pairs: int, shown: Sequence[Shown]) -> str:
    if trait == "first" and n and all(len(one.order) == 2 for one in shown):
        return "with two answers it is the same as standing earlier"
    if pairs < LEAST_PAIRS:
        return f"{pairs} pairs of answers were judged, {LEAST_PAIRS} are needed"
    return f"only {n} pairs of answers differ in it"


def _pairs(shown: Iterable[Shown], policies: Sequence[str]) -> tuple[Array, Array, Array]:
    """Differences (N, traits + policies), outcomes (1, 1/2, 0) and items of all pairs of answers."""
    place = {policy: len(TRAITS) + index for index, policy in enumerate(policies)}
    rows, outcomes, clusters = [], [], []
    for one in shown:
        position = {ordinal: index for index, ordinal in enumerate(one.order)}
        for i, j in combinations(range(len(one.tiers)), 2):
            row = np.zeros(len(TRAITS) + len(policies))
            a, b = one.styles[i], one.styles[j]
            row[0] = min(max(log2(a.words / b.words), -MOST_DOUBLINGS), MOST_DOUBLINGS)
            row[1:4] = (float(a.lists) - b.lists, float(a.code) - b.code, float(a.headings) - b.headings)
            row[4] = 1.0 if position[i] < position[j] else -1.0
            row[5] = float(position[i] == 0) - float(position[j] == 0)
            for policy, sign in ((one.policies[i], 1.0), (one.policies[j], -1.0)):
                if policy:
                    row[place[policy]] += sign
            rows.append(row)
            gap = one.tiers[i] - one.tiers[j]
            outcomes.append(0.5 if gap == 0 else float(gap < 0))
            clusters.append(float(one.item_id))
    table = np.array(rows) if rows else np.zeros((0, len(TRAITS) + len(policies)))
    return table, np.array(outcomes), np.array(clusters)


def _fit(rows: Array, outcomes: Array, clusters: Array, prior: Array) -> tuple[Array, Array]:
    """Coefficients of a logistic regression without intercept, by Newton's method, and their standard errors.

    The errors are cluster-robust (Liang and Zeger 1986): what one item's pairs have in common counts once.
    """
    weights = np.zeros(rows.shape[1])
    for _ in range(50):
        expected = expit(rows @ weights)
        gradient = rows.T @ (outcomes - expected) - prior * weights
        curvature = (rows * (expected * (1 - expected))[:, None]).T @ rows + np.diag(prior)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-10:
            break
    expected = expit(rows @ weights)
    curvature = (rows * (expected * (1 - expected))[:, None]).T @ rows + np.diag(prior)
    index = np.unique(clusters, return_inverse=True)[1]
    scores = np.zeros((int(index.max()) + 1, rows.shape[1]))
    np.add.at(scores, index, rows * (outcomes - expected)[:, None])
    number = scores.shape[0]
    meat = scores.T @ scores * (number / max(1, number - 1))
    inverse = np.linalg.inv(curvature)
    covariance = inverse @ meat @ inverse
    result: tuple[Array, Array] = (weights, np.sqrt(np.maximum(np.diag(covariance), 0.0)))
    return result
