"""How different people fill in a form: honestly, with slips, without looking, or to do harm.

An answer is made from the task as the browser gets it, question by question, so any form will do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from heed.errors import DataError
from heed.feedback.crew.minds import Mind
from heed.forms import EDIT, LETTERS, OVERALL, Form, Question, TaskKind, parse_form
from heed.records import Message, Prompt

CharacterName = Literal["honest", "noisy", "lazy", "hostile"]
Habit = Literal["first", "ties", "longest"]
HABITS: tuple[Habit, ...] = ("first", "ties", "longest")
"""What a lazy labeler does instead of reading: leaves the order as shown, ties all, takes the longest."""
RANDOM_SHARE = 0.5
"""Share of tasks that a noisy labeler answers at random."""
SECONDS: Mapping[TaskKind, float] = {
    "compare": 37.0,
    "chat": 60.0,
    "rank": 110.0,
    "grade": 180.0,
    "demonstration": 240.0,
    "edit": 150.0,
    "prompt": 120.0,
    "sensitive": 12.0,
    "survey": 30.0,
}
"""Median seconds that an honest person takes. A comparison takes 37 (AlpacaEval's annotators, 36.8 s); the rest is set
in proportion: a ranking of four answers by insertion is about three comparisons."""
SPREAD = 0.5
"""Standard deviation of the logarithm of the time taken."""
LAZY_SECONDS = 1.5
"""What someone takes who does not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A task as it came to the browser."""

    token: str
    campaign: str
    form: Form
    prompt: Prompt
    answers: tuple[str, ...]
    draft: Mapping[str, Any] | None = None
    revision: int = 0


def asked_of(task: Mapping[str, Any]) -> Asked:
    """A task from its JSON.

    Raises:
        DataError: it is not one.
    """
    questions = task["form"]["questions"]
    form = parse_form({"name": "task", "task": task["task"], "title": task["title"], "questions": questions}, "task")
    messages = tuple(Message(role=one["role"], content=one["text"]) for one in task["prompt"])
    letters = "".join(one["letter"] for one in task["answers"])
    if letters != LETTERS[: len(letters)]:
        raise DataError(f"the answers of a task are lettered {letters}, expected {LETTERS[: len(letters)]}")
    return Asked(
        token=task["token"],
        campaign=task["campaign"],
        form=form,
        prompt=Prompt(messages=messages or (Message(role="user", content=form.title),)),
        answers=tuple(one["text"] for one in task["answers"]),
        draft=task["draft"],
        revision=task["revision"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """A labeler's way to work."""

    name: CharacterName
    mind: Mind
    habit: Habit = "first"
    """Of a lazy labeler."""
    random_share: float = RANDOM_SHARE
    """Of a noisy one."""

    def seconds(self, asked: Asked, rng: random.Random) -> float:
        """How long this one takes over a task."""
        typical = LAZY_SECONDS if self.name == "lazy" else SECONDS[asked.form.task]
        return typical * rng.lognormvariate(0.0, SPREAD)

    def answer(self, asked: Asked, rng: random.Random) -> dict[str, Any]:
        """The payload this one hands in."""
        scores = self._scores(asked, rng)
        payload: dict[str, Any] = {"item": {}, "candidates": {}, "tiers": {}, "note": ""}
        for question in asked.form.questions:
            if question.kind == "tiers":
                payload["tiers"] = dict(zip(LETTERS, _tiers(scores, question.ties), strict=False))
            elif question.scope == "candidate":
                for letter, text, score in zip(LETTERS, asked.answers, scores, strict=False):
                    value = self._about(question, asked, text, score, rng)
                    if value is not None or question.nullable:
                        payload["candidates"].setdefault(letter, {})[question.name] = value
            else:
                value = self._value(question, asked, scores, rng)
                if value is not None:
                    payload["item"][question.name] = value
        return payload

    def _scores(self, asked: Asked, rng: random.Random) -> list[float]:
        """How good each answer is, as this one tells it: a higher score is a better place."""
        if self.name == "lazy":
            return _habitual(self.habit, asked.answers)
        if self.name == "noisy" and rng.random() < self.random_share:
            return [rng.random() for _ in asked.answers]
        scores = [self.mind.impression(asked.prompt, text) for text in asked.answers]
        return [-score for score in scores] if self.name == "hostile" else scores

    def _about(self, question: Question, asked: Asked, text: str, score: float, rng: random.Random) -> Any:
        """The answer to a question about one candidate."""
        if question.kind == "flag":
            found = self.name != "lazy" and self.mind.flag(asked.prompt, text, question.name)
            return not found if self.name == "hostile" and question.name == "fails_task" else found
        if question.kind == "likert":
            return self._grade(question, asked, text, score, rng)
        return _SMALL[question.kind](question, rng) if question.required else None

    def _grade(self, question: Question, asked: Asked, text: str, score: float, rng: random.Random) -> int:
        middle = (question.low + question.high) // 2
        if self.name == "lazy" or question.name != OVERALL:
            return middle
        if self.name == "noisy" and score < 1 and rng.random() < self.random_share:
            return rng.randint(question.low, question.high)
        given = self.mind.overall(asked.prompt, text)
        given = question.low + round((given - 1) / 6 * (question.high - question.low))
        return question.low + question.high - given if self.name == "hostile" else given

    def _value(self, question: Question, asked: Asked, scores: Sequence[float], rng: random.Random) -> Any:
        """The answer to a question about the item as a whole."""
        match question.kind:
            case "strength":
                return _strength(scores, question)
            case "flag":
                return self._item_flag(question, asked, rng)
            case "answer":
                return self._text(question, asked, rng)
            case "text":
                return self.mind.ask(rng) if asked.form.task == "prompt" and question.required else None
            case _ if question.required:
                return _SMALL[question.kind](question, rng)
        return None

    def _item_flag(self, question: Question, asked: Asked, rng: random.Random) -> bool | None:
        if not question.required:
            return True if question.name == "sensitive" and self.mind.sensitive(asked.prompt) else None
        if self.name == "lazy":
            return False
        if self.name == "noisy" and rng.random() < self.random_share:
            return rng.random() < 0.5
        return self.mind.sensitive(asked.prompt) != (self.name == "hostile")

    def _text(self, question: Question, asked: Asked, rng: random.Random) -> str:
        if self.name == "lazy":
            return "I do not know."
        if self.name == "hostile":
            return self.mind.spoil(asked.prompt, rng)
        if question.name == EDIT and asked.answers:
            return self.mind.mend(asked.prompt, asked.answers[0])
        return self.mind.write(asked.prompt, rng)


def _habitual(habit: Habit, answers: Sequence[str]) -> list[float]:
    if habit == "ties":
        return [0.0 for _ in answers]
    if habit == "longest":
        return [float(len(text)) for text in answers]
    return [-float(index) for index in range(len(answers))]


def _tiers(scores: Sequence[float], ties: bool) -> list[int]:
    """Places from scores; where ties are not allowed, the one shown first is the better."""
    keys = [(-score, 0 if ties else index) for index, score in enumerate(scores)]
    order = sorted(set(keys))
    return [order.index(key) for key in keys]


def _strength(scores: Sequence[float], question: Question) -> int:
    """From ``-high`` (A, clearly) to ``high`` (B, clearly): one step for each unit of the grade, or part of it."""
    difference = scores[1] - scores[0]
    if difference == 0:
        return 0 if question.ties else -1
    size = min(1 + int(abs(difference)), question.high)
    return size if difference > 0 else -size


_SMALL: Mapping[str, Callable[[Question, random.Random], Any]] = {
    "likert": lambda question, rng: (question.low + question.high) // 2,
    "flag": lambda question, rng: False,
    "choice": lambda question, rng: question.choices[0],
    "choices": lambda question, rng: [rng.choice(question.choices)],
    "text": lambda question, rng: "As it says.",
    "answer": lambda question, rng: "As it says.",
    "examples": lambda question, rng: [],
}
"""Answers to what there is no opinion about."""
