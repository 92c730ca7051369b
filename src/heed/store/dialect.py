"""Where SQLite and PostgreSQL differ, and nowhere else."""

from __future__ import annotations

import functools
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Integer,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, StatementError

from heed.errors import HeedError, WorkspaceError

P = ParamSpec("P")
R = TypeVar("R")
DEADLOCK_TRIES = 6
BUSY_SECONDS = 30
"""How long a writer waits for another. At 5 s twenty parallel writers fail; at 30 s none of them did."""


def connect(where: str | Path) -> Engine:
    """An engine for a SQLite file or a database URL.

    Raises:
        WorkspaceError: the URL is not one, or names a database without a driver here.
    """
    try:
        url = (
            make_url(where) if isinstance(where, str) and "://" in where else URL.create("sqlite", database=str(where))
        )
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
            event.listen(engine, "connect", _prepare_sqlite)
        else:
            engine = create_engine(url, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise WorkspaceError(
            f"{where}: not a database address ({error}); expected a file name or postgresql+psycopg://USER@HOST/NAME"
        ) from error
    except ModuleNotFoundError as error:
        raise WorkspaceError(f"{where}: the driver {error.name} is missing; pip install 'heed[postgres]'") from error
    event.listen(engine, "begin", _begin)
    return engine


def address(engine: Engine) -> str:
    """Where the database is, for messages: a file, or a URL without its password."""
    sqlite_file = engine.url.database if engine.dialect.name == "sqlite" else None
    return sqlite_file or engine.url.render_as_string(hide_password=True)


@contextmanager
def transaction(engine: Engine, *, write: bool) -> Iterator[Connection]:
    """One transaction; a writer takes its lock at the start, so that it never fails half-way for another's sake.

    Raises:
        WorkspaceError: the disk is full, the file is locked, unreadable or no database, or the server is not there.
    """
    try:
        with engine.connect().execution_options(heed_write=write) as connection, connection.begin():
            yield connection
    except StatementError as error:
        if isinstance(error.orig, HeedError):  # a column type refused a value
            raise error.orig from None
        raise _explained(error, engine) from error


def again_after_deadlock(method: Callable[P, R]) -> Callable[P, R]:
    """A method that is one transaction, begun again when the server ended it for the sake of another.

    Transactions that lock rows in different orders can wait for each other in a ring. PostgreSQL then ends one of them,
    with nothing of it done; begun again it finds the others gone.
    """

    @functools.wraps(method)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(DEADLOCK_TRIES - 1):
            try:
                return method(*args, **kwargs)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in ("40P01", "40001"):
                    raise
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)
        return method(*args, **kwargs)

    return patient


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose keys are not taken, and leave those that are there as they are."""
    if rows:
        module = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(module.insert(table).on_conflict_do_nothing(), rows)


def insert_or_none(connection: Connection, table: Table, row: dict[str, Any]) -> int | None:
    """Insert a row; its id, or nothing if one of its keys is taken."""
    key: int | None = connection.execute(_insert_or_none(connection.dialect.name, table), row).scalar()
    return key


def upsert(connection: Connection, table: Table, row: dict[str, Any], *, newer: str | None = None) -> None:
    """Insert a row, or let it replace the one with its primary key; only if its ``newer`` column is higher, if named.

    One row, one statement: two workers who do this at once leave the row of one of them, never an error.
    """
    connection.execute(_upsert(connection.dialect.name, table, tuple(row), newer), row)


@cache
def _insert_or_none(dialect: str, table: Table) -> Executable:
    insert: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    statement: Executable = insert.on_conflict_do_nothing().returning(table.c.id)
    return statement


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], newer: str | None) -> Executable:
    insert: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    keys = [column.name for column in table.primary_key]
    values = {name: insert.excluded[name] for name in columns if name not in keys}
    where = None if newer is None else insert.excluded[newer] > table.c[newer]
    statement: Executable = insert.on_conflict_do_update(index_elements=keys, set_=values, where=where)
    return statement


def first_free(connection: Connection, table: Table, condition: ColumnElement[bool], ids: list[int]) -> int | None:
    """The first of the rows that meets the condition and that nobody else is changing; it is ours until the end.

    On SQLite a writer is alone, so that the first row given will do.
    """
    if connection.dialect.name == "sqlite":
        return ids[0] if ids else None
    order = func.array_position(bindparam("order", ids, type_=postgresql.ARRAY(Integer)), table.c.id)
    statement = select(table.c.id).where(table.c.id.in_(ids), condition).order_by(order).limit(1)
    found: int | None = connection.execute(statement.with_for_update(skip_locked=True, key_share=True)).scalar()
    return found


def reserve_ids(connection: Connection, table: Table, n: int) -> list[int]:
    """``n`` new ids, ascending, for rows about to be inserted in this transaction."""
    if connection.dialect.name == "sqlite":  # whose writers are alone
        last = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        return list(range(last + 1, last + 1 + n))
    sequence = func.nextval(func.pg_get_serial_sequence(table.name, "id"))
    return list(connection.execute(select(sequence).select_from(func.generate_series(1, n))).scalars())


def lock_schema(connection: Connection) -> None:
    """Wait until no one else migrates this database. Released at the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(72656564)")


def lock_events(connection: Connection) -> None:
    """Wait until no one else writes an event, for the rest of the transaction: each covers the one before it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(72656565)")


def make_append_only(connection: Connection, table: str) -> None:
    """Refuse every update and deletion of a table's rows, whoever asks."""
    if connection.dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    connection.exec_driver_sql(
        "CREATE OR REPLACE FUNCTION heed_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
        "MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
    )
    for suffix, actions, unit in (("rows", "UPDATE OR DELETE", "ROW"), ("table", "TRUNCATE", "STATEMENT")):
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_append_only_{suffix} BEFORE {actions} ON {table} "
            f"FOR EACH {unit} EXECUTE FUNCTION heed_append_only()"
        )


@contextmanager
def changeable(connection: Connection, table: str) -> Iterator[None]:
    """Let an append-only table change within this transaction: for a restore, and for removing a person's words."""
    if connection.dialect.name == "sqlite":
        for action in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER {table}_no_{action}")
        yield
        make_append_only(connection, table)
        return
    connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only_rows")
    yield
    connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only_rows")


def hold_still(connection: Connection) -> None:
    """Let a reading transaction see one state of the database to its end. Must come before its first query."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def forget_deleted(connection: Connection) -> None:
    """Overwrite what this transaction deletes or replaces, where the database would leave it in the file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def scrub(engine: Engine) -> None:
    """Empty the log and the dead rows of texts that were deleted."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        statement = "PRAGMA wal_checkpoint(TRUNCATE)" if connection.dialect.name == "sqlite" else "VACUUM"
        connection.exec_driver_sql(statement)


def settle_sequences(connection: Connection, tables: Sequence[Table]) -> None:
    """Let new ids begin after those that were inserted with their own."""
    if connection.dialect.name == "postgresql":
        for table in tables:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"
            )


def keep_tiers_dense(connection: Connection) -> None:
    """Refuse a tier that would leave a gap: rows of ``rank_tier`` come in the order of their tiers, 0, 1, ..."""
    gap = "NEW.tier > COALESCE((SELECT MAX(tier) + 1 FROM rank_tier WHERE response_id = NEW.response_id), 0)"
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE TRIGGER rank_tier_dense BEFORE INSERT ON rank_tier WHEN {gap} "
            "BEGIN SELECT RAISE(ABORT, 'rank_tier has a gap'); END"
        )
        return
    connection.exec_driver_sql(
        f"CREATE FUNCTION heed_dense_tiers() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {gap} THEN "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'rank_tier has a gap'; "
        "END IF; RETURN NEW; END $$"
    )
    connection.exec_driver_sql(
        "CREATE TRIGGER rank_tier_dense BEFORE INSERT ON rank_tier FOR EACH ROW EXECUTE FUNCTION heed_dense_tiers()"
    )


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Set up a new SQLite connection; transactions are begun by us, in :func:`_begin`."""
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # what has been acknowledged survives a power cut too
        "foreign_keys = ON",
        "recursive_triggers = ON",  # so that REPLACE cannot delete behind a trigger's back
        f"busy_timeout = {BUSY_SECONDS * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("heed_write")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write is False:  # several statements see one state, as they do on SQLite
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _explained(error: StatementError, engine: Engine) -> Exception:
    """The error as a sentence that says what to do, or the error itself if there is nothing to say."""
    if not isinstance(error, DBAPIError):
        return error
    reason = str(error.orig)
    path = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
    where = address(engine)
    if getattr(error.orig, "sqlstate", None) == "53100" or "database or disk is full" in reason:
        return _disk_full(path, where)
    if path is None:
        gone = "connection failed" in reason or "connection refused" in reason.lower() or error.connection_invalidated
        return WorkspaceError(f"{where}: the database server does not answer: {reason}") if gone else error
    if "disk I/O error" in reason:
        return (
            _disk_full(path, where) if _free_mib(path) == 0 else WorkspaceError(f"{where}: the disk reports an error")
        )
    if "is locked" in reason:
        return WorkspaceError(f"{where}: another process has held the database for {BUSY_SECONDS} s; try again")
    if "not a database" in reason or "malformed" in reason:
        return WorkspaceError(f"{where}: this is not a database, or it is damaged; restore it from a backup")
    if "readonly" in reason or "unable to open" in reason:
        return WorkspaceError(f"{where}: cannot be opened for writing; check that the directory exists and is yours")
    return error


def _disk_full(path: Path | None, where: str) -> WorkspaceError:
    free = f" ({_free_mib(path)} MiB free)" if path else ""
    return WorkspaceError(
        f"{where}: no space left on the disk{free}. Nothing was changed; free some space and run again."
    )


def _free_mib(path: Path) -> int:
    return shutil.disk_usage(path.parent).free // 2**20
