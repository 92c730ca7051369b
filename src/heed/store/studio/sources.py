"""Where the items of a campaign come from: prompts in the store, and the answers that policies gave to them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, distinct, func, select

from heed.errors import DataError
from heed.forms import LETTERS
from heed.records import Completion, Prompt
from heed.store import schema as t
from heed.store.reading import COMPLETION_COLUMNS, PROMPT_COLUMNS, completion_of, prompt_of
from heed.store.rows import chunks

MOST: Final = 1_000_000
"""Items that may be drawn at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCount:
    """Prompts of one kind."""

    source: str
    split: str
    category: str
    prompts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCount:
    """What one policy wrote."""

    policy: str
    """Empty for people."""
    answers: int
    prompts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What to draw. Empty fields leave everything in."""

    source: str = ""
    split: str = ""
    category: str = ""
    policies: tuple[str, ...] = ()
    answers: int = 0
    """K answers to each prompt, 2 to 9 (1 for an answer to be edited); 0 for prompts alone."""
    count: int = 100
    seed: int = 0
    not_in: str = ""
    """A campaign whose prompts are left out, so that more of them are new ones."""

    def __post_init__(self) -> None:
        if not 0 <= self.answers <= len(LETTERS):
            raise DataError(f"answers is {self.answers}, expected 0 to {len(LETTERS)}")
        if not 1 <= self.count <= MOST:
            raise DataError(f"count is {self.count:,}, expected 1 to {MOST:,}")
        if self.answers and not self.policies:
            raise DataError("no policy is chosen; choose at least one whose answers are to be judged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A prompt with the answers to be judged."""

    prompt: Prompt
    candidates: tuple[Completion, ...]


def read_prompt_counts(connection: Connection) -> list[PromptCount]:
    """How many prompts of each source, split and category there are, most first."""
    kind = (t.prompt.c.source, t.prompt.c.split, t.prompt.c.category)
    statement = select(*kind, func.count().label("n")).group_by(*kind).order_by(func.count().desc(), *kind)
    return [
        PromptCount(source=row.source, split=row.split, category=row.category, prompts=row.n)
        for row in connection.execute(statement)
    ]


def read_policy_counts(connection: Connection) -> list[PolicyCount]:
    """How much each policy wrote, by name; people first."""
    columns = (func.count().label("n"), func.count(distinct(t.generation.c.prompt_id)).label("prompts"))
    statement = select(t.generation.c.policy, *columns).group_by(t.generation.c.policy).order_by(t.generation.c.policy)
    return [PolicyCount(policy=row.policy, answers=row.n, prompts=row.prompts) for row in connection.execute(statement)]


def draw_items(connection: Connection, draw: Draw) -> list[Drawn]:
    """Up to ``draw.count`` prompts at random, each with its answers at random, spread over the policies.

    A prompt with fewer than ``draw.answers`` different answers by these policies is passed over. The same draw from
    the same store gives the same items.
    """
    ids = list(connection.execute(_prompt_ids(draw).order_by(t.prompt.c.id)).scalars())
    rng = random.Random(draw.seed)
    rng.shuffle(ids)
    drawn: list[Drawn] = []
    for chunk in chunks(ids if draw.answers else ids[: draw.count]):
        drawn += _draw_chunk(connection, draw, chunk, rng)
        if len(drawn) >= draw.count:
            break
    return drawn[: draw.count]


def read_contents(connection: Connection, items: Sequence[int]) -> dict[int, Drawn]:
    """By item its prompt and its answers in their canonical order, so that they can be asked again."""
    found: dict[int, Drawn] = {}
    for chunk in chunks(items):
        answers: dict[int, list[Completion]] = defaultdict(list)
        candidates = (
            select(t.item_candidate.c.item_id, *COMPLETION_COLUMNS)
            .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
            .where(t.item_candidate.c.item_id.in_(chunk))
            .order_by(t.item_candidate.c.item_id, t.item_candidate.c.ordinal)
        )
        for row in connection.execute(candidates):
            answers[row.item_id].append(completion_of(row))
        prompts = select(t.item.c.id, *PROMPT_COLUMNS).join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
        for row in connection.execute(prompts.where(t.item.c.id.in_(chunk))):
            found[row.id] = Drawn(prompt=prompt_of(row), candidates=tuple(answers[row.id]))
    return found


def _prompt_ids(draw: Draw) -> Select[Any]:
    statement = select(t.prompt.c.id)
    for column, value in (
        (t.prompt.c.source, draw.source),
        (t.prompt.c.split, draw.split),
        (t.prompt.c.category, draw.category),
    ):
        if value:
            statement = statement.where(column == value)
    if not draw.split:
        statement = statement.where(t.prompt.c.split != "brief")
    if draw.answers:
        statement = statement.where(
            t.prompt.c.id.in_(
                select(t.generation.c.prompt_id)
                .where(t.generation.c.policy.in_(draw.policies))
                .group_by(t.generation.c.prompt_id)
                .having(func.count() >= draw.answers)
            )
        )
    if draw.not_in:
        asked = select(t.item.c.prompt_id).where(t.item.c.campaign == draw.not_in)
        statement = statement.where(t.prompt.c.id.not_in(asked))
    return statement


def _draw_chunk(connection: Connection, draw: Draw, ids: Sequence[int], rng: random.Random) -> Iterator[Drawn]:
    rows = {
        row.id: row for row in connection.execute(select(t.prompt.c.id, *PROMPT_COLUMNS).where(t.prompt.c.id.in_(ids)))
    }
    answers: dict[int, dict[str, list[Completion]]] = defaultdict(lambda: defaultdict(list))
    if draw.answers:
        statement = (
            select(t.generation.c.prompt_id, *COMPLETION_COLUMNS)
            .where(t.generation.c.prompt_id.in_(ids), t.generation.c.policy.in_(draw.policies))
            .order_by(t.generation.c.id)
        )
        for row in connection.execute(statement):
            answers[row.prompt_id][row.policy].append(completion_of(row))
    for one in ids:
        chosen = _spread(answers[one], draw.answers, rng) if draw.answers else ()
        if chosen is not None:
            yield Drawn(prompt=prompt_of(rows[one]), candidates=chosen)


def _spread(by_policy: dict[str, list[Completion]], size: int, rng: random.Random) -> tuple[Completion, ...] | None:
    """``size`` answers with different texts, taken from the policies in turn; nothing if there are not as many."""
    piles = [rng.sample(pile, len(pile)) for _, pile in sorted(by_policy.items())]
    rng.shuffle(piles)
    chosen: dict[str, Completion] = {}
    while len(chosen) < size and any(piles):
        for pile in piles:
            while pile and len(chosen) < size:
                one = pile.pop()
                if one.text.strip() and one.text not in chosen:
                    chosen[one.text] = one
                    break
    return tuple(chosen.values()) if len(chosen) == size else None
