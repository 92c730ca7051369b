from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.errors import DataError
from heed.records import Completion, Message, Prompt, Ranking, Rating, content_id

PROMPT = Prompt.from_text("Name a colour.")
A, B, C = (Completion(text=text) for text in ("Red.", "Blue.", "A horse."))


def test_the_same_prompt_read_twice_is_one_prompt() -> None:
    again = Prompt.from_text("Name a colour.", source="another file", user="someone else")
    assert again.id == PROMPT.id
    assert Prompt.from_text("Name a color.").id != PROMPT.id
    assert Prompt(messages=(Message(role="system", content="Name a colour."),)).id != PROMPT.id


def test_an_id_depends_on_content_alone() -> None:
    assert content_id("a", {"x": 1, "y": 2}) == content_id("a", {"y": 2, "x": 1})
    assert content_id("a", "b") != content_id("ab")
    assert len(content_id()) == 16


def test_an_id_that_was_given_is_kept() -> None:
    assert Prompt.from_text("x", id="mine").id == "mine"
    assert Completion(text="x", id="mine").id == "mine"


def test_two_policies_that_say_the_same_are_told_apart() -> None:
    assert Completion(text="Red.", policy="sft").id != Completion(text="Red.", policy="ppo").id


@pytest.mark.parametrize("messages", [(), (Message(role="user", content="  \n"),)])
def test_an_empty_prompt_is_refused(messages: tuple[Message, ...]) -> None:
    with pytest.raises(DataError) as caught:
        Prompt(messages=messages)
    assert str(caught.value) == "empty prompt: a prompt needs at least one message with text in it"


def test_a_conversation_reads_as_a_transcript_and_a_single_turn_as_itself() -> None:
    assert PROMPT.text == "Name a colour."
    turns = (Message(role="user", content="Hi."), Message(role="assistant", content="Hello."))
    assert Prompt(messages=turns).text == "user: Hi.\n\nassistant: Hello."


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PROMPT.source = "x"  # type: ignore[misc]


def test_three_answers_in_two_tiers_make_two_comparisons() -> None:
    ranking = Ranking(prompt=PROMPT, completions=(A, B, C), tiers=(0, 0, 1), labeler="ann")
    pairs = [(pair.chosen, pair.rejected, pair.labeler) for pair in ranking.comparisons()]
    assert pairs == [(A, C, "ann"), (B, C, "ann")]


def test_a_swapped_comparison_is_the_opposite_judgement() -> None:
    pair = next(Ranking(prompt=PROMPT, completions=(A, B), tiers=(1, 0)).comparisons())
    assert (pair.chosen, pair.rejected) == (B, A)
    assert (pair.swapped().chosen, pair.swapped().rejected) == (A, B)
    assert pair.swapped().swapped() == pair


def test_equal_scores_are_ties() -> None:
    assert Ranking.from_scores(PROMPT, [A, B, C], [0.5, 2.0, 0.5]).tiers == (1, 0, 1)


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=9))
def test_comparisons_are_exactly_the_pairs_of_different_scores(scores: list[int]) -> None:
    completions = [Completion(text=f"answer {i}") for i in range(len(scores))]
    score_of = {completion.id: score for completion, score in zip(completions, scores, strict=True)}
    pairs = list(Ranking.from_scores(PROMPT, completions, [float(s) for s in scores]).comparisons())
    assert all(score_of[pair.chosen.id] > score_of[pair.rejected.id] for pair in pairs)
    assert len(pairs) == sum(a != b for i, a in enumerate(scores) for b in scores[:i])


@pytest.mark.parametrize(
    ("completions", "tiers", "complaint"),
    [
        ((A,), (0,), "1 completion(s), expected at least 2"),
        ((A, B), (0,), "1 tiers for 2 completions"),
        ((A, B), (0, 2), "tiers (0, 2) must be 0, 1, ... without gaps"),
        ((A, B), (1, 1), "tiers (1, 1) must be 0, 1, ... without gaps"),
    ],
)
def test_a_ranking_that_makes_no_sense_is_refused(
    completions: tuple[Completion, ...], tiers: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(DataError) as caught:
        Ranking(prompt=PROMPT, completions=completions, tiers=tiers)
    assert str(caught.value) == f"ranking of prompt {PROMPT.id}: {complaint}"


@pytest.mark.parametrize("overall", [0, 8])
def test_a_grade_is_between_1_and_7(overall: int) -> None:
    assert Rating(prompt=PROMPT, completion=A, overall=7).overall == 7
    with pytest.raises(DataError, match=f"overall is {overall}, expected 1 to 7"):
        Rating(prompt=PROMPT, completion=A, overall=overall)
