"""The door: forged, stolen, guessed, oversized and slow requests."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from heed.errors import AccessError, DataError
from heed.store import Store
from heed.store.studio.people import People
from heed.web import passwords
from heed.web.app import build_app
from heed.web.patience import PatientProtocol
from heed.web.studio import Studio, StudioSettings

PASSWORD = "four words of sense"


def joined(studio: Studio, name: str = "Ann") -> str:
    """An account with a password; its id."""
    token = studio.people.invite("labeler", "training", "", None)
    return studio.people.join(token, name, passwords.hash_password(PASSWORD, name)).id


# --- sessions and links


def test_nothing_that_lets_in_is_in_the_database(studio: Studio, client_as: Callable[..., Any]) -> None:
    """Tokens of sessions and links, and passwords: whoever reads the file learns none of them."""
    link = studio.people.invite("labeler", "training", "note", None)
    joined(studio)
    browser = client_as("anyone")
    browser.post("/login", {"name": "Ann", "password": PASSWORD})
    session = browser.client.cookies["heed"]
    studio.store.close()
    content = b"".join(path.read_bytes() for path in studio.workspace.root.glob("heed.db*"))
    for secret in (link, session, PASSWORD):
        assert secret.encode() not in content


def test_a_session_made_before_signing_in_is_worth_nothing_after(studio: Studio, client_as: Callable[..., Any]) -> None:
    """Fixation: an attacker's cookie in the victim's browser does not become the victim's session."""
    joined(studio)
    victim = client_as("anyone")
    victim.client.cookies.set("heed", "attackers-choice")
    done = victim.post("/login", {"name": "Ann", "password": PASSWORD})
    assert done.status_code == 303
    assert "attackers-choice" not in done.headers["set-cookie"]
    assert studio.people.session("attackers-choice") is None


def test_sessions_end(studio: Studio, tmp_path: Path) -> None:
    now = studio.store.now()
    clock = [now]
    with Store.open(studio.workspace.database, clock=lambda: clock[0]) as store:
        people = People(store)
        account = people.join(people.owner_link(), "Ann", None)
        used, idle = people.open_session(account.id), people.open_session(account.id)
        for _ in range(40):
            clock[0] += timedelta(hours=8)
            assert people.session(used.token) is not None
        assert people.session(idle.token) is None, "not used for twelve hours"
        clock[0] = now + timedelta(days=14, minutes=1)
        assert people.session(used.token) is None, "older than fourteen days"


def test_a_link_ends_and_works_for_one_only(studio: Studio) -> None:
    clock = [studio.store.now()]
    with Store.open(studio.workspace.database, clock=lambda: clock[0]) as store:
        people = People(store)
        token = people.invite("labeler", "heldout", "", None, hours=1)
        assert people.peek(token) is not None
        clock[0] += timedelta(hours=2)
        assert people.peek(token) is None
        with pytest.raises(AccessError, match="used or is too old"):
            people.join(token, "Late", None)
        fresh = people.invite("labeler", "heldout", "", None)
        assert people.join(fresh, "First", None).group == "heldout"
        with pytest.raises(AccessError):
            people.join(fresh, "Second", None)


def test_cookies_are_out_of_scripts_reach_and_tls_only_where_there_is_tls(studio: Studio) -> None:
    joined(studio)
    for settings, expected in (
        (StudioSettings(), {"heed=": ("httponly", "samesite=lax"), "heed-visitor=": ("httponly", "samesite=strict")}),
        (
            StudioSettings(base_urls=("https://label.example",), secure=True),
            {"__Host-heed=": ("secure", "httponly", "path=/"), "heed-visitor=": ("secure", "httponly")},
        ),
    ):
        app = build_app(replace(studio, settings=settings))
        base = "https://label.example" if settings.secure else "http://testserver"
        with TestClient(app, base_url=base, follow_redirects=False) as client:
            first = client.get("/login").headers["set-cookie"]
            csrf = client.cookies["heed-visitor"]
            form = {"name": "Ann", "password": PASSWORD, "csrf": csrf}
            cookies = first + "\n" + client.post("/login", data=form).headers["set-cookie"]
        for start, flags in expected.items():
            (line,) = [one.lower() for one in cookies.splitlines() if one.startswith(start)]
            assert all(flag in line for flag in flags), line
            assert "domain" not in line


# --- guessing


def test_guessing_is_slow_for_an_account_and_for_an_address(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_matches", lambda stored, password: password == PASSWORD)
    joined(studio)
    for number in range(passwords.TRIES):
        spelled = ("Ann", "ANN", "ＡＮＮ", " ann ")[number % 4]
        assert passwords.sign_in(studio.people, spelled, "guess", "10.0.0.1") is None
    with pytest.raises(DataError, match="too many attempts"):
        passwords.sign_in(studio.people, "ann", PASSWORD, "10.0.0.2")
    for number in range(4 * passwords.TRIES):
        try:
            passwords.sign_in(studio.people, f"name {number}", "guess", "10.9.9.9")
        except DataError:
            break
    with pytest.raises(DataError, match="too many attempts"):
        passwords.sign_in(studio.people, "Someone else", PASSWORD, "10.9.9.9")
    studio.people.forgive("account ann")
    account = passwords.sign_in(studio.people, "ＡＮＮ", PASSWORD, "10.0.0.3")
    assert account is not None


def test_an_unknown_name_takes_as_long_as_a_wrong_password(studio: Studio) -> None:
    """The same work is done for both; timed would be flaky, so the work is counted."""
    joined(studio)
    done: list[str] = []
    real = passwords._matches
    try:
        passwords._matches = lambda stored, password: bool(done.append(stored)) or real(stored, password)  # type: ignore
        passwords.sign_in(studio.people, "Ann", "wrong", "a")
        passwords.sign_in(studio.people, "Nobody", "wrong", "a")
    finally:
        passwords._matches = real  # type: ignore[assignment]
    assert len(done) == 2
    assert all(stored.startswith("$argon2id$") for stored in done)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "annabel lee", "x" * 201])
def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(DataError):
        passwords.hash_password(password, "Annabel Lee")


def test_two_names_that_look_alike_are_one(studio: Studio) -> None:
    joined(studio, "Ann Smith")
    for name in ("ann  smith", "ANN SMITH", "Ａｎｎ Smith"):
        with pytest.raises(DataError, match="is taken"):
            joined(studio, name)
    for name in ("", "  ", "Ann\u200bSmith", "An\u202en", "x" * 81, "a\x00b"):
        with pytest.raises(DataError):
            joined(studio, name)


# --- requests


def test_every_answer_carries_the_headers(client_as: Callable[..., Any]) -> None:
    stranger, lead = client_as("anyone"), client_as("lead")
    answers = [
        stranger.get("/login"), stranger.get("/work"), stranger.get("/none"), lead.get("/lead"), lead.get("/none"),
        lead.api("/api/next"), lead.client.request("PATCH", "/lead"), lead.client.post("/settings"),
    ]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
        assert answer.headers["cache-control"] == "no-store"


def test_pages_hold_no_inline_script_or_style() -> None:
    """What the policy forbids is not in the templates, so that nothing silently fails."""
    root = Path(__file__).parents[2] / "src" / "heed" / "web"
    for path in root.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        inline = r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\bsrc=)(?![^>]*application/json)"
        assert not re.search(inline, text), path
        assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)), path
        assert "|safe" not in text, path
    policies = [path for path in root.rglob("*.js") if "createPolicy" in path.read_text(encoding="utf-8")]
    assert len(policies) == 1
    for path in root.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML", text), path
        assert "innerHTML" not in text or path in policies, path


def test_static_files_stay_in_their_directory(client_as: Callable[..., Any]) -> None:
    stranger = client_as("anyone")
    found = re.search(r'href="(/static/[^"]+app\.css)"', stranger.get("/login").text)
    assert found is not None
    css = stranger.get(found[1])
    assert css.status_code == 200 and "immutable" in css.headers["cache-control"]
    for name in ("../app.py", "%2e%2e/app.py", "..%2fapp.py", "", "js", "/etc/passwd"):
        path = f"/static/{name}"
        assert stranger.get(path).status_code in (404, 405), path


def test_a_large_body_is_refused_before_it_is_read(studio: Studio, client_as: Callable[..., Any]) -> None:
    labeler = client_as("labeler")
    headers = {"x-heed-csrf": labeler.csrf, "content-type": "application/json"}
    assert labeler.client.post("/api/next", content=b"x" * (2**20 + 1), headers=headers).status_code == 413

    def chunks() -> Any:
        for _ in range(40):
            yield b"x" * 2**16

    assert labeler.client.post("/api/next", content=chunks(), headers=headers).status_code == 413
    field = {"theme": "x" * 2**20}
    assert labeler.client.post("/settings", data=field, headers={"x-heed-csrf": labeler.csrf}).status_code in (400, 413)
    deep = b'{"have":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert labeler.client.post("/api/next", content=deep, headers=headers).status_code == 422
    many = "&".join(f"a{n}=1" for n in range(5000))
    answer = labeler.client.post(
        "/settings", content=many,
        headers={"x-heed-csrf": labeler.csrf, "content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.status_code in (303, 400, 413)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff", b'{"have": 5}', b'{"campaign": {}}', b"{"])
def test_bad_json_is_an_answer_not_a_failure(client_as: Callable[..., Any], body: bytes) -> None:
    labeler = client_as("labeler")
    headers = {"x-heed-csrf": labeler.csrf, "content-type": "application/json"}
    answer = labeler.client.post("/api/next", content=body, headers=headers)
    assert answer.status_code in (200, 422)
    assert "Traceback" not in answer.text


def test_nobody_is_sent_to_another_site(client_as: Callable[..., Any]) -> None:
    """``/out`` shows where a link leads and goes nowhere by itself; nothing else takes an address."""
    labeler = client_as("labeler")
    page = labeler.get("/out", params={"to": "https://evil.example/<script>"})
    assert page.status_code == 200 and "<script>" not in page.text and "location" not in page.headers
    for address in ("javascript:alert(1)", "data:text/html,x", "//evil.example", "/lead", ""):
        assert labeler.get("/out", params={"to": address}).status_code == 404
    stranger = client_as("anyone")
    for path in ("/login?next=https://evil.example", "//evil.example/%2e%2e", "/work?next=//evil.example"):
        assert "evil" not in stranger.get(path).headers.get("location", "")


def test_a_failure_tells_nothing(
    studio: Studio, client_as: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the secret of the database")

    lead = client_as("lead")
    monkeypatch.setattr(type(studio.review), "progress", fail)
    page = lead.get("/lead")
    assert page.status_code == 500
    assert "secret" not in page.text and "Traceback" not in page.text
    assert "content-security-policy" in page.headers


def test_behind_a_proxy_with_a_path_and_two_names(studio: Studio) -> None:
    """TLS ends at the proxy; the same app is known by two names, under a path."""
    urls = ("https://label.example/heed", "https://label.internal/heed")
    settings = StudioSettings(base_urls=urls, prefix="/heed", secure=True)
    joined(studio)
    app = build_app(replace(studio, settings=settings))
    for url in urls:
        origin = url.removesuffix("/heed")
        with TestClient(app, base_url=origin, follow_redirects=False) as client:
            page = client.get("/login")
            assert 'action="/heed/login"' in page.text and 'href="/heed/static/' in page.text
            form = {"name": "Ann", "password": PASSWORD, "csrf": client.cookies["heed-visitor"]}
            done = client.post("/login", data=form, headers={"origin": origin})
            assert (done.status_code, done.headers["location"]) == (303, "/heed/")
            forged = client.post("/login", data=form, headers={"origin": "https://evil.example"})
            assert forged.status_code == 403


def test_clients_that_send_nothing_keep_nobody_waiting(live_server: str) -> None:
    """A hundred connections that never finish their request."""
    host, port = live_server.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(100)]
    for index, one in enumerate(slow):
        head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
        one.sendall(head + (b"\r\nname=" if index % 2 else b""))
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=5) as quick:
        quick.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := quick.recv(4096):
            answer += part
    assert b"200 OK" in answer
    assert time.monotonic() - began < 5
    for one in slow:
        one.close()


def test_a_head_that_does_not_end_closes_the_connection(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a byte of it comes now and then; a client that waits between requests is another matter."""
    monkeypatch.setattr(PatientProtocol, "header_seconds", 1.5)
    config = uvicorn.Config(
        build_app(studio), host="127.0.0.1", port=0, log_level="warning", lifespan="off", http=PatientProtocol
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    place = server.servers[0].sockets[0].getsockname()
    with socket.create_connection(place) as silent, socket.create_connection(place) as slow:
        for byte in b"GET /":
            slow.sendall(bytes([byte]))
            time.sleep(0.1)
        good = http.client.HTTPConnection(*place)
        good.auto_open = False  # one connection for both requests
        good.connect()
        for _ in range(2):
            good.request("GET", "/healthz")
            answer = good.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"ok":true}')
        good.close()
        for one in (silent, slow):
            one.settimeout(10)
            assert one.recv(10) == b"", "closed by the server"
    server.should_exit = True
    thread.join(10)


def test_nothing_here_fetches_an_address_that_someone_gave() -> None:
    """No request goes out from the web app at all: there is nothing to forge one with."""
    root = Path(__file__).parents[2] / "src" / "heed" / "web"
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(urllib\.request|http\.client|import httpx|import requests|aiohttp)\b", text), path
        assert not re.search(r"\b(pickle|marshal|shelve)\b|\beval\(|\bexec\(|shell=True", text), path
