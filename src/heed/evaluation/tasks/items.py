"""The nouns of a task: a question, what a model replied, the mark it got, and the figures that marks add up to.

A task is data and one function. Its questions say what is put to a model; ``mark`` turns the replies into one row of
numbers for each question. Everything between (asking, caching, intervals, comparing models question by question) is
the same for all tasks and knows nothing of any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from heed.records import Json

Kind: TypeAlias = Literal["choice", "generate"]
"""Whether the model is asked how likely given continuations are, or writes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One worked example in front of a question."""

    context: str
    answer: str
    """With its leading blank, as the continuations of a question."""

    @property
    def text(self) -> str:
        """The example as a model reads it."""
        return self.context + self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing a model is asked. It is laid out as instruction, shots and context; an empty one of these is left out.

    Shots are left out from the front where all of them do not fit into a model's context.
    """

    id: str
    """Unique in its task."""
    context: str
    """What the continuation follows, without shots. Empty: the continuation starts the text."""
    kind: Kind
    cluster: str = ""
    """Questions of one cluster are not independent: they are resampled together. Empty: the question's own id."""
    instruction: str = ""
    """In front of everything."""
    shots: tuple[Shot, ...] = ()
    separator: str = "\n\n"
    """Between instruction, shots and context."""
    choices: tuple[str, ...] = ()
    """The continuations to weigh, exactly, each with its leading blank if it has one."""
    right: tuple[int, ...] = ()
    """Which of the choices are right."""
    references: tuple[str, ...] = ()
    """Answers that a written one is held against."""
    stop: tuple[str, ...] = ("\n",)
    """Strings that end a written answer."""
    max_new_tokens: int = 64
    category: str = ""
    meta: Mapping[str, Json] = field(default_factory=dict)

    def layout(self, num_shots: int | None = None) -> str:
        """All that stands in front of the continuation, with the last ``num_shots`` shots (all of them by default)."""
        shown = self.shots if num_shots is None else self.shots[len(self.shots) - num_shots :]
        parts = [self.instruction, *(shot.text for shot in shown), self.context]
        return self.separator.join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """How likely a model finds one continuation."""

    logprob: float
    """Of the whole continuation, in nats."""
    tokens: int
    characters: int
    greedy: bool = False
    """Each token of it is the model's likeliest."""

    @property
    def per_token(self) -> float:
        """Mean log-probability of its tokens, in nats."""
        return self.logprob / max(self.tokens, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model answered to one question: a likelihood for each choice, or a text."""

    likelihoods: tuple[Likelihood, ...] = ()
    text: str = ""
    shots_left_out: int = 0
    """Shots for which the model's context had no room."""
    cut: bool = False
    """Even without shots the question did not fit: it lost its beginning."""
    error: str = ""
    """Why there is no answer, where an endpoint gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One question after marking."""

    id: str
    cluster: str
    metrics: Mapping[str, float]
    """By the names of the task's metrics; a metric that does not apply to this question is left out."""
    category: str = ""
    output: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)
    """What else is worth keeping: probabilities, a judge's verdict."""
    error: str = ""
    """Why it has no marks. Such questions are counted and reported, never taken for wrong answers."""


Statistic: TypeAlias = Callable[[Sequence[Marked]], float]
"""A figure of many questions together that is not the mean of one for each, such as BLEU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a task."""

    name: str
    title: str
    better: Literal["high", "low", "none"] = "high"
    """Which way is better; ``"none"`` for what only describes."""
    percent: bool = True
    """Shown as a percentage; the value itself is a share of 1."""
    statistic: Statistic | None = None
    """None: the mean over questions of their own values, intervals by resampling clusters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Questions, and how replies to them are marked. The first metric is the one that a summary shows."""

    name: str
    """Letters, digits and dashes; with the mode and the shots in it, so that a name means one measurement."""
    title: str
    questions: tuple[Question, ...]
    mark: Callable[[Sequence[Question], Sequence[Reply]], list[Marked]]
    metrics: tuple[Metric, ...]
    group: str = ""
    """The heading under which a report shows it: Truthfulness, Toxicity, Bias, Knowledge, ..."""
    source: str = ""
    """Where the task and its layout come from."""
    note: str = ""
    """What a reader of the figure must know, such as who judged."""


@dataclass(frozen=True, slots=True)
class Failure:
    """No score could be had for one text."""

    reason: str


class TextScorer(Protocol):
    """Scores texts by themselves: how toxic each one is, or whether an answer is true."""

    @property
    def name(self) -> str:
        """Says which scorer it is, with everything that changes its scores; marks are cached under it."""
        ...

    def describe(self) -> str:
        """One sentence for the report: what it is, and what it is not."""
        ...

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        """One number in [0, 1] for each text, or why there is none."""
        ...


def mark_each(
    questions: Sequence[Question],
    replies: Sequence[Reply],
    metrics: Callable[[Question, Reply], Mapping[str, float]],
    detail: Callable[[Question, Reply], Mapping[str, Json]] | None = None,
) -> list[Marked]:
    """Mark every question by itself; a reply with an error gets no marks, and keeps its error."""
    return [
        marked(question, reply, metrics(question, reply), detail(question, reply) if detail else {})
        if not reply.error
        else marked(question, reply, {})
        for question, reply in zip(questions, replies, strict=True)
    ]


def marked(
    question: Question, reply: Reply, metrics: Mapping[str, float], detail: Mapping[str, Json] | None = None
) -> Marked:
    """The mark of one question, with all that is taken over from question and reply."""
    return Marked(
        id=question.id,
        cluster=question.cluster or question.id,
        category=question.category,
        metrics=metrics,
        output=reply.text,
        detail=detail or {},
        error=reply.error,
    )
