"""What stands where a text was removed because its writer asked for it.

The row stays, so that counts stay true; but nobody is shown such a text and nothing is trained on it.
"""

from __future__ import annotations

from typing import Final

from heed.records import Completion, Message, Prompt
from heed.store.lines import Record

MARK: Final = "[removed at its writer's request]"
"""Instead of a text."""
MESSAGES: Final = (Message(role="user", content=MARK),)
"""Instead of a prompt's messages."""


def is_redacted(record: Record) -> bool:
    """Whether a record can no longer be read as it was written."""
    prompt = record if isinstance(record, Prompt) else record.prompt
    return prompt.messages == MESSAGES or any(one.text == MARK for one in _completions(record))


def _completions(record: Record) -> tuple[Completion, ...]:
    if isinstance(record, Prompt):
        return ()
    completions = getattr(record, "completions", None)
    return completions if completions is not None else (record.completion,)  # type: ignore[union-attr]
