"""The speed bench measures what it says: real learners, equal work, peers that are missing named with the reason."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.speed.__main__ import main
from benchmarks.speed.compare import compare
from benchmarks.speed.environments import Environment, prepare
from benchmarks.speed.floor import ppo_floor, reward_floor
from benchmarks.speed.heed_side import KINDS
from benchmarks.speed.models import SIZES
from benchmarks.speed.works import (
    HEED,
    WORKS,
    Job,
    Side,
    UnequalWorkError,
    Work,
    check_equal,
    expected_length,
    in_dtype,
)

ROOT = Path(__file__).parents[2]
Facts = Mapping[str, float]


class Recorder:
    """Takes the place of a parent process: two turns, and what was said in them."""

    def __init__(self) -> None:
        self.told: list[tuple[float, Facts]] = []

    def done(self, amount: float, facts: Facts | None = None) -> None:
        self.told.append((amount, facts or {}))


def work_named(name: str) -> Work:
    return next(work for work in WORKS if work.name == name)


def heed_does(name: str, directory: Path, dtype: str = "float32") -> tuple[Job, list[tuple[float, Facts]]]:
    job = work_named(name).make(directory / "models", "nano", True, {})
    recorder = Recorder()
    settings = {**job.settings, **in_dtype(HEED, dtype).settings}
    KINDS[job.kind]({**asdict(job), "settings": settings, "turns": 2}, recorder, directory)
    assert len(recorder.told) == 2
    check_equal(job, {"Heed": [facts for _, facts in recorder.told]})
    return job, recorder.told


@pytest.mark.parametrize("name", ["generate", "generate-eos", "sharing"])
def test_heed_generates_what_was_asked_for(name: str, tmp_path: Path) -> None:
    job, told = heed_does(name, tmp_path)
    answers = job.settings["prompts"] * job.settings["n"]
    for amount, facts in told:
        assert facts["answers"] == answers
        assert amount == facts["tokens"]
        assert job.settings["p_eos"] or amount == answers * job.settings["new"]


def test_heed_learns_every_document_in_every_turn(tmp_path: Path) -> None:
    job, told = heed_does("sft", tmp_path)
    documents = job.data["documents"]
    for amount, facts in told:
        assert amount == sum(map(len, documents))
        assert facts["targets"] == amount - len(documents)
        assert facts["steps"] == job.settings["rows"] / job.settings["rows_per_step"]
    assert told[0][1]["loss"] == pytest.approx(told[1][1]["loss"], rel=1e-2)


def test_heed_learns_every_pair_of_a_ranking(tmp_path: Path) -> None:
    job, told = heed_does("reward-9", tmp_path)
    assert [amount for amount, _ in told] == [len(job.data["groups"]) * 36] * 2


@pytest.mark.parametrize("name", ["ppo", "ppo-eos"])
def test_heed_learns_from_every_episode(name: str, tmp_path: Path) -> None:
    job, told = heed_does(name, tmp_path)
    for amount, facts in told:
        assert amount == job.settings["episodes"]
        assert facts["steps"] == job.settings["epochs"]
        assert job.settings["p_eos"] or facts["tokens"] == amount * job.settings["response"]


@pytest.mark.parametrize("name", ["generate-eos", "sft", "reward-6", "ppo-eos"])
def test_heed_does_the_same_in_bfloat16(name: str, tmp_path: Path) -> None:
    job, narrow = heed_does(name, tmp_path / "narrow", "bfloat16")
    _, wide = heed_does(name, tmp_path / "wide")
    check_equal(job, {"bfloat16": [facts for _, facts in narrow], "float32": [facts for _, facts in wide]})


def test_only_heed_is_put_in_another_dtype() -> None:
    assert in_dtype(work_named("sft").other, "bfloat16") == work_named("sft").other
    assert in_dtype(HEED, "float32") == HEED
    unshared = in_dtype(work_named("sharing").other, "bfloat16")
    assert (unshared.name, unshared.settings) == ("Heed, unshared, bfloat16", {"share": False, "dtype": "bfloat16"})


def test_expected_length_is_what_sampling_gives() -> None:
    chance = random.Random(0)

    def sample() -> int:
        return next((n for n in range(1, 20) if chance.random() < 0.1), 20)

    lengths = [sample() for _ in range(20_000)]
    mean, deviation = expected_length(0.1, 20)
    assert statistics.mean(lengths) == pytest.approx(mean, abs=0.15)
    assert statistics.pstdev(lengths) == pytest.approx(deviation, abs=0.15)
    assert expected_length(0.0, 7) == (7, 0)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"steps": 3}, "differ in steps"),
        ({"targets": 90}, "differ in targets"),
        ({"loss": 2.1}, "other losses"),
        ({"tokens": 200}, "have 15.00 tokens on average, expected 10.00"),
    ],
)
def test_unequal_work_is_not_compared(facts: Facts, said: str) -> None:
    job = Job(kind="generate", settings={"p_eos": 0.0, "new": 10}, data={}, models={})
    same = {"steps": 4, "targets": 100, "loss": 2.0, "tokens": 100, "answers": 10}
    check_equal(job, {"Heed": [same, same], "other": [same, same]})
    with pytest.raises(UnequalWorkError, match=said):
        check_equal(job, {"Heed": [same, same], "other": [same, {**same, **facts}]} if "loss" not in facts else
                    {"Heed": [same], "other": [{**same, **facts}]})  # fmt: skip


def test_a_side_that_fails_is_absent_with_its_last_words(tmp_path: Path) -> None:
    work = replace(work_named("generate"), other=Side(name="Nobody", module="benchmarks.speed.peers.nobody"))
    here = prepare(tmp_path, [], index=None, lock=ROOT / "requirements.lock", tell=print)
    job = work.make(tmp_path / "models", "nano", True, {})
    found = compare(work, job, here, HEED, size="nano", threads=1, repeats=1, tell=print)
    assert "No module named benchmarks.speed.peers.nobody" in found.other.absent
    assert not found.heed.absent and found.ratios() == []
    assert found.heed.peak_mib > found.heed.start_mib > 50


def test_an_environment_that_cannot_be_made_is_absent_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = prepare(tmp_path / "file", ["trl", "vllm"], index=None, lock=ROOT / "requirements.lock", tell=print)
    assert found["trl"].absent.startswith("not installed: ") and found["vllm"].absent
    assert isinstance(found["heed"], Environment) and not found["heed"].absent


def test_the_table_names_what_was_measured_and_who_is_absent(tmp_path: Path) -> None:
    arguments = ["--quick", "--no-peers", "--size", "nano", "--repeats", "1", "--out", str(tmp_path)]
    assert main([*arguments, "--only", "sft"]) == 0
    [table] = tmp_path.glob("*.md")
    text = table.read_text()
    assert "TRL, bfd packing is absent: left out by --no-peers" in text
    [data] = tmp_path.glob("*.json")
    document = json.loads(data.read_text())
    [sft] = document["works"]
    assert sft["other"]["absent"] and sft["heed"]["rates_cpu"][0] > 0
    assert document["floor"]["gflops"] > 1 and document["commit"] and document["versions"]["heed"]["torch"]


def test_floors_by_hand() -> None:
    rates = {"gflops": 1.0, "gigabytes": 1.0}
    size = replace(SIZES["nano"], vocab=100)
    body, head = 2 * (4 * 32**2 + 3 * 32 * 64), 32 * 100
    assert (size.body, size.head) == (body, head)
    groups = {"groups": [{"prompt": [5] * 10, "answers": [[5] * 3, [5] * 7]}]}
    seconds, mib = reward_floor(size, groups, 1, rates)
    assert seconds * 1e9 == pytest.approx(6 * 20 * body / 2 + 28 * (body + head)), "one of two layers"
    assert mib * 2**20 == 16 * (body + head)
    settings = {"episodes": 1, "response": 2, "epochs": 1}
    seconds, mib = ppo_floor(size, settings, 3, rates)
    once = 3 * 2 * body / 2 + 2 * 2 * body  # the last of two layers only for the answer's two tokens
    forwards = 4 * once + 2 * 2 * 2 * head
    updates = 3 * (2 * once + 2 * 2 * head)
    moved = 2 * 4 * (2 * 2 * 32 * 4) + 2 * 4 * (body + head) + 28 * (2 * body + 3 * head)
    assert seconds * 1e9 == pytest.approx(forwards + updates + moved)
    assert mib * 2**20 == 4 * 5 * (2 * body + 3 * head)
