"""Files of labels with all that belongs to them, as :mod:`heed.store.studio.labels_out` says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heed.data.formats import heed
from heed.data.lines import Row, read_rows, to_line, write_lines
from heed.errors import DataError
from heed.records import Completion, Prompt
from heed.store.database import Store
from heed.store.studio.labels_in import add_labels
from heed.store.studio.labels_out import read_labels

FORMAT = "labels"


def write_labels(store: Store, path: Path, campaign: str | None = None) -> int:
    """Write the labels of one campaign, or all, to a file (``.gz`` compresses); how many labels.

    Raises:
        DataError: there are none.
    """
    with store.reader() as connection:
        lines = list(read_labels(connection, campaign))
    labels = sum(line["record"] == "label" for line in lines)
    if not labels:
        raise DataError("there are no labels to export" + (f" in campaign {campaign!r}" if campaign else ""))
    write_lines(path, map(to_line, lines))
    return labels


def import_labels(store: Store, path: Path) -> Counter[str]:
    """Take in a file of labels, all of it or nothing; how many were new, by kind.

    Raises:
        DataError: a line is not what it should be; the message names it.
    """
    rows = ((row.where, row.value) for row in read_rows(path))
    return add_labels(store, rows, prompt=_prompt, completion=_completion)


def _prompt(value: Mapping[str, Any], where: str) -> Prompt:
    record = heed.from_row(Row(where, value))
    if not isinstance(record, Prompt):
        raise DataError(f"{where}: expected a prompt")
    return record


def _completion(value: Mapping[str, Any], where: str) -> Completion:
    return heed.completion_of(Row(where, value))
