"""Several models on the same tasks and prompts: what got better, what got worse, and what only looks so.

Models are compared question by question on the questions that both have marks for, so that what makes a question hard
for all of them does not count as noise. Of the differences in the tasks' main figures, over all pairs of models and all
tasks, those that survive Holm's correction are called differences; the others are shown with their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from heed.evaluation.calibration import reliability_rows
from heed.evaluation.tasks.items import Marked, Metric, Question
from heed.evaluation.tasks.run import TaskResult, are_outcomes
from heed.stats import Estimate
from heed.stats.tests import difference_intervals, holm, sign_flip

LEVEL = 0.05
"""Chance of even one false difference on a page where nothing differs."""
CHANGED_PER_TASK, CHANGED = 4, 24
"""Questions shown at most: of one task, and in all."""
EXCERPT = 1200
"""Characters of a question or an answer that are shown."""

Results = Mapping[str, TaskResult]
"""One task's result for each model."""


def compare_tasks(tasks: Sequence[Results], models: Sequence[str], baseline: str) -> dict[str, Any]:
    """The sections ``tasks``, ``changed`` and ``tests`` of ``comparison.json``.

    Args:
        tasks: for each task the result of each model that was measured on it.
        models: in the order to show them.
        baseline: the model that others are set against; one of ``models``.
    """
    sections = [_section(results, models) for results in tasks]
    compared = next((name for name in reversed(models) if name != baseline), baseline)
    return {
        "tasks": sections,
        "changed": changed_most(tasks, baseline, compared),
        "tests": correct_together(sections),
    }


def correct_together(tasks: Sequence[Mapping[str, Any]], preference: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Correct the p-values of all differences that a page names as one family, and say how many there are.

    Args:
        tasks: the section ``tasks``; ``p_holm`` is set in the differences of main figures.
        preference: the section ``preference``; set in its differences, which were corrected by themselves before.
    """
    family = [
        difference
        for task in tasks
        for difference in task["differences"].get(task["metrics"][0]["name"], [])
        if difference["p"] is not None
    ]
    family += (preference or {}).get("differences", [])
    for difference, adjusted in zip(family, holm([one["p"] for one in family]), strict=True):
        difference["p_holm"] = float(adjusted)
    return {"family": len(family), "method": "Holm", "false_positive_level": LEVEL}


def _section(results: Results, models: Sequence[str]) -> dict[str, Any]:
    present = [name for name in models if name in results]
    task = results[present[0]].task
    return {
        "name": task.name,
        "title": task.title,
        "group": task.group,
        "source": task.source,
        "note": task.note,
        "n": max(len(results[name].marks) for name in present),
        "metrics": [
            {"name": one.name, "title": one.title, "better": one.better, "percent": one.percent} for one in task.metrics
        ],
        "figures": {name: {metric: one.as_json() for metric, one in results[name].figures.items()} for name in present},
        "differences": {metric.name: _differences(metric, results, present) for metric in task.metrics},
        "categories": {
            name: {category: one.as_json() for category, one in results[name].categories.items()} for name in present
        },
        "failed": {name: results[name].failed for name in present},
        "cut": {name: results[name].cut for name in present},
        "shots_left_out": {name: results[name].shots_left_out for name in present},
        "seconds": {name: results[name].seconds for name in present},
        "cached": {name: results[name].cached for name in present},
        "reliability": {
            name: reliability_rows(results[name].marks, top=True)
            for name in present
            if any(metric.name == "ece" for metric in task.metrics)
        },
    }


def _differences(metric: Metric, results: Results, models: Sequence[str]) -> list[dict[str, Any]]:
    """Every pair of models, the later less the earlier, with interval and p."""
    rows = []
    for first, second in combinations(models, 2):
        found = _difference(metric, results[second], results[first])
        if found is not None:
            rows.append({"a": second, "b": first, **found, "p_holm": None})
    return rows


def _difference(metric: Metric, ours: TaskResult, theirs: TaskResult) -> dict[str, Any] | None:
    """None where no question has marks from both."""
    if metric.statistic is not None:
        return _of_statistic(ours.figures[metric.name], theirs.figures[metric.name])
    other = {one.id: one for one in theirs.marks if metric.name in one.metrics}
    both = [(one, other[one.id]) for one in ours.marks if metric.name in one.metrics and one.id in other]
    if not both:
        return None
    values = np.array([[a.metrics[metric.name], b.metrics[metric.name]] for a, b in both], dtype=np.float64)
    gaps, clusters = values[:, 0] - values[:, 1], [a.cluster for a, _ in both]
    (estimate,) = difference_intervals(gaps[:, None], clusters, bounded=are_outcomes(values.ravel().tolist()))
    return {**estimate.as_json(), "p": sign_flip(gaps, clusters)}


def _of_statistic(a: Estimate, b: Estimate) -> dict[str, Any] | None:
    """A figure of many questions together: the difference of the two, with the interval of independent halves.

    The questions are the same, so the interval is wider than it has to be; there is no test.
    """
    if not (a.n and b.n):
        return None
    half = float(np.hypot(a.high - a.low, b.high - b.low)) / 2
    value = a.value - b.value
    return {"value": value, "low": value - half, "high": value + half, "n": min(a.n, b.n), "p": None}


def changed_most(tasks: Sequence[Results], before: str, after: str) -> list[dict[str, Any]]:
    """Questions on which the two models' main marks are furthest apart: as many that got better as that got worse.

    Tasks take turns on either side. Of a metric without a better side, more counts as better here.
    """
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for results in tasks:
        if before not in results or after not in results:
            continue
        task = results[before].task
        metric, questions = task.metrics[0], {question.id: question for question in task.questions}
        answers = {name: {one.id: one for one in result.marks} for name, result in results.items()}
        gaps = [
            (answers[after][id].metrics[metric.name] - mark.metrics[metric.name], id)
            for id, mark in answers[before].items()
            if metric.name in mark.metrics and id in answers[after] and metric.name in answers[after][id].metrics
        ]
        for side, sign in zip(sides, (-1, 1) if metric.better == "low" else (1, -1), strict=True):
            furthest = sorted((-sign * gap, id) for gap, id in gaps if sign * gap > 1e-9)
            for size, id in furthest[: CHANGED_PER_TASK // 2]:
                side.append(_changed(task.name, task.title, metric, questions[id], -sign * size, answers))
    better, worse = (_in_turns(side) for side in sides)
    most = CHANGED // 2
    return [*better[: max(most, CHANGED - len(worse))], *worse[: max(most, CHANGED - len(better))]]


def _changed(
    task: str, title: str, metric: Metric, question: Question, gap: float, answers: Mapping[str, Mapping[str, Marked]]
) -> dict[str, Any]:
    held = {name: marks[question.id] for name, marks in answers.items() if question.id in marks}
    right = [question.choices[index].strip() for index in question.right] or list(question.references)
    return {
        "task": task,
        "title": title,
        "id": question.id,
        "asked": _excerpt(question.layout(0)),
        "right": _excerpt(" / ".join(right)),
        "answers": {name: _excerpt(one.output) for name, one in held.items()},
        "scores": {name: one.metrics[metric.name] for name, one in held.items() if metric.name in one.metrics},
        "gap": gap,
        "metric": metric.title,
    }


def _in_turns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One of each task, then the next of each: no task fills the page."""
    piles: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        piles.setdefault(row["task"], []).append(row)
    longest = max(map(len, piles.values()), default=0)
    return [pile[place] for place in range(longest) for pile in piles.values() if place < len(pile)]


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT // 2] + " […] " + text[-EXCERPT // 2 :]
