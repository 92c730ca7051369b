"""A few seconds of many labelers on the real server, killed once: nothing acknowledged is lost, nothing given twice.

The full run is ``benchmarks/label_load.py``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from benchmarks.label_load import Load, run
from heed.feedback.crew.work import Mishaps

POSTGRES = "HEED_TEST_POSTGRES"


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES in os.environ else ["sqlite"])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """An empty schema on a server, or nothing for the workspace's own file."""
    if request.param == "sqlite":
        yield None
        return
    name = f"heed_{uuid.uuid4().hex[:12]}"
    server = create_engine(os.environ[POSTGRES], isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    inside = make_url(os.environ[POSTGRES]).update_query_dict({"options": f"-csearch_path={name}"})
    yield inside.render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    server.dispose()


def test_a_killed_server_loses_nothing_acknowledged(tmp_path: Path, url: str | None) -> None:
    workers = 1 if url is None else 2
    mishaps = Mishaps(dropped=0.1, repeated=0.1, killed=0.1, skipped=0.02)
    load = Load(labelers=10, seconds=5.0, items=400, think=0.3, kill=True, mishaps=mishaps, url=url, workers=workers)
    result = run(load, tmp_path / "workspace")
    assert result.errors == ()
    assert (result.lost, result.not_exported, result.double_leases, result.wrong_slots) == (0, 0, 0, 0)
    assert result.answers >= 20 and result.exported <= result.answers + 10
    assert result.retries > 0, "the server was away for a while"
    assert result.next_ms[0] > 0
