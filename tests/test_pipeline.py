"""Stages run once for one set of inputs, in order, side by side where they may, and go on where they were stopped."""

from __future__ import annotations

import json
import threading
from functools import partial
from pathlib import Path

import pytest

import pipeline_works as works
from heed.config import RunConfig, override
from heed.errors import ConfigError, DataError, WorkspaceError
from heed.files import read_json
from heed.pipeline import Machine, Stage, fingerprints, run_recipe
from heed.runtime.progress import SilentProgress
from heed.store.workspace import Workspace

CPU = Machine(device="cpu", cores=1)
SILENT = SilentProgress()


def stage(name: str, *after: str, settings: tuple[str, ...] = ()) -> Stage:
    return Stage(name=name, title=name, work=partial(works.note, name=name), settings=settings, after=after)


def chain() -> list[Stage]:
    """collect -> sft -> ppo -> evaluate, each with settings of its own."""
    last = Stage(name="evaluate", title="Evaluation", work=works.evaluate, after=("ppo",))
    return [
        stage("collect", settings=("seed",)),
        stage("sft", "collect", settings=("sft",)),
        stage("ppo", "sft", settings=("ppo.kl_coef",)),
        last,
    ]


def run(workspace: Workspace, stages: list[Stage], *assignments: str, only: tuple[str, ...] = ()) -> list[str]:
    """Run, and return the names of the stages that really ran, in order."""
    (workspace.root / "ran.txt").write_text("")
    run_recipe(stages, override(RunConfig(), assignments), workspace, CPU, SilentProgress(), only)
    return (workspace.root / "ran.txt").read_text().split()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def test_what_depends_on_a_changed_setting_runs_again_and_nothing_else(workspace: Workspace) -> None:
    assert run(workspace, chain()) == ["collect", "sft", "ppo", "evaluate"]
    assert run(workspace, chain()) == []
    assert run(workspace, chain(), "ppo.kl_coef=0.7") == ["ppo", "evaluate"]
    assert run(workspace, chain(), "ppo.kl_coef=0.7", "ppo.epochs=3") == []
    results = read_json(workspace.root / "results.json")
    assert isinstance(results, dict)
    assert results["config"]["ppo"]["epochs"] == 3 and list(results["stages"]) == ["collect", "sft", "ppo", "evaluate"]
    assert (workspace.root / "report.html").exists()
    assert json.loads((workspace.root / "config.json").read_text())["hash"] == results["config_hash"]


def test_a_part_of_the_loop_needs_what_comes_before_it(workspace: Workspace) -> None:
    with pytest.raises(ConfigError) as caught:
        run(workspace, chain(), only=("ppo",))
    assert str(caught.value).startswith("stage 'ppo' needs sft, not run with these settings yet; run everything once")
    assert run(workspace, chain(), only=("collect", "sft")) == ["collect", "sft"]
    assert run(workspace, chain(), only=("ppo",)) == ["ppo"]
    with pytest.raises(ConfigError) as caught:
        run(workspace, chain(), only=("pppo",))
    assert str(caught.value) == (
        "there is no stage 'pppo'; stages are collect, sft, ppo, evaluate. Did you mean 'ppo'?"
    )


def test_a_killed_stage_says_so_and_goes_on_from_its_checkpoint(workspace: Workspace) -> None:
    stages = [Stage(name="evaluate", title="x", work=works.killed_the_first_time)]
    with pytest.raises(WorkspaceError, match="the process of stage 'evaluate' was killed"):
        run(workspace, stages)
    record = workspace.runs_dir / "evaluate" / "stage.json"
    assert not record.exists()
    (workspace.runs_dir / "evaluate" / "results.json").write_text('{"win_rate": {}}')
    run(workspace, stages)
    assert json.loads(record.read_text())["figures"]["resumed"] is True
    assert not (workspace.runs_dir / "evaluate" / "checkpoints").exists()


def test_checkpoints_of_other_settings_are_not_gone_on_from(workspace: Workspace) -> None:
    stages = [Stage(name="evaluate", title="x", work=works.killed_the_first_time, settings=("seed",))]
    for seed in (0, 1):
        with pytest.raises(WorkspaceError):
            run(workspace, stages, f"seed={seed}")


def test_a_mistake_in_a_stage_is_raised_as_it_was(workspace: Workspace) -> None:
    with pytest.raises(DataError) as caught:
        run(workspace, [Stage(name="evaluate", title="x", work=works.mistaken)])
    assert str(caught.value) == "prompts.jsonl, line 3: no field 'text'"


def test_stages_that_do_not_depend_on_each_other_run_side_by_side(workspace: Workspace) -> None:
    pair = [
        Stage(name="a", title="a", work=partial(works.meet, name="a", other="b")),
        Stage(name="b", title="b", work=partial(works.meet, name="b", other="a")),
        Stage(name="evaluate", title="x", work=works.evaluate, after=("a", "b")),
    ]
    machine = Machine(device="cpu", cores=2)
    outcomes = run_recipe(pair, RunConfig(), workspace, machine, SilentProgress())
    assert {outcome.name for outcome in outcomes[:2]} == {"a", "b"} and outcomes[2].name == "evaluate"


def test_two_runs_at_once_in_one_workspace_are_refused(workspace: Workspace) -> None:
    go_on = workspace.root / "go-on"
    stages = [Stage(name="x", title="x", work=partial(works.waiting, path=go_on)), *chain()]
    first = threading.Thread(target=run, args=(workspace, stages), daemon=True)
    first.start()
    while not (workspace.root / "waiting").exists():
        first.join(0.05)
    with pytest.raises(WorkspaceError, match=r"in use by heed run sandbox \(process \d+ on .*\)\. Wait until"):
        run(workspace, chain())
    go_on.touch()
    first.join()


def test_a_fingerprint_depends_on_own_settings_and_on_what_comes_before() -> None:
    usual = fingerprints(chain(), RunConfig())
    changed = fingerprints(chain(), override(RunConfig(), ["sft.epochs=3"]))
    assert [name for name in usual if usual[name] != changed[name]] == ["sft", "ppo", "evaluate"]
    assert len(set(usual.values())) == 4


def test_the_faster_dtype_is_measured_once_and_then_kept(workspace: Workspace) -> None:
    """What was kept for another model does not count; what was kept for this one does, whatever is faster now."""
    small = ["model.hidden_size=16", "model.num_layers=1", "model.vocab_size=64"]
    machine = Machine(device="cpu", cores=1, dtype="auto")
    path = workspace.root / "dtype.json"
    path.write_text(json.dumps({"for": "another model", "dtype": "float16", "words": "", "ratio": -1.0}))

    def used(*assignments: str) -> object:
        run_recipe([stage("sft", settings=("sft",))], override(RunConfig(), assignments), workspace, machine, SILENT)
        record = read_json(workspace.runs_dir / "sft" / "stage.json")
        assert isinstance(record, dict)
        return record["figures"]["dtype"]

    (workspace.root / "ran.txt").write_text("")
    first = used(*small)
    kept = json.loads(path.read_text())
    assert kept["dtype"] == first and kept["ratio"] > 0
    other = "bfloat16" if first == "float32" else "float32"
    path.write_text(json.dumps(kept | {"dtype": other, "ratio": -1.0}))
    assert used(*small, "sft.epochs=2") == other and json.loads(path.read_text())["ratio"] == -1.0
