"""Put a task's questions to a model, keep every reply, mark them, and give each figure its interval."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heed.errors import DataError
from heed.evaluation.tasks.cache import Cache, reply_from_json, reply_json, reply_key
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Statistic, Task
from heed.evaluation.tasks.model import LanguageModel
from heed.files import atomic_write, write_json
from heed.runtime.progress import Progress, SilentProgress
from heed.runtime.seeds import derive_seed
from heed.stats import Estimate, bootstrap_mean, percentiles

ASKED_AT_ONCE = 128
"""Questions between two writes of the cache: what a crash can lose."""
RESAMPLES = 300
"""Of figures that are no means; each costs the whole figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One model on one task."""

    task: Task
    model: str
    marks: tuple[Marked, ...]
    figures: Mapping[str, Estimate]
    """By metric."""
    categories: Mapping[str, Estimate]
    """Of the first metric, by category."""
    failed: int
    """Questions without marks: no figure counts them."""
    cut: int
    """Questions that lost their beginning to the model's context."""
    shots_left_out: float
    """Per question."""
    cached: int
    """Replies that were there already."""
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Everything but the marks."""
        task = self.task
        return {
            "task": task.name,
            "title": task.title,
            "group": task.group,
            "source": task.source,
            "note": task.note,
            "metrics": [
                {"name": one.name, "title": one.title, "better": one.better, "percent": one.percent}
                for one in task.metrics
            ],
            "model": self.model,
            "n": len(self.marks),
            "figures": {name: one.as_json() for name, one in self.figures.items()},
            "categories": {name: one.as_json() for name, one in self.categories.items()},
            "failed": self.failed,
            "errors": sorted({one.error for one in self.marks if one.error})[:5],
            "cut": self.cut,
            "shots_left_out": self.shots_left_out,
            "cached": self.cached,
            "seconds": self.seconds,
        }


def run_task(task: Task, model: LanguageModel, cache: Cache, progress: Progress | None = None) -> TaskResult:
    """Ask what was not asked before, and mark everything.

    Args:
        task: the questions.
        model: who is asked.
        cache: replies of this model (of its fingerprint) to anything.
        progress: told how far it is.

    Raises:
        DataError: the task has no questions, or two of one id.
    """
    _check(task)
    started = time.monotonic()
    replies, cached = ask(model, task.questions, cache, progress or SilentProgress())
    marks = task.mark(task.questions, replies)
    return TaskResult(
        task=task,
        model=model.name,
        marks=tuple(marks),
        figures={metric.name: figure(metric, marks) for metric in task.metrics},
        categories=_by_category(task.metrics[0], marks),
        failed=sum(bool(one.error) for one in marks),
        cut=sum(one.cut for one in replies),
        shots_left_out=sum(one.shots_left_out for one in replies) / len(replies),
        cached=cached,
        seconds=time.monotonic() - started,
    )


def ask(
    model: LanguageModel, questions: Sequence[Question], cache: Cache, progress: Progress
) -> tuple[list[Reply], int]:
    """The replies to all questions, and how many of them were there already. Errors are not kept, but asked again."""
    keys = [reply_key(question) for question in questions]
    replies: dict[str, Reply] = {key: reply_from_json(value) for key in keys if (value := cache.get(key)) is not None}
    cached = sum(key in replies for key in keys)
    waiting = {key: question for key, question in zip(keys, questions, strict=True) if key not in replies}
    with progress.track(len(waiting) + cached, "questions", done=cached) as tracker:
        for kind, answer in (("choice", model.likelihoods), ("generate", model.write)):
            some = [(key, question) for key, question in waiting.items() if question.kind == kind]
            for start in range(0, len(some), ASKED_AT_ONCE):
                part = some[start : start + ASKED_AT_ONCE]
                found = answer([question for _, question in part])
                fresh = {key: reply for (key, _), reply in zip(part, found, strict=True)}
                cache.put({key: reply_json(reply) for key, reply in fresh.items() if not reply.error})
                replies |= fresh
                tracker.advance(len(part))
    return [replies[key] for key in keys], cached


def figure(metric: Metric, marks: Sequence[Marked]) -> Estimate:
    """One figure with its 95 % interval: clusters of questions are resampled whole."""
    held = [one for one in marks if not one.error and (metric.statistic is not None or metric.name in one.metrics)]
    if metric.statistic is not None:
        return _resampled(metric.statistic, held, within=(0.0, 1.0) if metric.percent else (-np.inf, np.inf))
    values = [one.metrics[metric.name] for one in held]
    return bootstrap_mean(values, [one.cluster for one in held] or None, unit_interval=are_outcomes(values))


def are_outcomes(values: Iterable[float]) -> bool:
    """Whether all are 1, 0 or a tie: their mean is then a share, and what was not seen may still happen."""
    return set(values) <= {0.0, 0.5, 1.0}


def _resampled(statistic: Statistic, marks: Sequence[Marked], within: tuple[float, float]) -> Estimate:
    if not marks:
        return Estimate(value=float("nan"), low=float("nan"), high=float("nan"), n=0)
    clusters: dict[str, list[Marked]] = {}
    for one in marks:
        clusters.setdefault(one.cluster, []).append(one)
    piles, rng = list(clusters.values()), np.random.default_rng(derive_seed(0, "figure"))
    draws = [
        statistic([one for index in rng.integers(len(piles), size=len(piles)) for one in piles[index]])
        for _ in range(RESAMPLES)
    ]
    # A figure such as a calibration error is larger on resamples than on the sample, which they add noise to: the
    # draws are moved so that their mean is the figure.
    value = statistic(marks)
    low, high = percentiles(np.array(draws) + (value - np.mean(draws)), len(piles))
    low, high = max(min(low, value), within[0]), min(max(high, value), within[1])
    return Estimate(value=value, low=float(low), high=float(high), n=len(marks))


def _by_category(metric: Metric, marks: Sequence[Marked]) -> dict[str, Estimate]:
    names = sorted({one.category for one in marks if one.category})
    if len(names) < 2:
        return {}
    return {name: figure(metric, [one for one in marks if one.category == name]) for name in names}


def _check(task: Task) -> None:
    seen: set[str] = set()
    if not task.questions:
        raise DataError(f"{task.name}: there are no questions")
    for question in task.questions:
        if question.id in seen:
            raise DataError(f"{task.name}: two questions have the id {question.id!r}")
        seen.add(question.id)


# --- what is left of it in a workspace


def save_result(result: TaskResult, directory: Path) -> None:
    """``TASK.json`` and ``TASK.marks.jsonl`` in ``directory``, each whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    with atomic_write(directory / f"{result.task.name}.marks.jsonl") as file:
        for one in result.marks:
            row = {
                "id": one.id,
                "cluster": one.cluster,
                "category": one.category,
                "metrics": dict(one.metrics),
                "output": one.output,
                "detail": dict(one.detail),
                "error": one.error,
            }
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    write_json(directory / f"{result.task.name}.json", result.as_json())
