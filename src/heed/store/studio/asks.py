"""Asks into items, many at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, bindparam, insert, update

from heed.errors import DataError
from heed.forms import LETTERS, Form
from heed.records import Completion, Json, Prompt, content_id
from heed.store import schema as t
from heed.store.rows import insert_rows, rows_by_key
from heed.store.studio.claims import forget_places
from heed.store.writing import put_generations, put_prompts

Purpose = Literal["ordinary", "gold", "anchor", "screening"]
Audience = Literal["training", "heldout"]
FOR_EVERYONE: Final = 1000
"""Slots of an item that each labeler may answer once."""
_SET_GOLD: Final = update(t.item).where(t.item.c.id == bindparam("key")).values(gold=bindparam("value"))
_CANDIDATES: Final[Mapping[str, tuple[int, int]]] = {
    "demonstration": (0, 0),
    "prompt": (0, 0),
    "survey": (0, 0),
    "sensitive": (0, len(LETTERS)),
    "edit": (1, 1),
    "grade": (1, len(LETTERS)),
    "rank": (2, len(LETTERS)),
    "compare": (2, 2),
    "chat": (2, 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question to be put to labelers."""

    prompt: Prompt
    candidates: tuple[Completion, ...] = ()
    """In canonical order; each labeler sees them in an order of their own."""
    purpose: Purpose = "ordinary"
    gold: Mapping[str, Json] | None = None
    """The known answer: ``tiers``, ``item`` and ``candidates`` in canonical order, and the ``reason`` for it."""
    audience: Audience | None = None
    """Drawn when left open."""
    slots: int | None = None
    """Answers wanted; drawn when left open."""
    arm: Literal["random", "ensemble"] = "random"
    priority: float | None = None
    """The lowest number comes first; drawn between 0 and 1 when left open."""

    def check(self, form: Form, where: str) -> None:
        """Whether a form can put this.

        Raises:
            DataError: it has too many or too few candidates, one of them twice, or a part that does not fit.
        """
        least, most = _CANDIDATES[form.task]
        if form.ranks:
            least = max(least, 2)
        if not least <= len(self.candidates) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise DataError(
                f"{where}: prompt {self.prompt.id} has {len(self.candidates)} candidates; form {form.name!r} "
                f"({form.task}) expects {wanted}"
            )
        ids = [completion.id for completion in self.candidates]
        if len(set(ids)) < len(ids):
            twice = next(one for one in ids if ids.count(one) > 1)
            raise DataError(f"{where}: prompt {self.prompt.id} has candidate {twice} twice; each is shown once")
        if self.slots is not None and self.slots < 1:
            raise DataError(f"{where}: {self.slots} slots, expected 1 or more")
        if self.gold is not None:
            _check_gold(self.gold, len(self.candidates), where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How what an ask leaves open is drawn."""

    seed: int
    overlap: float
    labels_in_pool: int
    heldout_share: float


def put_asks(connection: Connection, asks: Sequence[Ask], drawing: Drawing, common: Mapping[str, Any]) -> int:
    """Insert the items that are new; returns how many. ``common`` are the columns that all of them share."""
    keyed = {_ask_key(ask, common): ask for ask in asks}
    known = rows_by_key(connection, t.item.c.content_key, [t.item.c.id], keyed)
    new = {key: ask for key, ask in keyed.items() if key not in known}
    if not new:
        return 0
    now = common["created_at"]
    prompts = put_prompts(connection, (ask.prompt for ask in new.values()), now)
    pairs = ((prompts[ask.prompt.id], completion) for ask in new.values() for completion in ask.candidates)
    generations = put_generations(connection, pairs, now)
    rows = [
        {
            **common,
            "content_key": key,
            "prompt_id": prompts[ask.prompt.id],
            "purpose": ask.purpose,
            "arm": ask.arm,
            **_drawn(ask, drawing, key),
        }
        for key, ask in new.items()
    ]
    ids = insert_rows(connection, t.item, rows)
    gold = [{"key": one, "value": ask.gold} for one, ask in zip(ids, new.values(), strict=True) if ask.gold is not None]
    if gold:
        connection.execute(_SET_GOLD, gold)
    candidates = [
        {"item_id": one, "ordinal": ordinal, "generation_id": generations[prompts[ask.prompt.id], completion.id]}
        for one, ask in zip(ids, new.values(), strict=True)
        for ordinal, completion in enumerate(ask.candidates)
    ]
    if candidates:
        connection.execute(insert(t.item_candidate), candidates)
    forget_places(connection, common["campaign"])
    return len(new)


def _ask_key(ask: Ask, common: Mapping[str, Any]) -> str:
    shown = [completion.id for completion in ask.candidates]
    return content_id("ask", common["campaign"], common["round"], ask.purpose, ask.prompt.id, shown)


def _drawn(ask: Ask, drawing: Drawing, key: str) -> dict[str, Any]:
    draw = random.Random(f"{drawing.seed} {key}")
    priority, pool, heldout = draw.random(), draw.random() < drawing.overlap, draw.random() < drawing.heldout_share
    if ask.purpose == "ordinary":
        slots = drawing.labels_in_pool if pool else 1
        audience = "heldout" if heldout else "training"
    else:
        slots, audience = FOR_EVERYONE, "training"
    slots = slots if ask.slots is None else ask.slots
    return {
        "priority": priority if ask.priority is None else ask.priority,
        "audience": ask.audience or audience,
        "slots_total": slots,
        "slots_open": slots,
    }


def _check_gold(gold: Mapping[str, Json], num_candidates: int, where: str) -> None:
    unknown = gold.keys() - {"tiers", "item", "candidates", "reason", "part"}
    if unknown:
        raise DataError(
            f"{where}: the known answer has a part {min(unknown)!r}; expected tiers, item, candidates, reason, part"
        )
    for name in ("tiers", "candidates"):
        given = gold.get(name)
        if given and (not isinstance(given, Sequence) or isinstance(given, str) or len(given) != num_candidates):
            raise DataError(f"{where}: the known answer's {name} must be a list, one for each of {num_candidates}")
