"""The published files of SQuAD, QuAC and DROP are read as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heed.errors import DataError
from heed.evaluation.tasks.items import Reply
from heed.evaluation.tasks.reading_comprehension import load_reading_comprehension
from heed.evaluation.tasks.reading_files import reading_rows


def saved(path: Path, value: Any, indent: int | None = None) -> Path:
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    return path


SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Old_Town",
            "paragraphs": [
                {
                    "context": "The town has a mill.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "What has it?",
                            "is_impossible": False,
                            "answers": [{"text": "a mill", "answer_start": 13}, {"text": "a mill", "answer_start": 13}],
                        },
                        {
                            "id": "2",
                            "question": "Who is mayor?",
                            "is_impossible": True,
                            "answers": [],
                            "plausible_answers": [{"text": "mill", "answer_start": 15}],
                        },
                        {"id": "3", "question": "Where?", "is_impossible": False, "answers": [{"text": "town"}]},
                    ],
                }
            ],
        }
    ],
}


@pytest.mark.parametrize("indent", [None, 2])
def test_squad(tmp_path: Path, indent: int | None) -> None:
    saved(tmp_path / "dev-v2.0.json", SQUAD, indent)
    task = load_reading_comprehension(tmp_path)
    assert task.questions[2].context == (
        "Title: Old Town\n\nBackground: The town has a mill.\n\nQ: What has it?\n\nA: a mill\n\n"
        "Q: Who is mayor?\n\nA: Not in background.\n\nQ: Where?\n\nA:"
    )
    marks = task.mark(task.questions, [Reply(text="mill"), Reply(text="Not in background."), Reply(text="a mill")])
    assert [mark.metrics["f1"] for mark in marks] == [1.0, 1.0, 0.0]
    assert len({question.cluster for question in task.questions}) == 1


def test_quac_keeps_all_answers_for_the_majority(tmp_path: Path) -> None:
    texts = ["in 1990", "CANNOTANSWER", "CANNOTANSWER"]
    asked = {"id": "q", "question": "When?", "answers": [{"text": text} for text in texts]}
    value = {"data": [{"title": "X", "paragraphs": [{"context": "Born. CANNOTANSWER", "qas": [asked]}]}]}
    task = load_reading_comprehension(saved(tmp_path / "val_v0.2.json", value), mode="quac")
    assert "CANNOTANSWER" not in task.questions[0].context
    [mark] = task.mark(task.questions, [Reply(text="I don't know.")])
    assert mark.metrics["f1"] == 1.0


def test_drop(tmp_path: Path) -> None:
    date = {"number": "", "date": {"day": "", "month": "May", "year": "1990"}, "spans": []}
    pairs = [
        {
            "query_id": "1",
            "question": "How many?",
            "answer": {"number": "3", "date": {}, "spans": []},
            "validated_answers": [{"number": "4", "date": {}, "spans": []}],
        },
        {"query_id": "2", "question": "Who?", "answer": {"number": "", "date": {}, "spans": ["Ann", "Bo"]}},
        {"query_id": "3", "question": "When?", "answer": date},
    ]
    path = saved(tmp_path / "drop_dataset_dev.json", {"p1": {"passage": "P.", "qa_pairs": pairs}})
    task = load_reading_comprehension(path, mode="drop")
    assert [question.meta["answers"] for question in task.questions] == [
        [["3"], ["4"]],
        [["Ann", "Bo"]],
        [["May 1990"]],
    ]
    marks = task.mark(task.questions, [Reply(text="4"), Reply(text="Bo"), Reply(text="in May of 1990")])
    assert [mark.metrics["f1"] for mark in marks] == [1.0, 0.5, 0.67]


def test_rows_in_a_json_file_are_rows(tmp_path: Path) -> None:
    row = {"answers": ["a"], "passage": "P.", "question": "Q?"}
    lines = tmp_path / "a.json"
    lines.write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n")
    assert [value for _, value in reading_rows(lines)] == [row, row]
    assert [value for _, value in reading_rows(saved(tmp_path / "b.json", [row]))] == [row]
    assert [value for _, value in reading_rows(saved(tmp_path / "c.json", row))] == [row]
    (tmp_path / "d.json").write_text('{"data": [')
    with pytest.raises(DataError, match=r"d.json, line 1: not valid JSON"):
        list(reading_rows(tmp_path / "d.json"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"data": []}, "holds no questions"),
        ({"data": [{"paragraphs": [{"context": 3, "qas": []}]}]}, "field 'context' is 3, expected text"),
        ({"data": [{"paragraphs": "x"}]}, "field 'paragraphs' is 'x', expected a list of objects"),
        ({"p1": {"passage": "P."}}, "'p1' is .*expected an object with 'passage' and 'qa_pairs'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    path = saved(tmp_path / "a.json", value)
    with pytest.raises(DataError, match=message):
        load_reading_comprehension(path)
    rows = tmp_path / "h.jsonl"
    rows.write_text(json.dumps({"passage": "P", "question": "Q", "answers": "a", "history": [["q"]]}))
    with pytest.raises(DataError, match=r"h.jsonl, line 1: field 'history' holds \['q'\]"):
        load_reading_comprehension(rows)
