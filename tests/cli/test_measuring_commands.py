"""heed evaluate and heed compare on small models and small files: the figures, what is kept, and what goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fakes import tiny_codec, tiny_lm, tiny_reward_model
from heed.cli.app import main
from heed.evaluation.tasks.model import LocalModel
from heed.models.checkpoints import save_model
from heed.records import Completion, Labeler, Prompt, Ranking
from heed.store.workspace import Workspace

Heed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def heed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Heed:
    """Run a command; returns its exit status, what it printed, and what it complained about."""
    monkeypatch.setenv("COLUMNS", "160")

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = left.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return call


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two tiny policies, a reward model, and prompts."""
    place = Workspace.create(tmp_path / "w")
    tokenizer = tiny_codec().tokenizer
    for seed, name in enumerate(("sft", "ppo")):
        save_model(place.models_dir / name, tiny_lm(seed=seed), tokenizer, {"parent": "base", "stage": name})
    save_model(place.models_dir / "reward", tiny_reward_model(), tokenizer, {"parent": "sft", "stage": "reward"})
    with place.store() as store:
        store.add_prompts([Prompt.from_text(f"Name {n} colours.", split="test") for n in range(2, 8)])
    return place.root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve sentences with labels, and prompts to go on with, in the published forms."""
    words = ["a fine film", "a dull film", "it sings", "it drags", "bright", "flat"] * 2
    rows = [
        {"task": "sst2", "definition": "d", "input": f"Text: {text} {n} .", "output": "Good" if n % 2 == 0 else "Bad",
         "labels": ["Bad", "Good"]}
        for n, text in enumerate(words)
    ]  # fmt: skip
    (tmp_path / "data" / "nlp-benchmarks").mkdir(parents=True)
    (tmp_path / "data" / "nlp-benchmarks" / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "data" / "real-toxicity-prompts").mkdir()
    (tmp_path / "data" / "real-toxicity-prompts" / "prompts.txt").write_text("The cup\nA dog\nThe park\n")
    return tmp_path / "data"


def test_tasks_are_listed_with_those_that_are_not_there(heed: Heed, workspace: Path, data: Path) -> None:
    command = ("evaluate", "-w", workspace, "--data", data, "--list", "--json")
    status, out, _ = heed(*command, "--shots", "0", "--shots", "2")
    found = json.loads(out)
    assert status == 0
    names = [task["name"] for task in found["tasks"]]
    assert "sst2-0shot" in names and "sst2-2shot" in names and "toxicity-biased" in names
    assert any(line.startswith("mmlu: not measured, as there is no mmlu in ") for line in found["left_out"])
    assert any(line.startswith("rte: not measured, as ") and "no rows" in line for line in found["left_out"])


def test_models_are_measured_and_nothing_is_asked_twice(
    heed: Heed, workspace: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    for method in ("likelihoods", "write"):
        original = getattr(LocalModel, method)

        def counting(self: LocalModel, questions: list[object], original: Callable[..., object] = original) -> object:
            asked.append(len(questions))
            return original(self, questions)

        monkeypatch.setattr(LocalModel, method, counting)
    command = ("evaluate", "sft", "ppo", "-w", workspace, "--data", data, "--task", "sst2", "--task", "toxicity-basic")
    status, out, _ = heed(*command, "--json", "--quiet")
    found = json.loads(out)
    assert status == 0 and sum(asked) == 2 * (12 + 3)
    for name in ("sft", "ppo"):
        tasks = {task["task"]: task for task in found["models"][name]["tasks"]}
        assert set(tasks) == {"sst2-0shot", "toxicity-basic"} and tasks["sst2-0shot"]["n"] == 12
        assert 0 <= tasks["sst2-0shot"]["figures"]["accuracy"]["value"] <= 1
        assert (workspace / "evaluations" / name / "sst2-0shot.marks.jsonl").is_file()
    asked.clear()
    again = json.loads(heed(*command, "--json", "--quiet")[1])
    assert asked == []
    assert again["models"]["sft"]["tasks"][0]["figures"] == found["models"]["sft"]["tasks"][0]["figures"]
    _, out, err = heed(*command)
    assert "sst2-0shot" in out and "sft" in out and "sst2-0shot" in err


def test_a_file_with_a_missing_field_says_where(heed: Heed, workspace: Path, data: Path) -> None:
    path = data / "nlp-benchmarks" / "dev.jsonl"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows[:3], json.dumps({"task": "sst2", "input": "Text: x ."}), *rows[3:]]))
    status, out, err = heed("evaluate", "sft", "-w", workspace, "--data", data, "--task", "sst2")
    assert status == 2 and out == "" and "dev.jsonl, line 4" in err and "output" in err


def test_a_wrong_task_is_answered_with_the_nearest(heed: Heed, workspace: Path, data: Path) -> None:
    status, _, err = heed("evaluate", "sft", "-w", workspace, "--data", data, "--task", "sst3")
    assert status == 2 and "has no task 'sst3'" in err and "Did you mean 'sst2'" in err


def test_chat_is_refused_of_a_model_without_a_template(heed: Heed, workspace: Path, data: Path) -> None:
    tokenizer = workspace / "models" / "sft" / "tokenizer_config.json"
    content = json.loads(tokenizer.read_text())
    content.pop("chat_template", None)
    tokenizer.write_text(json.dumps(content))
    for template in (workspace / "models" / "sft").glob("*.jinja"):
        template.unlink()
    command = ("evaluate", "sft", "-w", workspace, "--data", data, "--task", "sst2-0shot", "--layout", "chat")
    status, _, err = heed(*command)
    assert status == 2 and "its tokenizer has no chat template" in err
    assert heed("evaluate", "sft", "-w", workspace, "--data", data, "--task", "sst2-0shot", "-q")[0] == 0


@pytest.fixture
def service() -> Iterator[tuple[str, list[int]]]:
    """A scorer of texts that answers with the statuses that the list holds, then with scores."""
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = statuses.pop(0) if statuses else 200
            answer = json.dumps({"scores": [0.25] * len(body["texts"])} if status == 200 else {"error": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/score", statuses
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_that_refuses_is_reported_and_asked_again_the_next_time(
    heed: Heed, workspace: Path, data: Path, service: tuple[str, list[int]]
) -> None:
    url, statuses = service
    statuses += [400] * 40  # will not pass: no retries
    command = ("evaluate", "sft", "-w", workspace, "--data", data, "--task", "toxicity-basic", "--toxicity", url)
    (task,) = json.loads(heed(*command, "--json", "-q")[1])["models"]["sft"]["tasks"]
    assert task["failed"] == 3 and task["n"] == 3 and "400" in task["errors"][0]
    statuses.clear()
    (task,) = json.loads(heed(*command, "--json", "-q")[1])["models"]["sft"]["tasks"]
    assert task["failed"] == 0 and task["figures"]["toxicity"]["value"] == 0.25


@pytest.mark.filterwarnings("ignore")  # the harness's own
def test_a_task_of_the_harness_runs_on_a_model_of_the_workspace(
    heed: Heed, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval", reason="lm-eval is not installed: pip install 'heed[lm-eval]'")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [{"q": f"Where is cup {n}?", "choices": ["here", "at the park"], "answer": n % 2} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    definition = {
        "task": "cups",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "cups.yaml").write_text(json.dumps(definition))  # JSON is YAML
    command = (
        "evaluate",
        "sft",
        "-w",
        workspace,
        "--harness",
        "cups",
        "--include",
        tmp_path / "own",
        "--layout",
        "plain",
    )
    status, out, _ = heed(*command, "--json", "-q")
    assert status == 0
    found = json.loads(out[out.index("{") :])["models"]["sft"]["harness"]["cups"]
    assert 0 <= found["acc,none"] <= 1
    status, _, err = heed("evaluate", "sft", "-w", workspace, "--harness", "cupz", "-q")
    assert status == 2 and "the harness has no task 'cupz'" in err


# --- heed compare


def test_two_models_side_by_side(heed: Heed, workspace: Path) -> None:
    options = ("-w", workspace, "--max-new-tokens", "4")
    found = json.loads(heed("compare", "ppo", "sft", *options, "--json")[1])
    rate = found["preference"]["win_rates"]["ppo"]
    scores = [row["scores"]["ppo"] for row in found["samples"]]
    assert rate["n"] == 6 and rate["value"] == pytest.approx(sum(scores) / 6)
    assert rate["low"] <= rate["value"] <= rate["high"]
    assert found["baseline"] == "sft" and [model["name"] for model in found["models"]] == ["sft", "ppo"]
    turned = json.loads(heed("compare", "sft", "ppo", *options, "--json")[1])
    assert turned["preference"]["win_rates"]["sft"]["value"] == pytest.approx(1 - rate["value"])
    _, out, _ = heed("compare", "ppo", "sft", *options, "--show", "2")
    assert out.count("Name ") == 2 and "reward prefers ppo to sft on" in out and "95 % interval" in out
    page = workspace / "comparisons" / "ppo-vs-sft.html"
    assert page.is_file() and "ppo" in page.read_text() and str(page) in out
    assert json.loads(page.with_suffix(".json").read_text())["baseline"] == "sft"


def test_tasks_and_preference_are_on_one_page(heed: Heed, workspace: Path, data: Path, tmp_path: Path) -> None:
    command = (
        "compare",
        "ppo",
        "sft",
        "-w",
        workspace,
        "--data",
        data,
        "--task",
        "sst2-0shot",
        "--max-new-tokens",
        "4",
    )
    status, out, _ = heed(*command, "--page", tmp_path / "p.html", "--limit", "10")
    assert status == 0 and "sst2-0shot" in out
    document = json.loads((tmp_path / "p.json").read_text())
    (task,) = document["tasks"]
    assert task["n"] == 10 and set(task["figures"]) == {"sft", "ppo"}
    (difference,) = task["differences"]["accuracy"]
    assert (difference["a"], difference["b"]) == ("ppo", "sft")
    figures = task["figures"]
    gap = figures["ppo"]["accuracy"]["value"] - figures["sft"]["accuracy"]["value"]
    assert difference["value"] == pytest.approx(gap)
    assert "SST-2" in (tmp_path / "p.html").read_text()


def test_people_decide_by_what_they_ranked(heed: Heed, workspace: Path) -> None:
    prompts = [Prompt.from_text(f"Name {n} fruits.", split="final") for n in range(4)]
    with Workspace.open(workspace).store() as store:
        store.add_labelers([Labeler(id="ann")])
        rankings = [
            Ranking(
                prompt=prompt,
                completions=(Completion(text="Pears.", policy="ppo"), Completion(text="No.", policy="sft")),
                tiers=(0, 1) if n else (1, 0),
                labeler="ann",
            )
            for n, prompt in enumerate(prompts)
        ]
        store.add_rankings(rankings)
    found = json.loads(heed("compare", "ppo", "sft", "-w", workspace, "--judge", "people", "--json")[1])
    assert found["preference"]["win_rates"]["ppo"]["value"] == 0.75 and found["preference"]["judge"] == "ann"
