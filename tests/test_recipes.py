"""The recipes from end to end, tiny: every stage really runs and every file is there; nothing is said of quality."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heed.config import RunConfig, override
from heed.errors import ConfigError
from heed.files import read_json
from heed.pipeline import Machine, Outcome, Stage, fingerprints, run_recipe
from heed.recipes import NAMES, find, stages_of
from heed.runtime.progress import SilentProgress
from heed.store import Workspace

TINY = (
    "model.hidden_size=16",
    "model.num_layers=1",
    "model.num_heads=2",
    "pretrain.tokens=30000",
    "labeling.num_demonstrations=60",
    "labeling.num_ranked_prompts=40",
    "labeling.answers_per_prompt=3",
    "sft.epochs=1",
    "reward.epochs=1",
    "ppo.iterations=2",
    "ppo.prompts_per_round=16",
    "ppo.minibatch=8",
    "ppo.max_new_tokens=12",
    "evaluation.num_prompts=24",
)

TWO_ROUNDS = ("rounds=2", "ppo.stop_by=reward-heldout", "ppo.patience=1")


def run(config: RunConfig, root: Path, only: tuple[str, ...] = ()) -> list[Outcome]:
    workspace = Workspace.create(root)
    return run_recipe(stages_of(config), config, workspace, Machine(device="cpu", cores=2), SilentProgress(), only)


def tiny(recipe: str, *more: str) -> RunConfig:
    return override(find(recipe).config(), [*TINY, *more])


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run of two rounds."""
    root = tmp_path_factory.mktemp("sandbox")
    outcomes = run(tiny("sandbox", *TWO_ROUNDS), root)
    assert not any(outcome.skipped for outcome in outcomes)
    return root


def test_the_sandbox_leaves_every_figure_that_is_promised(sandbox: Path) -> None:
    results = read_json(sandbox / "results.json")
    assert isinstance(results, dict)
    models = {"base", "prompted", "sft", "ppo", "ppo_ptx", "blind", "kl_free", "ppo_ptx_round_1", "ppo_ptx_static"}
    for section in ("win_rate", "win_rate_greedy", "win_rate_controlled"):
        assert models <= results[section].keys()
        assert {"value", "low", "high", "n", "worse"} <= results[section]["blind"].keys()
    promised = {"accuracy_gold", "accuracy_labels", "accuracy_heldout_labelers", "noise_bound", "ece"}
    assert promised <= results["reward_model"].keys()
    assert {"base", "sft", "ppo", "ppo_ptx"} <= results["pretraining_loss"].keys()
    assert {"constraint", "hallucination", "rudeness"} <= results["rates"]["ppo_ptx"].keys()
    assert results["kl"]["sft"] == pytest.approx(0.0, abs=1e-4)
    assert {"forms", "observed", "extrapolation"} <= results["overoptimization"]["fits"]["best_of_n"].keys()
    assert all(one["holds"] for one in results["reward_model"]["invariance"].values())
    runs = {point["run"] for point in results["overoptimization"]["points"]}
    assert {"best_of_n", "ppo", "ppo_ptx", "kl_free"} <= runs
    assert results["stages"]["base-start"]["wall_seconds"] > 0 and results["stages"]["sft"]["tokens"] > 0
    assert results["peak_rss_mib"] > 0 and results["seed"] == 0 and results["config_hash"]


def test_the_report_shows_the_run(sandbox: Path) -> None:
    page = (sandbox / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page and "PPO-ptx" in page and "http-equiv" in page


def test_a_policy_leads_back_to_labelers_and_a_labeler_forward_to_it(sandbox: Path) -> None:
    with Workspace.open(sandbox).store() as store:
        people = [one.labeler for one in store.lineage("ppo-ptx-2").labelers]
        assert any(name.startswith("training-") for name in people)
        assert not any(name.startswith("heldout-") for name in people), "held-out labelers never train"
        someone = next(name for name in people if name.startswith("training-"))
        assert "ppo-ptx-2" in store.dependents(someone).models


def test_the_second_round_ranks_answers_of_the_first_rounds_policy(sandbox: Path) -> None:
    with Workspace.open(sandbox).store() as store:
        fresh = [one for one in store.rankings(max_round=2) if one.completions[0].policy == "ppo-ptx"]
        assert len({one.prompt.id for one in fresh}) == 20, "half of the 40 prompts"


def test_a_second_reward_model_checks_each_round_and_no_control(sandbox: Path) -> None:
    """It learned from other prompts than the one that is climbed, and chose the policy."""
    results = read_json(sandbox / "results.json")
    assert isinstance(results, dict)
    for number, name in (("", "ppo-ptx"), ("-2", "ppo-ptx-2"), ("-2", "ppo")):
        assert results["stages"][name]["kept_iteration"] < 2, "the best of two rounds, not what came after them"
        with Workspace.open(sandbox).store() as store:
            assert f"reward-heldout{number}" in {one.name for one in store.lineage(name).models}
    both = [results["stages"][name]["rankings"] for name in ("reward-2", "reward-heldout-2")]
    assert min(both) > 0 and sum(both) == results["stages"]["rank-round-1"]["rankings"] * 2
    assert results["stages"]["ppo-blind"]["stopped"] == results["stages"]["ppo-kl-free"]["stopped"] == ""
    assert "heldout_score" not in (sandbox / "runs" / "ppo-kl-free" / "metrics.jsonl").read_text()


@pytest.mark.parametrize("name", ["sandbox", "real"])
def test_the_model_that_stops_ppo_is_the_one_trained_for_it(name: str) -> None:
    config = find(name).config().model_copy(update={"data": "."})
    assert "reward-heldout" not in {stage.name for stage in stages_of(config)}
    checked = {stage.name: stage for stage in stages_of(override(config, ["ppo.stop_by=reward-heldout"]))}
    assert "reward-heldout" in checked["ppo-ptx"].after and "reward-heldout" in checked
    with pytest.raises(ConfigError, match=r"ppo\.stop_by is 'reward-judge', expected 'reward-heldout'"):
        stages_of(override(config, ["ppo.stop_by=reward-judge"]))


def test_labels_are_checked_by_a_model_from_another_seed() -> None:
    config = find("labels").config().model_copy(update={"base": "."})
    with pytest.raises(ConfigError, match=r"ppo\.stop_by is 'reward-2', expected none"):
        stages_of(override(config, ["ppo.stop_by=reward-2"]))
    several = override(config, ["ppo.stop_by=reward-2", "labels.reward_models=2"])
    assert "reward-2" in {stage.name: stage for stage in stages_of(several)}["ppo-ptx"].after


def test_running_again_runs_nothing(sandbox: Path) -> None:
    assert all(outcome.skipped for outcome in run(tiny("sandbox", *TWO_ROUNDS), sandbox))


def test_gold_is_read_by_the_evaluation_alone() -> None:
    """Nothing that trains, selects or stops is given the gold score: stages before the evaluation only watch it."""
    config = tiny("sandbox")
    for stage in stages_of(config):
        keywords = getattr(stage.work, "keywords", {})
        assert "gold" not in keywords
        assert keywords.get("watch") is None or stage.name.startswith("ppo")


@pytest.mark.parametrize("name", NAMES)
def test_the_stages_of_a_recipe_come_after_what_they_need(name: str) -> None:
    config = find(name).config().model_copy(update={"data": ".", "base": "." if name == "labels" else None})
    listed: list[Stage] = list(stages_of(config))
    seen: set[str] = set()
    for stage in listed:
        assert set(stage.after) <= seen, f"{stage.name} needs a later stage"
        seen.add(stage.name)
    assert len(seen) == len(listed) and fingerprints(listed, config).keys() == seen


def test_unknown_recipes_and_missing_data_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no recipe 'sandbx'.*Did you mean 'sandbox'\?"):
        find("sandbx")
    with pytest.raises(ConfigError, match="name it with --set data=DIR"):
        stages_of(tiny("real"))
    with pytest.raises(ConfigError, match="expects it in that directory"):
        run(tiny("real", f"data={tmp_path}"), tmp_path / "w")


def real_data() -> Path | None:
    for place in (os.environ.get("HEED_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if place and (Path(place) / "english-books").is_dir():
            return Path(place)
    return None


def test_real_data_from_books_to_report(tmp_path: Path) -> None:
    data = real_data()
    if data is None:
        pytest.skip("no real data here; HEED_DATA names its directory")
    small = ("model.vocab_size=600", "model.context=256", "evaluation.num_prompts=12", "pretrain.tokens=60000")
    run(tiny("real", f"data={data}", *small), tmp_path)
    results = read_json(tmp_path / "results.json")
    assert isinstance(results, dict)
    assert {"reward", "judge", "length_only", "bag_of_words"} <= results["reward_model_baselines"]["all"].keys()
    assert (tmp_path / "report.html").exists()
