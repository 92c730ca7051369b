"""What every part of the store does with rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, insert, select

from heed.store.dialect import reserve_ids

CHUNK = 5000
"""Values in one IN list: below what SQLite and PostgreSQL allow."""

H = TypeVar("H", bound=Hashable)


def chunks(values: Iterable[H]) -> Iterator[list[H]]:
    """The values in lists that fit an IN."""
    iterator = iter(values)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def rows_by_key(
    connection: Connection, key: Column[Any], columns: Sequence[Any], values: Iterable[str]
) -> dict[str, Any]:
    """Those rows whose ``key`` is among ``values``, by key."""
    found = {}
    for chunk in chunks(values):
        for row in connection.execute(select(key.label("key"), *columns).where(key.in_(chunk))):
            found[row.key] = row
    return found


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows; their ids, in the order of the rows."""
    ids = reserve_ids(connection, table, len(rows))
    if rows:
        connection.execute(insert(table), [{"id": one, **row} for one, row in zip(ids, rows, strict=True)])
    return ids
