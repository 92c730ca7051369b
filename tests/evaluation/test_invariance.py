"""Scorers that are wrong in one planted way each, and a real reward model that is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fakes import tiny_codec, tiny_reward_model
from heed.evaluation.invariance import check_invariance
from heed.models.scorer import RewardScorer
from heed.records import Completion, Prompt, Ranking

TEXTS = ("Where is the cup?", "Name two animals.", "What colour is the sky? Say it in a sentence that is long.")
RANKINGS = [
    Ranking(
        prompt=Prompt.from_text(text),
        completions=tuple(Completion(text=word) for word in ("park", f"A cat and a dog{'!' * index}", "blue sky")),
        tiers=(0, 1, 2),
    )
    for index, text in enumerate(TEXTS)
]
Scores = list[list[float]]


class Wrong:
    """The length of an answer, with something that ought not to be there."""

    def __init__(self, extra: Callable[[int, int, Sequence[Prompt], Sequence[Sequence[Completion]]], float]) -> None:
        self.extra, self.calls = extra, 0

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> Scores:
        self.calls += 1
        return [
            [len(one.text) + self.extra(row, place, prompts, completions) for place, one in enumerate(group)]
            for row, group in enumerate(completions)
        ]


def failed(scorer: Wrong | RewardScorer) -> set[str]:
    return {one.name for one in check_invariance(scorer, RANKINGS) if not one.holds}


def test_a_function_of_prompt_and_answer_passes_everything() -> None:
    found = check_invariance(Wrong(lambda row, place, prompts, groups: len(prompts[row].text) / 7), RANKINGS)
    assert [one.name for one in found] == ["again", "swapped", "alone", "one_prompt", "company", "padding"]
    assert all(one.holds and one.largest == 0 and one.changed_order == 0 and one.n == 9 for one in found)


def test_each_fault_is_found_where_it_is() -> None:
    assert failed(Wrong(lambda row, place, prompts, groups: 0.1 * place)) == {"swapped", "alone", "company"}
    assert failed(Wrong(lambda row, place, prompts, groups: 0.1 * len(groups[row]))) == {"alone", "company"}
    assert failed(Wrong(lambda row, place, prompts, groups: 0.1 * row)) == {"alone", "one_prompt", "padding"}
    longest = lambda row, place, prompts, groups: 0.1 * max(len(one.text) for one in prompts)  # noqa: E731
    assert failed(Wrong(longest)) == {"one_prompt"}


def test_a_score_that_is_never_the_same_twice_fails_at_once() -> None:
    rng = np.random.default_rng(0)
    assert "again" in failed(Wrong(lambda row, place, prompts, groups: float(rng.normal())))


def test_the_largest_change_and_the_turned_pairs_by_hand() -> None:
    """One less for each place: 4, 14, 6 and so on; the other way round the last place is the first."""
    [_, swapped, *_] = check_invariance(Wrong(lambda row, place, prompts, groups: -1.5 * place), RANKINGS[:1])
    # before: 4, 15 - 1.5, 8 - 3; after, in the old order: 4 - 3, 15 - 1.5, 8
    assert (swapped.largest, swapped.changed_order, swapped.n) == (3.0, 0, 3)
    [_, swapped, *_] = check_invariance(Wrong(lambda row, place, prompts, groups: -2.5 * place), RANKINGS[:1])
    # before: 4, 12.5, 3; after: -1, 12.5, 8: the first and the last have changed places
    assert (swapped.largest, swapped.changed_order) == (5.0, 1)
    assert swapped.as_json()["answer"] in ("park", "blue sky") and not swapped.as_json()["holds"]


def test_a_score_that_is_not_a_number_is_a_failure() -> None:
    found = check_invariance(Wrong(lambda row, place, prompts, groups: float("nan")), RANKINGS)
    assert all(one.largest == float("inf") and not one.holds for one in found)


def test_nothing_to_score_is_nothing_to_say() -> None:
    assert check_invariance(Wrong(lambda row, place, prompts, groups: 0.0), []) == []


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_reward_model_passes_everything(architecture: str) -> None:
    scorer = RewardScorer(tiny_reward_model(architecture), tiny_codec(), microbatch=4)
    found = check_invariance(scorer, RANKINGS, tolerance=1e-4)
    assert all(one.holds for one in found), [one.as_json() for one in found]
    spread = np.ptp(scorer.score([one.prompt for one in RANKINGS], [one.completions for one in RANKINGS]))
    assert spread > 0.1, "the scores differ, so that equal ones mean something"
