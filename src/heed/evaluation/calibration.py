"""Does a model know what it knows? Choices by their letters, and whether its probabilities come true.

Source: Kadavath et al. 2022, section 3 and appendix A. What makes the probabilities good is that all options are in
sight before the answer, and that the answer is one letter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from heed.errors import DataError
from heed.evaluation.tasks.choices import (
    best_choices,
    chance_level,
    choice_detail,
    choice_probabilities,
    credit,
    flaw,
    with_drawn_shots,
)
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Statistic, Task, marked
from heed.records import content_id
from heed.runtime.seeds import derive_seed
from heed.stats import Array
from heed.stats.calibration import (
    ChoiceCalibration,
    auroc,
    calibration,
    choice_calibration,
    fit_temperature,
    noise_floor,
    rms_error,
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NONE_OF_THE_ABOVE = "none of the above"
NUM_BINS = 10
FLOOR_DRAWS = 200
"""Simulations behind a noise floor."""


# --- the layout


def lettered(
    task: Task,
    *,
    shots: int = 5,
    seed: int = 0,
    permute: bool = True,
    none_of_above: bool = False,
    pool: Sequence[Question] = (),
    name: str = "",
) -> Task:
    """A task with choices, asked by letters (Kadavath et al. 2022, section 3) and marked for calibration.

    Args:
        task: its questions have choices, of which one is right; the texts of the options are what it has as choices,
            or, where these are letters already, ``meta["options"]``; the question is its context, or
            ``meta["question"]``.
        shots: answered questions in front of each, drawn from ``pool``.
        seed: of the order of options and of shots.
        permute: put the options in an order drawn for each question. Without it a file in which the right one comes
            first can be answered without reading; with it "both of the above" loses its sense.
        none_of_above: the last option says "none of the above" instead, and is right where it was (section 3.1).
        pool: questions as in ``task`` to draw shots from; the task's own if not given.
        name: of the new task; made from the old one's if not given.

    Raises:
        DataError: a question has no choices or not exactly one right, or there are too few for the shots.
    """
    questions = [_lettered(one, seed, permute, none_of_above) for one in task.questions]
    examples = [_lettered(one, seed, permute, none_of_above) for one in pool] if pool else questions
    stem = re.sub(r"-\d+shot$", "", task.name)
    kind = "lettered-none" if none_of_above else "lettered"
    chance = chance_level(questions)
    return Task(
        name=name or f"{stem}-{kind}-{shots}shot",
        title=f"{task.title.partition(',')[0]} by letters{', with none of the above' if none_of_above else ''}",
        questions=with_drawn_shots(questions, examples, shots, seed, task.name),
        mark=mark_calibration(),
        metrics=calibration_metrics(),
        group="Calibration",
        source="Kadavath et al. 2022, section 3",
        note=f"{shots} shots. Guessing gives {chance:.1%}. ECE: the likeliest option of each question, {NUM_BINS} bins "
        "of equal count; compare it with its noise floor, what a perfectly calibrated model would show: "
        "chance only adds to it.",
    )


def proposed_answers(task: Task, *, shots: int = 5, seed: int = 0, name: str = "") -> Task:
    """The True/False form (section 3.2): for each question its right option and one wrong one, judged one by one.

    Settings and errors as for :func:`lettered`. The two rows of a question are one cluster.
    """
    questions = []
    for one in task.questions:
        text, options, right = _parts(one)
        wrong = Random(derive_seed(seed, "wrong", one.id)).choice([i for i in range(len(options)) if i != right])
        for truth, option in ((True, options[right]), (False, options[wrong])):
            questions.append(
                Question(
                    id=f"{one.id}/{'true' if truth else 'false'}",
                    context=(
                        f"Question: {text}\nProposed Answer: {option}\nIs the proposed answer:\n (A) True\n (B) False\n"
                        "The proposed answer is:"
                    ),
                    kind="choice",
                    choices=(" (A)", " (B)"),
                    right=(0 if truth else 1,),
                    cluster=one.cluster or one.id,
                    category=one.category,
                )
            )
    stem = re.sub(r"-\d+shot$", "", task.name)
    return Task(
        name=name or f"{stem}-proposed-{shots}shot",
        title=f"{task.title.partition(',')[0]}: is a proposed answer true",
        questions=with_drawn_shots(questions, questions, shots, seed, task.name),
        mark=mark_calibration(),
        metrics=calibration_metrics(),
        group="Calibration",
        source="Kadavath et al. 2022, section 3.2",
        note=f"{shots} shots. Half of the proposed answers are true: guessing gives 50.0%.",
    )


def lettered_context(question: str, options: Sequence[str]) -> str:
    """The layout of section 3: question, options with letters, ``Answer:``."""
    listed = "".join(f" ({letter}) {option}\n" for letter, option in zip(LETTERS, options, strict=False))
    return f"Question: {question}\nChoices:\n{listed}Answer:"


def _lettered(question: Question, seed: int, permute: bool, none_of_above: bool) -> Question:
    text, options, right = _parts(question)
    order = list(range(len(options)))
    if permute:
        Random(derive_seed(seed, "options", question.id)).shuffle(order)
    shown = [options[index] for index in order]
    if none_of_above:
        shown[-1] = NONE_OF_THE_ABOVE
    return replace(
        question,
        instruction="",
        shots=(),
        context=lettered_context(text, shown),
        choices=tuple(f" ({letter})" for letter in LETTERS[: len(shown)]),
        right=(order.index(right),),
        meta={"order": order},
    )


def _parts(question: Question) -> tuple[str, list[str], int]:
    """The plain question, its options, and which of them is right."""
    held: Any = question.meta.get("options")
    options = list(held) if held else [choice.strip() for choice in question.choices]
    if len(question.right) != 1 or not 2 <= len(options) <= len(LETTERS):
        raise DataError(
            f"question {question.id}: {len(options)} options, of which {len(question.right)} are right; letters need 2 "
            f"to {len(LETTERS)} options and exactly one that is right (of TruthfulQA, take the answers of mc1)"
        )
    text = question.meta.get("question")
    plain = text if isinstance(text, str) else question.context.strip().removesuffix("\nAnswer:")
    return plain, options, question.right[0]


# --- the figures


def calibration_metrics() -> tuple[Metric, ...]:
    """Accuracy first, as for other tasks; then how far probabilities come true, before and after one temperature."""
    return (
        Metric(name="accuracy", title="Accuracy"),
        Metric(name="ece", title="Calibration error (ECE) of the likeliest option", better="low", statistic=ece),
        Metric(name="noise_floor", title="ECE of a perfect model", better="none", statistic=_constant("noise_floor")),
        Metric(name="confidence", title="Mean confidence", better="none"),
        Metric(name="brier", title="Brier score of the likeliest option", better="low", percent=False),
        Metric(name="log_score", title="Log score, nats", better="low", percent=False),
        Metric(name="rms", title="RMS calibration error of all options", better="low", statistic=rms),
        Metric(
            name="auroc", title="Confidence tells right from wrong (AUROC)", percent=False, statistic=confidence_auroc
        ),
        Metric(
            name="temperature",
            title="Fitted temperature",
            better="none",
            percent=False,
            statistic=_constant("temperature"),
        ),
        Metric(
            name="ece_scaled", title="ECE at that temperature, other half", better="low", statistic=ece_at_temperature
        ),
        Metric(name="leaked", title="Probability on anything but a letter", better="none"),
    )


def mark_calibration(seed: int = 0) -> Callable[[Sequence[Question], Sequence[Reply]], list[Marked]]:
    """Marks for :func:`calibration_metrics`.

    A temperature is fitted on one half of the clusters, picked by a hash, and tried on the other. In ``detail`` are
    log-probabilities, probabilities and the right options, the confidence in the likeliest one and whether it is right;
    in the half where it is tried, the confidence at the temperature.
    """

    def mark(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
        marks = [_marked(question, reply) for question, reply in zip(questions, replies, strict=True)]
        held = [one for one in marks if not one.error]
        if not held:
            return marks
        fitted = [one for one in held if not _tried(one, seed)] or held
        found = fit_temperature([_numbers(one, "logprobs") for one in fitted], [_right(one) for one in fitted]).value
        floor = noise_floor(_column(held, "confidence"), NUM_BINS, draws=FLOOR_DRAWS, seed=seed)
        return [one if one.error else _with_temperature(one, found, floor, _tried(one, seed)) for one in marks]

    return mark


def ece(marks: Sequence[Marked]) -> float:
    """Expected calibration error of the likeliest options, in bins of equal count. Appendix A."""
    return calibration(_column(marks, "confidence"), _column(marks, "hit"), NUM_BINS, binning="count").ece


def ece_at_temperature(marks: Sequence[Marked]) -> float:
    """:func:`ece` at the fitted temperature, on the half it was not fitted on."""
    tried = [one for one in marks if "confidence_scaled" in one.detail]
    return calibration(_column(tried, "confidence_scaled"), _column(tried, "hit"), NUM_BINS, binning="count").ece


def rms(marks: Sequence[Marked]) -> float:
    """Root mean square over bins of share right less probability, all options of all questions together."""
    return rms_error(calibration(*_pooled(marks), NUM_BINS, binning="count"))


def confidence_auroc(marks: Sequence[Marked]) -> float:
    """Chance that a right answer has more confidence than a wrong one; NaN where all are right, or all wrong."""
    return auroc(_column(marks, "confidence"), _column(marks, "hit"))


def choice_calibration_of(marks: Sequence[Marked], num_bins: int = NUM_BINS) -> ChoiceCalibration:
    """All figures of the marks of any task whose detail has ``probabilities`` and ``right``, such as MMLU."""
    held = _with_probabilities(marks)
    return choice_calibration(
        [_numbers(one, "probabilities") for one in held], [_right(one) for one in held], num_bins, draws=FLOOR_DRAWS
    )


def reliability_rows(
    marks: Sequence[Marked], *, top: bool = False, num_bins: int = NUM_BINS
) -> list[dict[str, float | int]]:
    """The bins of a reliability diagram, ``{"confidence", "accuracy", "n"}`` by confidence, of equal count.

    Args:
        marks: of any task whose detail has ``probabilities`` and ``right``; empty for others.
        top: only the likeliest option of each question, instead of all.
        num_bins: at most.
    """
    held = _with_probabilities(marks)
    if not held:
        return []
    shares, truths = _pooled(held)
    if top:
        tops = [int(_numbers(one, "probabilities").argmax()) for one in held]
        shares = np.array([_numbers(one, "probabilities")[index] for one, index in zip(held, tops, strict=True)])
        truths = np.array([float(index in _right(one)) for one, index in zip(held, tops, strict=True)])
    found = calibration(shares, truths, num_bins, binning="count")
    return [{"confidence": one.confidence, "accuracy": one.accuracy, "n": one.n} for one in found.bins]


def _marked(question: Question, reply: Reply) -> Marked:
    error = flaw(question, reply)
    if error:
        return marked(question, replace(reply, error=error), {})
    logprobs = [one.logprob for one in reply.likelihoods]
    probabilities = choice_probabilities(logprobs)
    top = best_choices(logprobs)[0]
    confidence, hit = probabilities[top], float(top in question.right)
    on_right = math.fsum(probabilities[index] for index in question.right)
    metrics = {
        "accuracy": credit(logprobs, question.right),
        "confidence": confidence,
        "brier": (confidence - hit) ** 2,
        "log_score": _surprise(logprobs, question.right) if on_right == 0 else -math.log(min(on_right, 1.0)),
        "leaked": max(0.0, 1.0 - math.fsum(map(math.exp, logprobs))),
    }
    detail = {**choice_detail(logprobs, question.right), "confidence": confidence, "hit": hit}
    return replace(marked(question, reply, metrics, detail), output=question.choices[top].strip())


def _surprise(logprobs: Sequence[float], right: Sequence[int]) -> float:
    """-ln of a probability too small for a number: in logarithms all along."""
    return float(np.logaddexp.reduce(logprobs) - np.logaddexp.reduce([logprobs[index] for index in right]))


def _with_temperature(one: Marked, temperature: float, floor: float, tried: bool) -> Marked:
    extra: dict[str, float] = {"temperature": temperature, "noise_floor": floor}
    if tried:
        extra["confidence_scaled"] = max(choice_probabilities(list(_numbers(one, "logprobs") / temperature)))
    return replace(one, detail={**one.detail, **extra})


def _tried(one: Marked, seed: int) -> bool:
    """Whether a question is of the half on which the temperature is tried, not fitted."""
    return int(content_id(seed, "half", one.cluster), 16) % 2 == 1


def _constant(name: str) -> Statistic:
    """A figure that all marks of a run share."""

    def statistic(marks: Sequence[Marked]) -> float:
        value: Any = marks[0].detail[name] if marks else math.nan
        return float(value)

    return statistic


def _with_probabilities(marks: Sequence[Marked]) -> list[Marked]:
    return [one for one in marks if not one.error and one.detail.get("probabilities") and one.detail.get("right")]


def _numbers(one: Marked, name: str) -> Array:
    held: Any = one.detail[name]
    return np.asarray(held, dtype=np.float64)


def _right(one: Marked) -> list[int]:
    held: Any = one.detail["right"]
    return [int(index) for index in held]


def _pooled(marks: Sequence[Marked]) -> tuple[Array, Array]:
    """The probabilities of all options of all questions, and 1 for each that is right. In plain Python: a bootstrap
    calls this hundreds of times, and an array for each question would take most of its time."""
    shares: list[float] = []
    places: list[int] = []
    for one in marks:
        detail: Mapping[str, Any] = one.detail
        places += [len(shares) + index for index in detail["right"]]
        shares += detail["probabilities"]
    truths = np.zeros(len(shares))
    truths[places] = 1.0
    return np.array(shares, dtype=np.float64), truths


def _column(marks: Sequence[Marked], name: str) -> Array:
    details: list[Mapping[str, Any]] = [one.detail for one in marks]
    return np.array([detail[name] for detail in details], dtype=np.float64)
