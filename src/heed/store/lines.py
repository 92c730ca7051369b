"""A record as one line of Heed's own JSONL, as ``heed.data`` reads it.

The order of the fields never changes, fields that are empty are left out, and the keys of metadata are sorted, so equal
records are equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from heed.errors import DataError
from heed.records import Completion, Demonstration, Json, Prompt, Ranking, Rating

Record: TypeAlias = Prompt | Demonstration | Ranking | Rating


def to_line(record: Record) -> str:
    """The record as JSON on one line, with the newline.

    Raises:
        DataError: the record holds NaN or an infinity, which JSON does not have, or half a surrogate pair.
    """
    prompt = record if isinstance(record, Prompt) else record.prompt
    try:
        line = json.dumps(as_json(record), ensure_ascii=False, allow_nan=False) + "\n"
        line.encode()
    except ValueError as error:
        raise DataError(f"a record of prompt {prompt.id!r} cannot be written as JSON: {error}") from error
    return line


def as_json(record: Record) -> dict[str, Json]:
    """What a record's line says. A ranking names its answers by id, best first, ties together."""
    if isinstance(record, Prompt):
        return {"record": "prompt", **_prompt_json(record)}
    prompt = _prompt_json(record.prompt)
    if isinstance(record, Ranking):
        return _filled(
            record="ranking",
            prompt=prompt,
            completions=[completion_json(completion) for completion in record.completions],
            order=_order(record),
            labeler=record.labeler,
        )
    completion = completion_json(record.completion)
    if isinstance(record, Demonstration):
        return _filled(record="demonstration", prompt=prompt, completion=completion, labeler=record.labeler)
    return _filled(
        record="rating",
        prompt=prompt,
        completion=completion,
        overall=record.overall,
        flags=_sorted(record.flags),
        labeler=record.labeler,
    )


def _order(ranking: Ranking) -> list[list[str]]:
    tiers: list[list[str]] = [[] for _ in range(max(ranking.tiers) + 1)]
    for completion, tier in zip(ranking.completions, ranking.tiers, strict=True):
        tiers[tier].append(completion.id)
    return tiers


def _prompt_json(prompt: Prompt) -> dict[str, Json]:
    return _filled(
        id=prompt.id,
        messages=[{"role": message.role, "content": message.content} for message in prompt.messages],
        source=prompt.source,
        category=prompt.category,
        user=prompt.user,
        split=prompt.split,
        meta=_sorted(prompt.meta),
    )


def completion_json(completion: Completion) -> dict[str, Json]:
    """What a line says of an answer."""
    filled = _filled(
        token_ids=list(completion.token_ids),
        logprobs=list(completion.logprobs),
        stop=completion.stop,
        policy=completion.policy,
        meta=_sorted(completion.meta),
    )
    return {"id": completion.id, "text": completion.text, **filled}


def _filled(**fields: Json) -> dict[str, Json]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in ("", [], {})}


def _sorted(value: Json) -> Json:
    """The same value with the keys of all objects in order."""
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_sorted(item) for item in value]
    return value
