"""A database of any age becomes today's, and one from the future is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from heed.errors import WorkspaceError
from heed.records import Completion, Prompt, Ranking
from heed.store import Store, dialect
from heed.store.migrate import schema_version, upgrade
from heed.store.schema import REVISIONS, metadata
from heed.store.studio import tables as _studio  # noqa: F401 - adds its tables to the metadata


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "heed.store:migrations")
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def test_every_migration_is_known_and_in_a_row() -> None:
    scripts = list(_scripts().walk_revisions())[::-1]
    assert tuple(script.revision for script in scripts) == REVISIONS
    assert [script.down_revision for script in scripts] == [None, *REVISIONS[:-1]]


def test_an_empty_database_becomes_what_the_code_expects(engine: Engine) -> None:
    with engine.connect() as connection:
        assert schema_version(connection) == REVISIONS[-1]
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_constraints_are_named_alike_in_code_and_database(engine: Engine) -> None:
    inspector = inspect(engine)
    for table in metadata.sorted_tables:
        found = {check["name"] for check in inspector.get_check_constraints(table.name)}
        meant = {str(one.name) for one in table.constraints if type(one).__name__ == "CheckConstraint"}
        assert found == meant, table.name
        uniques = {tuple(one["column_names"]) for one in inspector.get_unique_constraints(table.name)}
        wanted = {
            tuple(c.name for c in one.columns) for one in table.constraints if type(one).__name__ == "UniqueConstraint"
        }
        assert uniques == wanted, table.name


ROWS = {
    "0001": [
        "INSERT INTO prompt (id, record_id, messages, source, category, author, split, meta, created_at) "
        "VALUES (1, 'p', '[[\"user\",\"q\"]]', '', '', '', 'train', '{}', '2026-01-01')",
        "INSERT INTO labeler (id, kind, labeler_group, created_at) VALUES ('ann', 'human', 'training', '2026-01-01')",
        "INSERT INTO form (id, name, version, definition, created_at) VALUES (1, 'ranking', 1, '{}', '2026-01-01')",
        "INSERT INTO item (id, campaign, round, prompt_id, form_id, slots_total, slots_open, created_at) "
        "VALUES (1, '', 0, 1, 1, 1, 0, '2026-01-01')",
        "INSERT INTO assignment (id, item_id, labeler_id, attempt, state, served_at, submitted_at) "
        "VALUES (1, 1, 'ann', 1, 'submitted', '2026-01-01', '2026-01-01')",
        "INSERT INTO response (id, assignment_id, item_id, idempotency_key, said_key, created_at) "
        "VALUES (1, 1, 1, 'k', 's', '2026-01-01')",
        *(
            "INSERT INTO generation "
            "(id, prompt_id, record_id, text, token_ids, logprobs, stop, policy, meta, created_at) "
            f"VALUES ({n + 1}, 1, 'c{n}', 'answer {n}', :empty, :empty, 'written', '', '{{}}', '2026-01-01')"
            for n in range(2)
        ),
        *(f"INSERT INTO item_candidate (item_id, ordinal, generation_id) VALUES (1, {n}, {n + 1})" for n in range(2)),
        *(f"INSERT INTO rank_tier (response_id, item_id, ordinal, tier) VALUES (1, 1, {n}, {n})" for n in range(2)),
    ],
    "0002": [
        "INSERT INTO model (id, name, config_hash, stage, metrics, code_version, created_at) "
        "VALUES (1, 'sft', 'c', 'sft', '{}', '0.1.0', '2026-01-01')",
    ],
    "0003": [
        "INSERT INTO campaign (name, form_id, state, settings, created_at) "
        "VALUES ('first', 1, 'active', '{}', '2026-01-01')",
    ],
}
"""What each version adds to a database that has been in use."""


def test_each_version_has_rows_to_be_carried_over() -> None:
    assert tuple(ROWS) == REVISIONS


@pytest.mark.parametrize("version", REVISIONS)
def test_a_database_in_use_is_carried_over_from_each_version(address: str, version: str) -> None:
    engine = dialect.connect(address)
    with dialect.transaction(engine, write=True) as connection:
        upgrade(connection, version)
        for step in REVISIONS[: REVISIONS.index(version) + 1]:
            for statement in ROWS[step]:
                connection.execute(text(statement), {"empty": b""} if ":empty" in statement else {})
        assert schema_version(connection) == version
    engine.dispose()
    with Store.open(address) as store:
        (ranking,) = store.rankings()
        assert (ranking.prompt, ranking.tiers) == (Prompt.from_text("q", id="p"), (0, 1))
        assert [one.name for one in store.models()] == (["sft"] if version >= "0002" else [])
        added = Ranking(
            prompt=Prompt.from_text("new"), completions=(Completion(text="a"), Completion(text="b")), tiers=(0, 0)
        )
        if engine.dialect.name == "sqlite":  # whose ids go on after those that were given by hand
            store.add_rankings([added])
            assert store.rankings() == [ranking, added]


def test_a_database_of_a_newer_heed_is_refused_and_left_alone(store: Store, engine: Engine, address: str) -> None:
    with engine.connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WorkspaceError) as caught:
        Store.open(address)
    message = str(caught.value)
    assert re.search(f"written by a newer Heed .schema 9999; this one knows up to {REVISIONS[-1]}.", message)
    assert "Upgrade Heed" in message
    assert "secret" not in message
    with engine.connect() as connection:
        assert schema_version(connection) == "9999"


def test_a_database_of_something_else_is_refused(address: str) -> None:
    engine = dialect.connect(address)
    with dialect.transaction(engine, write=True) as connection:
        connection.execute(text("CREATE TABLE shopping (id INTEGER)"))
    engine.dispose()
    with pytest.raises(WorkspaceError, match="holds tables that are not Heed's"):
        Store.open(address)


def test_a_failed_migration_leaves_nothing_behind(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = dialect.connect(address)
    with pytest.raises(RuntimeError, match="power cut"), dialect.transaction(engine, write=True) as connection:
        upgrade(connection)
        raise RuntimeError("power cut")
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()
    Store.open(address).close()


def test_processes_that_open_a_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "heed.db"
    code = f"from heed.store import Store; s = Store.open({str(path)!r}); print(s.counts()['prompts'])"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    results = [process.communicate() for process in running]
    assert [out for out, _ in results] == [b"0\n"] * 3, results
