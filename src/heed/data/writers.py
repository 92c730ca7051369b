"""Write records in any supported format by name, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from heed.data.formats import (
    heed,
    hh,
    instructions,
    natural_instructions,
    open_assistant,
    pandalm,
    summarize,
    text,
    trl,
)
from heed.data.formats.heed import AnyRecord
from heed.errors import DataError, nearest

WRITERS: Mapping[str, Callable[[Path, Iterable[AnyRecord]], int]] = MappingProxyType(
    {
        "heed": heed.write,
        "hh-rlhf": hh.write,
        "open-assistant": open_assistant.write,
        "self-instruct": instructions.write_self_instruct,
        "alpaca": instructions.write_alpaca,
        "natural-instructions": natural_instructions.write,
        "pandalm": pandalm.write,
        "summarize-from-feedback": summarize.write,
        "datasets": trl.write,
        "text": text.write,
    }
)
"""Name of each format, and the function that writes it."""


def write(format: str, path: str | Path, records: Iterable[AnyRecord]) -> int:
    """Write records to a file (``.gz`` compresses) in a named format; how many lines.

    Raises:
        DataError: there is no such format, or it cannot hold one of the records.
    """
    if format not in WRITERS:
        raise DataError(f"there is no format {format!r}; formats are {', '.join(WRITERS)}.{nearest(format, WRITERS)}")
    return WRITERS[format](Path(path), records)
