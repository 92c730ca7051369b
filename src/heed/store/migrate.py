"""Bringing a database to today's schema, and refusing one that is ahead of it."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, inspect, text

from heed.errors import WorkspaceError
from heed.store import dialect
from heed.store.schema import REVISIONS


def ensure_schema(engine: Engine) -> None:
    """Create the tables, or take them from an older version to this one, all in one transaction.

    Raises:
        WorkspaceError: a newer Heed wrote this database, or something that is not Heed.
    """
    with dialect.transaction(engine, write=False) as connection:
        if schema_version(connection) == REVISIONS[-1]:
            return
    with dialect.transaction(engine, write=True) as connection:
        dialect.lock_schema(connection)
        version = schema_version(connection)  # once more: another process may have been faster
        where = dialect.address(engine)
        if version is not None and version not in REVISIONS:
            raise WorkspaceError(
                f"{where}: written by a newer Heed (schema {version}; this one knows up to {REVISIONS[-1]}). "
                "Upgrade Heed, for instance with pip install --upgrade heed, or use another workspace."
            )
        if version is None and inspect(connection).get_table_names():
            raise WorkspaceError(
                f"{where}: holds tables that are not Heed's. Choose a database that is empty or Heed's."
            )
        if version != REVISIONS[-1]:
            upgrade(connection)


def schema_version(connection: Connection) -> str | None:
    """The schema's version, or None if the database is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to ``revision`` within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "heed.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
