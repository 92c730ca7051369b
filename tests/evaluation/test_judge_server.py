"""An AI judge behind a real server on this machine that is slow, busy, broken, or answers rubbish."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from heed.evaluation.preference import compare_models, summarize
from heed.evaluation.tasks.cache import Cache
from heed.evaluation.verdicts import ai_decides
from heed.feedback.ai_judge import AIJudge, Kept, Price
from heed.generation.client import OpenAISampler
from heed.records import Completion, Prompt
from judge_fakes import SHOWN, quality

Answer = tuple[int, bytes]
PROMPTS = [Prompt.from_text(f"Request {number}") for number in range(6)]
ANSWERS = {
    "new": [Completion(text=f"good q9 {n}", policy="new") for n in range(6)],
    "old": [Completion(text=f"bad q1 {n}", policy="old") for n in range(6)],
}


def choices(*texts: str) -> Answer:
    made = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
    usage = {"prompt_tokens": 100, "completion_tokens": len(texts), "total_tokens": 100 + len(texts)}
    return 200, json.dumps({"choices": made, "usage": usage}).encode()


def fair(question: str) -> Answer:
    _, a, b = SHOWN.search(question).groups()  # type: ignore[union-attr]
    return choices("A" if quality(a) > quality(b) else "B")


class JudgeServer:
    """Answers by ``reply(question, how often it was asked before)``."""

    def __init__(self) -> None:
        self.reply: Callable[[str, int], Answer] = lambda question, _: fair(question)
        self.asked: dict[str, int] = {}
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                question = body["messages"][0]["content"]
                with lock:
                    before = server.asked.get(question, 0)
                    server.asked[question] = before + 1
                status, content = server.reply(question, before)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):  # whoever asked has given up
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    made = JudgeServer()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


def judge(
    server: JudgeServer,
    *,
    timeout: float = 5.0,
    attempts: int = 3,
    price: Price | None = None,
    kept: Kept | None = None,
) -> AIJudge:
    sampler = OpenAISampler(
        server.url, "m", attempts=attempts, timeout_seconds=timeout, parallel=4, sleep=lambda seconds: None
    )
    return AIJudge(sampler, name="m", price=price, kept=kept)


def about(number: int, question: str) -> bool:
    return f"Request {number}\n" in question


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_that_recovers_costs_nothing(server: JudgeServer, status: int) -> None:
    server.reply = lambda question, before: fair(question) if before else (status, b"later")
    found = compare_models(PROMPTS, ANSWERS, ai_decides(judge(server)), "old")
    assert not found.failures and len(found.verdicts) == 12
    assert summarize(found, "old").standings["new"].win_rate.value == 1.0
    assert set(server.asked.values()) == {2}


def test_an_answer_that_comes_too_late_is_asked_for_again(server: JudgeServer) -> None:
    def slow_at_first(question: str, before: int) -> Answer:
        if before == 0:
            time.sleep(1.2)
        return fair(question)

    server.reply = slow_at_first
    found = compare_models(PROMPTS[:1], {k: v[:1] for k, v in ANSWERS.items()}, ai_decides(judge(server, timeout=0.5)))
    assert not found.failures and {one.seen_from("new") for one in found.verdicts} == {1.0}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ((500, b'{"error": {"message": "out of memory"}}'), "HTTP status 500: out of memory"),
        ((429, b"slow down"), "HTTP status 429"),
        ((200, b"<html>rubbish"), "something else than JSON"),
        ((200, b'{"choices": []}'), "without choices"),
        ((200, b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}'), "content None"),
        (choices("I like both."), "no verdict, also when asked again: 'I like both.'"),
    ],
)
def test_one_request_that_never_works_loses_nothing_else(server: JudgeServer, broken: Answer, reason: str) -> None:
    server.reply = lambda question, _: broken if about(3, question) else fair(question)
    found = compare_models(PROMPTS, ANSWERS, ai_decides(judge(server)), "old")
    assert len(found.verdicts) == 10 and len(found.failures) == 2
    assert all(reason in one.reason and one.prompt_id == PROMPTS[3].id for one in found.failures)
    page = summarize(found, "old").as_json()
    assert page["win_rates"]["new"]["n"] == 5 and page["failures"] == 2
    assert [one["count"] for one in page["failure_reasons"]] == [2]


def test_a_server_that_never_answers_in_time_is_a_failure_of_each(server: JudgeServer) -> None:
    def never(question: str, _: int) -> Answer:
        time.sleep(0.3)
        return fair(question)

    server.reply = never
    pair = {name: rows[:1] for name, rows in ANSWERS.items()}
    found = compare_models(PROMPTS[:1], pair, ai_decides(judge(server, timeout=0.05, attempts=2)))
    assert not found.verdicts and len(found.failures) == 2
    assert all("did not answer in 2 attempts: timed out" in one.reason for one in found.failures)


def test_one_order_that_fails_leaves_the_pair_out(server: JudgeServer) -> None:
    def one_order(question: str, _: int) -> Answer:
        swapped = SHOWN.search(question)[2].startswith("bad")  # type: ignore[index]
        return (500, b"") if about(2, question) and swapped else fair(question)

    server.reply = one_order
    found = compare_models(PROMPTS, ANSWERS, ai_decides(judge(server)), "old")
    page = summarize(found, "old")
    assert len(found.verdicts) == 11 and page.unpaired == 1 and page.standings["new"].win_rate.n == 5


def test_the_price_is_what_the_server_says_it_read_and_wrote(server: JudgeServer) -> None:
    found = compare_models(PROMPTS, ANSWERS, ai_decides(judge(server, price=Price(prompt=3.0, completion=5.0))), "old")
    assert [one.tokens for one in found.verdicts] == [101] * 12
    assert sum(one.cost or 0.0 for one in found.verdicts) == pytest.approx(12 * (100 * 3.0 + 5.0) / 1e6)


def test_a_wrong_key_is_asked_once_and_said_of_all(server: JudgeServer) -> None:
    server.reply = lambda question, _: (401, b'{"error": {"message": "no such key"}}')
    sampler = OpenAISampler(server.url, "m", parallel=1, sleep=lambda seconds: None)
    found = compare_models(PROMPTS, ANSWERS, ai_decides(AIJudge(sampler, name="m")), "old")
    assert len(found.failures) == 12 and sum(server.asked.values()) == 1
    assert "no such key" in found.failures[0].reason and "refuses all requests" in found.failures[-1].reason


def test_after_a_server_has_recovered_only_what_failed_is_asked_again(server: JudgeServer, tmp_path: Path) -> None:
    server.reply = lambda question, before: (200, b"<html>gateway") if about(4, question) else fair(question)
    path = tmp_path / "kept.jsonl"
    first = compare_models(PROMPTS, ANSWERS, ai_decides(judge(server, kept=Cache(path))), "old")
    assert len(first.verdicts) == 10 and len(first.failures) == 2
    server.reply = lambda question, _: fair(question)
    again = compare_models(PROMPTS, ANSWERS, ai_decides(judge(server, kept=Cache(path))), "old")
    assert len(again.verdicts) == 12 and not again.failures
    assert sorted(server.asked.values()) == [1] * 10 + [2] * 2
    assert sum(one.tokens or 0 for one in again.verdicts) == 12 * 101


def test_a_server_that_fails_at_random_changes_no_verdict(server: JudgeServer) -> None:
    number = 60
    prompts = [Prompt.from_text(f"Request {n}") for n in range(number)]
    answers = {
        name: [Completion(text=f"{name} q{(n * shift) % 7}", policy=name) for n in range(number)]
        for name, shift in (("new", 3), ("old", 5))
    }
    calm = compare_models(prompts, answers, ai_decides(judge(server)), "old")

    def moody(question: str, before: int) -> Answer:
        mood = random.Random(f"{question} {before}").random()
        return (429, b"") if mood < 0.2 else (500, b"oops") if mood < 0.4 else fair(question)

    server.reply = moody
    rough = compare_models(prompts, answers, ai_decides(judge(server, attempts=20)), "old")
    assert not rough.failures
    assert [(v.item, v.order, v.outcome) for v in rough.verdicts] == [
        (v.item, v.order, v.outcome) for v in calm.verdicts
    ]
