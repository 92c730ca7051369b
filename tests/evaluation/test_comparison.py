"""Models set side by side: planted differences are found, equal models are not told apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from heed.evaluation.comparison import CHANGED_PER_TASK, changed_most, compare_tasks
from heed.evaluation.tasks.items import Marked, Metric, Question, Task
from heed.evaluation.tasks.run import TaskResult, figure


def result(
    model: str, values: Mapping[str, float], name: str = "toy", *, statistic: bool = False, cluster: int = 1
) -> TaskResult:
    questions = tuple(
        Question(id=id, context=f"What is {id}?", kind="choice", choices=(" a", " b"), right=(1,)) for id in values
    )
    metric = Metric(name="accuracy", title="Accuracy", statistic=_mean if statistic else None)
    task = Task(name=name, title=name.title(), questions=questions, mark=lambda q, r: [], metrics=(metric,))
    marks = tuple(
        Marked(id=id, cluster=f"c{place // cluster}", metrics={"accuracy": value}, output=f"{model} says {id}")
        for place, (id, value) in enumerate(values.items())
    )
    return TaskResult(
        task=task,
        model=model,
        marks=marks,
        figures={"accuracy": figure(metric, marks)},
        categories={},
        failed=0,
        cut=0,
        shots_left_out=0.0,
        cached=0,
        seconds=0.0,
    )


def _mean(marks: object) -> float:
    return float(np.mean([one.metrics["accuracy"] for one in marks]))  # type: ignore[attr-defined]


def numbered(values: object) -> dict[str, float]:
    return {str(place): float(value) for place, value in enumerate(values)}  # type: ignore[arg-type, var-annotated]


def test_a_difference_is_the_later_model_less_the_earlier_paired_by_question() -> None:
    before = result("a", numbered([1, 0, 0, 0]))
    after = result("b", numbered([1, 1, 1, 0]))
    document = compare_tasks([{"a": before, "b": after}], ["a", "b"], "a")
    (section,) = document["tasks"]
    (found,) = section["differences"]["accuracy"]
    assert (found["a"], found["b"], found["value"], found["n"]) == ("b", "a", 0.5, 4)
    assert found["p"] == 0.5  # of the four sign patterns of the two questions that differ, two are as far
    assert section["figures"]["a"]["accuracy"]["value"] == 0.25
    assert document["tests"] == {"family": 1, "method": "Holm", "false_positive_level": 0.05}


def test_only_questions_with_marks_from_both_are_compared() -> None:
    before = result("a", {"1": 1.0, "2": 0.0, "3": 1.0})
    after = result("b", {"2": 1.0, "3": 1.0, "4": 0.0})
    (section,) = compare_tasks([{"a": before, "b": after}], ["a", "b"], "a")["tasks"]
    (found,) = section["differences"]["accuracy"]
    assert (found["value"], found["n"]) == (0.5, 2)


def test_a_model_that_was_not_measured_on_a_task_has_no_figure_there() -> None:
    tasks = [
        {"a": result("a", numbered([1, 0])), "c": result("c", numbered([1, 1]))},
        {"b": result("b", numbered([0, 0]), "other")},
    ]
    document = compare_tasks(tasks, ["a", "b", "c"], "a")
    first, second = document["tasks"]
    assert list(first["figures"]) == ["a", "c"] and list(second["figures"]) == ["b"]
    assert len(first["differences"]["accuracy"]) == 1 and second["differences"]["accuracy"] == []
    assert document["tests"]["family"] == 1


def test_p_values_are_corrected_over_all_tasks_and_pairs() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(40)
    tasks = [
        {
            name: result(name, numbered(base + shift), f"t{number}")
            for name, shift in (("a", 0.0), ("b", 0.0), ("c", 0.3))
        }
        for number in range(3)
    ]
    document = compare_tasks(tasks, ["a", "b", "c"], "a")
    assert document["tests"]["family"] == 9
    rows = [row for section in document["tasks"] for row in section["differences"]["accuracy"]]
    assert all(row["p_holm"] >= row["p"] for row in rows)
    found = {(row["a"], row["b"]) for row in rows if row["p_holm"] < 0.05}
    assert found == {("c", "a"), ("c", "b")}


def test_equal_models_are_rarely_told_apart_on_a_whole_page() -> None:
    """The chance of any false difference among 8 tasks is at most 5 %: at most 10 of 60 pages, to leave room."""
    rng = np.random.default_rng(1)
    pages = 0
    for _ in range(60):
        tasks = []
        for number in range(8):
            a, b = rng.random((2, 30)) < 0.6
            tasks.append({"a": result("a", numbered(a), f"t{number}"), "b": result("b", numbered(b), f"t{number}")})
        rows = [
            row
            for section in compare_tasks(tasks, ["a", "b"], "a")["tasks"]
            for row in section["differences"]["accuracy"]
        ]
        pages += any(row["p_holm"] < 0.05 for row in rows)
    assert pages <= 8


def test_a_figure_of_many_questions_together_has_a_difference_without_a_test() -> None:
    before = result("a", numbered([0, 1, 0, 1]), statistic=True)
    after = result("b", numbered([1, 1, 1, 1]), statistic=True)
    document = compare_tasks([{"a": before, "b": after}], ["a", "b"], "a")
    (found,) = document["tasks"][0]["differences"]["accuracy"]
    assert found["value"] == 0.5 and found["low"] < 0.5 < found["high"] and found["p"] is None
    assert document["tests"]["family"] == 0


def test_samples_show_what_got_better_and_what_got_worse() -> None:
    before = result("a", {"up": 0.0, "down": 1.0, "same": 0.5, "up2": 0.2, "up3": 0.3, "down2": 0.9})
    after = result("b", {"up": 1.0, "down": 0.0, "same": 0.5, "up2": 0.6, "up3": 0.4, "down2": 0.8})
    rows = changed_most([{"a": before, "b": after}], "a", "b")
    assert [(row["id"], round(row["gap"], 3)) for row in rows] == [
        ("up", 1.0),
        ("up2", 0.4),
        ("down", -1.0),
        ("down2", -0.1),
    ]
    assert len(rows) == CHANGED_PER_TASK
    assert rows[0]["answers"] == {"a": "a says up", "b": "b says up"}
    assert rows[0]["right"] == "b" and rows[0]["scores"] == {"a": 0.0, "b": 1.0}


@pytest.mark.parametrize("models", [["a", "b"], ["b", "a"]])
def test_tasks_take_turns_among_the_samples(models: list[str]) -> None:
    tasks = [
        {name: result(name, {str(i): float(name == "b") for i in range(5)}, f"t{number}") for name in ("a", "b")}
        for number in range(3)
    ]
    rows = changed_most(tasks, models[0], models[1])
    assert [row["task"] for row in rows[:4]] == ["t0", "t1", "t2", "t0"]
    assert all(row["gap"] == (1.0 if models == ["a", "b"] else -1.0) for row in rows)
