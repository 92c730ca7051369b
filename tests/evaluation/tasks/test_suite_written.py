"""Written tasks from files of one's own: where the suite finds them, their shots, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.suite import Options, load_suite

ROWS = {
    "squad": {"passage": "The sky of {} is blue.", "question": "Which colour?", "answers": ["blue"]},
    "drop": {"passage": "There were {} points.", "question": "How many?", "answers": [["3"]]},
    "quac": {"passage": "He lived in {}.", "question": "Where?", "answers": ["there"]},
    "wmt15": {"source": "oui {}", "target": "yes {}"},
    "tldr": {"text": "A long post, {}.", "summary": "A post."},
    "cnn-dm": {"text": "A long article, {}.", "summary": "An article."},
}
NAMES = {"wmt15": "french-english"}


def made(directory: Path, name: str, split: str, count: int) -> None:
    place = directory / name
    place.mkdir(exist_ok=True)
    rows = [json.dumps(ROWS[name]).replace("{}", f"{split} {number}") for number in range(count)]
    (place / f"{split}.jsonl").write_text("\n".join(rows))


@pytest.mark.parametrize("name", ROWS)
def test_a_written_set_is_found_with_and_without_examples(name: str, tmp_path: Path) -> None:
    made(tmp_path, name, "dev", 3)
    made(tmp_path, name, "train", 5)
    stem = NAMES.get(name, name)
    bare, shown = load_suite(tmp_path, [stem], Options(shots=(0, 2))).tasks
    assert (bare.name, shown.name) == (f"{stem}-0shot", f"{stem}-2shot")
    assert [len(one.shots) for one in bare.questions] == [0, 0, 0]
    assert [len(one.shots) for one in shown.questions] == [2, 2, 2]
    assert all("train" in shot.context for one in shown.questions for shot in one.shots)


def test_examples_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    made(tmp_path, "tldr", "test", 3)
    assert [one.name for one in load_suite(tmp_path, ["tldr"], Options()).tasks] == ["tldr-0shot"]
    with pytest.raises(DataError, match=r"tldr: no train\.jsonl"):
        load_suite(tmp_path, ["tldr"], Options(shots=(2,)))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    made(tmp_path, "drop", "dev", 2)
    suite = load_suite(tmp_path, [], Options())
    assert [one.name for one in suite.tasks] == ["drop-0shot"]
    assert any(line.startswith("french-english: not measured, as there is no wmt15") for line in suite.left_out)
    with pytest.raises(ConfigError, match="has no task 'dorp'"):
        load_suite(tmp_path, ["dorp"], Options())
