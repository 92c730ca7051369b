"""How often each labeler is right, from agreement alone: no known answers, only that most people mean well.

One coin for each labeler (Dawid and Skene 1979, with one parameter each): whoever judges says the truth of a pair with
a chance of their own, independently of the others given the truth. Expectation-maximisation finds chances and truths
together. Someone who answers against the truth ends below one half, which plain agreement shows less clearly, since it
mixes in the others' mistakes. The model cannot tell a world from its mirror image; it starts from the majority.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import expit, logit

from heed.feedback.concord import Figure
from heed.stats import wilson
from heed.store.studio.said import Said

LEANING = 0.5
"""Log-odds from which on the others together lean to one side."""
PRIOR = (3.0, 1.5)
"""Weights of one right and one wrong answer before any is seen: people mean well, and nobody is perfect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One labeler's preference between two answers."""

    pair: tuple[int, int, int]
    """The set of answers and two of its ordinals, the lower first."""
    labeler: str
    first: bool
    """Whether the answer with the lower ordinal is better."""


def votes_of(said: Iterable[Said]) -> list[Vote]:
    """The preferences on ordinary items; ties say nothing."""
    seen: set[tuple[str, int]] = set()
    votes = []
    for one in said:
        if one.purpose != "ordinary" or len(one.tiers) < 2 or (one.labeler, one.unit) in seen:
            continue
        seen.add((one.labeler, one.unit))
        for i, j in combinations(range(len(one.tiers)), 2):
            if one.tiers[i] != one.tiers[j]:
                votes.append(Vote(pair=(one.unit, i, j), labeler=one.labeler, first=one.tiers[i] < one.tiers[j]))
    return votes


def one_coin(votes: Iterable[Vote]) -> dict[str, Figure]:
    """Each labeler's chance of saying the truth. Pairs with one vote say nothing and are left out.

    The interval is Wilson's for as many observations as there are sets of answers, given the consensus: pairs of one
    set are not independent, and that the consensus may err is left out.
    """
    shared = _shared(votes)
    units: dict[str, set[int]] = defaultdict(set)
    for group in shared:
        for vote in group:
            units[vote.labeler].add(vote.pair[0])
    return {
        name: Figure(
            estimate=wilson(chance * len(units[name]), len(units[name])),
            num_units=len(units[name]),
            num_labelers=len(units),
        )
        for name, chance in _chances(shared).items()
    }


def with_the_others(said: Sequence[Said]) -> dict[str, dict[int, float]]:
    """By labeler and set of answers, how far they agree with what the others say together; a tie of theirs as half.

    The others' votes are weighed by how often each is right, so that someone careful does not look bad beside people
    who are not. Pairs on which the others lean to neither side are left out.
    """
    votes = votes_of(said)
    weight = {name: float(logit(min(max(chance, 0.05), 0.95))) for name, chance in _chances(_shared(votes)).items()}
    lean: dict[tuple[int, int, int], float] = defaultdict(float)
    for vote in votes:
        lean[vote.pair] += weight.get(vote.labeler, 0.0) * (1 if vote.first else -1)
    shares: dict[str, dict[int, float]] = defaultdict(dict)
    for one in said:
        if one.purpose != "ordinary" or len(one.tiers) < 2 or one.unit in shares[one.labeler]:
            continue
        points = []
        for i, j in combinations(range(len(one.tiers)), 2):
            own = int(np.sign(one.tiers[j] - one.tiers[i]))  # 1 where the first is better
            others = lean.get((one.unit, i, j), 0.0) - own * weight.get(one.labeler, 0.0)
            if abs(others) >= LEANING:
                points.append((1 + own * np.sign(others)) / 2)
        if points:
            shares[one.labeler][one.unit] = float(np.mean(points))
    return {labeler: by_unit for labeler, by_unit in shares.items() if by_unit}


def _shared(votes: Iterable[Vote]) -> list[list[Vote]]:
    """The votes on each pair that has two or more."""
    by_pair: dict[tuple[int, int, int], list[Vote]] = defaultdict(list)
    for vote in votes:
        by_pair[vote.pair].append(vote)
    return [group for group in by_pair.values() if len(group) > 1]


def _chances(shared: Sequence[Sequence[Vote]], rounds: int = 200, tolerance: float = 1e-7) -> dict[str, float]:
    """Each labeler's chance of saying the truth, by expectation-maximisation."""
    names = sorted({vote.labeler for group in shared for vote in group})
    if not names:
        return {}
    number = {name: index for index, name in enumerate(names)}
    pair = np.array([index for index, group in enumerate(shared) for _ in group])
    who = np.array([number[vote.labeler] for group in shared for vote in group])
    said = np.array([1.0 if vote.first else -1.0 for group in shared for vote in group])
    chance = np.full(len(names), PRIOR[0] / sum(PRIOR))
    given = np.bincount(who, minlength=len(names)).astype(np.float64)
    for _ in range(rounds):
        truth = expit(np.bincount(pair, weights=said * logit(chance)[who]))  # chance that the first is better
        matched = np.where(said > 0, truth[pair], 1 - truth[pair])
        right = np.bincount(who, weights=matched, minlength=len(names)).astype(np.float64)
        updated = (right + PRIOR[0] - 1) / (given + sum(PRIOR) - 2)
        updated = np.clip(updated, 1e-3, 1 - 1e-3)
        done = float(np.abs(updated - chance).max()) < tolerance
        chance = updated
        if done:
            break
    return {name: float(chance[index]) for index, name in enumerate(names)}
