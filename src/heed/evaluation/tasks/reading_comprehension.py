"""Questions on a passage, answered in words of one's own: SQuAD 2, DROP, QuAC and files of the same form.

Rajpurkar et al. 2018, Dua et al. 2019, Choi et al. 2018, laid out as in InstructGPT appendix D. The published files, or
JSON lines or CSV with ``passage``, ``question``, ``answers``; optional ``title``, ``id``, ``category``, ``history``:
questions on the passage that were answered before, which stand in front as in InstructGPT's published prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from heed.errors import ConfigError
from heed.evaluation.tasks.choices import limited
from heed.evaluation.tasks.choosing import check_mode, examples_of
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Shot, Task, mark_each
from heed.evaluation.tasks.reading import check_field, field_error, find_file, shown
from heed.evaluation.tasks.reading_files import reading_rows
from heed.evaluation.tasks.text_metrics import drop_scores, exact_match, is_no_answer, quac_f1, token_f1
from heed.records import Json, content_id

MODES = ("squad", "drop", "quac")
"""Whose layout, and whose F1."""
NOT_THERE = "Not in background."
"""What a model is told to say where a passage holds no answer (``squad`` and ``quac``)."""
_INSTRUCTIONS = {
    "squad": "Answer each question using information in the preceding background paragraph. If there is not enough "
    f'information provided, answer with "{NOT_THERE}"',
    "quac": "Answer each question using information in the preceding background paragraph. If there is not enough "
    'information provided, answer with "I don\'t know."',
    "drop": "",
}


def load_reading_comprehension(
    file: str | Path,
    *,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    mode: str = "squad",
    examples: str | Path | None = None,
) -> Task:
    """Every row of the file as a question; questions on one passage are one cluster.

    Args:
        file: as published, or JSON lines, a JSON array or CSV, or the directory of the first. In rows ``answers`` is a
            text, a list of texts that are all right (none, or empty ones, where the passage holds no answer), or for
            ``drop`` a list of lists: the spans that make one answer.
        shots: rows in front of each question. InstructGPT uses 4 passages (2 for QuAC).
        limit: so many questions; all by default.
        seed: of the draws.
        mode: ``"squad"``, ``"drop"`` or ``"quac"``.
        examples: where the shots come from; needed when ``shots`` is not 0.

    Raises:
        DataError: a file is missing or damaged; with line and field.
        ConfigError: an unknown mode, or more shots than there are examples.
    """
    check_mode(mode, MODES)
    path = find_file(file, *_NAMES[mode])
    questions = [_question(path, number, row, mode) for number, row in reading_rows(path)]
    shown_shots: tuple[Shot, ...] = ()
    if shots:
        if examples is None:
            raise ConfigError(f"shots is {shots}, but there is no file of examples to take them from")
        source = find_file(examples)
        worked = [_question(source, number, row, mode) for number, row in reading_rows(source)]
        asked = {question.context for question in questions}
        fresh = [one for one in worked if one.context not in asked]
        shown_shots = tuple(
            Shot(context=one.context, answer=f" {one.references[0] if one.references else NOT_THERE}")
            for one in examples_of(fresh, shots, seed, "reading", mode)
        )
    return Task(
        name=f"{mode}-{shots}shot",
        title=f"Questions on a passage ({_TITLES[mode]}), {shots} examples",
        questions=limited([replace(one, shots=shown_shots) for one in questions], limit, seed),
        mark=partial(_mark, _METRICS[mode]),
        metrics=(
            Metric(name="f1", title="F1"),
            Metric(name="exact_match", title="exact match"),
            Metric(name="no_answer", title="says there is no answer", better="none"),
        ),
        group="Reading",
        source=_SOURCES[mode],
        note="the first line of the answer, against the reference it fits best",
    )


_NAMES = {"squad": ("dev-v2.0.json",), "drop": ("drop_dataset_dev.json",), "quac": ("val_v0.2.json",)}
_TITLES = {"squad": "SQuAD 2", "drop": "DROP", "quac": "QuAC"}
_SOURCES = {"squad": "Rajpurkar et al. 2018", "drop": "Dua et al. 2019", "quac": "Choi et al. 2018"}


def _question(path: Path, number: int, row: Mapping[str, Any], mode: str) -> Question:
    answers = _answers(path, number, row, mode)
    title = row.get("title") or ""
    if not isinstance(title, str):
        raise field_error(path, number, "title", f"is {shown(title)}, expected text")
    return Question(
        id=str(row.get("id") or content_id(row["passage"], row["question"])),
        cluster=content_id(row["passage"]),
        context=_layout(title, row["passage"].strip(), _history(path, number, row), row["question"].strip(), mode),
        kind="generate",
        instruction=_INSTRUCTIONS[mode],
        references=tuple(", ".join(spans) for spans in answers),
        max_new_tokens=48,
        category=str(row.get("category") or ""),
        meta={"answers": answers},
    )


def _layout(title: str, passage: str, history: Sequence[tuple[str, str]], question: str, mode: str) -> str:
    """As the prompts of InstructGPT's published samples."""
    if mode == "drop":
        return f"Passage: {passage}\nQuestion: {question}\nAnswer:"
    named = f"Title: {title}\n\n" if title else ""
    before = "".join(f"Q: {asked}\n\nA: {answer}\n\n" for asked, answer in history)
    return f"{named}Background: {passage}\n\n{before}Q: {question}\n\nA:"


def _history(path: Path, number: int, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    given = row.get("history") or []
    for pair in given if isinstance(given, list) else [given]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            raise field_error(path, number, "history", f"holds {shown(pair)}, expected pairs of question and answer")
    return [(asked.strip(), NOT_THERE if is_no_answer(answer) else answer.strip()) for asked, answer in given]


def _answers(path: Path, number: int, row: Mapping[str, Any], mode: str) -> list[list[str]]:
    check_field(path, number, row, "answers", (str, list))
    given = row["answers"]
    found = [given] if isinstance(given, str) else given
    answers = [[one] if isinstance(one, str) else one for one in found]
    for spans in answers:
        if not isinstance(spans, list) or not spans or not all(isinstance(one, str) for one in spans):
            raise field_error(path, number, "answers", f"holds {shown(spans)}, expected text or a list of texts")
        if len(spans) > 1 and mode != "drop":
            raise field_error(path, number, "answers", "holds a list inside a list, which only the mode drop knows")
    if mode == "drop" and not answers:
        raise field_error(
            path, number, "answers", "is empty, expected at least one: DROP has no unanswerable questions"
        )
    return answers


Measures = Callable[[str, Sequence[Sequence[str]]], Mapping[str, float]]


def squad_metrics(text: str, answers: Sequence[Sequence[str]]) -> Mapping[str, float]:
    """``f1`` and ``exact_match`` of SQuAD 2."""
    flat = [spans[0] for spans in answers]
    return {"f1": token_f1(text, flat), "exact_match": exact_match(text, flat)}


def quac_metrics(text: str, answers: Sequence[Sequence[str]]) -> Mapping[str, float]:
    """``f1`` of QuAC, and ``exact_match``."""
    flat = [spans[0] for spans in answers]
    return {"f1": quac_f1(text, flat), "exact_match": exact_match(text, flat)}


def drop_metrics(text: str, answers: Sequence[Sequence[str]]) -> Mapping[str, float]:
    """``f1`` and ``exact_match`` of DROP."""
    exact, f1 = drop_scores(text, answers)
    return {"f1": f1, "exact_match": exact}


_METRICS: Mapping[str, Measures] = {"squad": squad_metrics, "drop": drop_metrics, "quac": quac_metrics}


def _mark(measures: Measures, questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    def metrics(question: Question, reply: Reply) -> Mapping[str, float]:
        return {**measures(reply.text, _spans(question)), "no_answer": float(is_no_answer(reply.text))}

    return mark_each(questions, replies, metrics)


def _spans(question: Question) -> list[list[str]]:
    answers: Json = question.meta["answers"]
    assert isinstance(answers, Sequence)
    return [[str(one) for one in spans] for spans in answers if isinstance(spans, Sequence)]
