"""Choices are weighed by four rules, ties share credit, and shots never give an answer away."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from choice_fakes import Weigher, marks_of, reply
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.cache import Cache
from heed.evaluation.tasks.choices import (
    Rule,
    chance_level,
    choice_probabilities,
    choice_task,
    credit,
    limited,
    macro,
    with_drawn_shots,
)
from heed.evaluation.tasks.items import Marked, Question, Reply
from heed.evaluation.tasks.run import run_task


def _question(id: str = "q", right: tuple[int, ...] = (0,), **fields: object) -> Question:
    given = {"context": f"Q: {id}?\nA:", "choices": (" yes indeed", " no")} | fields
    return Question(id=id, kind="choice", right=right, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("sum", 0.0),  # -4 < -3
        ("token", 1.0),  # -4/2 > -3/1
        ("character", 1.0),  # -4/10 > -3/2, without the blank
        ("unconditional", 0.0),  # -4 - -2 < -3 - -6
    ],
)
def test_each_rule_by_hand(rule: Rule, expected: float) -> None:
    task = choice_task("t", "T", [_question()], rule=rule)
    logprobs = {"Q: q?\nA:": (-4.0, -3.0), "Answer:": (-2.0, -6.0)}
    (mark,) = marks_of(task, lambda question, choice: logprobs[question.context][question.choices.index(choice)])
    assert mark.metrics["accuracy"] == expected
    assert mark.output == ("yes indeed" if expected else "no")
    assert mark.metrics["right_probability"] == pytest.approx(math.exp(-4) / (math.exp(-4) + math.exp(-3)))
    assert task.name == ("t" if rule == "token" else f"t-{rule}")


def test_rules_are_shown_side_by_side_only_where_they_can_differ() -> None:
    long = choice_task("t", "T", [_question()])
    names = ["accuracy", "accuracy_sum", "accuracy_character", "right_probability"]
    assert [metric.name for metric in long.metrics] == names
    letters = choice_task("t", "T", [_question(choices=(" A", " B"))])
    assert [metric.name for metric in letters.metrics] == ["accuracy", "right_probability"]


def test_equal_choices_share_credit_and_rounding_makes_no_winner() -> None:
    assert credit([-1.0, -1.0, -2.0], (0,)) == 0.5
    assert credit([-1.0, -1.0 - 1e-12, -1.0 + 1e-13], (1,)) == pytest.approx(1 / 3)
    assert credit([-1.0, -1.0 - 1e-6], (1,)) == 0.0
    assert credit([-math.inf, -5.0], (1,)) == 1.0


@given(st.lists(st.floats(-1e4, 0.0), min_size=2, max_size=8), st.floats(-1e3, 1e3))
def test_probabilities_add_up_and_know_no_common_shift(logprobs: list[float], shift: float) -> None:
    found = choice_probabilities(logprobs)
    assert math.fsum(found) == pytest.approx(1.0)
    assert found == pytest.approx(choice_probabilities([one + shift for one in logprobs]), abs=1e-9)


def test_what_calibration_needs_is_kept() -> None:
    task = choice_task("t", "T", [_question(right=(1,))])
    (mark,) = task.mark(task.questions, [reply(math.log(0.1), math.log(0.3))])
    assert mark.detail["probabilities"] == pytest.approx([0.25, 0.75])
    assert (mark.detail["right"], mark.detail["chosen"]) == ([1], 1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Reply(error="the server is down"), "the server is down"),
        (reply(-1.0), "1 likelihoods for 2 choices"),
        (reply(-1.0, math.nan), "log-probabilities [-1.0, nan], expected numbers"),
        (reply(-math.inf, -math.inf), "expected numbers"),
    ],
)
def test_a_reply_that_cannot_be_marked_is_an_error_and_no_wrong_answer(bad: Reply, message: str) -> None:
    task = choice_task("t", "T", [_question("a"), _question("b")])
    first, second = task.mark(task.questions, [bad, reply(-1.0, -2.0)])
    assert message in first.error and not first.metrics
    assert not second.error and second.metrics["accuracy"] == 1.0


def test_a_choice_that_is_impossible_alone_is_not_taken() -> None:
    task = choice_task("t", "T", [_question(right=(1,))], rule="unconditional")
    (mark,) = task.mark(task.questions, [reply(-math.inf, -3.0), reply(-math.inf, -2.0)])
    assert mark.metrics["accuracy"] == 1.0


def test_a_failed_question_without_context_fails_its_own_question_only() -> None:
    task = choice_task("t", "T", [_question("a"), _question("b")], rule="unconditional")
    assert [one.id for one in task.questions] == ["a", "b", "a/alone", "b/alone"]
    good = reply(-1.0, -2.0)
    marks = task.mark(task.questions, [good, good, Reply(error="gone"), good])
    assert [(one.id, one.error) for one in marks] == [("a", "gone"), ("b", "")]


def test_categories_count_the_same_in_the_macro_mean() -> None:
    def mark(category: str, accuracy: float) -> Marked:
        return Marked(id="", cluster="", category=category, metrics={"accuracy": accuracy})

    marks = [mark("a", 1.0), mark("a", 0.0), mark("a", 0.0), mark("a", 0.0), mark("b", 1.0)]
    assert macro("accuracy")(marks) == pytest.approx((0.25 + 1.0) / 2)
    assert math.isnan(macro("accuracy")([]))


def test_the_note_says_what_guessing_gives() -> None:
    questions = [_question(str(number), right=(int(number < 3),)) for number in range(4)]
    assert choice_task("t", "T", questions).note == "Guessing gives 50.0%, always “no” 75.0%."
    mixed = [_question("a"), _question("b", choices=(" x", " y", " z", " w"), right=(1, 2))]
    assert chance_level(mixed) == 0.5
    assert choice_task("t", "T", mixed, note="Mind this.").note == "Mind this. Guessing gives 50.0%."


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (_question(choices=(" a",)), "question q: 1 choices, of which [0] are right"),
        (_question(right=()), "2 choices, of which [] are right"),
        (_question(right=(2,)), "of which [2] are right"),
        (_question(choices=(" a", " a")), "are empty or twice the same"),
        (_question(choices=(" a", " ")), "are empty or twice the same"),
    ],
)
def test_a_question_that_is_none_is_refused(question: Question, message: str) -> None:
    with pytest.raises(DataError) as caught:
        choice_task("t", "T", [question])
    assert message in str(caught.value)


def test_a_limit_spreads_over_categories_and_a_larger_one_keeps_the_smaller() -> None:
    questions = [_question(str(number), category="ab"[number >= 90]) for number in range(100)]
    small, large = limited(questions, 10), limited(questions, 30)
    assert [sum(one.category == name for one in small) for name in "ab"] == [5, 5]
    assert [sum(one.category == name for one in large) for name in "ab"] == [20, 10]
    assert {one.id for one in small} <= {one.id for one in large}
    assert [int(one.id) for one in large] == sorted(int(one.id) for one in large)
    assert limited(questions, 10) == small != limited(questions, 10, seed=1)
    assert limited(questions, None) == limited(questions, 200) == tuple(questions)


def test_shots_are_never_of_the_same_passage_and_the_seed_repeats_them() -> None:
    pool = [_question(str(number), cluster=f"passage {number // 2}") for number in range(12)]
    drawn = with_drawn_shots(pool, pool, 5, seed=3)
    for question in drawn:
        of_passage = {one.context for one in pool if one.cluster == question.cluster}
        assert len({shot.context for shot in question.shots}) == 5
        assert not of_passage & {shot.context for shot in question.shots}
        assert all(shot.answer == " yes indeed" for shot in question.shots)
    assert with_drawn_shots(pool, pool, 5, seed=3) == drawn != with_drawn_shots(pool, pool, 5, seed=4)
    assert len({one.shots for one in drawn}) > 1  # each question has its own


def test_the_same_text_in_another_file_is_no_shot() -> None:
    pool = [_question("other", context="Q: q?\nA:"), _question("free", context="Q: z?\nA:")]
    (drawn,) = with_drawn_shots([_question()], pool, 1, seed=0)
    assert drawn.shots[0].context == "Q: z?\nA:"
    with pytest.raises(DataError, match="train: only 1 examples besides question q"):
        with_drawn_shots([_question()], pool, 2, seed=0, where="train")
    with pytest.raises(ConfigError, match="shots is -1"):
        with_drawn_shots([_question()], pool, -1, seed=0)


def test_a_whole_run_has_figures_with_intervals(tmp_path: Path) -> None:
    questions = [
        _question(str(number), right=(int(number % 4 == 0),), category="ab"[number % 2]) for number in range(40)
    ]
    task = choice_task("t", "T", questions, rule="unconditional")
    model = Weigher(lambda question, choice: -1.0 if choice == " no" and question.context != "Answer:" else -2.0)
    result = run_task(task, model, Cache(tmp_path / "cache.jsonl"))
    assert result.figures["accuracy"].value == 0.25 and result.figures["accuracy"].n == 40
    assert result.figures["macro_accuracy"].value == pytest.approx(0.25)
    assert result.categories["a"].value == 0.5 and result.categories["b"].value == 0.0
    assert len(result.marks) == 40
