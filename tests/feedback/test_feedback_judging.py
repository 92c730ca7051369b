"""A Scorer that judges, and whether judges agree."""

from __future__ import annotations

import random
from collections.abc import Sequence

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.errors import ConfigError
from heed.feedback.agreement import agreement, shared_items
from heed.feedback.scorer_judge import ScorerJudge, tiers_of
from heed.records import Completion, Labeler, Prompt, Ranking

ANSWERS = tuple(Completion(text=letter) for letter in "abc")


class Alphabet:
    """Scores an answer by its first letter, a highest."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[-float(ord(answer.text[0])) for answer in answers] for answers in completions]


def test_a_scorer_judges_by_its_scores_and_signs() -> None:
    judge = ScorerJudge(Alphabet(), Labeler(id="rm", kind="model"))
    prompt = Prompt.from_text("q")
    (ranking,) = judge.rank([prompt], [[ANSWERS[1], ANSWERS[0], ANSWERS[1]]])
    assert (ranking.prompt, ranking.tiers, ranking.labeler) == (prompt, (1, 0, 1), "rm")
    (tied,) = ScorerJudge(Alphabet(), Labeler(id="rm"), tie_margin=1.0).rank([prompt], [ANSWERS])
    assert tied.tiers == (0, 0, 0)


def test_tiers_by_hand() -> None:
    assert tiers_of([3.0, 1.0, 2.0, 1.0]) == (0, 2, 1, 2)
    assert tiers_of([1.0, 1.4, 2.0], tie_margin=0.5) == (1, 1, 0)
    assert tiers_of([5.0]) == (0,)
    with pytest.raises(ConfigError, match="tie_margin is -1"):
        ScorerJudge(Alphabet(), Labeler(id="rm"), tie_margin=-1)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9))
def test_without_a_margin_tiers_are_those_of_the_scores(scores: list[float]) -> None:
    answers = [Completion(text=str(i)) for i in range(len(scores))]
    assert tiers_of(scores) == Ranking.from_scores(Prompt.from_text("q"), answers, scores).tiers


def rankings(prompt: str, **tiers: tuple[int, ...]) -> list[Ranking]:
    return [
        Ranking(prompt=Prompt.from_text(prompt), completions=ANSWERS, tiers=given, labeler=name)
        for name, given in tiers.items()
    ]


def test_agreement_by_hand() -> None:
    # q1: of the three pairs, ann and bo differ on (b, c). q2 is judged by ann alone. q3: bo ties a and b.
    said = [
        *rankings("q1", ann=(0, 1, 2), bo=(0, 2, 1)),
        *rankings("q2", ann=(0, 1, 2)),
        *rankings("q3", ann=(0, 1, 2), bo=(0, 0, 1)),
    ]
    found = agreement(said)
    assert found is not None
    assert (found.pairwise.n, found.num_items, found.num_labelers) == (5, 2, 2)
    assert found.pairwise.value == pytest.approx(4 / 5)
    with_ties = agreement(said, ties="half")
    assert with_ties is not None
    assert (with_ties.pairwise.n, with_ties.pairwise.value) == (6, pytest.approx(4.5 / 6))


def test_agreement_needs_something_judged_twice() -> None:
    assert agreement(rankings("q1", ann=(0, 1, 2))) is None
    assert agreement([]) is None
    assert agreement(rankings("q1", ann=(0, 0, 0), bo=(0, 0, 0))) is None


def test_a_labeler_counts_once_for_an_item() -> None:
    twice = [*rankings("q1", ann=(0, 1, 2)), *rankings("q1", ann=(2, 1, 0)), *rankings("q1", bo=(0, 1, 2))]
    ((first, second),) = shared_items(twice)
    assert (first.tiers, second.tiers) == ((0, 1, 2), (0, 1, 2))


@given(seed=st.integers(0, 50))
def test_alpha_is_krippendorffs_and_does_not_depend_on_the_order_of_answers(seed: int) -> None:
    draw = random.Random(seed)
    said, turned, table = [], [], []
    for item in range(6):
        prompt = Prompt.from_text(f"q{item}")
        given = {
            name: Ranking.from_scores(prompt, ANSWERS, [draw.randrange(3) for _ in ANSWERS]).tiers
            for name in draw.sample(["ann", "bo", "cem"], 2)
        }
        said += rankings(f"q{item}", **given)
        for ranking in rankings(f"q{item}", **given):
            turned.append(
                Ranking(
                    prompt=ranking.prompt,
                    completions=ranking.completions[::-1],
                    tiers=ranking.tiers[::-1],
                    labeler=ranking.labeler,
                )
            )
        for i, j in ((0, 1), (0, 2), (1, 2)):
            column = [
                np.sign(given[name][i] - given[name][j]) if name in given else np.nan for name in ("ann", "bo", "cem")
            ]
            table += [column, [-value for value in column]]
    found, other = agreement(said, ties="half"), agreement(turned, ties="half")
    assert found is not None and other is not None
    expected = krippendorff.alpha(np.array(table).T, level_of_measurement="ordinal", value_domain=[-1, 0, 1])
    assert found.alpha == pytest.approx(expected)
    assert other.alpha == pytest.approx(found.alpha)
