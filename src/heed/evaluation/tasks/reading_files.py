"""The published files of SQuAD, QuAC and DROP as plain rows: passage, question, answers, and what was asked before.

SQuAD 2 ``dev-v2.0.json`` (Rajpurkar et al. 2018), QuAC ``val_v0.2.json`` (Choi et al. 2018), DROP
``drop_dataset_dev.json`` (Dua et al. 2019). Any other file is read as rows of that form already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from heed.data.lines import read_document
from heed.errors import DataError
from heed.evaluation.tasks.reading import read_rows, shown

_FIELDS = {"passage": str, "question": str}


def reading_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with ``passage``, ``question``, ``answers``, and as published ``title``, ``id`` and ``history``.

    ``history`` holds what was asked about the passage before, each as question and first answer. The number is the
    line; in a published file of one object, the number of the question from 1.

    Raises:
        DataError: the file is missing or damaged, or is none of these; with the place.
    """
    document = _document(path)
    if document is None:
        yield from read_rows(path, _FIELDS)
        return
    found = _squad(path, document["data"]) if "data" in document else _drop(path, document)
    empty = True
    for number, row in enumerate(found, start=1):
        empty = False
        yield number, row
    if empty:
        raise DataError(f"{path}: holds no questions")


def _document(path: Path) -> Mapping[str, Any] | None:
    """The one JSON object that the file is, as published; None for rows."""
    if not path.name.removesuffix(".gz").endswith(".json"):
        return None
    try:
        document = read_document(path).value
    except DataError:
        return None  # rows, or damaged: reading the rows says where
    return None if "question" in document else document


def _squad(path: Path, articles: Any) -> Iterator[dict[str, Any]]:
    for article in _objects(path, "data", articles):
        title = str(article.get("title", "")).replace("_", " ")
        for paragraph in _objects(path, "paragraphs", article.get("paragraphs")):
            passage = _text(path, "context", paragraph)
            history: list[list[str]] = []
            for asked in _objects(path, "qas", paragraph.get("qas")):
                texts = [_text(path, "text", one) for one in _objects(path, "answers", asked.get("answers"))]
                answers = list(dict.fromkeys(texts)) if len(set(texts)) < 2 or "is_impossible" in asked else texts
                question = _text(path, "question", asked)
                yield {
                    "id": str(asked.get("id", "")),
                    "title": title,
                    "passage": passage.removesuffix("CANNOTANSWER").strip(),
                    "question": question,
                    "answers": [] if asked.get("is_impossible") else answers,
                    "history": list(history),
                }
                history.append([question, "" if asked.get("is_impossible") or not answers else answers[0]])


def _drop(path: Path, passages: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, entry in passages.items():
        if not isinstance(entry, Mapping) or "qa_pairs" not in entry:
            raise DataError(f"{path}: {name!r} is {shown(entry)}, expected an object with 'passage' and 'qa_pairs'")
        passage = _text(path, "passage", entry)
        for asked in _objects(path, "qa_pairs", entry["qa_pairs"]):
            given = [asked.get("answer"), *(asked.get("validated_answers") or [])]
            answers = [spans for one in given if isinstance(one, Mapping) and (spans := _drop_spans(one))]
            if answers:
                yield {
                    "id": str(asked.get("query_id", "")),
                    "passage": passage,
                    "question": _text(path, "question", asked),
                    "answers": answers,
                }


def _drop_spans(answer: Mapping[str, Any]) -> list[str]:
    """A number, a date as day, month and year, or spans."""
    if str(answer.get("number", "")):
        return [str(answer["number"])]
    spans = [str(one) for one in answer.get("spans") or []]
    date = answer.get("date")
    if spans or not isinstance(date, Mapping):
        return spans
    return [text] if (text := " ".join(str(date.get(part) or "") for part in ("day", "month", "year")).strip()) else []


def _objects(path: Path, name: str, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, Mapping) for one in value):
        raise DataError(f"{path}: field {name!r} is {shown(value)}, expected a list of objects")
    return list(value)


def _text(path: Path, name: str, value: Mapping[str, Any]) -> str:
    if not isinstance(value.get(name), str):
        raise DataError(f"{path}: field {name!r} is {shown(value.get(name))}, expected text")
    return str(value[name])
