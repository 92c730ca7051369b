"""BIG-Bench Hard by likelihood: the tasks whose questions list their answers, or always have one of the same few."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from heed.errors import DataError
from heed.evaluation.tasks.bbh import load_bbh
from heed.evaluation.tasks.choices import choice_task, limited
from heed.evaluation.tasks.items import Question, Task

MOST_ANSWERS = 3
"""A task without listed answers counts as one with choices if all its questions have one of so many."""
_LETTERED = re.compile(r"^(\([A-Z]\)) ", re.MULTILINE)
_LISTED = re.compile(r"^- (.+?)[ \t]*$", re.MULTILINE)


def load_bbh_choices(
    directory: str | Path, *, shots: int = 3, limit: int | None = None, seed: int = 0, tasks: Sequence[str] = ()
) -> Task:
    """The tasks with choices, answered directly: ``(A)``, or a word such as ``Yes``. Settings as for ``load_bbh``.

    Raises:
        ConfigError: an unknown task, or not 0 to 3 shots.
        DataError: a file is damaged, or no task has choices.
    """
    every = load_bbh(directory, shots=shots, mode="direct", tasks=tasks).questions
    answers: dict[str, set[str]] = {}
    for question in every:
        answers.setdefault(question.category, set()).add(question.references[0])
    found = [made for question in every if (made := _with_choices(question, answers[question.category])) is not None]
    if not found:
        raise DataError(f"{directory}: none of the tasks lists its answers")
    names = {one.category for one in found}
    lost = sum(one.category in names for one in every) - len(found)
    return choice_task(
        f"bbh-choices-{shots}shot",
        f"BIG-Bench Hard by likelihood, {shots} examples",
        limited(found, limit, seed),
        group="Reasoning",
        source="Suzgun et al. 2022",
        note=f"{len(names)} of {len(answers)} tasks have given answers."
        + (f" {lost} questions whose right answer is not among those listed are left out." if lost else ""),
    )


def _with_choices(question: Question, answers: set[str]) -> Question | None:
    """The question with the answers to choose from; None if it is one to write, or the right one is not among them."""
    _, listed, options = question.context.partition("\nOptions:\n")
    texts = _LETTERED.findall(options) or _LISTED.findall(options) if listed else []
    if not texts and 2 <= len(answers) <= MOST_ANSWERS:
        texts = sorted(answers)
    if len(texts) < 2:
        return None
    if question.references[0] not in texts:  # the published files have a few such
        return None
    choices = tuple(f" {text}" for text in texts)
    return replace(question, kind="choice", choices=choices, right=(texts.index(question.references[0]),))
