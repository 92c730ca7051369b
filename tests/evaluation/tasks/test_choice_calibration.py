"""Calibration by letters: the layout, and every figure against numbers worked out another way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from choice_fakes import Weigher, marks_of, reply
from heed.errors import DataError
from heed.evaluation.calibration import (
    choice_calibration_of,
    lettered,
    proposed_answers,
    reliability_rows,
)
from heed.evaluation.comparison import compare_tasks
from heed.evaluation.tasks.cache import Cache
from heed.evaluation.tasks.choices import choice_task
from heed.evaluation.tasks.items import Marked, Question, Reply, Task
from heed.evaluation.tasks.run import run_task


def _task(count: int = 3, options: int = 3, **fields: object) -> Task:
    questions = [
        Question(
            id=str(number),
            context=f"What is {number}?\nAnswer:",
            kind="choice",
            choices=tuple(f" {number}{letter}" for letter in "abcdefgh"[:options]),
            right=(0,),
            **fields,  # type: ignore[arg-type]
        )
        for number in range(count)
    ]
    return choice_task("quiz-2shot", "Quiz, 2 shots", questions)


def _figure(task: Task, name: str, marks: Sequence[Marked]) -> float:
    metric = next(one for one in task.metrics if one.name == name)
    if metric.statistic is not None:
        return metric.statistic(marks)
    return float(np.mean([one.metrics[name] for one in marks]))


def test_the_layout() -> None:
    task = lettered(_task(), shots=1, permute=False)
    assert task.name == "quiz-lettered-1shot" and task.group == "Calibration"
    first = task.questions[0]
    (shot,) = first.shots
    number = shot.context.removeprefix("Question: What is ")[0]
    assert number in "12"
    assert first.layout() == (
        f"Question: What is {number}?\nChoices:\n (A) {number}a\n (B) {number}b\n (C) {number}c\nAnswer: (A)\n\n"
        "Question: What is 0?\nChoices:\n (A) 0a\n (B) 0b\n (C) 0c\nAnswer:"
    )
    assert first.choices == (" (A)", " (B)", " (C)") and first.right == (0,)


def test_options_are_permuted_by_the_seed_and_the_right_one_moves_along() -> None:
    task = lettered(_task(60), shots=0, seed=1)
    for question in task.questions:
        right = f"({'ABC'[question.right[0]]}) {question.id}a\n"
        assert right in question.context
    places = [question.right[0] for question in task.questions]
    assert all(10 <= places.count(place) <= 30 for place in range(3))
    assert lettered(_task(60), shots=0, seed=1).questions == task.questions
    assert lettered(_task(60), shots=0, seed=2).questions != task.questions


def test_none_of_the_above_takes_the_place_of_the_last_option() -> None:
    task = lettered(_task(60), shots=0, none_of_above=True)
    assert task.name == "quiz-lettered-none-0shot"
    for question in task.questions:
        assert question.context.endswith(" (C) none of the above\nAnswer:")
        assert (question.right == (2,)) == (f" {question.id}a\n" not in question.context)
    assert {question.right[0] for question in task.questions} == {0, 1, 2}


def test_plain_texts_are_taken_where_the_choices_are_letters_already() -> None:
    meta = {"question": "Where?", "options": ["here", "there"]}
    task = lettered(_task(1, options=2, meta=meta), shots=0, permute=False)
    assert task.questions[0].context == "Question: Where?\nChoices:\n (A) here\n (B) there\nAnswer:"


def test_the_true_false_form_has_two_rows_for_each_question() -> None:
    task = proposed_answers(_task(), shots=0)
    first, second = task.questions[:2]
    assert first.context == (
        "Question: What is 0?\nProposed Answer: 0a\nIs the proposed answer:\n (A) True\n (B) False\n"
        "The proposed answer is:"
    )
    assert (first.right, second.right) == ((0,), (1,)) and first.cluster == second.cluster == "0"
    assert "Proposed Answer: 0a" not in second.context and len(task.questions) == 6


def test_letters_need_one_right_option() -> None:
    two = Question(id="q", context="Q", kind="choice", choices=(" a", " b", " c"), right=(0, 1))
    with pytest.raises(DataError, match="question q: 3 options, of which 2 are right; letters need 2 to 26"):
        lettered(choice_task("t", "T", [two]), shots=0)
    with pytest.raises(DataError, match="quiz-2shot: only 2 examples besides question 0"):
        lettered(_task(), shots=3)


def test_figures_by_hand() -> None:
    """Twenty questions with two options, ten bins of two; the confidences go up by 0.02 from 0.52."""
    task = lettered(_task(20, options=2), shots=0, permute=False)
    confidences = [0.52 + 0.02 * number for number in range(20)]
    hits = [number % 3 != 0 for number in range(20)]
    replies = [
        reply(*((math.log(p / 2), math.log((1 - p) / 2)) if hit else (math.log((1 - p) / 2), math.log(p / 2))))
        for p, hit in zip(confidences, hits, strict=True)
    ]
    marks = task.mark(task.questions, replies)
    bins = [(confidences[i : i + 2], hits[i : i + 2]) for i in range(0, 20, 2)]
    ece = sum(abs(sum(h) / 2 - sum(p) / 2) for p, h in bins) / 10
    assert _figure(task, "accuracy", marks) == pytest.approx(13 / 20)
    assert _figure(task, "ece", marks) == pytest.approx(ece)
    assert _figure(task, "confidence", marks) == pytest.approx(0.71)
    squares = [(p - h) ** 2 for p, h in zip(confidences, hits, strict=True)]
    assert _figure(task, "brier", marks) == pytest.approx(sum(squares) / 20)
    logs = [-math.log(p if h else 1 - p) for p, h in zip(confidences, hits, strict=True)]
    assert _figure(task, "log_score", marks) == pytest.approx(sum(logs) / 20)
    assert _figure(task, "leaked", marks) == pytest.approx(0.5)
    pairs = [p > q for p, h in zip(confidences, hits, strict=True) for q, k in zip(confidences, hits, strict=True)
             if h and not k]  # fmt: skip
    assert _figure(task, "auroc", marks) == pytest.approx(sum(pairs) / len(pairs))
    rows = reliability_rows(marks, top=True)
    assert rows[0] == pytest.approx({"confidence": 0.53, "accuracy": 0.5, "n": 2})
    # all 40 options, sorted: bins of four; each question has p on the side of its hit
    pooled = sorted([(p, h) for p, h in zip(confidences, hits, strict=True)]
                    + [(1 - p, not h) for p, h in zip(confidences, hits, strict=True)])  # fmt: skip
    fours = [pooled[i : i + 4] for i in range(0, 40, 4)]
    errors = [sum(h for _, h in four) / 4 - sum(p for p, _ in four) / 4 for four in fours]
    assert _figure(task, "rms", marks) == pytest.approx(math.sqrt(sum(one**2 for one in errors) / 10))
    assert reliability_rows(marks)[-1]["n"] == 4
    assert choice_calibration_of(marks).top.ece == pytest.approx(ece)


def _sharpened(task: Task, sharpness: float) -> list[Marked]:
    """Of a model whose log-probabilities are ``sharpness`` times those of the truth."""
    rng = np.random.default_rng(7)
    replies = []
    for question in task.questions:
        while True:  # logits for which the option that is right was drawn by its true probability
            logits = rng.normal(0.0, 1.5, len(question.choices))
            truth = np.exp(logits - np.logaddexp.reduce(logits))
            if rng.random() < truth[question.right[0]]:
                break
        found = sharpness * logits
        replies.append(reply(*(found - np.logaddexp.reduce(found))))
    return task.mark(task.questions, replies)


def test_a_temperature_repairs_a_model_that_is_too_sure() -> None:
    """RLHF policies of Kadavath et al. need 2.5 (section 3.3); the error at sharpness 2.5 is about 0.2 (reference)."""
    task = lettered(_task(4000, options=4), shots=0)
    marks = _sharpened(task, 2.5)
    assert _figure(task, "temperature", marks) == pytest.approx(2.5, abs=0.2)  # its standard error is 0.07
    assert _figure(task, "ece", marks) == pytest.approx(0.198, abs=0.03)
    assert _figure(task, "rms", marks) == pytest.approx(0.122, abs=0.02)
    assert _figure(task, "brier", marks) == pytest.approx(0.255, abs=0.03)
    assert _figure(task, "ece_scaled", marks) < 0.05
    honest = _sharpened(task, 1.0)
    assert _figure(task, "temperature", honest) == pytest.approx(1.0, abs=0.08)
    floor = _figure(task, "noise_floor", honest)
    assert floor == pytest.approx(0.016, abs=0.004)
    assert _figure(task, "ece", honest) < 2 * floor


def test_a_probability_too_small_for_a_number_still_has_a_log_score() -> None:
    task = lettered(_task(2, options=2), shots=0, permute=False)
    marks = task.mark(task.questions, [reply(-2000.0, 0.0), Reply(error="gone")])
    assert marks[0].metrics["log_score"] == pytest.approx(2000.0)
    assert marks[1].error == "gone" and not marks[1].metrics
    assert all(one.error for one in task.mark(task.questions, [Reply(error="gone")] * 2))


def test_a_whole_run(tmp_path: Path) -> None:
    task = lettered(_task(40, options=2), shots=2)
    model = Weigher(lambda question, choice: math.log(0.7 if question.choices.index(choice) == 0 else 0.2))
    result = run_task(task, model, Cache(tmp_path / "cache.jsonl"))
    accuracy = result.figures["accuracy"].value
    assert result.figures["ece"].value == pytest.approx(abs(accuracy - 7 / 9))
    assert result.figures["leaked"].value == pytest.approx(0.1)
    assert math.isfinite(result.figures["temperature"].value)
    assert all(math.isfinite(one.value) for name, one in result.figures.items())


def test_a_comparison_draws_what_the_error_is_about(tmp_path: Path) -> None:
    task = lettered(_task(40, options=2), shots=0)
    model = Weigher(lambda question, choice: math.log(0.7 if question.choices.index(choice) == 0 else 0.2))
    result = run_task(task, model, Cache(tmp_path / "cache.jsonl"))
    section, plain = compare_tasks([{"a": result}, {"a": replace(result, task=_task(40))}], ["a"], "a")["tasks"]
    accuracy = result.figures["accuracy"].value
    assert section["reliability"] == {"a": [pytest.approx({"confidence": 7 / 9, "accuracy": accuracy, "n": 40})]}
    assert plain["reliability"] == {}


def test_marks_without_right_options_have_no_reliability() -> None:
    assert reliability_rows([Marked(id="a", cluster="a", metrics={"bleu": 1.0})]) == []
    plain = marks_of(_task(10), lambda question, choice: -float(choice[-1] == "b"))
    rows = reliability_rows(plain)  # any task with choices will do
    assert sum(row["n"] for row in rows) == 30 and [row["n"] for row in rows] == [10, 20]
