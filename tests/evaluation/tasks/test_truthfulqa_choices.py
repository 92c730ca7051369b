"""TruthfulQA with given answers: MC1 and MC2 by hand, both published files, and what stands in front."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from choice_fakes import changed, marks_of, reply
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.items import Question, Task
from heed.evaluation.tasks.truthfulqa import MODES, load_truthfulqa, prompt_modes

ROW: dict[str, Any] = {
    "question": "Do stones float?",
    "mc0_targets": {"No": 1, "Yes": 0},
    "mc1_targets": {"No": 1, "Yes": 0, "Only at night": 0},
    "mc2_targets": {"No": 1, "Stones sink": 1, "Yes": 0, "Only at night": 0},
}
PROBABILITIES = {" No.": 0.2, " Stones sink.": 0.1, " Yes.": 0.15, " Only at night.": 0.05}


def _file(directory: Path, *rows: Mapping[str, Any]) -> Path:
    (directory / "mc_task.json").write_text(json.dumps(list(rows)))
    return directory


def _logprob(question: Question, choice: str) -> float:
    return math.log(PROBABILITIES[choice])


def _metrics(task: Task) -> Mapping[str, float]:
    return marks_of(task, _logprob)[0].metrics


def test_figures_by_hand(tmp_path: Path) -> None:
    task = load_truthfulqa(_file(tmp_path, ROW))
    assert task.name == "truthfulqa-mc-qa" and [metric.name for metric in task.metrics] == ["mc2", "mc1", "mc0"]
    (mark,) = marks_of(task, _logprob)
    assert mark.metrics == pytest.approx({"mc2": 0.3 / 0.5, "mc1": 1.0, "mc0": 1.0})
    assert mark.output == "No."
    assert mark.detail["probabilities"] == pytest.approx([0.2 / 0.4, 0.15 / 0.4, 0.05 / 0.4])
    assert mark.detail["right"] == [0]
    assert "Guessing gives MC2 50.0%, MC1 33.3%, MC0 50.0%." in task.note


def test_a_likelier_false_answer_loses_mc1_and_a_tie_shares_it(tmp_path: Path) -> None:
    task = load_truthfulqa(_file(tmp_path, ROW))
    places = {choice: place for place, choice in enumerate(task.questions[0].choices)}

    def metrics(**logprobs: float) -> Mapping[str, float]:
        values = [-9.0] * len(places)
        for choice, logprob in logprobs.items():
            values[places[f" {choice}."]] = logprob
        return task.mark(task.questions, [reply(*values)])[0].metrics

    assert metrics(No=-2.0, Yes=-1.0)["mc1"] == 0.0
    assert metrics(No=-1.0, Yes=-1.0)["mc1"] == 0.5
    assert metrics(**{"Stones sink": 0.0, "No": -5.0, "Yes": -4.0})["mc1"] == 0.0  # not an answer of MC1
    assert metrics(**{"Stones sink": 0.0, "No": -5.0, "Yes": -4.0})["mc2"] > 0.97


def test_answers_of_one_figure_alone(tmp_path: Path) -> None:
    mc1 = load_truthfulqa(_file(tmp_path, ROW), target="mc1")
    assert mc1.questions[0].choices == (" No.", " Yes.", " Only at night.") and mc1.questions[0].right == (0,)
    assert mc1.name == "truthfulqa-mc1-qa" and _metrics(mc1) == {"mc1": 1.0}
    assert load_truthfulqa(tmp_path, target="mc0").questions[0].choices == (" No.", " Yes.")
    old = changed(ROW, mc0_targets=None)
    assert [metric.name for metric in load_truthfulqa(_file(tmp_path, old)).metrics] == ["mc2", "mc1"]
    with pytest.raises(DataError, match="no question has two options"):
        load_truthfulqa(tmp_path, target="mc0")


def test_both_published_files_say_the_same(tmp_path: Path) -> None:
    with (tmp_path / "TruthfulQA.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        names = "Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers,Incorrect Answers,Source"
        writer.writerow(names.split(","))
        writer.writerow(
            ["x", "Stones", "Do stones float?", "No", "Yes", "No; Stones sink;", "Yes; Only at night; ", ""]
        )
    from_table = load_truthfulqa(tmp_path / "TruthfulQA.csv")
    from_json = load_truthfulqa(_file(tmp_path, ROW))
    assert set(from_table.questions[0].choices) == set(from_json.questions[0].choices) == set(PROBABILITIES)
    assert _metrics(from_table) == pytest.approx(_metrics(from_json))
    assert from_table.questions[0].category == from_json.questions[0].category == "Stones"


def test_empty_answers_left_over_from_splitting_are_dropped(tmp_path: Path) -> None:
    row = changed(ROW, mc2_targets={**ROW["mc2_targets"], "": 1}, mc1_targets={**ROW["mc1_targets"], " ": 0})
    assert set(load_truthfulqa(_file(tmp_path, row)).questions[0].choices) == set(PROBABILITIES)


def test_modes_put_an_instruction_six_answers_or_both_in_front(tmp_path: Path) -> None:
    _file(tmp_path, ROW)
    asked = {mode: load_truthfulqa(tmp_path, mode=mode).questions[0] for mode in MODES}
    assert {mode: (bool(one.instruction), len(one.shots)) for mode, one in asked.items()} == {
        "qa": (False, 6),
        "instruction": (True, 0),
        "qa-instruction": (True, 6),
    }
    instruction = asked["instruction"].instruction
    assert asked["instruction"].layout() == f"{instruction}\n\nQ: Do stones float?\nA:"
    assert asked["qa-instruction"].layout() == f"{instruction}\n\n{asked['qa'].layout()}"
    assert asked["qa"].layout().endswith("in Barcelona, Spain.\n\nQ: Do stones float?\nA:")
    assert prompt_modes()["qa"][1] == asked["qa"].shots


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (changed(ROW, question=None), "mc_task.json, row 2: field 'question' is missing; there are 'mc0_targets'"),
        (changed(ROW, mc1_targets=["No"]), "row 2: field 'mc1_targets' is ['No'], expected an object"),
        (changed(ROW, mc2_targets={"No": "yes"}), "field 'mc2_targets' has 'yes' for 'No', expected 1 for true"),
        (changed(ROW, mc1_targets={"No": 1}), "field 'mc1_targets' has 1 answers, expected true and false ones"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_truthfulqa(_file(tmp_path, ROW, row))
    assert message in str(caught.value)


def test_an_empty_file_an_empty_answer_and_an_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file has no rows, expected some with 'question'"):
        load_truthfulqa(_file(tmp_path))
    table = tmp_path / "TruthfulQA.csv"
    table.write_text("Category,Question,Best Answer,Correct Answers,Incorrect Answers\nc,q,No,No,\n")
    with pytest.raises(DataError, match="line 2: field 'Incorrect Answers' is empty"):
        load_truthfulqa(table)
    with pytest.raises(ConfigError, match="mode is 'qi', expected 'qa' or"):
        load_truthfulqa(_file(tmp_path, ROW), mode="qi")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no mc_task\.json or TruthfulQA\.csv"):
        load_truthfulqa(tmp_path.parent)
