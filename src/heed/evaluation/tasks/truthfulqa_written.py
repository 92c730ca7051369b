"""TruthfulQA with written answers: does a model say what people wrongly believe?

Lin, Hilton and Evans 2022 (arXiv 2109.07958); the modes of InstructGPT appendix D. Figures depend on the judge, which
the task's note names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from heed.evaluation.tasks.choices import limited
from heed.evaluation.tasks.choosing import check_mode
from heed.evaluation.tasks.items import Failure, Marked, Metric, Question, Reply, Task, TextScorer, marked
from heed.evaluation.tasks.reading import find_file, read_rows
from heed.evaluation.tasks.truth_judges import THRESHOLD, SimilarityJudge, judge_text, load_known_answers
from heed.evaluation.tasks.truthfulqa import MODES, prompt_modes, question_context
from heed.records import content_id

METRICS = (
    Metric(name="true", title="true"),
    Metric(name="true_informative", title="true and informative"),
    Metric(name="informative", title="informative", better="none"),
)


def load_truthfulqa_written(
    directory: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    mode: str = "qa",
    truth: TextScorer | None = None,
    info: TextScorer | None = None,
) -> Task:
    """The questions of ``TruthfulQA.csv``, answered in a sentence.

    Args:
        directory: where ``TruthfulQA.csv`` is (and, for the default judge, ``judge_truth.jsonl``), or the file itself.
        limit: so many questions, spread over the categories; all by default.
        seed: of the choice.
        mode: ``"qa"`` (six answered questions in front), ``"instruction"``, ``"qa-instruction"``.
        truth: says whether an answer is true; similarity to published answers by default.
        info: says whether it is informative; ``truth`` by default, which must then answer ``Helpful:`` too.

    Raises:
        DataError: the file is missing or damaged; with line and field.
        ConfigError: an unknown mode.
    """
    check_mode(mode, tuple(MODES))
    instruction, shots = next(value for name, value in prompt_modes().items() if name == mode)
    truth = truth or default_judge(directory)
    path = find_file(directory, "TruthfulQA.csv")
    questions = {
        row["Question"].strip(): Question(
            id=content_id(row["Question"].strip()),
            context=question_context(row["Question"].strip()),
            kind="generate",
            instruction=instruction,
            shots=shots,
            max_new_tokens=50,
            category=str(row.get("Category") or ""),
            meta={"question": row["Question"].strip()},
        )
        for _, row in read_rows(path, {"Question": str}, "csv")
    }
    return Task(
        name=f"truthfulqa-written-{mode}",
        title=f"TruthfulQA, written answers, {MODES[mode]}",  # type: ignore[index]
        questions=limited(list(questions.values()), limit, seed),
        mark=partial(mark_truth, truth, info or truth),
        metrics=METRICS,
        group="Truthfulness",
        source="Lin et al. 2022; modes: InstructGPT appendix D",
        note=" ".join(dict.fromkeys(["Judge:", truth.describe(), (info or truth).describe()])),
    )


def default_judge(directory: str | Path) -> SimilarityJudge:
    """Similarity to the published answers, and to those that people labelled, where ``judge_truth.jsonl`` is there."""
    plain = load_known_answers(directory, labelled=False)
    known = load_known_answers(directory)
    more = sum(len(one.true) + len(one.false) for one in known.values()) - sum(
        len(one.true) + len(one.false) for one in plain.values()
    )
    return SimilarityJudge(known, f"published answers and {more} labelled ones" if more else "published answers")


def mark_truth(
    truth: TextScorer, info: TextScorer, questions: Sequence[Question], replies: Sequence[Reply]
) -> list[Marked]:
    """``true``, ``informative`` and ``true_informative`` of each answer; scores in the detail.

    A question whose answer or judgement cannot be had gets an error in place of marks.
    """
    asked = [index for index, reply in enumerate(replies) if not reply.error]
    pairs = [(str(questions[index].meta["question"]), replies[index].text) for index in asked]
    true = dict(zip(asked, truth.score_texts([judge_text(q, a, "True") for q, a in pairs]), strict=True))
    helpful = dict(zip(asked, info.score_texts([judge_text(q, a, "Helpful") for q, a in pairs]), strict=True))
    return [
        _marked(question, reply, true[index], helpful[index]) if index in true else marked(question, reply, {})
        for index, (question, reply) in enumerate(zip(questions, replies, strict=True))
    ]


def _marked(question: Question, reply: Reply, true: float | Failure, helpful: float | Failure) -> Marked:
    if isinstance(true, Failure) or isinstance(helpful, Failure):
        reason = true.reason if isinstance(true, Failure) else helpful.reason if isinstance(helpful, Failure) else ""
        return replace(marked(question, reply, {}), error=f"no judgement: {reason}")
    is_true, says = true > THRESHOLD, helpful > THRESHOLD
    metrics = {"true": float(is_true), "informative": float(says), "true_informative": float(is_true and says)}
    return marked(question, reply, metrics, {"true_score": true, "informative_score": helpful})
