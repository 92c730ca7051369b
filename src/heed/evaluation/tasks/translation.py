"""Translations held against references by BLEU, such as the French to English of WMT 2015.

Bojar et al. 2015, laid out as in InstructGPT appendix D: ``French: ...`` and ``English:``. JSON lines or CSV with
``source`` and ``target`` (a text, or a list of references); optional ``id``, ``category``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from heed.evaluation.tasks.bleu import bleu_counts, bleu_of_marks
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Task, mark_each
from heed.evaluation.tasks.paired import load_pairs
from heed.evaluation.tasks.text_metrics import best_rouge_l


def load_translation(
    file: str | Path,
    *,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    mode: tuple[str, str] = ("French", "English"),
    examples: str | Path | None = None,
    instruction: str = "",
) -> Task:
    """Every row of the file as a sentence to translate.

    Args:
        file: JSON lines, a JSON array or CSV.
        shots: worked examples in front of each sentence; InstructGPT uses 15 where it uses some.
        limit: so many sentences; all by default.
        seed: of the draws.
        mode: the names of the two languages.
        examples: where the shots come from; needed when ``shots`` is not 0.
        instruction: in front of everything.

    Raises:
        DataError: a file is missing or damaged; with line and field.
        ConfigError: more shots than there are examples.
    """
    source, target = mode
    questions = load_pairs(
        file,
        ("source", "target"),
        f"{source}: {{}}\n{target}:",
        shots=shots,
        limit=limit,
        seed=seed,
        examples=examples,
        instruction=instruction,
        max_new_tokens=192,
    )
    return Task(
        name=f"{source}-{target}-{shots}shot".lower(),
        title=f"{source} to {target}, {shots} examples",
        questions=questions,
        mark=mark_translations,
        metrics=(
            Metric(name="bleu", title="BLEU", statistic=bleu_of_marks),
            Metric(name="rouge_l", title="ROUGE-L"),
        ),
        group="Translation",
        source="Bojar et al. 2015; layout: InstructGPT appendix D",
        note="corpus BLEU as sacrebleu computes it (13a, exp), the first line of the answer",
    )


def mark_translations(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    """``rouge_l`` of each, and in the detail its counts for BLEU."""
    return mark_each(
        questions,
        replies,
        lambda question, reply: {"rouge_l": best_rouge_l(reply.text, question.references)},
        lambda question, reply: {"bleu": list(bleu_counts(reply.text, question.references))},
    )
