"""The commands as a user meets them: what they print, and what they say to a mistake."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes import tiny_codec, tiny_lm, tiny_reward_model
from heed.cli.app import main
from heed.files import write_json
from heed.models.checkpoints import save_model
from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.store.workspace import Workspace

Heed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def heed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Heed:
    """Run a command; returns its exit status, what it printed, and what it complained about."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str | Path, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = left.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two tiny policies, a reward model and a few records."""
    place = Workspace.create(tmp_path_factory.mktemp("project") / "w")
    tokenizer = tiny_codec().tokenizer
    for seed, name in enumerate(("sft", "ppo")):
        card = {"parent": "base", "stage": name, "export_hash": "e1", "config_hash": "c1", "metrics": {}}
        save_model(place.models_dir / name, tiny_lm(seed=seed), tokenizer, card)
    save_model(place.models_dir / "reward", tiny_reward_model(), tokenizer, {"parent": "sft", "stage": "reward"})
    prompts = [Prompt.from_text(f"Name {n} colours.", split="test") for n in range(2, 8)]
    good, bad = Completion(text="Red."), Completion(text="No.")
    with place.store() as store:
        store.add_prompts(prompts)
        store.add_labelers([Labeler(id="ann")])
        store.add_demonstrations([Demonstration(prompt=prompts[0], completion=good, labeler="ann")])
        ranking = Ranking(prompt=prompts[1], completions=(good, bad), tiers=(0, 1), labeler="ann")
        store.add_rankings([ranking])
        export = store.freeze_export("rankings", place.exports_dir, [ranking])
        store.register_model("reward", parent="sft", export_hash=export.hash, config_hash="c1", stage="reward")
    return place.root


def test_init_makes_a_workspace_that_status_describes(heed: Heed, tmp_path: Path) -> None:
    status, out, _ = heed("init", tmp_path / "w")
    assert status == 0 and f"{tmp_path / 'w'} is a workspace" in out
    status, out, _ = heed("status", "-w", tmp_path / "w", "--json")
    found = json.loads(out)
    assert status == 0 and found["models"] == [] and found["stages"] == [] and set(found["counts"].values()) == {0}


def test_status_tells_people_models_and_stages_apart(heed: Heed, workspace: Path) -> None:
    for stage, finished in (("sft", True), ("ppo", False)):
        write_json(workspace / "runs" / stage / "started.json", {"fingerprint": "f"})
        if finished:
            record = {"name": stage, "fingerprint": "f", "figures": {"wall_seconds": 1.25}}
            write_json(workspace / "runs" / stage / "stage.json", record)
    _, out, _ = heed("status", "-w", workspace, "--json")
    found = json.loads(out)
    assert {(one["name"], one["state"], one["wall_seconds"]) for one in found["stages"]} == {
        ("sft", "finished", 1.25),
        ("ppo", "interrupted", None),
    }
    assert {(one["name"], one["kind"], one["parent"]) for one in found["models"]} == {
        ("sft", "policy", "base"),
        ("ppo", "policy", "base"),
        ("reward", "reward", "sft"),
    }
    assert found["counts"]["prompts"] == 6
    _, out, _ = heed("status", "-w", workspace)
    assert "prompts" in out and "interrupted" in out and "reward" in out


def test_a_model_leads_back_to_people_and_people_forward_to_models(heed: Heed, workspace: Path) -> None:
    found = json.loads(heed("status", "--model", "reward", "-w", workspace, "--json")[1])
    assert [one["name"] for one in found["models"]] == ["reward", "sft"]
    assert [(one["labeler"], one["responses"]) for one in found["labelers"]] == [("ann", 1)]
    forward = json.loads(heed("status", "--labeler", "ann", "-w", workspace, "--json")[1])
    assert forward["models"] == ["reward"]
    assert "ann" in heed("status", "--model", "reward", "-w", workspace)[1]
    assert "reward" in heed("status", "--labeler", "ann", "-w", workspace)[1]


def test_the_same_seed_gives_the_same_answers(heed: Heed, workspace: Path) -> None:
    asked = ("sample", "sft", "Name a colour.", "Name two.", "-n", "3", "--seed", "5", "--max-new-tokens", "6")
    status, out, _ = heed(*asked, "-w", workspace, "--json")
    rows = json.loads(out)
    assert status == 0 and [row["prompt"] for row in rows] == ["Name a colour.", "Name two."]
    assert all(len(row["completions"]) == 3 for row in rows)
    assert json.loads(heed(*asked, "-w", workspace, "--json")[1]) == rows
    _, out, _ = heed(*asked, "-w", workspace)
    assert out.count("→") == 6


def test_prompts_come_from_a_file_or_a_pipe(heed: Heed, workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("One.\n\nTwo.\n")
    options = ("-w", workspace, "--max-new-tokens", "4", "--json")
    from_file = json.loads(heed("sample", "ppo", "-f", tmp_path / "p.txt", *options)[1])
    from_pipe = json.loads(heed("sample", "ppo", "-f", "-", *options, given="One.\nTwo.\n")[1])
    assert [row["prompt"] for row in from_file] == ["One.", "Two."] and from_pipe == from_file


def test_a_model_is_talked_to_line_by_line(heed: Heed, workspace: Path) -> None:
    options = ("-w", workspace, "--max-new-tokens", "4", "--score", "reward")
    status, out, _ = heed("chat", "sft", *options, given="Hello.\n\nName a colour.\n")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 2 and all(line.endswith("]") for line in lines)


def test_a_conversation_too_long_for_the_model_begins_anew(heed: Heed, workspace: Path) -> None:
    status, out, _ = heed("chat", "sft", "-w", workspace, given="word " * 500 + "\n")
    assert status == 0 and "the conversation begins anew" in out


def test_what_is_exported_can_be_imported_elsewhere(heed: Heed, workspace: Path, tmp_path: Path) -> None:
    status, out, _ = heed("export", "rankings", f"heed:{tmp_path / 'r.jsonl.gz'}", "-w", workspace)
    assert (status, out) == (0, f"Wrote 1 rows to {tmp_path / 'r.jsonl.gz'}.\n")
    source = f"heed:{tmp_path / 'r.jsonl.gz'}"
    status, out, _ = heed("import", source, "-w", tmp_path / "w", "--json")
    found = json.loads(out)
    assert status == 0 and found["read"] == {"labeler": 1, "ranking": 1} and found["added"]["rankings"] == 1
    assert heed("import", source, "-w", tmp_path / "w", "-q")[1].endswith("added nothing.\n")
    assert heed("export", "rankings", f"heed:{tmp_path / 's.jsonl'}", "-w", tmp_path / "w")[0] == 0
    first, second = gzip.decompress((tmp_path / "r.jsonl.gz").read_bytes()), (tmp_path / "s.jsonl").read_bytes()
    assert first == second


def test_a_clean_import_says_what_it_took_out(heed: Heed, tmp_path: Path) -> None:
    rows = ["Write to ann@example.org.", "Once " * 60 + "one.", "Once " * 60 + "two.", "Plain."]
    lines = [json.dumps({"instruction": row, "input": "", "output": "Done."}) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    source = f"alpaca:{tmp_path / 'a.jsonl'}"
    found = json.loads(heed("import", source, "-w", tmp_path / "w", "--clean", "--json")[1])
    assert found["read"] == {"demonstration": 3}
    assert found["taken_out"] == {"email": 1, "shares a prefix of 200 characters": 1}
    assert "Taken out: email: 1" in heed("import", source, "-w", tmp_path / "w2", "--clean", "-q")[1]


def test_doctor_finds_what_is_there(heed: Heed, tmp_path: Path) -> None:
    status, out, _ = heed("doctor", tmp_path, "--json")
    found = {finding["name"]: finding for finding in json.loads(out)}
    assert status in (0, 1) and {"Python", "processors", "memory", "disk", "PyTorch"} <= set(found)
    assert found["Python"]["state"] == "ok" and "GFLOP/s" in found["PyTorch"]["detail"]
    status, out, _ = heed("doctor", tmp_path / "nowhere")
    assert status == 1 and "✗ disk" in out


def test_the_version_is_said(heed: Heed) -> None:
    from heed import __version__

    assert heed("--version")[:2] == (0, f"heed {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("status", "-w", "nowhere"), "there is no workspace here; make one with heed init nowhere"),
        (("status", "--model", "rewad", "-w", "WORKSPACE"), "Did you mean 'reward'?"),
        (("run", "sandbx"), "there is no recipe 'sandbx'; recipes are sandbox, real, labels. Did you mean 'sandbox'?"),
        (("run", "sandbox", "--set", "ppo.kl_cof=1"), "no setting 'ppo.kl_cof'. Did you mean 'ppo.kl_coef'?"),
        (("run", "sandbox", "--seed", "-1"), "--set: seed is -1: input should be greater than or equal to 0"),
        (("sample", "sftt", "Hello.", "-w", "WORKSPACE"), "ppo, reward, sft. Did you mean 'sft'?"),
        (("sample", "sft", "-f", "nothing.txt", "-w", "WORKSPACE"), "nothing.txt: cannot be read"),
        (("chat", "reward", "-w", "WORKSPACE"), "holds a reward model, expected a policy model"),
        (("compare", "sft", "-w", "WORKSPACE"), "one model, 'sft'; expected two or more"),
        (("compare", "sft", "sft", "-w", "WORKSPACE"), "'sft' is named twice"),
        (("compare", "sft", "ppo", "-w", "WORKSPACE", "--baseline", "pppo"), "baseline is 'pppo', expected one of"),
        (("compare", "sft", "ppo", "-w", "WORKSPACE", "--judge", "none"), "there is nothing to compare on"),
        (("compare", "sft", "ppo", "-w", "WORKSPACE", "--judge", "gold"), "nothing has been run here yet"),
        (("compare", "sft", "ppo", "-w", "WORKSPACE", "--judge", "people"), "nobody has ranked answers of"),
        (("evaluate", "sft", "-w", "WORKSPACE"), "say what to measure the models on: --data DIR"),
        (("evaluate", "sft", "-w", "WORKSPACE", "--task", "mmlu"), "say where the files of the task 'mmlu' lie"),
        (("evaluate", "sft", "-w", "WORKSPACE", "--data", "nowhere"), "data is nowhere, expected a directory"),
        (("evaluate", "-w", "WORKSPACE", "--data", "nowhere"), "say which models to measure"),
        (("compare", "sft", "ppo", "-w", "WORKSPACE", "--split", "tset"), "no prompts of split 'tset'; its splits are"),
        (("sample", "sft", "Hello.", "--temperature", "-1", "-w", "WORKSPACE"), "temperature is -1.0, expected 0"),
        (("train", "sft", "-w", "WORKSPACE"), "nothing has been run here yet; start with heed run RECIPE"),
        (("import", "nothing", "-w", "WORKSPACE"), "'nothing': expected FORMAT:PATH, such as hh-rlhf:train.jsonl.gz"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence_and_status_2(
    heed: Heed, workspace: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    status, out, err = heed(*(str(workspace) if one == "WORKSPACE" else one for one in arguments))
    assert status == 2 and out == ""
    assert err.startswith("heed: ") and complaint in err and err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("frobnicate",), ("run",), ("sample", "sft"), ("train", "everything")])
def test_a_wrong_command_line_is_status_2_too(heed: Heed, arguments: tuple[str, ...]) -> None:
    status, _, err = heed(*arguments)
    assert status == 2 and "Error" in err
