"""What models answered, to be read a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from heed.records import Completion, Message, Prompt
from heed.store import schema as t
from heed.store.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer with its prompt."""

    id: int
    prompt: Prompt
    completion: Completion


class Samples:
    """Answers in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def policies(self) -> list[str]:
        """Models that have answered something; people's answers stand under the empty name."""
        statement = select(t.generation.c.policy).distinct().order_by(t.generation.c.policy)
        with self._store.reader() as connection:
            return list(connection.execute(statement).scalars())

    def page(self, policy: str, before: int | None = None, limit: int = 20) -> Sequence[Sample]:
        """The newest answers of a model first; ``before`` an id, for the next page."""
        answer = (t.generation.c.id, t.generation.c.text, t.generation.c.stop)
        statement = (
            select(*answer, t.prompt.c.messages, t.prompt.c.category)
            .join(t.prompt, t.prompt.c.id == t.generation.c.prompt_id)
            .where(t.generation.c.policy == policy)
            .order_by(t.generation.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(t.generation.c.id < before)
        with self._store.reader() as connection:
            return [
                Sample(
                    id=row.id,
                    prompt=Prompt(
                        messages=tuple(Message(role=role, content=content) for role, content in row.messages),
                        category=row.category,
                    ),
                    completion=Completion(text=row.text, stop=row.stop, policy=policy),
                )
                for row in connection.execute(statement)
            ]
