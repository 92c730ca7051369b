"""Folds over labelers: by hand with scorers that remember whom they heard, and with tastes that are planted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from heed.errors import DataError
from heed.evaluation.labeler_folds import labeler_folds, labeler_groups
from heed.records import Completion, Prompt, Ranking

LABELERS = ("ann", "ben", "cat", "dan", "eve", "fay")


def ranking(labeler: str, number: int, tiers: tuple[int, ...] = (0, 1), side: str = "train") -> Ranking:
    answers = tuple(Completion(text=f"{labeler} {number} {place}") for place in range(len(tiers)))
    return Ranking(
        prompt=Prompt.from_text(f"{side} {labeler} {number}"), completions=answers, tiers=tiers, labeler=labeler
    )


class Knows:
    """Right about those it heard, wrong about the others: the first answer is always the better one."""

    def __init__(self, heard: Sequence[Ranking]) -> None:
        self.names = {one.labeler for one in heard}

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[1.0, 0.0] if group[0].text.split()[0] in self.names else [0.0, 1.0] for group in completions]


def both(count: int = 4) -> tuple[list[Ranking], list[Ranking]]:
    training = [ranking(labeler, number) for labeler in LABELERS for number in range(2)]
    return training, [ranking(labeler, number, side="test") for labeler in LABELERS for number in range(count)]


def test_each_fold_learns_from_the_others_alone() -> None:
    training, testing = both()
    heard: list[tuple[frozenset[str], int]] = []

    def train(rankings: Sequence[Ranking], seed: int) -> Knows:
        heard.append((frozenset(one.labeler for one in rankings), seed))
        return Knows(rankings)

    found = labeler_folds(training, testing, train, num_groups=3, seeds=(5, 7))
    assert (found.own.value, found.unheard.value, found.difference.value) == (1.0, 0.0, 1.0)
    assert (found.own.n, found.unheard.n) == (24, 24)
    assert sorted(seed for _, seed in heard) == [5, 5, 5, 7, 7, 7]
    left_out = {frozenset(LABELERS) - names for names, _ in heard}
    assert left_out == {frozenset(group) for group in found.groups} and len(left_out) == 3
    assert found.by_seed == ((1.0, 0.0), (1.0, 0.0))
    assert [(own.value, unheard.value, own.n) for own, unheard in found.by_group] == [(1.0, 0.0, 8)] * 3


def test_shares_by_hand() -> None:
    """Two groups of one. A scorer that heard ann is right of ann's two comparisons and of one of ben's four; one that
    heard ben is right of all of ben's and none of ann's. Own: 6 of 6; unheard: (0 + 1) of 6."""
    training = [ranking("ann", 0), ranking("ben", 0)]
    testing = [ranking("ann", n, side="test") for n in range(2)] + [ranking("ben", n, side="test") for n in range(4)]

    class Script:
        def __init__(self, name: str) -> None:
            self.right = {"ann": {"ann 0", "ann 1", "ben 2"}, "ben": {f"ben {n}" for n in range(4)}}[name]

        def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
            return [[float(one[0].text[:-2] in self.right), 0.5] for one in completions]

    found = labeler_folds(training, testing, lambda some, seed: Script(some[0].labeler), num_groups=2, seeds=(0,))
    assert found.own.value == 1.0
    assert found.unheard.value == pytest.approx(1 / 6)
    assert found.difference.value == pytest.approx(5 / 6)
    shares = {
        group[0]: (own.value, unheard.value) for group, (own, unheard) in zip(found.groups, found.by_group, strict=True)
    }
    assert shares == {"ann": (1.0, 0.0), "ben": (1.0, 0.25)}
    assert found.as_json()["difference"]["n"] == 6


def test_private_taste_shows_and_shared_taste_does_not() -> None:
    """Labelers weigh two traits. Scorers learn the mean weights of those they heard, by counting."""
    rng = np.random.default_rng(0)
    traits = {}

    def judged(labeler: str, weights: np.ndarray, number: int, side: str) -> Ranking:  # type: ignore[type-arg]
        values = rng.normal(size=(2, 2))
        one = ranking(labeler, number, (0, 1), side)
        traits.update(dict(zip((a.text + side for a in one.completions), values, strict=True)))
        tiers = (0, 1) if values[0] @ weights > values[1] @ weights else (1, 0)
        return Ranking(prompt=one.prompt, completions=one.completions, tiers=tiers, labeler=labeler)

    def gap(weights: dict[str, np.ndarray]) -> tuple[float, float]:  # type: ignore[type-arg]
        training, testing = (
            [judged(name, weights[name], number, side) for name in LABELERS for number in range(150)]
            for side in ("train", "test")
        )

        class Linear:
            def __init__(self, heard: Sequence[Ranking]) -> None:
                rows = [
                    traits[pair.chosen.text + "train"] - traits[pair.rejected.text + "train"]
                    for one in heard
                    for pair in one.comparisons()
                ]
                self.weights = np.mean(rows, axis=0)

            def score(
                self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]
            ) -> list[list[float]]:
                return [[float(traits[one.text + "test"] @ self.weights) for one in group] for group in completions]

        found = labeler_folds(training, testing, lambda some, seed: Linear(some), num_groups=3, seeds=(0,))
        return found.difference.low, found.difference.high

    same = dict.fromkeys(LABELERS, np.array([1.0, 0.5]))
    low, high = gap(same)
    assert low <= 0 <= high and high - low < 0.05
    groups = labeler_groups(LABELERS, 3)
    angles = {name: number * 2 * np.pi / 3 for number, group in enumerate(groups) for name in group}
    private = {name: np.array([np.cos(angle), np.sin(angle)]) for name, angle in angles.items()}
    assert gap(private)[0] > 0.2


def test_groups_are_even_and_need_labelers() -> None:
    groups = labeler_groups([*LABELERS, "ann"], 4, seed=3)
    assert sorted(len(group) for group in groups) == [1, 1, 2, 2]
    assert {name for group in groups for name in group} == set(LABELERS)
    assert groups == labeler_groups(LABELERS, 4, seed=3)
    with pytest.raises(DataError, match="6 labelers cannot be dealt into 7 groups, expected 2 to 6"):
        labeler_groups(LABELERS, 7)


def test_what_cannot_be_compared_is_refused() -> None:
    training, testing = both()
    with pytest.raises(DataError, match="1 prompts are in both training and testing"):
        labeler_folds(training, [*testing, training[0]], lambda some, seed: Knows(some))
    with pytest.raises(DataError, match="labeler gus is on one side only"):
        labeler_folds(training, [*testing, ranking("gus", 0, side="test")], lambda some, seed: Knows(some))
