"""OpenAssistant trees (Kopf et al. 2023, arXiv 2304.07327): conversations in which people ranked the replies.

A line is a tree: a ``prompt`` message with nested ``replies``; the assistant's replies to one message carry a ``rank``,
0 is best. A line whose ``prompt`` is bare text is a prompt without replies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from heed.data.lines import Row, read_rows, write_rows
from heed.errors import DataError
from heed.records import Completion, Demonstration, Json, Message, Prompt, Ranking, Role, content_id

SOURCE = "open-assistant"
_ROLES: dict[str, Role] = {"prompter": "user", "assistant": "assistant"}


def read(path: Path) -> Iterator[Prompt | Demonstration | Ranking]:
    """For each message of a user: the ranking of its replies, and the best reply as a demonstration.

    Where no reply is ranked every reply is a demonstration; where there is none the prompt stands alone. Deleted
    messages are left out with all that follows them.
    """
    for row in read_rows(path):
        if isinstance(row.value.get("prompt"), str):
            yield row.prompt([Message(role="user", content=row.text("prompt"))], source=SOURCE)
            continue
        tree: dict[str, Json] = {"tree": row.text("message_tree_id")} if row.has("message_tree_id") else {}
        waiting: list[tuple[Row, tuple[Message, ...]]] = [(row.row("prompt"), ())]
        while waiting:
            node, before = waiting.pop()
            if node.value.get("deleted"):
                continue
            messages = (*before, _message(node))
            replies = [reply for reply in _replies(node) if not reply.value.get("deleted")]
            if messages[-1].role == "user":
                yield from _answers(node, messages, replies, tree)
            waiting += [(reply, messages) for reply in reversed(replies)]


def write(path: Path, records: Iterable[object]) -> int:
    """Write records as trees; how many trees. Records of one conversation that follow each other share a tree."""
    trees = groupby(map(_checked, records), key=lambda record: _messages(record)[0])
    return write_rows(path, (_grow(list(group)).as_tree() for _, group in trees))


def _answers(
    node: Row, messages: tuple[Message, ...], replies: list[Row], tree: dict[str, Json]
) -> Iterator[Prompt | Demonstration | Ranking]:
    meta = {**tree, **{name: node.value[name] for name in ("message_id", "lang") if node.has(name)}}
    prompt = node.prompt(messages, source=SOURCE, user=node.text_or("user_id"), meta=meta)
    answers = [reply for reply in replies if _message(reply).role == "assistant"]
    ranked = sorted((reply for reply in answers if reply.has("rank")), key=lambda reply: reply.integer("rank"))
    if len(ranked) > 1:
        ranks = sorted({reply.integer("rank") for reply in ranked})
        tiers = [ranks.index(reply.integer("rank")) for reply in ranked]
        yield node.ranking(prompt, [_completion(reply) for reply in ranked], tiers, labeler=SOURCE)
    for reply in ranked[:1] or answers:
        yield Demonstration(prompt=prompt, completion=_completion(reply), labeler=reply.text_or("user_id"))
    if not answers:
        yield prompt


def _message(node: Row) -> Message:
    role = node.text("role")
    if role not in _ROLES:
        raise node.error(f"field 'role' is {role!r}, expected one of {', '.join(_ROLES)}")
    return Message(role=_ROLES[role], content=node.text("text"))


def _replies(node: Row) -> list[Row]:
    return node.rows("replies") if node.has("replies") else []


def _completion(node: Row) -> Completion:
    meta = {"message_id": node.text("message_id")} if node.has("message_id") else {}
    return Completion(text=node.text("text"), policy=node.text_or("model_name"), meta=meta)


@dataclass(slots=True)
class _Node:
    """A message of a tree that is being put together."""

    message: Message
    id: str = ""
    policy: str = ""
    rank: int | None = None
    replies: list[_Node] = field(default_factory=list)

    def reply(self, message: Message) -> _Node:
        """The reply that says this, which is added if there is none yet."""
        for node in self.replies:
            if node.message == message:
                return node
        self.replies.append(_Node(message))
        return self.replies[-1]

    def answer(self, completion: Completion, rank: int | None) -> None:
        """Add an answer of the assistant, or what is newly known of it."""
        node = self.reply(Message(role="assistant", content=completion.text))
        node.id = str(completion.meta.get("message_id", node.id))
        node.policy = completion.policy
        node.rank = node.rank if rank is None else rank

    def as_json(self, parent: str) -> dict[str, Json]:
        """The message and all that follows it."""
        message_id = self.id or content_id(parent, self.message.role, self.message.content)
        role = "prompter" if self.message.role == "user" else "assistant"
        value: dict[str, Json] = {"message_id": message_id, "role": role, "text": self.message.content}
        if self.rank is not None:
            value["rank"] = self.rank
        if self.policy:
            value["synthetic"], value["model_name"] = True, self.policy
        return {**value, "replies": [reply.as_json(message_id) for reply in self.replies]}

    def as_tree(self) -> dict[str, Json]:
        """A line of the file."""
        prompt = self.as_json("")
        return {"message_tree_id": prompt["message_id"], "tree_state": "ready_for_export", "prompt": prompt}


def _grow(records: list[Prompt | Demonstration | Ranking]) -> _Node:
    root = _Node(_messages(records[0])[0])
    for record in records:
        node = root
        for message in _messages(record)[1:]:
            node = node.reply(message)
        meta = record.meta if isinstance(record, Prompt) else record.prompt.meta
        node.id = str(meta.get("message_id", node.id))
        if isinstance(record, Ranking):
            for completion, tier in zip(record.completions, record.tiers, strict=True):
                node.answer(completion, tier)
        elif isinstance(record, Demonstration):
            node.answer(record.completion, None)
    return root


def _messages(record: Prompt | Demonstration | Ranking) -> tuple[Message, ...]:
    return record.messages if isinstance(record, Prompt) else record.prompt.messages


def _checked(record: object) -> Prompt | Demonstration | Ranking:
    if not isinstance(record, (Prompt, Demonstration, Ranking)):
        raise DataError(f"open-assistant holds conversations, a {type(record).__name__} cannot be written in it")
    roles = [message.role for message in _messages(record)]
    if roles != [("user", "assistant")[turn % 2] for turn in range(len(roles))] or len(roles) % 2 == 0:
        raise DataError(
            f"a conversation with turns of {', '.join(roles)} is no OpenAssistant tree: expected user first"
        )
    return record
