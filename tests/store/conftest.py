"""A fresh store on SQLite, and on PostgreSQL too where HEED_TEST_POSTGRES gives the URL of a database to use."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url

from heed.store import Store, dialect

POSTGRES = "HEED_TEST_POSTGRES"


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


@pytest.fixture
def store(address: str) -> Iterator[Store]:
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
