"""The store's tests run on PostgreSQL as well, where there is one; here it is only said when they do not."""

from __future__ import annotations

import os

import pytest

from heed.errors import WorkspaceError
from heed.store import Store, dialect

POSTGRES = "HEED_TEST_POSTGRES"


def test_the_store_runs_on_postgresql() -> None:
    if POSTGRES not in os.environ:
        pytest.skip(f"{POSTGRES} is not set, for instance to postgresql+psycopg://postgres@localhost/postgres")
    engine = dialect.connect(os.environ[POSTGRES])
    with dialect.transaction(engine, write=True) as connection:
        assert connection.dialect.name == "postgresql"
    engine.dispose()


@pytest.mark.parametrize("address", ["postgresql+nothing://x/y", "oracle9://x/y", "://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(WorkspaceError, match="postgresql"):
        Store.open(address)


def test_a_server_that_does_not_answer_is_named() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(WorkspaceError, match="localhost:1/heed: the database server does not answer"):
        Store.open("postgresql+psycopg://nobody:secret@localhost:1/heed")
