"""People's work and its history: a database with numbered migrations, frozen exports, and the workspace around them.

SQL is written here and nowhere else; the rest of Heed sees records. Importing this package does not import
SQLAlchemy; opening a store does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heed.store.workspace import Workspace

if TYPE_CHECKING:
    from heed.store.database import Store

__all__ = ["Store", "Workspace"]


def __getattr__(name: str) -> object:
    if name == "Store":
        from heed.store.database import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
