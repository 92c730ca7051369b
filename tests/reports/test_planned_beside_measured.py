"""What was planned beside what was measured, in the report; and how a plan gets into a workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from heed.cli.plan import bring, keep
from heed.config import RunConfig, config_hash, override
from heed.reports.material import Material, read_workspace
from heed.reports.page import render
from heed.reports.tables import plan_rows
from heed.store.workspace import Workspace

STAGES = {
    "text": {"title": "Text", "wall_seconds": 20.0, "cpu_seconds": 10.0, "threads": 1, "peak_rss_mib": 500.0},
    "base": {"title": "Base", "wall_seconds": 3.0, "threads": 2, "peak_rss_mib": 400.0},
    "sft": {"title": "SFT", "wall_seconds": 50.0, "threads": 2, "peak_rss_mib": 700.0, "peak_device_mib": 200.0},
    "new": {"title": "Not planned", "wall_seconds": 1.0},
}


def planned(name: str, seconds: float, memory: float, perhaps: bool = False) -> dict[str, Any]:
    return {"name": name, "title": name, "seconds": seconds, "peak_mib": memory, "perhaps": perhaps}


PLAN = {
    "config_hash": "c",
    "machine": {"name": "A & B", "dtype": "float32"},
    "stages": [planned("text", 11.0, 450.0), planned("base", 60.0, 400.0, True), planned("sft", 40.0, 250.0)],
}


def test_a_stage_on_one_thread_is_compared_in_cpu_seconds_and_a_gpu_s_by_its_own_memory() -> None:
    rows = plan_rows(Material(results={"stages": STAGES}, plan=PLAN))
    assert [(row["name"], row["off"], row["off_memory"]) for row in rows] == [
        ("Text", "+10 %", "-10 %"),
        ("Base", "not needed", "+0 %"),
        ("SFT", "-20 %", "+25 %"),
    ]
    assert plan_rows(Material(results={"stages": STAGES})) == []


def test_the_page_shows_the_plan_of_the_same_settings_only(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"stages": STAGES, "config_hash": "c"}))
    assert "Planned and measured" not in render(read_workspace(tmp_path))
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    page = render(read_workspace(tmp_path))
    assert "Planned and measured" in page and "A &amp; B" in page and "not needed" in page
    for other in (json.dumps(PLAN | {"config_hash": "d"}), "[1]", "no JSON"):
        (tmp_path / "plan.json").write_text(other)
        assert "Planned and measured" not in render(read_workspace(tmp_path))


def test_a_run_brings_the_plan_of_its_settings_whatever_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    workspace = Workspace.create(tmp_path / "work")
    config, reseeded = RunConfig(), override(RunConfig(), ["seed=7"])
    bring(config, "float32", workspace)
    assert not (workspace.root / "plan.json").exists(), "nobody planned it"
    keep(config, "float32", PLAN)
    bring(reseeded, "float32", workspace)
    found = json.loads((workspace.root / "plan.json").read_text())
    assert found == PLAN | {"config_hash": config_hash(reseeded)}
    bring(override(config, ["ppo.iterations=3"]), "float32", workspace)
    assert not (workspace.root / "plan.json").exists(), "a plan of other settings does not stay"
    bring(config, "bfloat16", workspace)
    assert not (workspace.root / "plan.json").exists()
