"""``heed backup``, ``restore``, ``forget`` and ``crew --plan`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from heed.cli.app import main
from heed.records import Completion, Demonstration, Labeler, Prompt
from heed.store import Workspace


def heed(*arguments: object) -> int:
    """One command; its exit status."""
    with pytest.raises(SystemExit) as left:
        main([str(one) for one in arguments])
    return int(left.value.code or 0)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "first")
    with workspace.store() as store:
        store.add_labelers([Labeler(id="ann")])
        record = Demonstration(prompt=Prompt.from_text("Why?"), completion=Completion(text="xylophone"), labeler="ann")
        store.add_demonstrations([record])
        store.freeze_export("demonstrations", workspace.exports_dir, [record])
    return workspace


def test_a_workspace_is_backed_up_and_restored(
    place: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.models_dir / "sft").mkdir()
    (place.models_dir / "sft" / "heed.json").write_text("{}")
    file, target = tmp_path / "b.zip", tmp_path / "second"
    assert heed("backup", file, "--workspace", place.root, "--with-models", "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"] == 3
    assert heed("restore", file, "--workspace", target) == 0
    assert "forget" in capsys.readouterr().out
    with Workspace.open(target).store() as store, place.store() as before:
        assert store.demonstrations() == before.demonstrations()
    assert (target / "models" / "sft" / "heed.json").read_text() == "{}"
    assert heed("restore", file, "--workspace", target) == 2 and "new workspace only" in capsys.readouterr().err
    (tmp_path / "no.zip").write_text("no")
    assert heed("restore", tmp_path / "no.zip", "--workspace", tmp_path / "third") == 2
    assert not (tmp_path / "third").exists()


def test_a_person_is_forgotten_only_when_it_is_meant(place: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (data,) = place.exports_dir.glob("*/data.jsonl")
    assert heed("forget", "ann", "--workspace", place.root) == 1
    assert "Nothing was changed" in capsys.readouterr().out and "xylophone" in data.read_text()
    assert heed("forget", "ann", "--workspace", place.root, "--yes", "--rewrite-exports", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["subject"].startswith("forgotten-") and told["rewritten"] == [str(data)]
    assert "xylophone" not in data.read_text() and b"xylophone" not in place.db.read_bytes()
    assert heed("forget", "ann", "--workspace", place.root, "--yes") == 2 and "no person" in capsys.readouterr().err


def test_a_plan_says_what_overlap_and_gold_lead_to(capsys: pytest.CaptureFixture[str]) -> None:
    crew = ("--honest", 6, "--hostile", 1, "--json")
    chosen = ("--labels", 300, "--labels", 2000, "--overlap", 0.3, "--gold", 0.1)
    assert heed("crew", "--plan", *crew, *chosen, "--hourly", 18, "--seconds", 36) == 0
    few, many = json.loads(capsys.readouterr().out)
    assert many["half_width"] < few["half_width"] and many["caught"] == 1.0 >= few["caught"]
    assert (few["hours"], few["cost"]) == (3.0, 54.0) and many["wronged"] <= 0.05
    assert abs(few["items"] - 270 / 1.6) < 30, "three labels for three items in ten, one for the others"
    assert heed("crew", "--plan", "--honest", 0) == 2
