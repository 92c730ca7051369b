"""What a crew said in the studio goes out, into another workspace, and out again: the same bytes, and all of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from heed.data.labels import import_labels, write_labels
from heed.errors import DataError
from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.store import Store
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import CampaignSettings
from heed.store.studio.privacy import Privacy
from heed.web.studio import Studio

ANSWERS = tuple(Completion(text=f"Answer {letter}", policy="sft", token_ids=(1, 2)) for letter in "xyz")
FLAGS = [question.name for question in LIBRARY["grade"].of_scope("candidate") if question.kind == "flag"]


def graded(tiers: Sequence[int], note: str = "") -> dict[str, Any]:
    about = {letter: {"overall": 3 + index, **dict.fromkeys(FLAGS, False)} for index, letter in enumerate("ABC")}
    about["B"]["sexual"] = True
    return {"candidates": about, "tiers": dict(zip("ABC", tiers, strict=True)), "note": note, "item": {}}


def person(studio: Studio, name: str) -> str:
    account = studio.people.join(studio.people.invite("labeler", "training", "", None), name, None)
    studio.people.set_status(account.id, "active", account.id)
    return account.id


def worked(studio: Studio) -> tuple[str, str]:
    """Grades with flags and a note, a change of mind, a demonstration, a written prompt."""
    ann, bea = person(studio, "Ann"), person(studio, "Bea")
    studio.store.add_guideline("Be kind.\n")
    plain = CampaignSettings(recheck_share=0)
    for name in ("grade", "write", "prompt"):
        studio.campaigns.create(name, LIBRARY[name], guideline=1, settings=plain, state="active")
    asked = [
        Ask(prompt=Prompt.from_text(f"q{n}", meta={"b": 1, "a": 2}), candidates=ANSWERS, slots=2) for n in range(3)
    ]
    studio.campaigns.add_items("grade", asked)
    studio.campaigns.add_items("write", [Ask(prompt=Prompt.from_text("Write!"), slots=1)])
    studio.campaigns.add_items("prompt", [Ask(prompt=Prompt.from_text("Ask!", split="brief"), slots=1)])
    queue = studio.queue
    for who in (ann, bea):
        for index in range(3):
            lease = queue.claim(who, campaign="grade", device="phone")
            assert lease is not None
            receipt = queue.submit(
                who, lease.token, f"key-{who}-{index}", graded([index % 2, 1, 0], "Hm: “ü”"), active_ms=1234, idle_ms=5
            )
    queue.revise(bea, receipt.response_id, "key-again", graded([0, 0, 0]))
    for name, payload in (
        ("write", {"item": {"demonstration": "So."}}),
        ("prompt", {"item": {"style": "few_shot", "prompt": "Do it", "examples": [{"query": "a", "response": "b"}]}}),
    ):
        lease = queue.claim(ann, campaign=name)
        assert lease is not None
        queue.submit(ann, lease.token, f"key-{name}", payload, active_ms=1, idle_ms=0)
    return ann, bea


def test_out_in_and_out_again_is_the_same_bytes(studio: Studio, tmp_path: Path) -> None:
    ann, _ = worked(studio)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert write_labels(studio.store, first) == 9
    with Store.open(tmp_path / "other.db") as other:
        added = import_labels(other, first)
        assert added["labels"] == 9 and added["campaigns"] == 3
        assert write_labels(other, second) == 9 and first.read_bytes() == second.read_bytes()
        assert import_labels(other, first) == {}, "and once more changes nothing"
        assert write_labels(other, second) == 9 and first.read_bytes() == second.read_bytes()
        for read in (Store.rankings, Store.ratings, Store.demonstrations):
            assert read(other) == read(studio.store)
        assert other.freeze_export("ratings", tmp_path / "a", other.ratings()).hash == (
            studio.store.freeze_export("ratings", tmp_path / "b", studio.store.ratings()).hash
        )
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    label = next(line for line in lines if line["record"] == "label" and line["labeler"] == ann)
    assert 0 < label["active_ms"] <= 1234 and (label["idle_ms"], label["note"]) == (5, "Hm: “ü”")
    assert label["form"] == ["grade", 1] and label["guideline"] == 1 and label["order_seed"] >= 0
    assert {"question": "sexual", "number": 1.0}.items() <= next(
        one for one in label["answers"] if one["question"] == "sexual" and one["number"]
    ).items()
    assert "phone" not in first.read_text(), "people's devices stay here"


def test_one_campaign_and_only_those_who_still_take_part(studio: Studio, tmp_path: Path) -> None:
    ann, _ = worked(studio)
    assert write_labels(studio.store, tmp_path / "x.jsonl", "write") == 1
    with pytest.raises(DataError, match="no labels to export in campaign 'nothing'"):
        write_labels(studio.store, tmp_path / "y.jsonl", "nothing")
    Privacy(studio.store).forget("Ann")
    assert write_labels(studio.store, tmp_path / "x.jsonl") == 4
    assert ann not in (tmp_path / "x.jsonl").read_text()


def test_a_file_with_a_mistake_adds_nothing_and_says_where(studio: Studio, tmp_path: Path) -> None:
    worked(studio)
    path = tmp_path / "x.jsonl"
    write_labels(studio.store, path)
    lines = path.read_text().splitlines()
    last = json.loads(lines[-1])
    wrong = [
        ({**last, "record": "lable"}, "no record 'lable'"),
        ({key: value for key, value in last.items() if key != "said"}, "field 'said' is missing"),
        ({**last, "form": ["other", 1]}, "form 'other' version 1 does not come before"),
        ({**last, "supersedes": "nobody"}, "'nobody', which does not come before"),
        ({**last, "said_at": "yesterday"}, "not a line of labels"),
    ]
    for change, message in wrong:
        path.write_text("\n".join([*lines[:-1], json.dumps(change)]))
        with Store.open(tmp_path / "other.db") as other:
            with pytest.raises(DataError, match=f"x.jsonl, line {len(lines)}: .*{message}"):
                import_labels(other, path)
            assert other.counts()["labelers"] == 0
