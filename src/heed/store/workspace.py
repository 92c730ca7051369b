"""The directory that holds one project: its database, models, runs and exports."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from heed.errors import WorkspaceError
from heed.records import Json

if TYPE_CHECKING:
    from heed.store.database import Store

DATABASE = "heed.db"
LOCK = "heed.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where everything of one project is."""

    root: Path
    database: str = field(repr=False)
    """File or URL of the database; the URL may hold a password."""

    @classmethod
    def create(cls, path: str | Path, database: str | None = None) -> Workspace:
        """Make the directory and its database; what is there already is kept.

        Args:
            database: URL of a database server to use instead of a file in the directory.

        Raises:
            WorkspaceError: the path is a file, is not writable, or its database is not this Heed's.
        """
        workspace = cls._at(path, database)
        try:
            for directory in (workspace.models_dir, workspace.runs_dir, workspace.exports_dir):
                directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{workspace.root}: cannot make a workspace here: {error.strerror}") from error
        workspace.store().close()
        return workspace

    @classmethod
    def open(cls, path: str | Path, database: str | None = None) -> Workspace:
        """The workspace at ``path``.

        Raises:
            WorkspaceError: there is none.
        """
        workspace = cls._at(path, database)
        if not workspace.runs_dir.is_dir() or (database is None and not workspace.db.exists()):
            raise WorkspaceError(f"{workspace.root}: there is no workspace here; make one with heed init {path}")
        return workspace

    @classmethod
    def _at(cls, path: str | Path, database: str | None) -> Workspace:
        root = Path(path).resolve()
        return cls(root=root, database=database or str(root / DATABASE))

    @property
    def db(self) -> Path:
        """The SQLite file, which is not there when the database is on a server."""
        return self.root / DATABASE

    @property
    def models_dir(self) -> Path:
        """One directory for each model."""
        return self.root / "models"

    @property
    def runs_dir(self) -> Path:
        """One directory for each run or stage."""
        return self.root / "runs"

    @property
    def exports_dir(self) -> Path:
        """One directory for each frozen data set."""
        return self.root / "exports"

    def store(self) -> Store:
        """Open the database."""
        from heed.store.database import Store

        return Store.open(self.database)

    @contextmanager
    def lock(self, purpose: str = "heed run") -> Iterator[None]:
        """Hold the workspace for one run. The kernel lets go when the process ends, however it ends.

        Raises:
            WorkspaceError: another process holds it, which the message names, or the directory cannot be locked.
        """
        try:
            handle = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WorkspaceError(f"{self.root}: cannot be locked for a run: {error.strerror}") from error
        try:
            self._take(handle, {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose})
            yield
        finally:
            os.close(handle)

    def _take(self, handle: int, holder: Mapping[str, Json]) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkspaceError(self._held_by(handle)) from error
        except OSError as error:
            raise WorkspaceError(
                f"{self.root}: this file system has no locks ({error.strerror}); put the workspace on a local disk"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)

    def _held_by(self, handle: int) -> str:
        try:
            holder = json.loads(os.pread(handle, 4096, 0))
            who = f"{holder['purpose']} (process {holder['pid']} on {holder['host']})"
        except (ValueError, KeyError):
            who = "another process"  # which has taken the lock this instant and not yet signed
        return f"{self.root}: in use by {who}. Wait until it has ended, or use another workspace."
