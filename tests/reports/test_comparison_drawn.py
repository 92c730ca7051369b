"""What the comparison of models says of made-up marks is what its page shows."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from heed.evaluation.comparison import compare_tasks, correct_together
from heed.evaluation.preference import compare_models, summarize
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Task
from heed.evaluation.tasks.run import TaskResult, figure
from heed.evaluation.verdicts import scorer_decides
from heed.records import Completion, Prompt
from heed.reports.comparison_page import render_comparison


def no_marks(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    raise AssertionError("marks are given")


def result(name: str, better: str, model: str, values: Sequence[float | None]) -> TaskResult:
    metric = Metric(name="mark", title="mean mark", better=better)  # type: ignore[arg-type]
    questions = tuple(
        Question(id=f"{name}-{index}", context=f"question {index} of {name}", kind="generate", references=("yes",))
        for index in range(len(values))
    )
    task = Task(name=name, title=f"Task {name}", questions=questions, mark=no_marks, metrics=(metric,), group="Group")
    marks = tuple(
        Marked(id=question.id, cluster=question.id, metrics={}, error="the server was silent")
        if value is None
        else Marked(id=question.id, cluster=question.id, metrics={"mark": value}, output=f"{model} says {value}")
        for question, value in zip(questions, values, strict=True)
    )
    return TaskResult(
        task=task,
        model=model,
        marks=marks,
        figures={"mark": figure(metric, marks)},
        categories={},
        failed=sum(one is None for one in values),
        cut=0,
        shots_left_out=0.0,
        cached=0,
        seconds=1.5,
    )


def test_planted_differences_are_found_named_rightly_and_nothing_else_is() -> None:
    """Truth rises and toxicity rises, each by a half of 200 questions; the third task is the same for both."""
    draw = random.Random(0)
    low, high = [float(draw.random() < 0.2) for _ in range(200)], [float(draw.random() < 0.7) for _ in range(200)]
    same = [float(draw.random() < 0.5) for _ in range(200)]
    marks = {"truth": ("high", low, [*high[:-3], None, None, None]), "toxicity": ("low", low, high)}
    tasks = [
        {"old": result(name, better, "old", before), "new": result(name, better, "new", after)}
        for name, (better, before, after) in {**marks, "same": ("high", same, same)}.items()
    ]
    document: dict[str, Any] = {
        "schema": 1,
        "baseline": "old",
        "models": [{"name": "old"}, {"name": "new"}],
        "preference": None,
        **compare_tasks(tasks, ["old", "new"], "old"),
    }
    html = render_comparison(document)
    (told,) = re.findall(r"<h1>(.*?)</h1>", html)
    gain = 100 * document["tasks"][0]["differences"]["mark"][0]["value"]
    assert gain > 35
    assert told.startswith(f"new is better than old at Task truth (+{gain:.1f} points), and worse at Task toxicity (+")
    assert "Task same" not in told and "1 figure is not decided" in html
    assert "3 failed" in html
    worse, better = html.split(">Got worse<")[1].split(">Got better<")
    assert "toxicity-" in worse
    assert "truth-" in better.split(">How it was measured<")[0]
    assert "same-" not in html


class CountsMarks:
    """Plays Scorer: the more exclamation marks, the better."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[float(one.text.count("!")) for one in answers] for answers in completions]


def test_a_planted_preference_is_found_and_told() -> None:
    """``new`` shouts on 48 of 60 prompts and ``old`` on the other 12: it wins 80 % of them."""
    prompts = [Prompt.from_text(f"Say {index}.") for index in range(60)]
    shouts = [index % 5 > 0 for index in range(60)]
    answers = {
        "old": [Completion(text=f"{i}" if loud else f"{i}!", policy="old") for i, loud in enumerate(shouts)],
        "new": [Completion(text=f"{i}!" if loud else f"{i}", policy="new") for i, loud in enumerate(shouts)],
    }
    verdicts = compare_models(prompts, answers, scorer_decides(CountsMarks(), "marks"), "old")
    document: dict[str, Any] = {
        "schema": 1,
        "baseline": "old",
        "models": [{"name": "old"}, {"name": "new"}],
        "preference": {**summarize(verdicts, "old").as_json(), "temperature": 0.0, "split": "test"},
        **compare_tasks([], ["old", "new"], "old"),
    }
    html = render_comparison(document)
    assert re.findall(r"<h1>(.*?)</h1>", html) == [
        "new is better than old at preference (80.0 % of comparisons); nothing is shown to have got worse."
    ]
    assert "Judged by <b>marks</b>" in html
    assert "new over old" in html and "80.0 % / 20.0 %" in html


def test_many_tasks_show_as_much_that_got_worse_as_that_got_better() -> None:
    """Four questions of a task got better by much and one got worse by little; in every other task less is better."""
    before, after = [0.0, 0.0, 0.0, 0.0, 1.0, 0.5], [1.0, 1.0, 1.0, 1.0, 0.9, 0.5]
    tasks = []
    for index in range(30):
        low = index % 2 == 1
        old, new = ([1 - one for one in values] if low else values for values in (before, after))
        name, better = f"task-{index}", "low" if low else "high"
        tasks.append({"old": result(name, better, "old", old), "new": result(name, better, "new", new)})
    rows = compare_tasks(tasks, ["old", "new"], "old")["changed"]
    worse = [row for row in rows if row["id"].endswith("-4")]
    assert (len(rows), len(worse)) == (24, 12)
    assert not [row for row in rows if row["id"].endswith("-5")]
    assert {round(row["gap"], 3) for row in worse} == {-0.1, 0.1}


def test_preference_and_tasks_are_one_family() -> None:
    """Holm by hand: of 0.01, 0.02 and 0.04 the smallest counts three times, the next twice, the last once."""
    rows = [{"a": "b", "b": "a", "p": p, "p_holm": None} for p in (0.02, 0.01, 0.04, None)]
    untested = {"a": "b", "b": "a", "p": 0.0001, "p_holm": None}
    tasks = [{"metrics": [{"name": "x"}, {"name": "y"}], "differences": {"x": [rows[0], rows[3]], "y": [untested]}}]
    assert correct_together(tasks, {"differences": rows[1:3]})["family"] == 3
    assert [row["p_holm"] for row in rows] == [0.04, 0.03, 0.04, None]
    assert untested["p_holm"] is None
