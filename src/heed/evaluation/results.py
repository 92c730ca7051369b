"""``results.json``: every figure of a run in one file, by the names that ``docs/results.md`` explains."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heed.files import write_json

SCHEMA = 1
"""Version of the file's shape; it rises when a name changes its meaning."""


def merge_results(*sections: Mapping[str, Any]) -> dict[str, Any]:
    """One document from several parts. Objects of the same name are merged, lists joined; else the later one holds."""
    merged: dict[str, Any] = {}
    for section in sections:
        for name, value in section.items():
            before = merged.get(name)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                merged[name] = merge_results(before, value)
            elif isinstance(before, list) and isinstance(value, list):
                merged[name] = [*before, *value]
            else:
                merged[name] = value
    return merged


def write_results(path: Path, *sections: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the parts, write them to ``path`` whole or not at all, and return what was written."""
    document: dict[str, Any] = {"schema": SCHEMA, **_finite(merge_results(*sections))}
    write_json(path, document)
    return document


def _finite(value: Any) -> Any:
    """JSON has no word for numbers that are not finite: they become null. Floats keep six significant digits more
    than any interval is wide."""
    if isinstance(value, Mapping):
        return {str(name): _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
