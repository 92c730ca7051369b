"""Published task files are read, and what is wrong with one is said with its line and field."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from heed.errors import DataError
from heed.evaluation.tasks.reading import Form, field_error, find_file, read_rows, texts_of

QUESTION = {"question": str, "answer": int}


def _file(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def _rows(path: Path, form: Form | None = None, **settings: Any) -> list[tuple[int, dict[str, Any]]]:
    return list(read_rows(path, QUESTION, form, **settings))


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.jsonl", '{"question": "q1", "answer": 4}\n\n{"question": "q2", "answer": 5}\n', [1, 3]),
        ("a.jsonl.gz", '{"question": "q1", "answer": 4}\n{"question": "q2", "answer": 5}\n', [1, 2]),
        ("a.json", '[{"question": "q1", "answer": 4},\n {"question": "q2", "answer": 5}]', [1, 2]),
        ("a.csv", "question,answer\nq1,4\nq2,5\n", [2, 3]),
        ("a.csv.gz", "\ufeffquestion,answer\r\nq1,4\r\nq2,5\r\n", [2, 3]),
        ("a.tsv", "question\tanswer\nq1\t4\nq2\t5\n", [2, 3]),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    rows = _rows(_file(tmp_path, name, text))
    assert [row for _, row in rows] == [{"question": "q1", "answer": 4}, {"question": "q2", "answer": 5}]
    assert [number for number, _ in rows] == lines


def test_rows_inside_a_document_and_tables_without_a_header(tmp_path: Path) -> None:
    document = _file(tmp_path, "a.json", '{"canary": "x",\n "rows": [{"question": "q1", "answer": 4}]}')
    assert _rows(document, "json", inside="rows") == [(1, {"question": "q1", "answer": 4})]
    bare = _file(tmp_path, "b.csv", "q1,4\n")
    assert _rows(bare, header=("question", "answer")) == [(1, {"question": "q1", "answer": 4})]


def test_a_quoted_line_break_is_part_of_its_row_and_a_tsv_has_no_quotes(tmp_path: Path) -> None:
    quoted = _file(tmp_path, "a.csv", 'question,answer\n"two\nlines",4\n"say ""hi""",5\n')
    assert _rows(quoted) == [(2, {"question": "two\nlines", "answer": 4}), (4, {"question": 'say "hi"', "answer": 5})]
    plain = _file(tmp_path, "a.tsv", 'question\tanswer\n"so he said\t4\n')
    assert _rows(plain) == [(2, {"question": '"so he said', "answer": 4})]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "a.jsonl: the file has no rows, expected some with 'question', 'answer'"),
        ("a.csv", "question,answer\n", "a.csv: the file has no rows"),
        ("a.jsonl", '{"question": "q", "answer": 1}\n{"questio": "q"}\n', "line 2: field 'question' is missing; there"),
        ("a.jsonl", '{"questio": "q", "answer": 1}', "Did you mean 'questio'"),
        ("a.jsonl", '{"question": 3, "answer": 1}', "line 1: field 'question' is 3, expected text"),
        ("a.jsonl", '{"question": "q", "answer": true}', "'answer' is True, expected a whole number"),
        ("a.jsonl", '{"question": "q", "answer": null}', "'answer' is None, expected a whole number"),
        ("a.jsonl", "[1, 2]", "line 1, item 1: expected a JSON object, got 1"),
        ("a.jsonl", '{"question": ', "line 1: not valid JSON"),
        ("a.csv", "question,answer\nq,1\nq\n", "line 3: 1 columns, expected 2: question, answer"),
        ("a.csv", "question,answer\nq,four\n", "line 2: field 'answer' is 'four', expected a whole number"),
        ("a.csv", 'question,answer\n"open,1\n', "line 2: not valid CSV (unexpected end of data)"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_field(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        _rows(_file(tmp_path, name, text))
    assert message in str(caught.value)


def test_a_list_of_texts_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert texts_of(path, 4, {"choices": ["a", "b"]}, "choices") == ["a", "b"]
    for row, message in (
        ({"choices": "ab"}, "line 4: field 'choices' is 'ab', expected a list"),
        ({"choices": ["a", 2]}, "field 'choices' holds 2, expected only text"),
        ({"choices": ["a"]}, "field 'choices' holds 1, expected at least 2"),
    ):
        with pytest.raises(DataError) as caught:
            texts_of(path, 4, row, "choices", least=2)
        assert message in str(caught.value)
    assert str(field_error(path, 4, "x", "is odd")).endswith("a.jsonl, line 4: field 'x' is odd")


def test_a_file_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no test\.jsonl or test\.csv \(plain or \.gz\).*there is nothing"):
        find_file(tmp_path, "test.jsonl", "test.csv")
    packed = _file(tmp_path, "test.csv.gz", "question,answer\n")
    assert find_file(tmp_path, "test.jsonl", "test.csv") == packed
    assert find_file(packed, "anything") == packed
    with pytest.raises(DataError, match=r"there is test\.csv\.gz"):
        find_file(tmp_path, "dev.jsonl")
    with pytest.raises(DataError, match=r"no such file or directory; expected a directory with dev\.jsonl"):
        find_file(tmp_path / "nowhere", "dev.jsonl")
