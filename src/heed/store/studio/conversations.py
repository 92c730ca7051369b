"""Live chats with two answers a turn, after Bai et al. 2022 (section 2.1): the talk goes on from the better one.

Each turn is an item of its own: what was said so far is its prompt, the two answers are its candidates, and the choice
is an ordinary response. So a chat gives rankings like any other task.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, insert, select, update

from heed.errors import DataError
from heed.records import Completion, Message, Prompt
from heed.store import schema as t
from heed.store.database import Store
from heed.store.reading import COMPLETION_COLUMNS, completion_of
from heed.store.studio import tables as s
from heed.store.studio.asks import Ask, Drawing, put_asks

MAX_TURNS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange of a conversation."""

    number: int
    item_id: int
    asked: str
    """What the labeler wrote."""
    chosen: Completion | None
    """The better answer; None while it is not chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A chat of one labeler with two models."""

    id: str
    labeler: str
    campaign: str
    policies: tuple[str, str]
    """Never for the browser."""
    open: bool
    turns: tuple[Turn, ...]
    created_at: datetime

    @property
    def messages(self) -> tuple[Message, ...]:
        """The talk as far as it is settled."""
        said: list[Message] = []
        for turn in self.turns:
            if turn.chosen is not None:
                said.append(Message(role="user", content=turn.asked))
                said.append(Message(role="assistant", content=turn.chosen.text))
        return tuple(said)

    @property
    def pending(self) -> Turn | None:
        """The turn whose answers wait for a choice."""
        return next((turn for turn in self.turns if turn.chosen is None), None)


class Conversations:
    """Chats and their turns."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, labeler: str, campaign: str, policies: tuple[str, str]) -> Conversation:
        """Begin a chat; the one before it ends."""
        id = secrets.token_hex(8)
        with self._store.writer() as connection:
            connection.execute(update(s.conversation).where(_of(labeler)).values(state="done"))
            values = {"id": id, "labeler_id": labeler, "campaign": campaign, "policies": list(policies)}
            connection.execute(insert(s.conversation).values(**values, state="open", created_at=self._store.now()))
            return _read(connection, id)

    def current(self, labeler: str) -> Conversation | None:
        """The chat that a labeler is in."""
        with self._store.reader() as connection:
            row = connection.execute(select(s.conversation.c.id).where(_of(labeler))).first()
            return None if row is None else _read(connection, row.id)

    def end(self, labeler: str) -> None:
        """Leave the chat. What was chosen stays; a turn that waits for a choice is not an answer."""
        with self._store.writer() as connection:
            connection.execute(update(s.conversation).where(_of(labeler)).values(state="done"))

    def add_turn(self, id: str, text: str, answers: Sequence[Completion]) -> int:
        """The labeler's message and two answers to it, as an item that only they may claim; the item.

        Raises:
            DataError: the chat is over or full, its last turn is not settled, or there are not two answers.
        """
        if len(answers) != 2:
            raise DataError(f"a turn has two answers, got {len(answers)}")
        with self._store.writer() as connection:
            talk = _read(connection, id)
            if not talk.open or len(talk.turns) >= MAX_TURNS:
                raise DataError("this chat is over; begin a new one")
            if talk.pending is not None:
                raise DataError("choose the better answer first")
            number = len(talk.turns)
            prompt = Prompt(
                messages=(*talk.messages, Message(role="user", content=text)),
                source="chat",
                user=talk.labeler,
                id=f"{id}-{number}",
            )
            campaign = connection.execute(select(s.campaign).where(s.campaign.c.name == talk.campaign)).one()
            common = {
                "campaign": talk.campaign,
                "round": 0,
                "form_id": campaign.form_id,
                "guideline_id": campaign.guideline_id,
                "created_at": self._store.now(),
            }
            ask = Ask(prompt=prompt, candidates=tuple(answers), slots=1)
            put_asks(connection, [ask], Drawing(seed=0, overlap=0.0, labels_in_pool=2, heldout_share=0.0), common)
            found = select(t.item.c.id).join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
            item_id = int(connection.execute(found.where(t.prompt.c.record_id == prompt.id)).scalar_one())
            connection.execute(update(t.item).where(t.item.c.id == item_id).values(reserved_for=talk.labeler))
            connection.execute(insert(s.turn).values(conversation_id=id, number=number, item_id=item_id))
            return item_id


def _of(labeler: str) -> ColumnElement[bool]:
    return (s.conversation.c.labeler_id == labeler) & (s.conversation.c.state == "open")


def _read(connection: Connection, id: str) -> Conversation:
    row = connection.execute(select(s.conversation).where(s.conversation.c.id == id)).one()
    turns = connection.execute(
        select(s.turn.c.number, s.turn.c.item_id, t.prompt.c.messages)
        .join(t.item, t.item.c.id == s.turn.c.item_id)
        .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        .where(s.turn.c.conversation_id == id)
        .order_by(s.turn.c.number)
    ).all()
    return Conversation(
        id=id,
        labeler=row.labeler_id,
        campaign=row.campaign,
        policies=(row.policies[0], row.policies[1]),
        open=row.state == "open",
        turns=tuple(
            Turn(
                number=turn.number,
                item_id=turn.item_id,
                asked=turn.messages[-1][1],
                chosen=_chosen(connection, turn.item_id),
            )
            for turn in turns
        ),
        created_at=row.created_at,
    )


def _chosen(connection: Connection, item_id: int) -> Completion | None:
    """The better answer of the newest response about an item."""
    newest = select(t.response.c.id).where(t.response.c.item_id == item_id).order_by(t.response.c.id.desc()).limit(1)
    row = connection.execute(
        select(*COMPLETION_COLUMNS)
        .select_from(t.rank_tier)
        .join(
            t.item_candidate,
            (t.item_candidate.c.item_id == t.rank_tier.c.item_id)
            & (t.item_candidate.c.ordinal == t.rank_tier.c.ordinal),
        )
        .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
        .where(t.rank_tier.c.response_id == newest.scalar_subquery(), t.rank_tier.c.tier == 0)
        .order_by(t.rank_tier.c.ordinal)
        .limit(1)
    ).one_or_none()
    return None if row is None else completion_of(row)
