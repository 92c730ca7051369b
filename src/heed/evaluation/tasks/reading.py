"""Published task files, read with care: whatever is wrong is said with its file, line and field.

JSON lines, JSON arrays, CSV and TSV, each plain or gzip.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeAlias

from heed.data import lines
from heed.errors import DataError, nearest

Form: TypeAlias = Literal["jsonl", "json", "csv", "tsv"]
FieldTypes: TypeAlias = Mapping[str, type | tuple[type, ...]]
"""The fields that every row must have, and what each may be; ``NoneType`` among them lets a field be null."""

_PLACE = re.compile(r", (?:line|row) (\d+)(?:, item (\d+))?$")
_WORDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    NoneType: "null",
}


def read_rows(
    path: Path, fields: FieldTypes, form: Form | None = None, *, header: Sequence[str] = (), inside: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file with the line each begins on (in a file ``.json``: with its place), counted from 1.

    Args:
        path: a file, plain or gzip.
        fields: what every row must have; other fields are handed over as they are. A number in a table is converted.
        form: what the file is; by its name if not given (``.csv``, ``.tsv``, anything else is JSON lines or an array).
        header: the names of the columns, for a table whose first line is a row already.
        inside: for a JSON document that is one object: the field that holds the rows.

    Raises:
        DataError: no such file, no rows at all, a line that is not what ``form`` says, a row without one of ``fields``
            or with something else in it than it may be; with file, line and field.
    """
    form = form or form_of(path)
    if form in ("csv", "tsv"):
        rows = _table_rows(path, fields, header, form)
    elif inside:
        document = lines.read_document(path)
        rows = ((number, dict(row.value)) for number, row in enumerate(document.rows(inside), start=1))
    else:
        rows = _object_rows(path)
    empty = True
    for number, row in rows:
        empty = False
        for name, wanted in fields.items():
            check_field(path, number, row, name, wanted)
        yield number, row
    if empty:
        raise DataError(f"{path}: the file has no rows, expected some with {_named(list(fields))}")


def find_file(directory: str | Path, *names: str) -> Path:
    """The first of ``names`` that is in ``directory``, plain or with ``.gz``; a file given instead is taken as it is.

    Raises:
        DataError: there is no such file; says what was looked for, and what is there.
    """
    place = Path(directory)
    if place.is_file():
        return place
    if not place.is_dir():
        raise DataError(f"{place}: no such file or directory; expected a directory with {' or '.join(names)}")
    for name in names:
        for found in (place / name, place / f"{name}.gz"):
            if found.is_file():
                return found
    there = sorted(file.name for file in place.iterdir())
    shown = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
    raise DataError(f"{place}: no {' or '.join(names)} (plain or .gz) in this directory; there is {shown or 'nothing'}")


def form_of(path: Path) -> Form:
    """What a file is by its name."""
    name = path.name.removesuffix(".gz")
    return "csv" if name.endswith(".csv") else "tsv" if name.endswith(".tsv") else "jsonl"


def check_field(path: Path, number: int, row: Mapping[str, Any], name: str, wanted: type | tuple[type, ...]) -> None:
    """Refuse a row whose field ``name`` is missing or is none of the types ``wanted``.

    Raises:
        DataError: with file, line and field.
    """
    types = wanted if isinstance(wanted, tuple) else (wanted,)
    if name not in row:
        raise field_error(path, number, name, f"is missing; there are {_named(list(row))}.{nearest(name, row)}")
    value = row[name]
    is_flag = isinstance(value, bool) and bool not in types  # true is an int to Python, and no number to anyone else
    if is_flag or not (isinstance(value, types) or (float in types and isinstance(value, int))):
        expected = " or ".join(_WORDS.get(one, one.__name__) for one in types)
        raise field_error(path, number, name, f"is {shown(value)}, expected {expected}")


def field_error(path: Path, number: int, name: str, message: str) -> DataError:
    """An error about one field of one row: ``FILE, line 3: field 'answer' MESSAGE``."""
    return DataError(f"{place(path, number)}: field {name!r} {message}")


def place(path: Path, number: int) -> str:
    """Where a row is: ``FILE, line 3``, or ``FILE, row 3`` of a JSON document, whose lines say nothing."""
    return f"{path}, {'row' if path.name.removesuffix('.gz').endswith('.json') else 'line'} {number}"


def texts_of(path: Path, number: int, row: Mapping[str, Any], name: str, least: int = 1) -> list[str]:
    """A field that must be a list of at least ``least`` texts.

    Raises:
        DataError: it is not; with file, line and field.
    """
    check_field(path, number, row, name, list)
    texts = row[name]
    for value in texts:
        if not isinstance(value, str):
            raise field_error(path, number, name, f"holds {shown(value)}, expected only text")
    if len(texts) < least:
        raise field_error(path, number, name, f"holds {len(texts)}, expected at least {least}")
    return list(texts)


def shown(value: object, length: int = 60) -> str:
    """A value as a message shows it, cut to ``length`` characters."""
    text = repr(value)
    return text if len(text) <= length else text[:length] + "..."


def _object_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    by_item = path.name.removesuffix(".gz").endswith(".json")
    for row in lines.read_rows(path):
        line, item = found.groups() if (found := _PLACE.search(row.where)) else ("0", None)
        yield int(item if item and by_item else line), dict(row.value)


def _table_rows(
    path: Path, fields: FieldTypes, header: Sequence[str], form: Form
) -> Iterator[tuple[int, dict[str, Any]]]:
    source = (line.text + "\n" for line in lines.read_lines(path))
    if form == "tsv":  # published ones have no quoting: a quotation mark is a character like any other
        reader = csv.reader(source, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(source, strict=True)
    names, number = list(header), 1
    try:
        for cells in reader:
            begun, number = number, reader.line_num + 1
            if not any(cells):
                continue
            if not names:
                names = cells
                continue
            if len(cells) != len(names):
                raise DataError(
                    f"{path}, line {begun}: {len(cells)} columns, expected {len(names)}: {', '.join(names)}"
                )
            yield begun, {name: _converted(cell, fields.get(name)) for name, cell in zip(names, cells, strict=True)}
    except csv.Error as error:
        raise DataError(f"{path}, line {number}: not valid {form.upper()} ({error})") from error


def _converted(cell: str, wanted: type | tuple[type, ...] | None) -> object:
    """A number where one is expected and the cell is one."""
    types = wanted if isinstance(wanted, tuple) else (wanted,)
    for kind in (int, float):
        if kind in types and str not in types:
            try:
                return kind(cell)
            except ValueError:
                pass
    return cell


def _named(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "no fields"
