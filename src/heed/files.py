"""Files that are either whole or not there: written to a temporary name, synced, then renamed into place."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from heed.errors import DataError, WorkspaceError
from heed.records import Json


@contextmanager
def atomic_write(path: Path, mode: str = "wb", permissions: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a temporary neighbour of ``path`` for writing; it takes ``path``'s place only if the block succeeds.

    Raises:
        WorkspaceError: the disk is full; ``path`` is then as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, permissions)  # mkstemp makes it private; the final file is an ordinary one, unless asked
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        raise _explained(error, path) from error


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """A temporary directory beside ``path`` that replaces it, all files synced, only if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        _replace_directory(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _explained(error, path) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Json) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Json:
    """Read a JSON file.

    Raises:
        DataError: the file is not JSON; the message names file and line.
    """
    try:
        value: Json = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not valid JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not valid UTF-8 at byte {error.start}") from error
    return value


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace_directory(temporary: Path, path: Path) -> None:
    """Swap ``temporary`` in for ``path``. A directory cannot be replaced in one step, so the old one steps aside."""
    old = None
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
        os.replace(path, old / path.name)
    os.chmod(temporary, 0o755)  # mkdtemp makes it private; the final directory is an ordinary one
    os.replace(temporary, path)
    _sync_directory(path.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: BaseException, path: Path) -> BaseException:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(path.parent).free // 2**20
        return WorkspaceError(
            f"{path}: no space left on the disk ({free} MiB free). Nothing was changed; free some space and run again."
        )
    return error
