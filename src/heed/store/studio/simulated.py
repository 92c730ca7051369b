"""Simulated labelers come in like everyone, and are kept apart by their kind."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update

from heed.records import LabelerGroup
from heed.store import schema as t
from heed.store.database import Store
from heed.store.studio.people import People


def invite_crew(store: Store, groups: Sequence[LabelerGroup]) -> list[str]:
    """A link's token for each of them."""
    people = People(store)
    return [people.invite("labeler", group, "simulated", None, hours=1) for group in groups]


def mark_simulated(store: Store, labelers: Sequence[str]) -> None:
    """Say of these that no person is behind them; agreement is then reported apart from people's."""
    with store.writer() as connection:
        connection.execute(update(t.labeler).where(t.labeler.c.id.in_(labelers)).values(kind="simulated"))


def accept_crew(store: Store, accounts: Sequence[str]) -> None:
    """Let them work, whatever the screening said of them."""
    people = People(store)
    for account in accounts:
        people.set_status(account, "active", "system")
