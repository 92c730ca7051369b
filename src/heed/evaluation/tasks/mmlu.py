"""MMLU: school and professional examinations in 57 subjects, four options each, by the letter.

Source: Hendrycks et al. 2021 and the layout of their code: a sentence on the subject, five answered questions of the
same subject from ``dev``, the question with its options, ``Answer:``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from heed.data.lines import read_lines
from heed.errors import DataError
from heed.evaluation.tasks.choices import as_shot, choice_task, limited
from heed.evaluation.tasks.choosing import check_shots
from heed.evaluation.tasks.items import Question, Shot, Task
from heed.evaluation.tasks.reading import FieldTypes, field_error, find_file, read_rows, texts_of
from heed.records import content_id

LETTERS = "ABCDEFGHIJ"
_FIELDS: FieldTypes = {"subject": str, "question": str, "choices": list, "answer": (str, int)}


def load_mmlu(
    directory: str | Path, *, shots: int = 5, limit: int | None = None, seed: int = 0, split: str = "test"
) -> Task:
    """MMLU, a category for each subject.

    Args:
        directory: with ``dev.jsonl`` and ``test.jsonl`` (plain or .gz; ``subject, question, choices, answer``), or as
            it was published, with the directories ``dev`` and ``test`` of ``{subject}_dev.csv`` and so on.
        shots: answered questions of the same subject in front, the first ones of ``dev``.
        limit: at most so many questions, spread over the subjects.
        seed: of their choice.
        split: ``"test"`` or ``"val"``.

    Raises:
        ConfigError: not 0 to 5 shots.
        DataError: no such files, a row is not as published, or a subject has fewer than ``shots`` questions in ``dev``.
    """
    check_shots(shots, 5)
    place = Path(directory)
    questions = limited(list(_questions(place, split)), limit, seed)
    examples: dict[str, list[Shot]] = {}
    if shots:
        for example in _questions(place, "dev"):
            examples.setdefault(example.category, []).append(as_shot(example))
    for subject in sorted({question.category for question in questions}):
        if len(examples.get(subject, [])) < shots:
            raise DataError(
                f"{place}: {len(examples.get(subject, []))} questions on {subject!r} in dev, expected {shots} or more; "
                "ask for fewer shots"
            )
    return choice_task(
        f"mmlu-{shots}shot" if split == "test" else f"mmlu-{split}-{shots}shot",
        f"MMLU, {shots} shots",
        [_with_shots(question, examples.get(question.category, [])[:shots]) for question in questions],
        group="Knowledge",
        source="Hendrycks et al. 2021",
    )


def mmlu_question(question: str, choices: list[str]) -> str:
    """A question as their code shows it, up to ``Answer:``."""
    options = "".join(f"\n{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    return f"{question}{options}\nAnswer:"


def header(subject: str) -> str:
    """What stands in front of everything: which subject it is."""
    return f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}."


def _with_shots(question: Question, shots: list[Shot]) -> Question:
    return replace(question, shots=tuple(shots), instruction=header(question.category))


def _questions(directory: Path, split: str) -> Iterator[Question]:
    """The questions of ``dev`` or ``test``, without shots."""
    counts: dict[str, int] = {}
    for path, number, row in _rows(directory, split):
        choices = texts_of(path, number, row, "choices", least=2)
        letters = LETTERS[: len(choices)]
        if len(choices) > len(LETTERS):
            raise field_error(path, number, "choices", f"holds {len(choices)}, expected at most {len(LETTERS)}")
        answer = row["answer"]
        right = answer if isinstance(answer, int) else letters.find(answer.strip().upper() or "?")
        if not 0 <= right < len(choices):
            raise field_error(path, number, "answer", f"is {answer!r}, expected a letter of {letters}")
        subject = row["subject"].strip()
        counts[subject] = counts.get(subject, 0) + 1
        asked, options = row["question"].strip(), [choice.strip() for choice in choices]
        yield Question(
            id=f"{subject}-{counts[subject]}",
            context=mmlu_question(asked, options),
            kind="choice",
            choices=tuple(f" {letter}" for letter in letters),
            right=(right,),
            cluster=_passage(asked),
            category=subject,
            meta={"question": asked, "options": options},
        )


def _passage(question: str) -> str:
    """What several questions of a subject ask about, which makes them one cluster; empty for most."""
    text, _, asked = question.rpartition("\n")
    return content_id(text) if asked and text.startswith("This question refers to the following information") else ""


def _rows(directory: Path, split: str) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    published = directory / split
    if not published.is_dir():
        path = find_file(directory, f"{split}.jsonl")
        for number, row in read_rows(path, _FIELDS):
            yield path, number, row
        return
    files = sorted(published.glob(f"*_{split}.csv"))
    if not files:
        raise DataError(f"{published}: no SUBJECT_{split}.csv in this directory")
    for path in files:
        columns = ("question", *_option_names(path), "answer")
        types = dict.fromkeys(columns, str)
        for number, row in read_rows(path, types, "csv", header=columns):
            choices = [row[name] for name in columns[1:-1]]
            subject = path.name.removesuffix(f"_{split}.csv")
            yield path, number, {**row, "choices": choices, "subject": subject}


def _option_names(path: Path) -> list[str]:
    """One for each column between question and answer."""
    first = next(csv.reader(f"{line.text}\n" for line in read_lines(path)), [])
    return [f"option {letter}" for letter in LETTERS[: max(len(first) - 2, 0)]]
