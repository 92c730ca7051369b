"""Summaries held against a reference by ROUGE-L: TL;DR, CNN/DailyMail and files of the same form.

Völske et al. 2017 and Hermann et al. 2015, laid out as in InstructGPT appendix D: the text, then ``TL;DR:``. JSON lines
or CSV with ``text`` and ``summary`` (a text, or a list of references); optional ``id``, ``category``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Task, mark_each
from heed.evaluation.tasks.paired import load_pairs
from heed.evaluation.tasks.text_metrics import best_rouge_l, rouge_words


def load_summaries(
    file: str | Path,
    *,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    examples: str | Path | None = None,
    name: str = "tldr",
) -> Task:
    """Every row of the file as a text to summarise.

    Args:
        file: JSON lines, a JSON array or CSV.
        shots: worked examples in front of each text; InstructGPT uses 15 where it uses some.
        limit: so many texts; all by default.
        seed: of the draws.
        examples: where the shots come from; needed when ``shots`` is not 0.
        name: of the task, such as ``"tldr"`` or ``"cnn-dm"``.

    Raises:
        DataError: a file is missing or damaged; with line and field.
        ConfigError: more shots than there are examples.
    """
    questions = load_pairs(
        file,
        ("text", "summary"),
        "{}\n\nTL;DR:",
        shots=shots,
        limit=limit,
        seed=seed,
        examples=examples,
        separator="\n\n\n",
        max_new_tokens=128,
    )
    return Task(
        name=f"{name}-{shots}shot",
        title=f"Summaries ({name}), {shots} examples",
        questions=questions,
        mark=mark_summaries,
        metrics=(
            Metric(name="rouge_l", title="ROUGE-L"),
            Metric(name="words", title="words", better="none", percent=False),
        ),
        group="Summaries",
        source="Völske et al. 2017; layout: InstructGPT appendix D",
        note="ROUGE-L F1 without stemming, the first line of the answer",
    )


def mark_summaries(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    """``rouge_l`` with the reference that fits best, and ``words``, the length."""
    return mark_each(
        questions,
        replies,
        lambda question, reply: {
            "rouge_l": best_rouge_l(reply.text, question.references),
            "words": float(len(rouge_words(reply.text))),
        },
    )
