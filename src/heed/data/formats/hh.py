r"""hh-rlhf (Bai et al. 2022, arXiv 2204.05862): pairs of whole dialogues, ``chosen`` and ``rejected``.

A dialogue is ``"\n\nHuman: ...\n\nAssistant: ..."`` and ends with the assistant. The two normally differ in the last
turn only; where they part earlier, what follows in each dialogue is kept in the answer, in the same notation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from heed.data.lines import Row, read_rows, write_rows
from heed.errors import DataError
from heed.records import Completion, Message, Prompt, Ranking

SOURCE = "hh-rlhf"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_NAMES = {"user": "Human", "assistant": "Assistant", "system": "Human"}


def read(path: Path) -> Iterator[Ranking]:
    """Each pair as a ranking of two answers to the dialogue that both begin with.

    Raises:
        DataError: a missing field, a dialogue without turns, or two dialogues that do not begin alike.
    """
    for row in read_rows(path):
        yield parse_pair(row, row.text("chosen"), row.text("rejected"))


def write(path: Path, records: Iterable[object]) -> int:
    """Write each comparison that a ranking holds as one pair; how many. Ties have no pair."""
    return write_rows(path, (pair for record in records for pair in _pairs(record)))


def parse_pair(row: Row, chosen: str, rejected: str) -> Ranking:
    """A ranking from two dialogues in this notation."""
    best, worst = _turns(row, "chosen", chosen), _turns(row, "rejected", rejected)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(best, worst, strict=False)))
    shared = min(shared, len(best) - 1, len(worst) - 1)
    while shared > 0 and (best[shared - 1].role != "user" or {best[shared].role, worst[shared].role} != {"assistant"}):
        shared -= 1
    if shared == 0:
        raise row.error("'chosen' and 'rejected' do not begin with the same human turn, so they answer no one prompt")
    prompt = row.prompt(best[:shared], source=SOURCE)
    completions = [Completion(text=_transcript(turns[shared:])) for turns in (best, worst)]
    return row.ranking(prompt, completions, (0, 1), labeler=SOURCE)


def _turns(row: Row, name: str, dialogue: str) -> list[Message]:
    opening, *parts = _TURN.split(dialogue)
    if opening.strip() or not parts or parts[0] != "Human":
        raise row.error(f"field {name!r} starts with {dialogue[:20]!r}, expected '\\n\\nHuman:'")
    if parts[-2] != "Assistant":
        raise row.error(f"field {name!r} ends with a turn of Human, expected one of Assistant")
    return [
        Message(role="user" if who == "Human" else "assistant", content=content.strip())
        for who, content in zip(parts[::2], parts[1::2], strict=True)
    ]


def _transcript(turns: list[Message]) -> str:
    """The first turn bare, the following ones with their names."""
    return turns[0].content + "".join(f"\n\n{_NAMES[turn.role]}: {turn.content}" for turn in turns[1:])


def _pairs(record: object) -> Iterator[dict[str, str]]:
    if not isinstance(record, Ranking):
        raise DataError(f"hh-rlhf holds rankings, a {type(record).__name__.lower()} cannot be written in it")
    start = _dialogue(record.prompt)
    for comparison in record.comparisons():
        yield {"chosen": start + comparison.chosen.text, "rejected": start + comparison.rejected.text}


def _dialogue(prompt: Prompt) -> str:
    turns = "".join(f"\n\n{_NAMES[message.role]}: {message.content}" for message in prompt.messages)
    return f"{turns}\n\nAssistant: "
