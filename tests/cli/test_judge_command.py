"""``heed judge`` as a user meets it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fakes import tiny_codec, tiny_lm, tiny_reward_model
from heed.cli.app import main
from heed.models.checkpoints import save_model
from heed.store.workspace import Workspace

Heed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def heed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Heed:
    """Run a command; returns its exit status, what it printed, and what it complained about."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = left.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Workspace.create(tmp_path_factory.mktemp("project") / "w")
    tokenizer = tiny_codec().tokenizer
    save_model(place.models_dir / "sft", tiny_lm(), tokenizer, {"stage": "sft"})
    save_model(place.models_dir / "reward", tiny_reward_model(), tokenizer, {"stage": "reward"})
    return place.root


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """Twelve pairs whose better answer is the longer one in nine."""
    path, lines = tmp_path / "pairs.jsonl", []
    for number in range(12):
        texts = ["Yes." if number % 4 else "Yes, yes, yes.", "Now and then, yes."][:: 1 if number % 2 else -1]
        better = 1 + texts.index("Now and then, yes.")
        better = better if number % 4 else 3 - better
        row = {"subset": f"s{number % 2}", "input": f"Count to {number}.", "label": better}
        lines.append(json.dumps({**row, "output_1": texts[0], "output_2": texts[1]}))
    path.write_text("\n".join(lines))
    return f"llmbar:{path}"


@pytest.fixture
def server() -> Iterator[str]:
    """Says A to everything, and fails on what counts to seven."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            broken = "Count to 7." in body["messages"][0]["content"]
            made = [{"message": {"content": "A"}, "finish_reason": "stop"}] * body["n"]
            usage = {"prompt_tokens": 50, "completion_tokens": 1}
            content = json.dumps({} if broken else {"choices": made, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1"
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_table_with_a_column_for_each_judge(heed: Heed, workspace: Path, pairs: str) -> None:
    status, out, _ = heed("judge", "length", "reward", "random", "--data", pairs, "-w", workspace)
    assert status == 0
    heading, *rows = [line for line in out.splitlines() if line.strip()][1:]
    assert heading.split() == ["length", "reward", "random"]
    table = {parts[0]: parts[1:] for parts in (re.split(r" {2,}", row.strip()) for row in rows)}
    assert table["prefers what most annotators prefer"][0].startswith("75.0 (")
    assert table["prefers the longer answer"][0].startswith("100.0 (")
    assert table["says the same in both orders"][:2] == ["–", "–"]
    assert table["pairs judged"] == ["12", "12", "12"]
    assert "right on s0" in out and "agree" in out
    assert table["length − reward"][1] == "12" and float(table["length − reward"][2]) <= 1.0


def test_json_and_a_limit(heed: Heed, workspace: Path, pairs: str) -> None:
    _, out, _ = heed("judge", "length", "--data", pairs, "-w", workspace, "--limit", "5", "--json")
    page = json.loads(out)
    assert page["pairs"] == 5 and page["left_out"] == [] and page["judges"]["length"]["judged"] == 5
    assert page["differences"] == []


def test_a_language_model_behind_a_server(heed: Heed, workspace: Path, pairs: str, server: str) -> None:
    arguments = ("judge", "m", "--data", pairs, "--server", server, "-w", workspace, "--price", "2,4")
    _, out, _ = heed(*arguments, "--json")
    found = json.loads(out)["judges"]["m"]
    assert found["judged"] == 11 and found["failures"] == 2 and found["order_bias"]["first"]["value"] == 1.0
    assert found["accuracy"]["value"] == 0.5
    assert found["tokens_per_1000"] == 51_000 and found["cost_per_1000"] == pytest.approx(0.104)
    status, out, _ = heed(*arguments, "--samples", "3")
    assert status == 0 and "m failed on 2: prompt" in out and "price of 1,000" in out
    assert "says the same when asked again" in out and "judgements" not in out


def test_a_local_language_model_that_cannot_judge_is_said_so(heed: Heed, workspace: Path, pairs: str) -> None:
    status, _, err = heed("judge", "sft", "--data", pairs, "-w", workspace)
    assert status == 2 and "not one of 12 pairs got a verdict; the first failure" in err


def test_replies_are_kept_in_the_workspace(heed: Heed, workspace: Path, pairs: str, server: str) -> None:
    asked = ("judge", "other", "--data", pairs, "--server", server, "-w", workspace, "--json")
    folder = workspace / "evaluations" / "judge"
    before = set(folder.iterdir()) if folder.is_dir() else set()
    _, first, _ = heed(*asked)
    (kept,) = set(folder.iterdir()) - before
    content = kept.read_bytes()
    _, again, _ = heed(*asked)
    assert content.count(b"\n") == 22 and kept.read_bytes() == content
    timeless = [{**json.loads(out)["judges"]["other"], "seconds_per_1000": 0} for out in (first, again)]
    assert timeless[0] == timeless[1]


def test_mistakes_are_one_sentence(heed: Heed, workspace: Path, pairs: str, tmp_path: Path) -> None:
    for arguments, message in (
        (("judge", "rewrd", "--data", pairs), "Did you mean 'reward'"),
        (("judge", "length", "--data", "pairs.jsonl"), "expected FORMAT:PATH"),
        (("judge", "length", "--data", "lmbar:x"), "Did you mean 'llmbar'"),
        (("judge", "sft", "--data", pairs, "--template", "plane"), "Did you mean 'plain'"),
        (("judge", "sft", "--data", pairs, "--orders", "up"), "orders is 'up'"),
        (("judge", "sft", "--data", pairs, "--price", "free"), "expected two numbers"),
        (("judge", "sft", "--data", pairs, "--by", "mind"), "by is 'mind'"),
        (("judge", "sft", "--data", pairs, "--by", "likelihood", "--samples", "2"), "likelihoods are not drawn"),
        (("judge", "m", "--server", "http://x/v1", "--data", pairs, "--by", "likelihood"), "does not weigh"),
        (("judge", "sft", "--data", pairs, "--guideline", tmp_path / "none"), "the guideline cannot be read"),
    ):  # fmt: skip
        status, _, err = heed(*arguments, "-w", workspace)
        assert status == 2 and message in " ".join(err.replace("│", " ").split()), (arguments, err)
