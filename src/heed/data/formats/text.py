"""Plain text: ``.txt`` files, or rows with a ``text`` field such as books; plain or gzip, one file or a directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from heed.data.lines import ROW_SUFFIXES, read_lines, read_rows, write_lines, write_rows
from heed.errors import DataError

SEPARATOR = "<|endoftext|>"
"""A line of a ``.txt`` file that says no more than this stands between two documents."""
SUFFIXES = (".txt", ".txt.gz", *ROW_SUFFIXES)


def read(path: Path) -> Iterator[str]:
    """Documents, one at a time. A ``.txt`` file without separators is one document; empty ones are left out.

    Raises:
        DataError: no such file, a damaged one, bytes that are not UTF-8, or a row without ``text``; with the line.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES))
        if not files:
            raise DataError(f"{path}: no text files in this directory, expected {', '.join(SUFFIXES)}")
        for file in files:
            yield from read(file)
    elif path.name.endswith(ROW_SUFFIXES):
        yield from (text for row in read_rows(path) if (text := row.text("text")).strip())
    else:
        yield from _documents(path)


def write(path: Path, records: Iterable[object]) -> int:
    """Write documents as rows with a ``text`` field, or with separators between them if the name says ``.txt``."""
    if path.name.endswith(ROW_SUFFIXES):
        return write_rows(path, ({"text": _checked(record)} for record in records))
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for record in records:
            if count:
                yield SEPARATOR
            yield _checked(record)
            count += 1

    write_lines(path, lines())
    return count


def _documents(path: Path) -> Iterator[str]:
    document: list[str] = []
    for line in read_lines(path):
        if line.text.strip() == SEPARATOR:
            yield from _joined(document)
            document.clear()
        else:
            document.append(line.text)
    yield from _joined(document)


def _joined(lines: list[str]) -> Iterator[str]:
    text = "\n".join(lines)
    if text.strip():
        yield text


def _checked(record: object) -> str:
    if not isinstance(record, str):
        raise DataError(f"text holds documents, a {type(record).__name__.lower()} cannot be written in it")
    return record
