"""Frozen files without the texts of someone who was removed: the same rows, with a mark where a text stood."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heed.files import atomic_directory, read_json
from heed.store.exports import DATA, MANIFEST
from heed.store.redacted import MARK, MESSAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The texts a person wrote: record ids by row."""

    generations: Mapping[int, str]
    prompts: Mapping[int, str]


def rewrite_export(directory: Path, export_hash: str, written: Written, labeler: str, subject: str) -> Path | None:
    """Replace a frozen data set by a copy without these texts; its directory keeps its name.

    The manifest keeps the hash of the data as it was, beside that of the copy, and says how many rows were changed.
    None if the file is not there, or holds nothing of it.
    """
    place = directory / export_hash[:16]
    if not (place / DATA).exists() or not (place / MANIFEST).exists():
        return None
    generations, prompts = frozenset(written.generations.values()), frozenset(written.prompts.values())
    changed, lines = 0, []
    for line in (place / DATA).read_text(encoding="utf-8").splitlines(keepends=True):
        record = json.loads(line)
        before = json.dumps(record)
        _strike(record, generations, prompts)
        _rename(record, labeler, subject)
        if json.dumps(record) != before:
            changed += 1
            line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        lines.append(line)
    if not changed:
        return None
    data = "".join(lines).encode()
    manifest = read_json(place / MANIFEST)
    assert isinstance(manifest, dict)
    manifest.setdefault("frozen_sha256", manifest["sha256"])
    manifest["sha256"] = hashlib.sha256(data).hexdigest()
    manifest["redacted_rows"] = int(manifest.get("redacted_rows", 0)) + changed
    with atomic_directory(place) as temporary:
        (temporary / DATA).write_bytes(data)
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return place / DATA


def _strike(record: dict[str, Any], generations: Collection[str], prompts: Collection[str]) -> None:
    """Take the texts out of one line."""
    prompt = _prompt(record)
    if prompt["id"] in prompts:
        prompt["messages"] = [{"role": one.role, "content": one.content} for one in MESSAGES]
        prompt.pop("meta", None)
    completions = [*record.get("completions", ()), *([record["completion"]] if "completion" in record else ())]
    for one in completions:
        if one["id"] in generations and not one.get("policy"):
            one["text"] = MARK
            for name in ("token_ids", "logprobs", "meta"):
                one.pop(name, None)


def _rename(record: dict[str, Any], labeler: str, subject: str) -> None:
    if _prompt(record).get("user") == labeler:
        _prompt(record)["user"] = subject
    if record.get("labeler") == labeler:
        record["labeler"] = subject


def _prompt(record: dict[str, Any]) -> dict[str, Any]:
    prompt: dict[str, Any] = record if record.get("record") == "prompt" else record["prompt"]
    return prompt
