"""A fresh store on SQLite, and on PostgreSQL too where HEED_TEST_POSTGRES gives the URL of a database to use."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url

from heed.store import Store, dialect

POSTGRES = "HEED_TEST_POSTGRES"


@pytest.fixture(autouse=True)
def _other_processes_find_heed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is not installed but found by pytest's own path."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES in os.environ else ["sqlite"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty database is; a schema of its own on a server."""
    if request.param == "sqlite":
        yield str(tmp_path / "heed.db")
        return
    url = os.environ[POSTGRES]
    name = f"heed_{uuid.uuid4().hex[:12]}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    inside = make_url(url).update_query_dict({"options": f"-csearch_path={name}"})
    yield inside.render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    server.dispose()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to be copied: quicker than migrating for every test."""
    path = tmp_path_factory.mktemp("empty") / "heed.db"
    Store.open(path).close()
    return path


@pytest.fixture
def store(address: str, empty_database: Path) -> Iterator[Store]:
    if "://" not in address:
        shutil.copy(empty_database, address)
    with Store.open(address) as opened:
        yield opened


@pytest.fixture
def engine(store: Store, address: str) -> Iterator[Engine]:
    """A second way into the store's database, for statements the store would never make."""
    opened = dialect.connect(address)
    yield opened
    opened.dispose()


@pytest.fixture
def rows(engine: Engine) -> Iterator[Connection]:
    """A transaction for looking at rows."""
    with engine.connect() as connection:
        yield connection
