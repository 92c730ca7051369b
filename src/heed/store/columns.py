"""Column types that give back exactly what was put in, on every database."""

from __future__ import annotations

import json
import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, LargeBinary, Text
from sqlalchemy.types import TypeDecorator

from heed.errors import DataError
from heed.records import Json

_AWKWARD = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")


class ExactText(TypeDecorator[str]):
    """Any Python string.

    PostgreSQL refuses the character NUL, and no database takes half a surrogate pair, yet a model may sample the one
    and a careless file hold the other. These, and the control character SUB itself, are stored as SUB and four
    hexadecimal digits; every other text is stored as it is.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what a database cannot hold."""
        if value is None or not _AWKWARD.search(value):
            return value
        return _AWKWARD.sub(lambda match: f"\x1a{ord(match[0]):04x}", value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """The text as it was given."""
        if value is None or "\x1a" not in value:
            return value
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as readable text. Tuples come back as lists, as in any JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Json, dialect: Dialect) -> str:
        """The value as compact JSON."""
        return encode_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The value again."""
        return {} if value == "{}" else None if value is None else json.loads(value)


class Integers(TypeDecorator[tuple[int, ...]]):
    """A sequence of 32-bit integers, such as token ids, four bytes each."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> bytes | None:
        """Little-endian bytes."""
        return None if value is None else _pack("i", value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[int, ...] | None:
        """The integers again."""
        return None if value is None else tuple(_unpack("i", value))


class Floats(TypeDecorator[tuple[float, ...]]):
    """A sequence of doubles, such as log-probabilities, bit for bit."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Sequence[float] | None, dialect: Dialect) -> bytes | None:
        """Little-endian bytes."""
        return None if value is None else _pack("d", value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> tuple[float, ...] | None:
        """The numbers again."""
        return None if value is None else tuple(_unpack("d", value))


def encode_json(value: Json) -> str:
    """Compact JSON, readable unless it holds half a surrogate pair.

    Raises:
        DataError: the value is not JSON.
    """
    if value == {}:  # most metadata
        return "{}"
    try:
        text = _READABLE.encode(value)
        return text if not _AWKWARD.search(text) else _ASCII.encode(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{value!r} cannot be stored: {error}; expected numbers, text, lists and mappings") from error


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
_ASCII = json.JSONEncoder(separators=(",", ":"), default=_plain)


def _pack(code: str, values: Sequence[Any]) -> bytes:
    packed = array(code, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack(code: str, data: bytes) -> array[Any]:
    unpacked: array[Any] = array(code)
    unpacked.frombytes(data)
    if sys.byteorder == "big":
        unpacked.byteswap()
    return unpacked
