"""The OpenAI-compatible client against a small server on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from heed.errors import ConfigError, EndpointError
from heed.generation.client import OpenAISampler
from heed.records import Message, Prompt
from heed.roles import Decoding

PROMPTS = [Prompt.from_text(text) for text in ("one", "two", "three", "four")]
DECODING = Decoding(max_new_tokens=7, temperature=0.5, seed=3)

Reply = tuple[int, dict[str, str], bytes]


def choices(*texts: str, **fields: Any) -> bytes:
    return json.dumps(
        {"choices": [{"message": {"content": t}, "finish_reason": "stop", **fields} for t in texts]}
    ).encode()


def echo(body: dict[str, Any]) -> Reply:
    said = body["messages"][-1]["content"]
    return 200, {}, choices(*(f" {said}{i} " for i in range(body["n"])))


class Server:
    """Answers with ``reply(body)``, and remembers what it was asked."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any]], Reply] = echo
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(body)
                server.paths.append(self.path)
                server.keys.append(self.headers["Authorization"])
                status, headers, content = server.reply(body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


def sampler(server: Server, waits: list[float] | None = None, **options: Any) -> OpenAISampler:
    waits = [] if waits is None else waits
    return OpenAISampler(server.url, "m", **{"timeout_seconds": 5.0, "sleep": waits.append, **options})


def test_completions_come_in_the_order_of_the_prompts(server: Server) -> None:
    answers = sampler(server, api_key="secret", policy_name="big").sample(PROMPTS, 2, DECODING)
    assert [[c.text for c in row] for row in answers] == [[f"{p.text}0", f"{p.text}1"] for p in PROMPTS]
    assert {(c.stop, c.policy, c.token_ids, c.logprobs) for row in answers for c in row} == {("eos", "big", (), ())}
    assert set(server.paths) == {"/v1/chat/completions"}
    assert set(server.keys) == {"Bearer secret"}
    [body] = [body for body in server.asked if body["messages"][0]["content"] == "two"]
    assert len({asked["seed"] for asked in server.asked}) == len(PROMPTS)
    del body["seed"]
    assert body == {
        "model": "m", "n": 2, "max_tokens": 7, "temperature": 0.5, "top_p": 1.0,
        "messages": [{"role": "user", "content": "two"}],
    }  # fmt: skip


def test_conversations_and_extensions_are_sent_as_they_are(server: Server) -> None:
    turns = (Message(role="system", content="Be brief."), Message(role="user", content="Hi"))
    decoding = Decoding(max_new_tokens=9, top_k=5, top_p=0.9, min_new_tokens=2, stop=("\n", "END"))
    sampler(server).sample([Prompt(messages=turns)], 1, decoding)
    [body] = server.asked
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (body["top_k"], body["top_p"], body["min_tokens"], body["stop"]) == (5, 0.9, 2, ["\n", "END"])


def test_a_template_asks_for_plain_completions(server: Server) -> None:
    server.reply = lambda body: (200, {}, b'{"choices": [{"text": " yes", "finish_reason": "length"}]}')
    [[answer]] = sampler(server, template=lambda prompt: prompt.text + "\n").sample(PROMPTS[:1], 1, DECODING)
    assert (answer.text, answer.stop) == ("yes", "length")
    assert server.paths == ["/v1/completions"]
    assert server.asked[0]["prompt"] == "one\n"


def test_equal_seeds_ask_equally_and_one_choice_at_a_time_is_enough(server: Server) -> None:
    server.reply = lambda body: (200, {}, choices(f"{body['seed']}", stop_reason="END"))
    first = sampler(server).sample(PROMPTS[:1], 3, DECODING)
    assert [body["n"] for body in server.asked] == [3, 2, 1]
    assert len({completion.text for completion in first[0]}) == 3
    assert {completion.stop for completion in first[0]} == {"stop"}
    assert sampler(server).sample(PROMPTS[:1], 3, DECODING) == first


def test_busy_servers_are_asked_again_after_a_while(server: Server) -> None:
    replies: list[Reply] = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), (500, {"Retry-After": "soon"}, b"")]

    def busy_at_first(body: dict[str, Any]) -> Reply:
        return replies.pop(0) if replies else echo(body)

    server.reply = busy_at_first
    waits: list[float] = []
    assert sampler(server, waits).sample(PROMPTS[:1], 1, DECODING)[0][0].text == "one0"
    assert waits == [7.0, 2.0, 4.0]


def test_one_failure_costs_the_others_nothing(server: Server) -> None:
    def fails_for_two(body: dict[str, Any]) -> Reply:
        error = {"error": {"message": "overloaded, sorry"}}
        return (500, {}, json.dumps(error).encode()) if body["messages"][0]["content"] == "two" else echo(body)

    server.reply = fails_for_two
    outcomes = sampler(server, attempts=3).try_sample(PROMPTS, 1, DECODING)
    assert [isinstance(outcome, EndpointError) for outcome in outcomes] == [False, True, False, False]
    assert str(outcomes[1]) == (
        f"prompt {PROMPTS[1].id}: {server.url}/chat/completions answered with HTTP status 500: overloaded, sorry"
    )
    assert len(server.asked) == 3 + 3
    with pytest.raises(EndpointError, match=r"1 of 4 prompts got no answer; the first: prompt .*overloaded"):
        sampler(server, attempts=1).sample(PROMPTS, 1, DECODING)


def test_a_request_that_is_wrong_is_not_repeated_and_a_wrong_key_ends_it_all(server: Server) -> None:
    server.reply = lambda body: (400, {}, b'{"error": "no such sampling"}')
    with pytest.raises(EndpointError, match="HTTP status 400: no such sampling"):
        sampler(server).sample(PROMPTS[:1], 1, DECODING)
    assert len(server.asked) == 1
    server.reply = lambda body: (401, {}, b"who are you?")
    outcomes = sampler(server, parallel=1, api_key="secret").try_sample(PROMPTS, 1, DECODING)
    assert len(server.asked) == 2
    assert "HTTP status 401: who are you?" in str(outcomes[0])
    assert "not sent" in str(outcomes[3])
    assert "secret" not in "".join(map(str, outcomes))


def test_redirects_are_not_followed(server: Server) -> None:
    server.reply = lambda body: (302, {"Location": "http://elsewhere.example/v1"}, b"")
    with pytest.raises(EndpointError, match=r"redirects to http://elsewhere\.example"):
        sampler(server, api_key="secret").sample(PROMPTS[:1], 1, DECODING)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>hello</html>", "something else than JSON: <html>hello"),
        (b"[1, 2]", "something else than an object"),
        (b'{"choices": []}', "without choices"),
        (b'{"choices": [{"text": "x"}]}', "a choice of another form"),
        (b'{"choices": [{"message": {"content": null}, "finish_reason": "tool_calls"}]}', "'tool_calls'"),
        (choices("x", finish_reason="content_filter"), "'content_filter'"),
    ],
)
def test_answers_of_another_form_are_errors(server: Server, content: bytes, message: str) -> None:
    server.reply = lambda body: (200, {}, content)
    with pytest.raises(EndpointError, match=message):
        sampler(server).sample(PROMPTS[:1], 1, DECODING)
    assert len(server.asked) == 1


def test_slow_and_absent_servers_are_given_up(server: Server) -> None:
    def sleeps(body: dict[str, Any]) -> Reply:
        time.sleep(0.4)
        return echo(body)

    server.reply = sleeps
    waits: list[float] = []
    with pytest.raises(EndpointError, match=r"did not answer in 2 attempts: timed out"):
        sampler(server, waits, attempts=2, timeout_seconds=0.05).sample(PROMPTS[:1], 1, DECODING)
    assert waits == [1.0]
    absent = OpenAISampler("http://127.0.0.1:9/v1", "m", attempts=1)
    with pytest.raises(EndpointError, match=r"did not answer in 1 attempts: .*refused"):
        absent.sample(PROMPTS[:1], 1, DECODING)


def test_addresses_that_are_none_are_refused() -> None:
    for base_url in ("localhost:8000", "file:///etc/passwd", "http://"):
        with pytest.raises(ConfigError, match=r"expected an address such as"):
            OpenAISampler(base_url, "m")
    with pytest.raises(ConfigError, match=r"attempts is 0"):
        OpenAISampler("http://localhost/v1", "m", attempts=0)
