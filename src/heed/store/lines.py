"""Heed's own JSONL: one record on a line, fields in a fixed order, fields that are empty left out.

The same record always gives the same bytes, so a file that is written, read and written again is unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from heed.records import Completion, Demonstration, Prompt, Ranking, Rating

Record = Prompt | Demonstration | Ranking | Rating


def to_line(record: Record) -> str:
    """The record as one line of JSON, with the newline."""
    return json.dumps(_record_fields(record), ensure_ascii=False, separators=(",", ":"), default=dict) + "\n"


def _record_fields(record: Record) -> dict[str, Any]:
    if isinstance(record, Prompt):
        return {"prompt": _prompt_fields(record)}
    fields: dict[str, Any] = {"prompt": _prompt_fields(record.prompt)}
    if isinstance(record, Ranking):
        fields["completions"] = [_completion_fields(one) for one in record.completions]
        fields["tiers"] = list(record.tiers)
    else:
        fields["completion"] = _completion_fields(record.completion)
    if isinstance(record, Rating):
        fields["overall"] = record.overall
        fields["flags"] = record.flags
    return _without_empty(fields | {"labeler": record.labeler})


def _prompt_fields(prompt: Prompt) -> dict[str, Any]:
    return _without_empty(
        {
            "id": prompt.id,
            "messages": [{"role": message.role, "content": message.content} for message in prompt.messages],
            "source": prompt.source,
            "category": prompt.category,
            "user": prompt.user,
            "split": prompt.split,
            "meta": prompt.meta,
        }
    )


def _completion_fields(completion: Completion) -> dict[str, Any]:
    fields = _without_empty(
        {
            "id": completion.id,
            "token_ids": list(completion.token_ids),
            "logprobs": list(completion.logprobs),
            "stop": completion.stop,
            "policy": completion.policy,
            "meta": completion.meta,
        }
    )
    return {"text": completion.text, **fields}


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", [], {})}
