"""From a model back to the people, from a person forward to the models."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from heed import __version__
from heed.errors import DataError, WorkspaceError
from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.store import Store

PROMPTS = [Prompt.from_text(f"q{i}") for i in range(6)]
ANSWERS = (Completion(text="a", policy="sft"), Completion(text="b", policy="sft"))


@pytest.fixture(autouse=True)
def _loop(store: Store, tmp_path: Path) -> None:
    """base -> sft (demonstrations by dora) -> reward (rankings by ann and bo) -> ppo (prompts), and other <- bo."""
    store.add_labelers([Labeler(id=name, kind="simulated") for name in ("ann", "bo", "dora", "idle")])
    store.add_demonstrations([Demonstration(prompt=PROMPTS[0], completion=Completion(text="x"), labeler="dora")])
    store.add_rankings(
        [
            Ranking(prompt=prompt, completions=ANSWERS, tiers=(0, 1), labeler=name)
            for prompt, name in zip(PROMPTS[1:4], ("ann", "bo", "ann"), strict=True)
        ]
    )
    store.add_prompts(PROMPTS)
    rankings = store.rankings()
    demonstrations = store.freeze_export("demonstrations", tmp_path, store.demonstrations())
    everything = store.freeze_export("rankings", tmp_path, rankings)
    ann_only = store.freeze_export("rankings", tmp_path, [one for one in rankings if one.labeler == "ann"])
    drawn = store.freeze_export("prompts", tmp_path, PROMPTS[4:])
    store.register_model("sft", "gpt2", demonstrations.hash, "c0", {"loss": 1.5})
    store.register_model("reward", "sft", everything.hash, "c1")
    store.register_model("other", "sft", ann_only.hash, "c1")
    store.register_model("ppo", "sft", drawn.hash, "c2", stage="ppo", uses=["reward"])


def test_a_policy_leads_back_to_all_it_was_made_from(store: Store) -> None:
    lineage = store.lineage("ppo")
    assert [card.name for card in lineage.models] == ["ppo", "sft", "reward", "gpt2"]
    assert [card.kind for card in lineage.exports] == ["demonstrations", "rankings", "prompts"]
    assert [(one.labeler, one.responses) for one in lineage.labelers] == [("ann", 2), ("bo", 1), ("dora", 1)]
    assert {one.kind for one in lineage.labelers} == {"simulated"}
    assert lineage.num_prompts == 6
    ppo = lineage.models[0]
    assert (ppo.parent, ppo.uses, ppo.config_hash, ppo.stage) == ("sft", ("reward",), "c2", "ppo")
    assert ppo.code_version == __version__
    assert lineage.models[1].metrics == {"loss": 1.5}
    json.dumps(lineage.as_json())


def test_a_person_leads_forward_to_all_that_must_be_rebuilt(store: Store) -> None:
    assert store.dependents("bo").models == ("reward", "ppo")
    assert store.dependents("ann").models == ("reward", "other", "ppo")
    assert store.dependents("dora").models == ("sft", "reward", "other", "ppo")
    assert [card.rows for card in store.dependents("ann").exports] == [3, 2]
    idle = store.dependents("idle")
    assert (idle.models, idle.exports) == ((), ())
    json.dumps(store.dependents("bo").as_json())


def test_what_a_withdrawn_labeler_said_is_no_longer_read_but_stays_in_the_lineage(store: Store) -> None:
    gone = store.withdraw_labeler("ann")
    assert gone.models == ("reward", "other", "ppo")
    assert [one.labeler for one in store.rankings()] == ["bo"]
    assert store.counts()["rankings"] == 1
    shares = {one.labeler: one.withdrawn for one in store.lineage("ppo").labelers}
    assert shares == {"ann": True, "bo": False, "dora": False}
    assert store.withdraw_labeler("ann") == gone  # once more changes nothing


def test_training_again_replaces_the_card(store: Store) -> None:
    store.register_model("ppo", "sft", None, "c3")
    cards = {card.name: card for card in store.models()}
    assert (cards["ppo"].config_hash, cards["ppo"].uses, cards["ppo"].export_hash) == ("c3", (), None)
    assert len(store.models()) == 5
    assert store.dependents("bo").models == ("reward",)


def test_what_is_not_there_is_said_with_the_nearest_name(store: Store) -> None:
    with pytest.raises(WorkspaceError, match=r"no model 'rewrd' in this workspace.* Did you mean 'reward'"):
        store.lineage("rewrd")
    with pytest.raises(WorkspaceError, match=r"no labeler 'anne' in this workspace.* Did you mean 'ann'"):
        store.dependents("anne")
    with pytest.raises(WorkspaceError, match="no labeler 'zoe'"):
        store.withdraw_labeler("zoe")
    with pytest.raises(DataError, match="no export with hash 'abc'"):
        store.register_model("m", None, "abc")
    with pytest.raises(DataError, match="cannot be made from itself"):
        store.register_model("m", "m")
    assert "m" not in {card.name for card in store.models()}


def test_runs_are_entered_when_they_start_and_when_they_end(address: str) -> None:
    times = iter(datetime(2026, 1, 1, hour) for hour in range(3))
    with Store.open(address, clock=lambda: next(times)) as store:
        first = store.start_run("sandbox", {"seed": 0}, "c0")
        second = store.start_run("sandbox", {"seed": 1}, "c1")
        store.end_run(first, "failed", "no space left")
        runs = store.runs()
    assert [(run.id, run.state, run.message) for run in runs] == [
        (first, "failed", "no space left"),
        (second, "running", ""),
    ]
    assert (runs[0].started_at, runs[0].ended_at) == ("2026-01-01T00:00:00", "2026-01-01T02:00:00")
    assert (runs[1].config, runs[1].config_hash, runs[1].ended_at) == ({"seed": 1}, "c1", None)
