"""A transaction that the server ended for the sake of another is begun again; any other failure is one."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from heed.store.dialect import DEADLOCK_TRIES, again_after_deadlock


class ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def failing(times: int, sqlstate: str) -> tuple[list[int], object]:
    calls: list[int] = []

    @again_after_deadlock
    def method(value: int) -> int:
        calls.append(value)
        if len(calls) <= times:
            raise OperationalError("UPDATE", {}, ServerError(sqlstate))
        return value

    return calls, method


def test_a_deadlock_is_tried_again() -> None:
    calls, method = failing(2, "40P01")
    assert method(7) == 7  # type: ignore[operator]
    assert calls == [7, 7, 7]


def test_not_for_ever() -> None:
    calls, method = failing(99, "40001")
    with pytest.raises(OperationalError):
        method(7)  # type: ignore[operator]
    assert len(calls) == DEADLOCK_TRIES


def test_other_failures_are_not_tried_again() -> None:
    calls, method = failing(1, "23505")
    with pytest.raises(OperationalError):
        method(7)  # type: ignore[operator]
    assert calls == [7]
