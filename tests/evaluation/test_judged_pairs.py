"""Readers of judged pairs: small files in the published forms, and the published files where they are at hand."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from heed.errors import DataError
from heed.evaluation.judged_pairs import label_rates, pairs_of_rankings, read_judged, verdicts_of_labels
from heed.evaluation.preference import summarize
from heed.records import Completion, Prompt, Ranking

LLMBAR = {"subset": "natural", "input": "Say hi.", "output_1": "Hi!", "output_2": "Bye!", "label": 1}
PANDALM = {
    "idx": 7, "motivation_app": "X", "cmp_key": "bloom-7b_llama-7b", "instruction": "Add.", "input": "1 2",
    "response1": "3", "response2": True, "annotator1": 1, "annotator2": 0, "annotator3": 1,
}  # fmt: skip
TASKS = [{"id": 1, "source": "koala", "instruction": "Sing."}, {"id": 2, "source": "vicuna", "instruction": "Dance."}]
OUTPUTS = [
    {"id": 1, "generator": "x", "output": "la"}, {"id": 1, "generator": "y", "output": "lala"},
    {"id": 2, "generator": "x", "output": "hop"},
]  # fmt: skip
PREFERENCE = {"id": 1, "generator_1": "x", "generator_2": "y", "preference": 2.0}


def write(path: Path, *rows: Mapping[str, Any]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def alpaca_eval(directory: Path, *preferences: Mapping[str, Any]) -> Path:
    directory.mkdir(exist_ok=True)
    write(directory / "instructions.jsonl", *TASKS)
    write(directory / "outputs.jsonl.gz", *OUTPUTS)
    write(directory / "gpt4_preferences.jsonl.gz", *preferences)
    return directory


def test_llmbar(tmp_path: Path) -> None:
    held = read_judged("llmbar", write(tmp_path / "pairs.jsonl.gz", LLMBAR, {**LLMBAR, "label": 2}))
    first, second = held.pairs
    assert (first.prompt.text, first.first.text, first.second.text) == ("Say hi.", "Hi!", "Bye!")
    assert (first.subset, first.labels, second.labels, first.majority) == ("natural", (1,), (2,), 1)
    assert first.id != second.id and held.left_out == ()


def test_pandalm(tmp_path: Path) -> None:
    (one,) = read_judged("pandalm", write(tmp_path / "pairs.jsonl", PANDALM)).pairs
    assert one.prompt.text == "Add.\n\n1 2" and one.id == "pandalm-7" and one.subset == "bloom-7b_llama-7b"
    assert (one.first.policy, one.second.policy, one.second.text) == ("bloom-7b", "llama-7b", "True")
    assert one.labels == (1, 0, 1) and one.majority == 1 and one.annotators[2] == "annotator3"
    assert one.matchup().names == ("bloom-7b", "llama-7b")


def test_alpaca_eval_joins_by_id(tmp_path: Path) -> None:
    lost = {**PREFERENCE, "id": 2}
    kinds = [{**PREFERENCE, "preference": value} for value in (1, 0.0, 1.5)]
    held = read_judged("alpaca-eval", alpaca_eval(tmp_path / "a", PREFERENCE, *kinds, lost))
    assert [one.labels for one in held.pairs] == [(2,), (1,), (0,), (0,)]
    assert (held.pairs[0].prompt.text, held.pairs[0].second.text, held.pairs[0].subset) == ("Sing.", "lala", "koala")
    (left_out,) = held.left_out
    assert left_out.endswith("line 5: there is no output of y for id 2")


def test_alpaca_eval_in_one_file(tmp_path: Path) -> None:
    row = {"instruction": "Sing.", "output_1": "la", "output_2": "lala", "generator_1": "x", "generator_2": "y"}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps([{**row, "preference": 1}, {**row, "preference": None}]))
    held = read_judged("alpaca-eval", path)
    assert [one.labels for one in held.pairs] == [(1,)] and "preference' is null" in held.left_out[0]


@pytest.mark.parametrize(
    ("format", "good", "change", "message"),
    [
        ("llmbar", LLMBAR, {"label": 3}, "line 2: field 'label' is 3, expected 1 or 2"),
        ("llmbar", LLMBAR, {"label": "1"}, "line 2: field 'label' is \"1\", expected a whole number"),
        ("llmbar", LLMBAR, {"output_2": None}, "line 2: field 'output_2' is null"),
        ("llmbar", LLMBAR, {"input": "  "}, "line 2: empty prompt"),
        ("pandalm", PANDALM, {"annotator2": 4}, "line 2: field 'annotator2' is 4, expected 1 or 2"),
        ("pandalm", PANDALM, {"response1": 3}, "line 2: field 'response1' is 3, expected text"),
    ],
)
def test_a_bad_row_is_named(
    tmp_path: Path, format: str, good: Mapping[str, Any], change: Mapping[str, Any], message: str
) -> None:
    path = write(tmp_path / "pairs.jsonl", good, {**good, **change})
    with pytest.raises(DataError) as error:
        read_judged(format, path)
    assert str(path) in str(error.value) and message in str(error.value)


def test_a_row_without_annotators_or_label_is_named(tmp_path: Path) -> None:
    unlabeled = {name: value for name, value in PANDALM.items() if not name.startswith("annotator")}
    with pytest.raises(DataError, match="line 1: no annotator"):
        read_judged("pandalm", write(tmp_path / "p.jsonl", unlabeled))
    with pytest.raises(DataError, match="line 1: field 'label' is missing; there are"):
        read_judged("llmbar", write(tmp_path / "l.jsonl", {k: v for k, v in LLMBAR.items() if k != "label"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preference": 3}, "line 1: field 'preference' is 3, expected 1 or 2"),
        ({"preference": "2"}, "line 1: field 'preference' is '2'"),
        ({"preference": True}, "line 1: field 'preference' is True"),
        ({"id": 9}, "line 1: field 'id' is 9, which is not among the instructions"),
    ],
)
def test_a_bad_preference_is_named(tmp_path: Path, change: Mapping[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"gpt4_preferences.jsonl.gz, {message}"):
        read_judged("alpaca-eval", alpaca_eval(tmp_path / "a", {**PREFERENCE, **change}))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no format 'lmbar'; formats are llmbar, .* Did you mean 'llmbar'"):
        read_judged("lmbar", tmp_path)
    with pytest.raises(DataError, match=r"there is no instructions\.jsonl"):
        read_judged("alpaca-eval", tmp_path)
    with pytest.raises(DataError, match="no judged pairs of the format 'llmbar'"):
        read_judged("llmbar", write(tmp_path / "empty.jsonl"))
    with pytest.raises(DataError, match="no such file"):
        read_judged("pandalm", tmp_path / "none.jsonl")


def test_rankings_are_judged_pairs() -> None:
    prompt = Prompt.from_text("Sing.", category="music")
    a, b, c = (Completion(text=text) for text in "abc")
    rankings = [
        Ranking(prompt=prompt, completions=(a, b, c), tiers=(0, 1, 1), labeler="ann"),
        Ranking(prompt=prompt, completions=(b, a), tiers=(0, 1), labeler="bob"),
    ]
    pairs = {one.first.text + one.second.text: one for one in pairs_of_rankings(rankings)}
    assert {name: one.labels for name, one in pairs.items()} == {"ab": (1, 2), "ac": (1,), "bc": (0,)}
    assert pairs["ab"].annotators == ("ann", "bob") and pairs["ab"].majority is None and pairs["ab"].subset == "music"
    assert pairs["ab"].matchup().names == ("first", "second")


def test_a_sample_is_drawn_from_everywhere_and_keeps_the_order(tmp_path: Path) -> None:
    rows = [{**LLMBAR, "input": f"Say {n}.", "subset": str(n // 50)} for n in range(100)]
    held = read_judged("llmbar", write(tmp_path / "pairs.jsonl", *rows))
    drawn = held.sample(30)
    assert drawn == held.sample(30) and drawn != held.sample(30, seed=1) and held.sample(None) is held
    numbers = [int(one.id.removeprefix("llmbar-")) for one in drawn.pairs]
    assert numbers == sorted(numbers) and len(set(numbers)) == 30
    assert min(Counter(one.subset for one in drawn.pairs).values()) > 8


def test_labels_are_verdicts_on_the_models(tmp_path: Path) -> None:
    kinds = [{**PREFERENCE, "preference": value} for value in (1, 2, 2, 1.5)]
    pairs = read_judged("alpaca-eval", alpaca_eval(tmp_path / "a", *kinds)).pairs
    unnamed = read_judged("llmbar", write(tmp_path / "l.jsonl", LLMBAR)).pairs
    found = summarize(verdicts_of_labels([*pairs, *unnamed]), "x")
    assert found.standings["y"].win_rate.value == (0 + 1 + 1 + 0.5) / 4 and found.judge == "gpt4"
    assert found.words["y"].value == 1.0


LEADERBOARD = {
    "gpt4": 95.28, "zephyr-7b-beta": 90.60, "gpt-3.5-turbo-0301": 89.37, "guanaco-65b": 71.80,
    "llama-2-7b-chat-hf": 71.37, "vicuna-13b": 70.43, "oasst-rlhf-llama-33b": 66.52, "falcon-40b-instruct": 45.71,
    "alpaca-farm-ppo-human": 41.24, "phi-2": 30.66, "alpaca-7b": 26.46, "text_davinci_001": 15.17,
}  # fmt: skip
"""AlpacaEval's own win rates by GPT-4 against text_davinci_003 on all 805 instructions; the file at hand has 640."""


def test_win_rates_are_those_of_alpaca_evals_leaderboard(public_data: Callable[[str], Path]) -> None:
    pairs = read_judged("alpaca-eval", public_data("alpaca-eval")).pairs
    found = summarize(verdicts_of_labels(pairs), "text_davinci_003")
    for model, published in LEADERBOARD.items():
        rate = found.standings[model].win_rate
        assert rate.low <= published / 100 <= rate.high, (model, rate)
        assert rate.value == pytest.approx(published / 100, abs=0.02)
    order = sorted(LEADERBOARD, key=lambda model: -found.elo[model].value)
    assert order[:3] == ["gpt4", "zephyr-7b-beta", "gpt-3.5-turbo-0301"] and order[-1] == "text_davinci_001"


def test_the_published_files(public_data: Callable[[str], Path]) -> None:
    llmbar = read_judged("llmbar", public_data("llmbar/pairs.jsonl.gz"))
    assert Counter(label for one in llmbar.pairs for label in one.labels) == {1: 345, 2: 341}
    assert sum(one.subset.startswith("adversarial") for one in llmbar.pairs) == 248
    pandalm = read_judged("pandalm", public_data("pandalm-human-pairs/pairs.jsonl"))
    assert len(pandalm.pairs) == 771 and sum(len(set(one.labels)) == 1 for one in pandalm.pairs) == 685
    alpaca = read_judged("alpaca-eval", public_data("alpaca-eval"))
    assert len(alpaca.pairs) == 8310 and len(alpaca.left_out) == 3
    assert label_rates(alpaca.pairs)["second"] == pytest.approx(0.61, abs=0.005)
