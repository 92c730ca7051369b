"""The work is shared evenly, reproducibly, and with a pool that several judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.errors import ConfigError, DataError
from heed.feedback.collect import assign, rank_with
from heed.records import Completion, Prompt, Ranking


@dataclass
class Longest:
    """Prefers the longer answer; remembers how often it was asked."""

    name: str
    calls: int = 0

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        self.calls += 1
        return [
            Ranking.from_scores(prompt, answers, [len(answer.text) for answer in answers], self.name)
            for prompt, answers in zip(prompts, completions, strict=True)
        ]


def work(n: int) -> tuple[list[Prompt], list[list[Completion]]]:
    prompts = [Prompt.from_text(f"q{i}") for i in range(n)]
    return prompts, [[Completion(text="long" * (i + 1)), Completion(text="x")] for i in range(n)]


def test_most_items_get_one_label_and_the_pool_gets_two() -> None:
    prompts, completions = work(200)
    judges = [Longest(name) for name in "abcd"]
    rankings = rank_with(judges, prompts, completions, seed=0, overlap=0.15)
    labels = Counter(ranking.prompt.id for ranking in rankings)
    assert Counter(labels.values()) == {1: 170, 2: 30}
    loads = Counter(ranking.labeler for ranking in rankings)
    assert set(loads) == set("abcd")
    assert sorted(loads.values()) == [57, 57, 58, 58]
    assert [judge.calls for judge in judges] == [1, 1, 1, 1]
    positions = [prompts.index(ranking.prompt) for ranking in rankings]
    assert positions == sorted(positions)
    pairs = {(ranking.prompt.id, ranking.labeler) for ranking in rankings}
    assert len(pairs) == len(rankings)  # nobody labels an item twice


def test_the_same_seed_gives_the_same_work() -> None:
    prompts, completions = work(50)

    def collected(seed: int) -> list[Ranking]:
        return rank_with([Longest("a"), Longest("b"), Longest("c")], prompts, completions, seed=seed)

    assert collected(1) == collected(1)
    assert collected(1) != collected(2)


@given(
    num_items=st.integers(0, 60),
    num_judges=st.integers(1, 7),
    overlap=st.floats(0, 1),
    labels=st.integers(2, 5),
    seed=st.integers(0, 5),
)
def test_loads_are_even_and_every_item_is_judged(
    num_items: int, num_judges: int, overlap: float, labels: int, seed: int
) -> None:
    assigned = assign(num_items, num_judges, seed=seed, overlap=overlap, labels_in_pool=labels)
    sizes = Counter(len(judges) for judges in assigned)
    in_pool = min(labels, num_judges)
    assert all(len(set(judges)) == len(judges) for judges in assigned)
    if in_pool > 1:
        assert sizes.get(in_pool, 0) == round(overlap * num_items)
    assert sizes.get(1, 0) + sizes.get(in_pool, 0) * (in_pool > 1) == num_items
    loads = Counter(dict.fromkeys(range(num_judges), 0))
    loads.update(judge for judges in assigned for judge in judges)
    assert max(loads.values()) - min(loads.values()) <= 1


def test_what_makes_no_sense_is_refused() -> None:
    prompts, completions = work(3)
    with pytest.raises(ConfigError, match="nobody to judge"):
        rank_with([], prompts, completions, seed=0)
    with pytest.raises(ConfigError, match=r"overlap is 1\.5"):
        rank_with([Longest("a")], prompts, completions, seed=0, overlap=1.5)
    with pytest.raises(ConfigError, match="labels_in_pool is 1"):
        rank_with([Longest("a")], prompts, completions, seed=0, labels_in_pool=1)


class Careless(Longest):
    """Ranks the answers to another prompt."""

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        return super().rank(prompts, completions)[::-1]


class Hasty(Longest):
    """Leaves the last one out."""

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        return super().rank(prompts, completions)[:-1]


def test_a_judge_must_rank_what_it_was_shown() -> None:
    prompts, completions = work(4)
    with pytest.raises(DataError, match="Careless did not rank the answers to prompt"):
        rank_with([Careless("a")], prompts, completions, seed=0)
    with pytest.raises(DataError, match="Hasty gave 3 rankings for 4 prompts"):
        rank_with([Hasty("a")], prompts, completions, seed=0)
