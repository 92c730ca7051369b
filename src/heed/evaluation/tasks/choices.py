"""Questions with a fixed set of answers: which one a model finds likeliest, by what rule, and how sure it is.

InstructGPT weighs by the mean log-probability of a choice's tokens. (Its appendix D says that the *lowest* is picked;
the lowest loss, thus the highest likelihood, is what makes sense and what is done here.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Literal, TypeAlias

from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.items import Likelihood, Marked, Metric, Question, Reply, Shot, Statistic, Task, marked
from heed.records import Json, content_id
from heed.runtime.seeds import derive_seed

Rule: TypeAlias = Literal["token", "sum", "character", "unconditional"]
"""What makes a choice the answer: the highest mean log-probability of its tokens (InstructGPT), of the whole of it,
per character, or relative to how likely it is after a context that says nothing (Brown et al. 2020)."""
RULES: Mapping[Rule, str] = {
    "token": "by likelihood per token",
    "sum": "by likelihood of the whole",
    "character": "by likelihood per character",
    "unconditional": "by likelihood relative to that without the question",
}
TIE = 1e-9
"""Scores this near to the best are as good: what rounding makes of equal ones."""
_ALONE = "alone_of"


# --- one question


def choice_scores(likelihoods: Sequence[Likelihood], rule: Rule, alone: Sequence[Likelihood] = ()) -> list[float]:
    """One score for each choice, in nats or nats per token or character; the highest is the answer.

    Args:
        likelihoods: of the choices after the question.
        rule: see :data:`Rule`.
        alone: of the same choices after a context that says nothing, for the rule ``"unconditional"``.
    """
    if rule == "unconditional":
        return [
            one.logprob - bare.logprob if bare.logprob > -math.inf else -math.inf
            for one, bare in zip(likelihoods, alone, strict=True)
        ]
    if rule == "character":
        return [one.logprob / max(one.characters, 1) for one in likelihoods]
    return [one.per_token if rule == "token" else one.logprob for one in likelihoods]


def best_choices(scores: Sequence[float]) -> list[int]:
    """The choices with the highest score; several only where rounding alone tells them apart."""
    top = max(scores)
    return [index for index, score in enumerate(scores) if score == top or score >= top - TIE]


def credit(scores: Sequence[float], right: Sequence[int]) -> float:
    """1 if the best choice is right; of several that are equally good, the share that is."""
    best = best_choices(scores)
    return sum(index in right for index in best) / len(best)


def choice_probabilities(logprobs: Sequence[float]) -> list[float]:
    """Likelihoods of whole choices, divided by their sum: one probability for each, adding up to 1."""
    top = max(logprobs)
    weights = [math.exp(logprob - top) for logprob in logprobs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def flaw(question: Question, reply: Reply) -> str:
    """Why a reply cannot be marked, or nothing."""
    if reply.error:
        return reply.error
    logprobs = [one.logprob for one in reply.likelihoods]
    if len(logprobs) != len(question.choices):
        return f"{len(logprobs)} likelihoods for {len(question.choices)} choices"
    if any(math.isnan(one) or one == math.inf for one in logprobs) or max(logprobs, default=0.0) == -math.inf:
        return f"log-probabilities {logprobs}, expected numbers"
    return ""


def choice_detail(logprobs: Sequence[float], right: Sequence[int]) -> dict[str, Json]:
    """What calibration needs later: log-probabilities and probabilities of all choices, and which are right."""
    return {
        "logprobs": list(logprobs),
        "probabilities": choice_probabilities(logprobs),
        "right": list(right),
    }


# --- marking


def mark_choices(rule: Rule = "token") -> Callable[[Sequence[Question], Sequence[Reply]], list[Marked]]:
    """Marks for :func:`choice_metrics`: ``accuracy`` by ``rule`` and by every other, ``right_probability``.

    The output is the choice taken; the detail is that of :func:`choice_detail`. Questions made by
    :func:`with_choices_alone` only serve the others, and get no marks.
    """

    def mark(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
        alone: dict[Json, tuple[Question, Reply]] = {
            question.meta[_ALONE]: (question, reply)
            for question, reply in zip(questions, replies, strict=True)
            if _ALONE in question.meta
        }
        return [
            _marked_choice(question, reply, rule, alone.get(question.id))
            for question, reply in zip(questions, replies, strict=True)
            if _ALONE not in question.meta
        ]

    return mark


def _marked_choice(question: Question, reply: Reply, rule: Rule, alone: tuple[Question, Reply] | None) -> Marked:
    error = flaw(question, reply) or (flaw(*alone) if alone else "")
    if error:
        return marked(question, replace(reply, error=error), {})
    bare = alone[1].likelihoods if alone else ()
    likelihoods = [
        replace(one, characters=len(choice.lstrip()))  # the blank in front is no part of the answer's length
        for one, choice in zip(reply.likelihoods, question.choices, strict=True)
    ]
    scores: dict[str, list[float]] = {
        name: choice_scores(likelihoods, name, bare) for name in RULES if name != "unconditional" or bare
    }
    detail = choice_detail([one.logprob for one in reply.likelihoods], question.right)
    probabilities = choice_probabilities([one.logprob for one in reply.likelihoods])
    metrics = {f"accuracy_{name}": credit(some, question.right) for name, some in scores.items()}
    metrics |= {
        "accuracy": metrics[f"accuracy_{rule}"],
        "right_probability": math.fsum(probabilities[index] for index in question.right),
    }
    chosen = best_choices(scores[rule])[0]
    found = marked(question, reply, metrics, {**detail, "chosen": chosen})
    return replace(found, output=question.choices[chosen].strip())


def macro(metric: str) -> Statistic:
    """The figure that counts every category the same: the mean over categories of the mean over their questions."""

    def statistic(marks: Sequence[Marked]) -> float:
        piles: dict[str, list[float]] = {}
        for one in marks:
            if metric in one.metrics:
                piles.setdefault(one.category, []).append(one.metrics[metric])
        return math.fsum(math.fsum(pile) / len(pile) for pile in piles.values()) / len(piles) if piles else math.nan

    return statistic


# --- tasks


def choice_metrics(questions: Sequence[Question], rule: Rule) -> tuple[Metric, ...]:
    """Accuracy by the rule first; the mean over categories, if there are some; other rules where they may differ."""
    found = [Metric(name="accuracy", title=f"Accuracy, {RULES[rule]}")]
    if len({question.category for question in questions}) > 1:
        found.append(Metric(name="macro_accuracy", title="Accuracy, mean over subjects", statistic=macro("accuracy")))
    if any(len(choice.split()) > 1 for question in questions for choice in question.choices):
        alone = any(_ALONE in question.meta for question in questions)
        others = [one for one in RULES if one != rule and (alone or one != "unconditional")]
        found += [Metric(name=f"accuracy_{one}", title=f"Accuracy, {RULES[one]}") for one in others]
    return (*found, Metric(name="right_probability", title="Probability of the right answer"))


def choice_task(
    name: str,
    title: str,
    questions: Sequence[Question],
    *,
    rule: Rule = "token",
    group: str = "",
    source: str = "",
    note: str = "",
    alone_after: str = "Answer:",
) -> Task:
    """A task of questions with choices, marked by ``rule``; its note says what guessing would give.

    Args:
        name: with the shots in it; the rule is added if it is not the usual one.
        title: for people.
        questions: each with at least two choices, and at least one right.
        rule: see :data:`Rule`.
        group: the heading it comes under.
        source: where the layout comes from.
        note: what else to know.
        alone_after: the context that says nothing, for the rule ``"unconditional"``.

    Raises:
        DataError: there are no questions, or one has fewer than two choices or no right one.
    """
    for question in questions:
        _check_choices(name, question)
    notes = [note, f"Guessing gives {chance_level(questions):.1%}{_commonest(questions)}."]
    asked = with_choices_alone(questions, alone_after) if rule == "unconditional" else tuple(questions)
    return Task(
        name=name if rule == "token" else f"{name}-{rule}",
        title=title,
        questions=asked,
        mark=mark_choices(rule),
        metrics=choice_metrics(asked, rule),
        group=group,
        source=source,
        note=" ".join(filter(None, notes)),
    )


def with_choices_alone(questions: Sequence[Question], context: str) -> tuple[Question, ...]:
    """The questions, and for each its choices after ``context`` only, for the rule ``"unconditional"``."""
    bare = [
        replace(
            question,
            id=f"{question.id}/alone",
            instruction="",
            shots=(),
            context=context,
            cluster=question.cluster or question.id,
            meta={_ALONE: question.id},
        )
        for question in questions
    ]
    return (*questions, *bare)


def chance_level(questions: Sequence[Question]) -> float:
    """The accuracy that guessing gives: mean share of choices that are right."""
    return math.fsum(len(set(one.right)) / len(one.choices) for one in questions) / max(len(questions), 1)


def _commonest(questions: Sequence[Question]) -> str:
    """What always giving the same answer would get, where all questions have the same choices."""
    if len({question.choices for question in questions}) != 1:
        return ""
    counts = Counter(index for question in questions for index in set(question.right))
    index, count = counts.most_common(1)[0]
    return f", always “{questions[0].choices[index].strip()}” {count / len(questions):.1%}"


def _check_choices(task: str, question: Question) -> None:
    count = len(question.choices)
    if count < 2 or not question.right or not all(0 <= index < count for index in question.right):
        raise DataError(
            f"{task}, question {question.id}: {count} choices, of which {list(question.right)} are right; expected "
            "two choices or more, and at least one of them right"
        )
    if len(set(question.choices)) < count or not all(choice.strip() for choice in question.choices):
        raise DataError(f"{task}, question {question.id}: choices {list(question.choices)} are empty or twice the same")


# --- which questions, which shots


def limited(questions: Sequence[Question], limit: int | None, seed: int = 0) -> tuple[Question, ...]:
    """At most ``limit`` questions, spread over the categories, in their order.

    They are picked by a hash of their ids: a larger limit keeps all that a smaller one had. None keeps all.
    """
    if limit is None or limit >= len(questions):
        return tuple(questions)
    piles: dict[str, list[tuple[str, int]]] = {}
    for index, question in enumerate(questions):
        piles.setdefault(question.category, []).append((content_id(seed, question.category, question.id), index))
    ranked = sorted(
        (rank, hashed, index) for pile in piles.values() for rank, (hashed, index) in enumerate(sorted(pile))
    )
    return tuple(questions[index] for index in sorted(index for _, _, index in ranked[:limit]))


def as_shot(question: Question) -> Shot:
    """A question with its first right choice, as an example for others."""
    return Shot(context=question.context, answer=question.choices[question.right[0]])


def with_drawn_shots(
    questions: Sequence[Question], pool: Sequence[Question], count: int, seed: int, where: str = "the examples"
) -> tuple[Question, ...]:
    """The questions, each with ``count`` worked examples drawn from ``pool`` for it alone.

    Never the question itself, nor one of its cluster or with its text; the same seed draws the same.

    Raises:
        ConfigError: ``count`` is below 0.
        DataError: the pool is too small; names ``where`` it is from.
    """
    if count < 0:
        raise ConfigError(f"shots is {count}, expected 0 or more")
    if count == 0:
        return tuple(questions)
    return tuple(replace(one, shots=_drawn(one, pool, count, seed, where)) for one in questions)


def _drawn(question: Question, pool: Sequence[Question], count: int, seed: int, where: str) -> tuple[Shot, ...]:
    rng = Random(derive_seed(seed, "shots", question.id))
    cluster = question.cluster or question.id
    for tried in (min(len(pool), 4 * count + 16), len(pool)):  # as a rule a few draws are enough
        drawn: dict[str, Shot] = {}
        for index in rng.sample(range(len(pool)), tried):
            other = pool[index]
            if (other.cluster or other.id) != cluster and other.context != question.context and len(drawn) < count:
                drawn.setdefault(other.context, as_shot(other))
        if len(drawn) == count:
            return tuple(drawn.values())
    raise DataError(
        f"{where}: only {len(drawn)} examples besides question {question.id} and what belongs with it, expected "
        f"{count}; ask for fewer shots"
    )


def numbered(value: Mapping[str, Any], number: int) -> str:
    """The id of a row: its field ``id`` or ``idx``, else its number in the file."""
    for name in ("id", "idx"):
        if isinstance(value.get(name), str | int):
            return str(value[name])
    return str(number)
