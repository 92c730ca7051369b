"""Reading and writing of line-wise files: streaming, compressed or not, and every error with its line.

Legend for messages: ``FILE, line N: what is wrong; what was expected``.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from heed.errors import DataError, nearest
from heed.files import atomic_write
from heed.records import Completion, Json, Message, Prompt, Ranking

TABLE_SUFFIXES = (".parquet", ".arrow")
ROW_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", *TABLE_SUFFIXES)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text and its number, counted from 1; without the newline."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A JSON object and where it stands; reads fields and complains by file, line and field."""

    where: str
    """Such as ``"train.jsonl, line 3"``."""
    value: Mapping[str, Json]

    def error(self, message: str) -> DataError:
        """An error that says where."""
        return DataError(f"{self.where}: {message}")

    def has(self, *names: str) -> bool:
        """Whether all these fields are there and not null."""
        return all(self.value.get(name) is not None for name in names)

    def text(self, name: str) -> str:
        """A field that must be there and be text."""
        value = self._needed(name)
        if not isinstance(value, str):
            raise self.error(f"field {name!r} is {_short(value)}, expected text")
        return value

    def text_or(self, name: str, default: str = "") -> str:
        """A field that must be text if it is there and not null."""
        return self.text(name) if self.has(name) else default

    def integer(self, name: str) -> int:
        """A field that must be there and be a whole number."""
        value = self._needed(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(f"field {name!r} is {_short(value)}, expected a whole number")
        return value

    def items(self, name: str) -> Sequence[Json]:
        """A field that must be there and be a list."""
        value = self._needed(name)
        if not isinstance(value, list):
            raise self.error(f"field {name!r} is {_short(value)}, expected a list")
        return value

    def texts(self, name: str) -> list[str]:
        """A field that must be a list of texts."""
        texts = self.items(name)
        for value in texts:
            if not isinstance(value, str):
                raise self.error(f"field {name!r} holds {_short(value)}, expected text")
        return [str(value) for value in texts]

    def row(self, name: str) -> Row:
        """A field that must be a JSON object."""
        value = self._needed(name)
        if not isinstance(value, dict):
            raise self.error(f"field {name!r} is {_short(value)}, expected an object")
        return Row(f"{self.where}, {name}", value)

    def rows(self, name: str) -> list[Row]:
        """A field that must be a list of JSON objects."""
        rows = []
        for index, value in enumerate(self.items(name)):
            if not isinstance(value, dict):
                raise self.error(f"{name}[{index}] is {_short(value)}, expected an object")
            rows.append(Row(f"{self.where}, {name}[{index}]", value))
        return rows

    def refuse_others(self, *known: str) -> None:
        """Refuse fields that are not among ``known``."""
        for name in self.value:
            if name not in known:
                raise self.error(f"there is no field {name!r}.{nearest(name, known)}")

    def prompt(self, messages: Sequence[Message], **fields: Any) -> Prompt:
        """A prompt; an empty one is an error of this row."""
        try:
            return Prompt(messages=tuple(messages), **fields)
        except DataError as error:
            raise self.error(str(error)) from error

    def ranking(self, prompt: Prompt, completions: Sequence[Completion], tiers: Sequence[int], labeler: str) -> Ranking:
        """A ranking; one that is impossible is an error of this row. Identical answers are a tie."""
        try:
            if len(completions) == 2 and completions[0].id == completions[1].id:
                tiers = (0, 0)
            return Ranking(prompt=prompt, completions=tuple(completions), tiers=tuple(tiers), labeler=labeler)
        except DataError as error:
            raise self.error(str(error)) from error

    def _needed(self, name: str) -> Json:
        if not self.has(name):
            names = ", ".join(map(repr, self.value)) or "no fields"
            what = "is null" if name in self.value else f"is missing; there are {names}"
            raise self.error(f"field {name!r} {what}.{nearest(name, self.value) if name not in self.value else ''}")
        return self.value[name]


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 text file, plain or gzip, one at a time.

    Raises:
        DataError: no such file, a truncated or damaged gzip, or bytes that are not UTF-8; with the line.
    """
    number = 0
    with _opened(path) as file:
        while True:
            number += 1
            try:
                raw = file.readline()
            except EOFError as error:
                raise DataError(
                    f"{path}, line {number}: the gzip file is cut off here; copy or download it again"
                ) from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise DataError(f"{path}, line {number}: the gzip file is damaged ({error})") from error
            if not raw:
                return
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not valid UTF-8, byte {error.start + 1} of the line is "
                    f"0x{raw[error.start]:02x}; expected UTF-8 text"
                ) from error
            yield Line(number, text.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else text.rstrip("\r\n"))


def read_rows(path: Path) -> Iterator[Row]:
    """The JSON objects of a file, one at a time, or of all such files in a directory, in the order of their names.

    Reads JSON lines and JSON arrays, plain or gzip, Parquet, and the Arrow files that ``datasets`` saves.

    Raises:
        DataError: what :func:`read_lines` finds, no valid JSON, or something that is not an object; with the line.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.endswith(ROW_SUFFIXES) and not _is_about(file))
        if not files:
            raise DataError(f"{path}: no data files in this directory, expected {', '.join(ROW_SUFFIXES)}")
        for file in files:
            yield from read_rows(file)
    elif path.suffix in TABLE_SUFFIXES:
        yield from _table_rows(path)
    else:
        lines = read_lines(path)
        for line in lines:
            if line.text.lstrip().startswith("["):
                yield from _array_rows(path, line, lines)
            elif line.text.strip():
                yield parse_row(line.text, f"{path}, line {line.number}")


def parse_row(text: str, where: str) -> Row:
    """One JSON object from text.

    Raises:
        DataError: it is not valid JSON, or not an object.
    """
    return _object(_parse(text, where), where)


def read_document(path: Path) -> Row:
    """A file that is one JSON object, plain or gzip."""
    text = "\n".join(line.text for line in read_lines(path))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}: column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error})") from error
    return _object(value, str(path))


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines, whole or not at all, gzip if the name ends in ``.gz``; how many. Same lines, same bytes."""
    count = 0
    with atomic_write(path) as file, _compressed(file, path) as out:
        for line in lines:
            try:
                out.write(line.encode() + b"\n")
            except UnicodeEncodeError as error:
                raise DataError(f"{path}, line {count + 1}: a lone surrogate cannot be written as UTF-8") from error
            count += 1
    return count


def write_rows(path: Path, values: Iterable[Mapping[str, Json]]) -> int:
    """Write JSON objects, one to a line, or as Parquet if the name ends so; how many."""
    if path.suffix == ".parquet":
        return _write_table(path, list(values))
    return write_lines(path, map(to_line, values))


def to_line(value: Mapping[str, Json]) -> str:
    """A JSON object as one line; numbers that JSON does not have are refused."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise DataError(f"{_short(value)}: NaN and infinity cannot be written as JSON") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b" or path.suffix == ".gz"
            if packed and path.stat().st_size == 0:
                raise DataError(f"{path}, line 1: the gzip file is cut off here; copy or download it again")
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            yield file  # type: ignore[misc]  # a GzipFile is read like a file
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


@contextmanager
def _compressed(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix != ".gz":
        yield file
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        yield packed  # type: ignore[misc]  # a GzipFile is written to like a file


def _parse(text: str, where: str) -> Json:
    try:
        value: Json = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not valid JSON ({error.msg}: column {error.colno})") from error
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: half of a surrogate pair (\\ud800 to \\udfff) is not valid Unicode") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON ({error})") from error
    return value


def _object(value: Json, where: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected a JSON object, got {_short(value)}")
    return Row(where, value)


def _array_rows(path: Path, first: Line, rest: Iterator[Line]) -> Iterator[Row]:
    """The objects of a JSON array, which is read whole."""
    text = "\n".join([first.text, *(line.text for line in rest)])
    decoder, blank = json.JSONDecoder(), re.compile(r"\s*")

    def skip(position: int) -> int:
        found = blank.match(text, position)
        return found.end() if found else position

    line, counted = first.number, 0
    position, index = skip(skip(0) + 1), 0
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        where = f"{path}, line {line}, item {index + 1}"
        try:
            _, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not valid JSON ({str(error).partition(': line')[0]})") from error
        yield _object(_parse(text[position:end], where), where)
        index, position = index + 1, skip(end)
        if text[position : position + 1] == ",":
            position = skip(position + 1)
        elif text[position : position + 1] != "]":
            raise DataError(f"{where}: not valid JSON (expected ',' or ']' after it)")
    if text[position + 1 :].strip():
        raise DataError(f"{path}: there is more text after the end of the JSON array")


def _table_rows(path: Path) -> Iterator[Row]:
    number = 0
    for batch in _table_batches(path):
        for value in batch.to_pylist():
            number += 1
            yield Row(f"{path}, row {number}", value)


def _table_batches(path: Path) -> Iterator[Any]:
    pyarrow = _pyarrow(path)
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as parquet

            with parquet.ParquetFile(path) as table:
                yield from table.iter_batches()
        else:
            with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
                yield from stream
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a readable {path.suffix[1:]} file ({str(error).splitlines()[0]})") from error


def _write_table(path: Path, values: list[Mapping[str, Json]]) -> int:
    pyarrow = _pyarrow(path)
    import pyarrow.parquet as parquet

    with atomic_write(path) as file:
        parquet.write_table(pyarrow.Table.from_pylist(values), file)
    return len(values)


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(f"{path}: reading and writing tables needs pyarrow: pip install 'heed[datasets]'") from error
    return pyarrow


def _is_about(file: Path) -> bool:
    """Files that ``datasets`` writes beside the data."""
    return file.name in ("dataset_info.json", "state.json", "dataset_dict.json")


def _short(value: object, length: int = 40) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= length else text[:length] + "..."
