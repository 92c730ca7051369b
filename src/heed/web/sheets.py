"""Frozen data sets as tables for a spreadsheet, in which no text can be taken for a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_COLUMNS: Mapping[str, Sequence[str]] = {
    "prompt": ("prompt_id", "prompt", "source", "category", "split"),
    "demonstration": ("prompt_id", "prompt", "answer", "labeler"),
    "ranking": ("prompt_id", "prompt", "answer_id", "answer", "policy", "tier", "labeler"),
    "rating": ("prompt_id", "prompt", "answer_id", "answer", "policy", "overall", "flags", "labeler"),
}


def as_csv(lines: Iterable[str]) -> Iterator[bytes]:
    """The records of a data set, one for each line of its file, as comma-separated values in UTF-8.

    A ranking has a row for each answer; tier 0 is best. A mark at the beginning tells spreadsheets the encoding.
    """
    header: Sequence[str] = ()
    for line in lines:
        record = json.loads(line)
        columns = _COLUMNS[record["record"]]
        if not header:
            header = columns
            yield "\ufeff".encode() + _row(columns)
        for row in _rows(record):
            yield _row([row[name] for name in columns])


def cell(value: object) -> str:
    """A value as text that a spreadsheet shows and never runs."""
    text = str(value)
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _row(values: Iterable[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow([cell(value) for value in values])
    return out.getvalue().encode("utf-8", "replace")


def _rows(record: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    prompt = record if record["record"] == "prompt" else record["prompt"]
    common: dict[str, object] = {
        "prompt_id": prompt["id"],
        "prompt": _text(prompt["messages"]),
        "source": prompt.get("source", ""),
        "category": prompt.get("category", ""),
        "split": prompt.get("split", ""),
        "labeler": record.get("labeler", ""),
        "overall": record.get("overall", ""),
        "flags": " ".join(name for name, flag in record.get("flags", {}).items() if flag),
    }
    if record["record"] == "prompt":
        yield common
        return
    tiers = _tiers(record.get("order", ()))
    for one in record.get("completions") or [record["completion"]]:
        tier = tiers[one["id"]].pop(0) if tiers.get(one["id"]) else ""
        answer = {"answer_id": one["id"], "answer": one["text"], "policy": one.get("policy", ""), "tier": tier}
        yield {**common, **answer}


def _tiers(order: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    tiers: dict[str, list[int]] = {}
    for tier, names in enumerate(order):
        for name in names:
            tiers.setdefault(name, []).append(tier)
    return tiers


def _text(messages: Sequence[Mapping[str, str]]) -> str:
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{one['role']}: {one['content']}" for one in messages)
