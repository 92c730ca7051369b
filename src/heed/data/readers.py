"""Read any supported format by name, one record at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from heed.records import Demonstration, Prompt, Ranking

READERS: Mapping[str, Callable[[Path], Iterator[AnyRecord]]] = MappingProxyType(
    {
        "heed": heed.read,
        "hh-rlhf": hh.read,
        "open-assistant": open_assistant.read,
        "self-instruct": instructions.read_self_instruct,
        "alpaca": instructions.read_alpaca,
        "natural-instructions": natural_instructions.read,
        "pandalm": pandalm.read,
        "summarize-from-feedback": summarize.read,
        "datasets": trl.read,
        "text": text.read,
    }
)
"""Name of each format, and the function that reads it."""


def read(format: str, path: str | Path) -> Iterator[AnyRecord]:
    """The records of a file or directory in a named format.

    Raises:
        DataError: there is no such format (at once), or the file is not what it should be (while reading).
    """
    if format not in READERS:
        raise DataError(f"there is no format {format!r}; formats are {', '.join(READERS)}.{nearest(format, READERS)}")
    return READERS[format](Path(path))


def read_demonstrations(format: str, path: str | Path) -> Iterator[Demonstration]:
    """Only the demonstrations."""
    return (record for record in read(format, path) if isinstance(record, Demonstration))


def read_rankings(format: str, path: str | Path) -> Iterator[Ranking]:
    """Only the rankings."""
    return (record for record in read(format, path) if isinstance(record, Ranking))


def read_texts(format: str, path: str | Path) -> Iterator[str]:
    """Only the plain documents."""
    return (record for record in read(format, path) if isinstance(record, str))


def read_prompts(format: str, path: str | Path) -> Iterator[Prompt]:
    """The prompts of all records, each once."""
    seen: set[str] = set()
    for record in read(format, path):
        prompt = record if isinstance(record, Prompt) else getattr(record, "prompt", None)
        if prompt is not None and prompt.id not in seen:
            seen.add(prompt.id)
            yield prompt
