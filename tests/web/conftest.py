"""A studio in a fresh workspace, browsers of every role, and a server of its own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from heed.store import Store, Workspace
from heed.store.studio.people import Account
from heed.web.app import build_app
from heed.web.studio import Studio

ORIGIN = "http://testserver"


@pytest.fixture(scope="session")
def empty_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "workspace"
    Workspace.create(path).store().close()
    return path


@pytest.fixture
def studio(tmp_path: Path, empty_workspace: Path) -> Iterator[Studio]:
    shutil.copytree(empty_workspace, tmp_path / "workspace")
    workspace = Workspace.open(tmp_path / "workspace")
    with workspace.store() as store:
        yield Studio.of(workspace, store)


@dataclass(frozen=True)
class Browser:
    """Somebody's browser: a client that sends the CSRF token with everything unsafe."""

    client: TestClient
    account: Account | None
    csrf: str

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.client.get(path, **kwargs)

    def post(self, path: str, data: Any = None, **kwargs: Any) -> Any:
        return self.client.post(path, data=data, headers={"x-heed-csrf": self.csrf}, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Any:
        return self.client.put(path, headers={"x-heed-csrf": self.csrf}, **kwargs)

    def api(self, path: str, value: Any = None, method: str = "POST") -> Any:
        return self.client.request(method, path, json=value or {}, headers={"x-heed-csrf": self.csrf})


def make_account(store: Store, role: str, name: str, status: str = "active", group: str = "training") -> Account:
    """An account that came in by a link."""
    from heed.store.studio.people import People

    people = People(store)
    token = people.owner_link() if role == "owner" else people.invite(role, group, "", None)  # type: ignore[arg-type]
    account = people.join(token, name, None)
    if account.status != status:
        people.set_status(account.id, status, account.id)  # type: ignore[arg-type]
    found = people.account(account.id)
    assert found is not None
    return found


ROLES = {
    "labeler": ("labeler", "active", "training"),
    "heldout": ("labeler", "active", "heldout"),
    "onboarding": ("labeler", "onboarding", "training"),
    "screening": ("labeler", "screening", "training"),
    "paused": ("labeler", "paused", "training"),
    "lead": ("lead", "active", "training"),
    "owner": ("owner", "active", "training"),
}


@pytest.fixture
def client_as(studio: Studio) -> Iterator[Callable[..., Browser]]:
    """``client_as("lead")`` is a browser in which a lead has signed in; ``client_as("anyone")`` one of a stranger."""
    opened: list[TestClient] = []
    app = build_app(studio)

    def make(role: str, name: str = "") -> Browser:
        client = TestClient(app, base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False)
        opened.append(client)
        if role == "anyone":
            client.get("/login")
            return Browser(client, None, client.cookies.get("heed-visitor", ""))
        kind, status, group = ROLES[role]
        known = studio.people.by_name(name or role)
        account = known or make_account(studio.store, kind, name or role, status, group)
        session = studio.people.open_session(account.id, "test")
        client.cookies.set("heed", session.token)
        return Browser(client, account, session.csrf)

    yield make
    for client in opened:
        client.close()


@contextmanager
def served(studio: Studio) -> Iterator[str]:
    """The studio behind a real socket; its address."""
    config = uvicorn.Config(build_app(studio), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def live_server(studio: Studio) -> Iterator[str]:
    with served(studio) as address:
        yield address
