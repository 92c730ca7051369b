"""Looking at models: lists, lineage, chat, side by side, curves, samples. The models' process is a small fake."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from heed.errors import EndpointError, HeedError, ModelError
from heed.generation.desk import ModelDesk
from heed.records import Completion, Prompt
from heed.roles import Decoding
from heed.web.app import build_app
from heed.web.studio import Studio

EVIL = "<script>alert(1)</script> <img src=x onerror=alert(2)> [x](javascript:alert(3))"
WORKER = """
import json, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    text = asked["prompts"][0][-1][1]
    if text == "crash": sys.exit(1)
    if text == "sleep": time.sleep(60)
    if text == "refuse":
        print(json.dumps({"error": "the prompt is too long"}), flush=True); continue
    one = {"text": asked["model"] + " says " + text, "token_ids": [1], "logprobs": [-0.5], "stop": "eos"}
    print(json.dumps({"completions": [[one] * asked["n"]]}), flush=True)
"""


@pytest.fixture
def desk(tmp_path: Path) -> ModelDesk:
    for name, kind in (("sft", "policy"), ("ppo", "policy"), ("reward", "reward")):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "heed.json").write_text(json.dumps({"kind": kind, "card": {}}))
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    return ModelDesk(tmp_path / "models", command=[sys.executable, str(worker)], timeout_seconds=5)


@pytest.fixture
def lead(studio: Studio, desk: ModelDesk, client_as: Callable[..., Any]) -> Any:
    known = client_as("lead")
    client = TestClient(build_app(replace(studio, desk=desk)), base_url="http://testserver", follow_redirects=False)
    client.cookies.set("heed", known.client.cookies["heed"])
    yield replace(known, client=client)
    client.close()
    desk.close()


def ask(desk: ModelDesk, text: str) -> Sequence[Completion]:
    return desk.ask("sft", [Prompt.from_text(text)], 2, Decoding(max_new_tokens=4))[0]


def test_the_desk_answers_and_survives_its_worker(desk: ModelDesk) -> None:
    assert sorted(desk.models()) == ["ppo", "sft"]
    assert [one.text for one in ask(desk, "hello")] == ["sft says hello"] * 2
    with pytest.raises(HeedError, match="too long"):
        ask(desk, "refuse")
    with pytest.raises(EndpointError, match="crashed"):
        ask(desk, "crash")
    assert ask(desk, "again")[0].policy == "sft"
    with pytest.raises(ModelError, match="Did you mean 'sft'"):
        desk.sampler("sfd")
    desk.close()


def test_a_worker_that_hangs_is_replaced(desk: ModelDesk) -> None:
    quick = ModelDesk(desk._models_dir, command=desk._command, timeout_seconds=0.5)
    with pytest.raises(EndpointError, match=r"within 0.5 s"):
        ask(quick, "sleep")
    quick._timeout = 10
    assert ask(quick, "hello")[0].text == "sft says hello"
    quick.close()


def test_a_conversation_goes_on_and_is_rendered_safely(lead: Any) -> None:
    first = lead.post("/models/chat", {"model": "sft", "message": EVIL, "history": "[]", "length": "48"})
    assert first.status_code == 200
    assert "sft says" in first.text
    assert "<script>alert" not in first.text
    assert "<img src=x" not in first.text
    assert 'href="javascript' not in first.text
    history = re.search(r'name="history" value="([^"]*)"', first.text)
    assert history is not None
    import html

    turns = html.unescape(history[1])
    assert len(json.loads(turns)) == 2
    second = lead.post("/models/chat", {"model": "sft", "message": "And now?", "history": turns})
    assert second.text.count('class="card answer"') == 2


@pytest.mark.parametrize("history", ["nonsense", '[["assistant", "x"]]', '[["user"]]', '{"a": 1}', "[" * 5000])
def test_a_forged_conversation_is_refused(lead: Any, history: str) -> None:
    assert lead.post("/models/chat", {"model": "sft", "message": "x", "history": history}).status_code == 422


def test_a_model_that_fails_loses_nothing_typed(lead: Any) -> None:
    page = lead.post("/models/chat", {"model": "sft", "message": "refuse", "history": "[]"})
    assert "the prompt is too long" in page.text
    assert ">refuse</textarea>" in page.text


def test_two_models_are_compared_without_their_names(lead: Any) -> None:
    sides = set()
    for number in range(12):
        form = {"first": "sft", "second": "ppo", "message": f"question {number}"}
        page = lead.post("/models/compare", form).text
        assert page.count("says question") == 2 + 2  # drawn, and carried along
        left, right = re.findall(r'name="(?:left|right)" value="([^"]*)"', page)
        salt = re.search(r'name="salt" value="([^"]*)"', page)
        assert salt is not None
        shown = lead.post(
            "/models/compare",
            form | {"choice": "left", "salt": salt[1], "left": left, "right": right, "tally": "1,0,0"},
        ).text
        names = re.findall(r"<h2>(sft|ppo)</h2>", shown)
        assert left.startswith(names[0]) and right.startswith(names[1])
        sides.add(names[0])
        assert f"sft {1 + (names[0] == 'sft')}" in shown
    assert sides == {"sft", "ppo"}


def test_lists_curves_and_samples(studio: Studio, lead: Any) -> None:
    studio.store.register_model("sft", "base", stage="sft", metrics={"loss": 1.5})
    studio.store.add_generations([Prompt.from_text(EVIL)], [[Completion(text=EVIL, policy="sft", token_ids=(1,))]])
    run = studio.workspace.runs_dir / "sft"
    run.mkdir(parents=True)
    (run / "started.json").write_text("{}")
    (run / "metrics.jsonl").write_text(
        "".join(json.dumps({"step": n, "loss": 2 - n / 9}) + "\n" for n in range(5)) + "{"
    )
    for path in ("/models", "/models/sft", "/runs", "/runs/sft", "/samples", "/models/compare", "/models/chat"):
        page = lead.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.text
    assert "<svg" in lead.get("/runs/sft").text
    assert "sft" in lead.get("/samples").text
    for path in ("/models/none", "/runs/none", "/runs/..%2f..%2fetc", "/samples?after=x"):
        assert lead.get(path).status_code == 404, path


def test_a_studio_without_models_says_so(client_as: Callable[..., Any]) -> None:
    page = client_as("lead").get("/models/chat")
    assert page.status_code == 422
    assert "without models" in page.text
