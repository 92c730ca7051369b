"""The loop on people's labels from end to end, tiny, by its commands: ask, answer, train, and train again."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from heed.cli.app import app
from heed.errors import ConfigError, DataError
from heed.feedback.collect import rank_with
from heed.files import read_json
from heed.recipes import find, stages_of
from heed.records import Completion, Demonstration
from heed.sandbox import World, crew
from heed.store import Workspace
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.priorities import Priorities

TINY = (
    "model.hidden_size=16", "model.num_layers=1", "model.num_heads=2", "pretrain.tokens=30000",
    "labeling.num_demonstrations=40", "labeling.num_ranked_prompts=20", "evaluation.num_prompts=10",
    "ppo.iterations=1", "ppo.prompts_per_round=8",
)  # fmt: skip
LABELS = (
    "sft.epochs=1", "sft.pretraining_coef=0.1", "ppo.iterations=1", "ppo.prompts_per_round=8", "ppo.minibatch=8",
    "ppo.max_new_tokens=8",
)  # fmt: skip


def heed(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def sets(assignments: tuple[str, ...]) -> list[str]:
    return [word for one in assignments for word in ("--set", one)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model from a workspace of its own."""
    root = tmp_path_factory.mktemp("base")
    only = [word for name in ("text", "base-start", "base") for word in ("--only", name)]
    heed("run", "sandbox", "-w", str(root), "-q", *only, *sets(TINY))
    return root / "models" / "base"


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a crew wrote and ranked, and everything was trained once."""
    root = tmp_path_factory.mktemp("labels") / "workspace"
    text = root.parent / "text.jsonl"
    world = World(0)
    text.write_text("".join(json.dumps({"text": one}) + "\n" for one in world.pretraining_text(20_000, seed=0)))
    heed("init", str(root))
    heed("run", "labels", "-w", str(root), "-q", "--set", f"base={base}", "--set", f"data={text}", *sets(LABELS),
         "--only", "text", "--only", "base")  # fmt: skip
    prompts, draw = world.prompts("train", 60, seed=0), random.Random(0)
    people = crew(world, seed=0)
    with Workspace.open(root).store() as store:
        store.add_prompts(prompts)
        store.add_labelers([one.labeler for one in people])
        said = [
            Demonstration(
                prompt=one, completion=Completion(text=world.demonstration(one, draw)), labeler=people[0].labeler.id
            )
            for one in prompts[:20]
        ]
        store.add_demonstrations(said, campaign="write")
    heed("train", "sft", "-w", str(root), "-q")
    heed(
        "ask", "round-1", "--form", "rank", "--model", "sft", "--answers", "3", "--max-new-tokens", "8", "-w", str(root)
    )
    with Workspace.open(root).store() as store:
        items = Priorities(store).open_items("round-1")
        for group in ("training", "heldout"):
            judges = [one for one in people if one.labeler.group == group]
            rankings = rank_with(judges, [one.prompt for one in items], [one.completions for one in items], seed=0)
            store.add_rankings(rankings, campaign="round-1")
    heed("train", "reward", "-w", str(root), "-q", "--learning-curve", "--set", "labels.reward_models=2")
    heed("train", "ppo", "-w", str(root), "-q")
    return root


def test_each_model_names_the_frozen_labels_it_learned_from(trained: Path) -> None:
    with Workspace.open(trained).store() as store:
        cards = {card.name: card for card in store.models()}
        assert {"base", "sft", "reward", "reward-2", "ppo-ptx"} <= cards.keys()
        assert cards["sft"].export_hash is not None and cards["reward"].export_hash is not None
        assert cards["ppo-ptx"].uses == ("reward",)
        trained_on = {one.labeler for one in store.lineage("reward").labelers}
        groups = {one.id: one.group for one in store.labelers()}
        assert {groups[one] for one in trained_on} == {"training"}, "nobody of the held-out group is behind it"


def test_accuracy_is_measured_on_prompts_kept_aside_and_on_heldout_labelers(trained: Path) -> None:
    report = read_json(trained / "runs" / "reward" / "accuracy.json")
    assert isinstance(report, dict)
    for name in ("validation", "heldout"):
        assert 0 <= report[name]["low"] <= report[name]["value"] <= report[name]["high"] <= 1
        assert report[name]["n"] > 0
    assert report["validation"]["n"] == sum(one["n"] for one in report["by_labeler"].values() if one)
    curve = read_json(trained / "runs" / "reward-curve" / "curve.json")
    assert isinstance(curve, dict)
    assert len(curve["points"]) == 3 and "points" in curve["verdict"]
    assert not (trained / "runs" / "reward-curve" / "arms.json").exists(), "nobody chose items here"


def test_the_same_labels_are_learned_from_once(trained: Path) -> None:
    assert "sft: unchanged" in heed("train", "sft", "-w", str(trained), "-q")
    assert "reward: unchanged" in heed("train", "reward", "-w", str(trained), "-q")


def test_the_same_question_is_asked_once(trained: Path) -> None:
    more = ("--model", "sft", "--answers", "3", "--max-new-tokens", "8", "-w", str(trained), "--json")
    with Workspace.open(trained).store() as store:
        before = Campaigns(store).totals("round-1").total
    found = json.loads(heed("ask", "round-1", *more))
    assert (found["added"], found["total"]) == (0, before)


def test_items_on_which_the_models_differ_come_first(trained: Path) -> None:
    words = ("--reward-model", "reward", "--reward-model", "reward-2", "-w", str(trained), "--json")
    counts = json.loads(heed("prioritize", "round-1", *words))
    assert counts["ensemble"] > 0 and counts["random"] > 0
    with pytest.raises(DataError, match="two or more"):
        heed("prioritize", "round-1", "--reward-model", "reward", "-w", str(trained))


def test_more_labels_are_learned_from_anew(trained: Path) -> None:
    world = World(0)
    prompt = world.prompts("train", 61, seed=0)[-1]
    with Workspace.open(trained).store() as store:
        writer = store.labelers()[0].id
        one = Demonstration(prompt=prompt, completion=Completion(text="It is so."), labeler=writer)
        store.add_demonstrations([one], campaign="write-2")
    assert "sft: demonstrations 21" in heed("train", "sft", "-w", str(trained), "-q")


def test_what_is_missing_is_said(tmp_path: Path, base: Path) -> None:
    with pytest.raises(ConfigError, match="--set base="):
        stages_of(find("labels").config())
    root = tmp_path / "w"
    heed("run", "labels", "-w", str(root), "-q", "--set", f"base={base}", "--only", "text", "--only", "base")
    with pytest.raises(DataError, match="no demonstrations to learn from yet"):
        heed("train", "sft", "-w", str(root), "-q")
    with pytest.raises(DataError, match="no rankings to learn from yet in round-9"):
        heed("train", "reward", "-w", str(root), "-q", "--campaign", "round-9")
    with pytest.raises(DataError, match="say what it asks with --form"):
        heed("ask", "new", "-w", str(root))
    with pytest.raises(DataError, match="no prompts of the split 'train'"):
        heed("ask", "new", "--form", "write", "-w", str(root))
