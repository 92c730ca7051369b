"""What is frozen stays as it is, and says what it was made from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from heed.data.formats import heed as heed_format
from heed.data.readers import read
from heed.errors import DataError
from heed.records import Completion, Demonstration, Labeler, Message, Prompt, Ranking, Rating
from heed.store import Store
from heed.store.lines import as_json

PROMPT = Prompt(
    messages=(Message(role="system", content="be kind"), Message(role="user", content="wie geht's? 🙂")),
    source="s", category="chat", user="u", split="valid", meta={"b": [1, {"z": 1, "a": None}], "a": 0.1},
)  # fmt: skip
ANSWERS = (
    Completion(text="gut", token_ids=(1, 2), logprobs=(-0.1, -2.5), stop="eos", policy="sft", meta={"k": True}),
    Completion(text="", policy="sft"),
    Completion(text="gut", token_ids=(1, 2), logprobs=(-0.1, -2.5), stop="eos", policy="sft", meta={"k": True}),
)
RANKING = Ranking(prompt=PROMPT, completions=ANSWERS, tiers=(0, 1, 0), labeler="ann")
DEMONSTRATION = Demonstration(prompt=PROMPT, completion=ANSWERS[0], labeler="")
RATING = Rating(prompt=PROMPT, completion=ANSWERS[0], overall=7, flags={"sexual": False, "a": True}, labeler="ann")


@pytest.fixture(autouse=True)
def _work(store: Store) -> None:
    store.add_labelers([Labeler(id="ann")])
    store.add_rankings([RANKING])
    store.add_demonstrations([DEMONSTRATION])
    store.add_ratings([RATING])


def test_an_export_says_what_it_holds_and_its_hash_covers_both_files(store: Store, tmp_path: Path) -> None:
    export = store.freeze_export("rankings", tmp_path, store.rankings())
    manifest_bytes = export.path.with_name("manifest.json").read_bytes()
    manifest = json.loads(manifest_bytes)
    assert export.rows == manifest["rows"] == 1
    assert export.hash == hashlib.sha256(manifest_bytes).hexdigest()
    assert manifest["sha256"] == hashlib.sha256(export.path.read_bytes()).hexdigest()
    assert manifest["forms"] == [{"name": "ranking", "version": 1}]
    assert export.path == tmp_path / export.hash[:16] / "data.jsonl"


def test_freezing_again_gives_the_same_bytes_and_the_same_export(store: Store, tmp_path: Path) -> None:
    first = store.freeze_export("rankings", tmp_path / "a", store.rankings())
    assert store.freeze_export("rankings", tmp_path / "a", store.rankings()) == first
    again = store.freeze_export("rankings", tmp_path / "b", [RANKING])
    assert (again.hash, again.path.read_bytes()) == (first.hash, first.path.read_bytes())
    assert store.counts()["exports"] == 1


def test_a_damaged_export_is_written_anew(store: Store, tmp_path: Path) -> None:
    export = store.freeze_export("rankings", tmp_path, [RANKING])
    whole = export.path.read_bytes()
    export.path.write_bytes(whole[:-5])
    store.freeze_export("rankings", tmp_path, [RANKING])
    assert export.path.read_bytes() == whole


def test_other_records_give_another_export(store: Store, tmp_path: Path) -> None:
    first = store.freeze_export("rankings", tmp_path, [RANKING])
    other = Ranking(prompt=PROMPT, completions=ANSWERS, tiers=(1, 0, 1), labeler="ann")
    store.add_rankings([other])
    assert store.freeze_export("rankings", tmp_path, [RANKING, other]).hash != first.hash


@pytest.mark.parametrize(
    ("kind", "record"),
    [("prompts", PROMPT), ("demonstrations", DEMONSTRATION), ("rankings", RANKING), ("ratings", RATING)],
)
def test_an_export_reads_back_as_the_same_records(store: Store, tmp_path: Path, kind: str, record: object) -> None:
    export = store.freeze_export(kind, tmp_path, [record])  # type: ignore[arg-type,list-item]
    assert list(read("heed", export.path)) == [record]


@pytest.mark.parametrize("record", [PROMPT, DEMONSTRATION, RANKING, RATING])
def test_the_lines_are_those_of_heeds_own_format(record: Prompt | Demonstration | Ranking | Rating) -> None:
    assert list(as_json(record).items()) == list(heed_format.as_json(record).items())


def test_what_cannot_be_frozen_is_refused(store: Store, tmp_path: Path) -> None:
    unknown = Ranking(prompt=PROMPT, completions=ANSWERS, tiers=(0, 0, 0), labeler="ann")
    with pytest.raises(DataError, match=f"1 of 2 rankings are not in the store, the first for prompt {PROMPT.id}"):
        store.freeze_export("rankings", tmp_path, [RANKING, unknown])
    with pytest.raises(DataError, match="there are no rankings to export"):
        store.freeze_export("rankings", tmp_path, [])
    with pytest.raises(DataError, match="record 2 is a Demonstration, expected rankings only"):
        store.freeze_export("rankings", tmp_path, [RANKING, DEMONSTRATION])
    with pytest.raises(DataError, match="cannot export 'pairs'"):
        store.freeze_export("pairs", tmp_path, [RANKING])  # type: ignore[arg-type]
    assert list(tmp_path.glob("*/data.jsonl")) == []


def test_numbers_that_json_does_not_have_are_refused(store: Store, tmp_path: Path) -> None:
    odd = Demonstration(prompt=PROMPT, completion=Completion(text="x", token_ids=(1,), logprobs=(float("-inf"),)))
    store.add_demonstrations([odd])
    with pytest.raises(DataError, match="cannot be written as JSON"):
        store.freeze_export("demonstrations", tmp_path, [odd])
