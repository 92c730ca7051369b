"""Toxicity of continuations: prompts from files, modes, several samples, and figures by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fakes import tiny_codec, tiny_lm
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.cache import Cache
from heed.evaluation.tasks.items import Failure, Reply
from heed.evaluation.tasks.model import LocalModel
from heed.evaluation.tasks.run import figure, run_task
from heed.evaluation.tasks.toxicity import load_toxicity, read_prompts


class Digits:
    """The number in a text, over ten; a text without one cannot be scored."""

    name = "digits"

    def describe(self) -> str:
        return "The number in the text."

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        digits = [[c for c in text if c.isdigit()] for text in texts]
        return [int(some[0]) / 10 if some else Failure("no digit") for some in digits]


def prompts(path: Path) -> Path:
    rows = [
        {"prompt": {"text": "He went", "toxicity": 0.1}, "continuation": {"text": "home"}},
        {"prompt": {"text": "They are", "toxicity": 0.8}},
        {"prompt": {"text": "So I", "toxicity": None}},
    ]
    (path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_prompts_are_read_from_every_form(tmp_path: Path) -> None:
    wanted = {"He went": 0.1, "They are": 0.8, "So I": None}
    assert read_prompts(prompts(tmp_path)) == wanted
    (tmp_path / "a.csv").write_text("text,toxicity\nHe went,0.1\nThey are,0.8\nSo I,\n")
    assert read_prompts(tmp_path / "a.csv") == wanted
    (tmp_path / "a.txt").write_text("He went\n\nThey are\nSo I\nHe went\n")
    assert read_prompts(tmp_path / "a.txt") == dict.fromkeys(wanted)


def test_bad_prompts_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for row, message in (
        ({"prompt": {"txt": "a"}}, r"a.jsonl, line 1: field 'prompt' is .*expected text, or an object with 'text'"),
        ({"prompt": {"text": "a", "toxicity": 1.5}}, "field 'toxicity' is 1.5, expected a number from 0 to 1"),
        ({"prompt": {"text": "a", "toxicity": "high"}}, "field 'toxicity' is 'high'"),
    ):
        path.write_text(json.dumps(row) + "\n")
        with pytest.raises(DataError, match=message):
            load_toxicity(path)
    (tmp_path / "a.txt").write_text("\n")
    with pytest.raises(DataError, match="has no prompts"):
        load_toxicity(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="mode is 'rude'"):
        load_toxicity(prompts(tmp_path), mode="rude")
    with pytest.raises(ConfigError, match="samples is 0"):
        load_toxicity(tmp_path, samples=0)


def test_the_modes_differ_only_in_what_stands_in_front(tmp_path: Path) -> None:
    layouts = {
        mode: load_toxicity(prompts(tmp_path), mode=mode).questions[0].layout()
        for mode in ("basic", "respectful", "biased")
    }
    assert layouts["basic"] == "He went"
    assert layouts["respectful"].endswith("\n\nHe went") and "respectful" in layouts["respectful"]
    assert layouts["biased"].endswith("\n\nHe went") and "biased" in layouts["biased"]


def test_marks_and_bands_by_hand(tmp_path: Path) -> None:
    task = load_toxicity(prompts(tmp_path), scorer=Digits())
    found = task.mark(task.questions, [Reply(text="home 3 times"), Reply(text="5"), Reply(text="")])
    assert [mark.metrics for mark in found] == [
        {"toxicity": 0.3, "toxic": 0.0, "words": 3.0},
        {"toxicity": 0.5, "toxic": 1.0, "words": 1.0},
        {"toxicity": 0.0, "toxic": 0.0, "words": 0.0},
    ]
    assert [mark.category for mark in found] == ["prompt toxicity 0 to .25", "prompt toxicity .75 on", ""]
    assert figure(task.metrics[0], found).value == pytest.approx(0.8 / 3)
    assert "The number in the text." in task.note


def test_a_failed_score_is_a_failed_question_and_nothing_else(tmp_path: Path) -> None:
    task = load_toxicity(prompts(tmp_path), scorer=Digits())
    found = task.mark(task.questions, [Reply(text="none"), Reply(text="4"), Reply(error="no server")])
    assert [(mark.error, mark.metrics.get("toxicity")) for mark in found] == [
        ("no score: no digit", None),
        ("", 0.4),
        ("no server", None),
    ]
    estimate = figure(task.metrics[0], found)
    assert (estimate.value, estimate.n) == (0.4, 1)


def test_the_worst_of_several_samples(tmp_path: Path) -> None:
    task = load_toxicity(prompts(tmp_path), scorer=Digits(), samples=2)
    assert len({question.id for question in task.questions}) == 6
    texts = {("He went", 0): "1", ("He went", 1): "7", ("They are", 0): "2", ("They are", 1): "4"}
    found = task.mark(
        task.questions,
        [Reply(text=texts.get((q.context, int(str(q.meta["draw"]))), "")) for q in task.questions],
    )
    by_name = {metric.name: figure(metric, found) for metric in task.metrics}
    assert by_name["toxicity"].value == pytest.approx((1 + 7 + 2 + 4) / 60)
    assert by_name["worst"].value == pytest.approx((0.7 + 0.4 + 0.0) / 3)
    assert by_name["ever"].value == pytest.approx(1 / 3)
    assert by_name["worst"].low < by_name["worst"].value < by_name["worst"].high


def test_a_model_that_samples_gives_different_continuations(tmp_path: Path) -> None:
    task = load_toxicity(prompts(tmp_path), samples=3)
    model = LocalModel(tiny_lm(), tiny_codec(), "tiny", "0", temperature=1.0)
    first = run_task(task, model, Cache(tmp_path / "cache.jsonl"))
    texts = {mark.id: mark.output for mark in first.marks}
    assert len(set(texts.values())) >= 8
    again = run_task(task, model, Cache(tmp_path / "cache.jsonl"))
    assert (first.cached, again.cached) == (0, 9)
    assert {mark.id: mark.output for mark in again.marks} == texts
    alone = model.write(task.questions[4:5])  # in other company the same
    assert alone[0].text == texts[task.questions[4].id]
