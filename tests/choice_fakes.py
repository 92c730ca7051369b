"""A model that finds continuations as likely as a test says, and what tests of choice tasks write."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from heed.evaluation.tasks.items import Likelihood, Marked, Question, Reply, Task

Logprob = Callable[[Question, str], float]


class Weigher:
    """Weighs by a function of question and choice; a token is a word. Writes nothing."""

    name = "weigher"
    fingerprint = "weigher"

    def __init__(self, logprob: Logprob) -> None:
        self._logprob = logprob

    def likelihoods(self, questions: Sequence[Question]) -> list[Reply]:
        return [
            Reply(
                likelihoods=tuple(
                    Likelihood(
                        logprob=self._logprob(question, choice), tokens=len(choice.split()), characters=len(choice)
                    )
                    for choice in question.choices
                )
            )
            for question in questions
        ]

    def write(self, questions: Sequence[Question]) -> list[Reply]:
        raise NotImplementedError


def marks_of(task: Task, logprob: Logprob) -> list[Marked]:
    """The marks of a model that weighs so."""
    return task.mark(task.questions, Weigher(logprob).likelihoods(task.questions))


def reply(*logprobs: float, tokens: Sequence[int] = (), characters: Sequence[int] = ()) -> Reply:
    """Likelihoods in the order of the choices; each one token and one character long if nothing is said."""
    return Reply(
        likelihoods=tuple(
            Likelihood(
                logprob=logprob,
                tokens=tokens[index] if tokens else 1,
                characters=characters[index] if characters else 1,
            )
            for index, logprob in enumerate(logprobs)
        )
    )


def write_jsonl(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def changed(row: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The row with other fields; ``None`` takes one out."""
    return {name: value for name, value in {**row, **fields}.items() if value is not None}
