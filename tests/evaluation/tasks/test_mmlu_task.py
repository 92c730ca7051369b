"""MMLU: the layout, in both forms of files, shots of the same subject, and what is wrong with a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from choice_fakes import changed, marks_of, write_jsonl
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.mmlu import load_mmlu
from heed.evaluation.tasks.suite import Options, load_suite

ROW: dict[str, Any] = {"subject": "sea_birds", "question": "What?", "choices": ["a", "b", "c", "d"], "answer": "C"}


def _directory(path: Path, *test: dict[str, Any]) -> Path:
    dev = [changed(ROW, question=f"Example {number}?", answer="ABCD"[number % 4]) for number in range(5)]
    write_jsonl(path / "dev.jsonl", *dev, *(changed(row, subject="trees") for row in dev))
    write_jsonl(path / "test.jsonl", *(test or (ROW, changed(ROW, subject="trees", question="Where?", answer="B"))))
    return path


def test_the_layout(tmp_path: Path) -> None:
    task = load_mmlu(_directory(tmp_path), shots=2)
    assert task.name == "mmlu-2shot"
    assert task.questions[0].layout() == (
        "The following are multiple choice questions (with answers) about sea birds.\n\n"
        "Example 0?\nA. a\nB. b\nC. c\nD. d\nAnswer: A\n\n"
        "Example 1?\nA. a\nB. b\nC. c\nD. d\nAnswer: B\n\n"
        "What?\nA. a\nB. b\nC. c\nD. d\nAnswer:"
    )
    assert task.questions[0].choices == (" A", " B", " C", " D") and task.questions[0].right == (2,)
    assert [one.category for one in task.questions] == ["sea_birds", "trees"]
    assert len(load_mmlu(tmp_path).questions[0].shots) == 5
    assert not load_mmlu(tmp_path, shots=0).questions[0].shots


def test_the_published_tables_give_the_same(tmp_path: Path) -> None:
    _directory(tmp_path / "rows")
    for split, rows in (("test", [("What?", "C")]), ("dev", [(f"Example {n}?", "ABCD"[n % 4]) for n in range(5)])):
        for subject in ("sea_birds", "trees"):
            path = tmp_path / "tables" / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            asked = [("Where?", "B")] if (split, subject) == ("test", "trees") else rows
            path.write_text("".join(f'"{question}",a,b,c,d,{answer}\n' for question, answer in asked))
    assert load_mmlu(tmp_path / "tables").questions == load_mmlu(tmp_path / "rows").questions


def test_accuracy_over_questions_and_over_subjects(tmp_path: Path) -> None:
    rows = [changed(ROW, question=f"{number}?") for number in range(3)]
    task = load_mmlu(_directory(tmp_path, *rows, changed(ROW, subject="trees", answer="B")))
    marks = marks_of(task, lambda question, choice: -float(choice != " C"))
    assert [one.metrics["accuracy"] for one in marks] == [1.0, 1.0, 1.0, 0.0]
    (by_subject,) = (metric.statistic for metric in task.metrics if metric.name == "macro_accuracy")
    assert by_subject is not None and by_subject(marks) == 0.5


def test_questions_on_one_passage_are_one_cluster(tmp_path: Path) -> None:
    passage = "This question refers to the following information.\nOnce there was a gull."
    first, second = (changed(ROW, question=f"{passage}\n{asked}") for asked in ("Who was?", "What was?"))
    clusters = [one.cluster for one in load_mmlu(_directory(tmp_path, first, second, ROW)).questions]
    assert clusters[0] == clusters[1] != "" and clusters[2] == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed(ROW, answer=None), "test.jsonl, line 1: field 'answer' is missing; there are 'subject', 'question'"),
        (changed(ROW, answer="E"), "field 'answer' is 'E', expected a letter of ABCD"),
        (changed(ROW, answer=4), "field 'answer' is 4, expected a letter of ABCD"),
        (changed(ROW, answer=""), "field 'answer' is '', expected a letter of ABCD"),
        (changed(ROW, choices="abcd"), "field 'choices' is 'abcd', expected a list"),
        (changed(ROW, choices=["a"]), "field 'choices' holds 1, expected at least 2"),
        (changed(ROW, choices=["a", 3]), "field 'choices' holds 3, expected only text"),
        (changed(ROW, subject="fish"), "0 questions on 'fish' in dev, expected 5 or more; ask for fewer shots"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_mmlu(_directory(tmp_path, row))
    assert message in str(caught.value)


def test_files_that_are_empty_or_missing_and_too_many_shots(tmp_path: Path) -> None:
    _directory(tmp_path)
    (tmp_path / "test.jsonl").write_text("")
    with pytest.raises(DataError, match=r"test\.jsonl: the file has no rows"):
        load_mmlu(tmp_path)
    with pytest.raises(DataError, match=r"no val\.jsonl"):
        load_mmlu(tmp_path, split="val")
    with pytest.raises(ConfigError, match="shots is 6, expected 0 to 5"):
        load_mmlu(tmp_path, shots=6)
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match=r"no SUBJECT_val\.csv"):
        load_mmlu(tmp_path, split="val")


def test_the_suite_asks_by_letters_with_shots_that_are_no_test_questions(tmp_path: Path) -> None:
    _directory(tmp_path / "mmlu")
    tasks = load_suite(tmp_path, ["mmlu"], Options(shots=(3,), limit=1)).tasks
    assert [task.name for task in tasks] == ["mmlu-3shot", "mmlu-lettered-3shot", "mmlu-lettered-none-3shot"]
    for task in tasks[1:]:
        assert [shot.context.count("Example") for one in task.questions for shot in one.shots] == [1, 1, 1]
