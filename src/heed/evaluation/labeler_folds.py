"""Does a reward model stand for the labelers it learned from, or for people? Folds over groups of labelers.

Labelers are dealt into groups; one reward model for each group learns from all the others. On prompts that no model
saw, it is asked to foretell both those labelers and the group it never heard. InstructGPT: 72.4 +- 0.4 % on its own
labelers, 69.6 +- 0.9 % on the others (Ouyang et al. 2022, section 4.1; five groups, three seeds).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from heed.errors import DataError
from heed.evaluation.preference_accuracy import score_pairs
from heed.records import Ranking
from heed.roles import Scorer
from heed.stats import Array, Estimate, outcomes, percentiles, resample_weights

Train: TypeAlias = Callable[[Sequence[Ranking], int], Scorer]
"""Makes a scorer from rankings, with a seed."""
Places: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelerFolds:
    """Accuracy on labelers a reward model learned from, and on those it never heard, on the same comparisons."""

    own: Estimate
    """Share of comparisons ordered rightly by the models that learned from their labeler, on other prompts."""
    unheard: Estimate
    """The same comparisons, by the model of the fold that left their labeler's group out."""
    difference: Estimate
    """``own`` less ``unheard``, paired by comparison."""
    groups: tuple[tuple[str, ...], ...]
    """Labelers of each group."""
    by_group: tuple[tuple[Estimate, Estimate], ...]
    """For each group the shares right of its comparisons: by models that learned from it, and by the one that did
    not."""
    by_seed: tuple[tuple[float, float], ...]
    """The two shares of each seed alone: how much is luck of the training."""

    def as_json(self) -> dict[str, Any]:
        """For a file of figures."""
        return {
            "own": self.own.as_json(),
            "unheard": self.unheard.as_json(),
            "difference": self.difference.as_json(),
            "groups": [
                {"labelers": list(labelers), "own": own.as_json(), "unheard": unheard.as_json()}
                for labelers, (own, unheard) in zip(self.groups, self.by_group, strict=True)
            ],
            "seeds": [{"own": own, "unheard": unheard} for own, unheard in self.by_seed],
        }


def labeler_groups(labelers: Sequence[str], num_groups: int = 5, seed: int = 0) -> list[tuple[str, ...]]:
    """Labelers in so many groups, as even as can be, dealt out in a shuffled order.

    Raises:
        DataError: there are fewer labelers than groups, or fewer than two groups.
    """
    names = sorted(set(labelers))
    if not 2 <= num_groups <= len(names):
        raise DataError(f"{len(names)} labelers cannot be dealt into {num_groups} groups, expected 2 to {len(names)}")
    random.Random(seed).shuffle(names)
    return [tuple(sorted(names[number::num_groups])) for number in range(num_groups)]


def labeler_folds(
    training: Sequence[Ranking],
    testing: Sequence[Ranking],
    train: Train,
    *,
    num_groups: int = 5,
    seeds: Sequence[int] = (0, 1, 2),
) -> LabelerFolds:
    """Train ``num_groups`` times ``len(seeds)`` reward models, and compare what they know of own and other labelers.

    Every comparison is judged both ways, so that a labeler who is hard to foretell makes no difference. Intervals are
    of prompts and of groups of labelers, both resampled (Owen 2007, the pigeonhole bootstrap): they are for labelers
    like these, not for these.

    Args:
        training: rankings by labelers of all groups.
        testing: rankings by the same labelers of prompts that are not in ``training``.
        train: makes a scorer from rankings and a seed.

    Raises:
        DataError: a prompt is on both sides, a labeler is missing on one side, or there are too few labelers.
    """
    shared = {one.prompt.id for one in training} & {one.prompt.id for one in testing}
    if shared:
        raise DataError(f"{len(shared)} prompts are in both training and testing, such as {min(shared)}; expected none")
    groups = labeler_groups([one.labeler for one in training], num_groups)
    member = {name: number for number, group in enumerate(groups) for name in group}
    strange = sorted({one.labeler for one in testing} ^ set(member))
    if strange:
        raise DataError(f"labeler {strange[0]} is on one side only; every labeler must be in training and testing")
    right: list[list[Array]] = []
    for number in range(num_groups):
        heard = [one for one in training if member[one.labeler] != number]
        scorers = [train(heard, seed) for seed in seeds]
        right.append([_right(scorer, testing) for scorer in scorers])
    table = np.array(right)  # (groups, seeds, comparisons)
    pairs = [ranking for ranking in testing for _ in ranking.comparisons()]
    group_of = np.array([member[one.labeler] for one in pairs], dtype=np.intp)
    own, unheard = _both_ways(table, group_of)
    prompts = np.unique([one.prompt.id for one in pairs], return_inverse=True)[1]
    return LabelerFolds(
        own=_pigeonhole(own.mean(axis=0), prompts, group_of),
        unheard=_pigeonhole(unheard.mean(axis=0), prompts, group_of),
        difference=_pigeonhole((own - unheard).mean(axis=0), prompts, group_of),
        groups=tuple(groups),
        by_group=tuple(
            (
                _pigeonhole(own.mean(axis=0)[held], prompts[held], np.zeros(int(held.sum()), dtype=np.intp)),
                _pigeonhole(unheard.mean(axis=0)[held], prompts[held], np.zeros(int(held.sum()), dtype=np.intp)),
            )
            for held in (group_of == number for number in range(num_groups))
        ),
        by_seed=tuple((float(a), float(b)) for a, b in zip(own.mean(axis=1), unheard.mean(axis=1), strict=True)),
    )


def _right(scorer: Scorer, testing: Sequence[Ranking]) -> Array:
    gaps = score_pairs(scorer, testing).gaps
    return outcomes(gaps, np.zeros(gaps.size))


def _both_ways(table: Array, group_of: Places) -> tuple[Array, Array]:
    """(seeds, comparisons) twice: by the models that heard each comparison's labeler, and by the one that did not."""
    groups, _, comparisons = table.shape
    unheard: Array = table[group_of, :, np.arange(comparisons)].T
    own: Array = (table.sum(axis=0) - unheard) / (groups - 1)
    return own, unheard


def _pigeonhole(values: Array, prompts: Places, groups: Places, seed: int = 0) -> Estimate:
    """Mean of ``values`` with the interval of resampling both their prompts and their groups, each on its own."""
    num_prompts, num_groups = int(prompts.max()) + 1, int(groups.max()) + 1
    sums, counts = np.zeros((num_prompts, num_groups)), np.zeros((num_prompts, num_groups))
    np.add.at(sums, (prompts, groups), values)
    np.add.at(counts, (prompts, groups), 1.0)
    by_prompt = resample_weights(num_prompts, seed)
    by_group = resample_weights(num_groups, seed + 1) if num_groups > 1 else np.ones((len(by_prompt), 1))
    drawn = ((by_prompt @ sums) * by_group).sum(axis=1)
    total = ((by_prompt @ counts) * by_group).sum(axis=1)
    held = total > 0
    low, high = percentiles(drawn[held] / total[held], num_groups if num_groups > 1 else num_prompts)
    return Estimate(value=float(values.mean()), low=low, high=high, n=values.size)
