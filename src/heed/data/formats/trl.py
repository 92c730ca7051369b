"""The row types of TRL and ``datasets``: preference, prompt-completion, prompt-only, messages and text.

Each is known by its fields, and each may be standard (texts) or conversational (lists of messages, as role and
content or as from and value). A preference may leave the prompt implicit, as what both answers begin with.
Unpaired preferences (a ``label``) are refused: read as demonstrations they would teach the bad answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from heed.data.formats import hh
from heed.data.lines import Row, read_rows, write_rows
from heed.errors import DataError
from heed.records import Completion, Demonstration, Json, Message, Prompt, Ranking, Role

SOURCE = "datasets"
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}


def read(path: Path) -> Iterator[Prompt | Demonstration | Ranking | str]:
    """Rows of any of the types, from JSON lines, a JSON array, Parquet, or a directory that ``datasets`` saved.

    In a row of messages every turn of the assistant is a demonstration.
    """
    for row in read_rows(path):
        yield from parse(row)


def write(path: Path, records: Iterable[object], *, conversational: bool = True) -> int:
    """Write records as rows; how many. A ranking gives a row for each of its comparisons.

    ``conversational=False`` writes prompts and answers as texts, which only a prompt of one user turn allows.
    """
    return write_rows(path, (value for record in records for value in _values(record, conversational)))


def parse(row: Row) -> Iterator[Prompt | Demonstration | Ranking | str]:
    """What one row holds."""
    if row.has("label"):
        raise row.error("an unpaired preference (field 'label') is neither a demonstration nor a comparison")
    if row.has("chosen") or row.has("rejected"):
        yield _preference(row)
    elif row.has("completion"):
        shared, (completion,) = _split(row, _start(row), [_turns(row, "completion")], ["completion"])
        yield Demonstration(prompt=row.prompt(shared, source=SOURCE), completion=completion)
    elif row.has("prompt"):
        yield row.prompt(_start(row), source=SOURCE)
    elif row.has("messages") or row.has("conversations"):
        yield from _conversation(row)
    elif row.has("text"):
        yield row.text("text")
    else:
        names = ", ".join(map(repr, row.value))
        raise row.error(f"the fields {names} are of no known row type, expected prompt, chosen, completion, ...")


def _preference(row: Row) -> Ranking:
    chosen, rejected = row.value.get("chosen"), row.value.get("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str) and not _has_start(row):
        if chosen.startswith("\n\nHuman:"):
            return hh.parse_pair(row, chosen, rejected)
        start = _shared_words(chosen, rejected)
        prompt = row.prompt([Message(role="user", content=start)], source=SOURCE)
        completions = [Completion(text=text.removeprefix(start)) for text in (chosen, rejected)]
        return row.ranking(prompt, completions, (0, 1), labeler=SOURCE)
    answers = [_turns(row, "chosen"), _turns(row, "rejected")]
    shared, completions = _split(row, _start(row), answers, ["chosen", "rejected"])
    return row.ranking(row.prompt(shared, source=SOURCE), completions, (0, 1), labeler=SOURCE)


def _shared_words(first: str, second: str) -> str:
    """The whole words that both begin with: "The sky is" of "The sky is blue." and "The sky is black."."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    ends = [space.start() for space in re.finditer(r"\s+", first) if space.start() < same]
    return first[: ends[-1]] if ends else ""


def _split(
    row: Row, start: list[Message], answers: list[list[Message]], names: list[str]
) -> tuple[list[Message], list[Completion]]:
    """The messages of the prompt, and the one message by the assistant that each answer then is."""
    if all(answer[: len(start)] == start and len(answer) > len(start) for answer in answers):
        start = []  # the answers repeat the prompt
    shared = min(map(len, answers)) - 1
    if len(answers) > 1:
        same = takewhile(lambda turns: turns[0] == turns[1], zip(*answers, strict=False))
        shared = min(shared, sum(1 for _ in same))
    completions = []
    for name, answer in zip(names, answers, strict=True):
        rest = answer[shared:]
        if len(rest) != 1 or rest[0].role != "assistant":
            who = ", ".join(turn.role for turn in rest)
            raise row.error(f"field {name!r} goes on with {who} after the prompt, expected one turn of the assistant")
        completions.append(Completion(text=rest[0].content))
    return start + answers[0][:shared], completions


def _conversation(row: Row) -> Iterator[Prompt | Demonstration]:
    turns = _turns(row, "messages" if row.has("messages") else "conversations")
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant" and place > 0]
    for place in answers:
        prompt = row.prompt(turns[:place], source=SOURCE)
        yield Demonstration(prompt=prompt, completion=Completion(text=turns[place].content))
    if not answers:
        yield row.prompt(turns, source=SOURCE)


def _has_start(row: Row) -> bool:
    return any(row.has(name) for name in ("prompt", "messages", "conversations"))


def _start(row: Row) -> list[Message]:
    """The prompt's messages; none if the row does not have them apart from the answers."""
    for name in ("prompt", "messages", "conversations"):
        if row.has(name):
            system = [Message(role="system", content=row.text("system"))] if row.text_or("system") else []
            return system + _turns(row, name, role="user")
    return []


def _turns(row: Row, name: str, role: Role = "assistant") -> list[Message]:
    """A field as messages: a list of them, a single one, or a text said by ``role``."""
    value = row.value.get(name)
    if isinstance(value, str):
        return [Message(role=role, content=value)]
    if isinstance(value, dict):
        return [_message(row.row(name))]
    messages = [_message(message) for message in row.rows(name)]
    if not messages:
        raise row.error(f"field {name!r} is an empty list, expected messages")
    return messages


def _message(row: Row) -> Message:
    names = ("from", "value") if row.has("from") else ("role", "content")
    role = row.text(names[0])
    if role not in _ROLES:
        raise row.error(f"field {names[0]!r} is {role!r}, expected one of {', '.join(_ROLES)}")
    return Message(role=_ROLES[role], content=row.text(names[1]))


def _values(record: object, conversational: bool) -> Iterator[dict[str, Json]]:
    def start(prompt: Prompt) -> Json:
        if conversational:
            return _messages_json(prompt.messages)
        if [message.role for message in prompt.messages] != ["user"]:
            raise DataError(f"prompt {prompt.id} has {len(prompt.messages)} turns: write it as conversational")
        return prompt.text

    def answer(completion: Completion) -> Json:
        return (
            _messages_json([Message(role="assistant", content=completion.text)]) if conversational else completion.text
        )

    if isinstance(record, str):
        yield {"text": record}
    elif isinstance(record, Prompt):
        yield {"prompt": start(record)}
    elif isinstance(record, Demonstration):
        yield {"prompt": start(record.prompt), "completion": answer(record.completion)}
    elif isinstance(record, Ranking):
        for pair in record.comparisons():
            yield {"prompt": start(pair.prompt), "chosen": answer(pair.chosen), "rejected": answer(pair.rejected)}
    else:
        raise DataError(f"datasets rows hold no {type(record).__name__.lower()}")


def _messages_json(messages: Sequence[Message]) -> list[Json]:
    return [{"role": message.role, "content": message.content} for message in messages]
