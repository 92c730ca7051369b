"""Which item comes next: by chance, or first those on which reward models differ, with an arm left to chance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import bindparam, select, update

from heed.records import Completion, Prompt
from heed.store import schema as t
from heed.store.database import Store
from heed.store.dialect import upsert
from heed.store.reading import COMPLETION_COLUMNS, PROMPT_COLUMNS, completion_of, prompt_of
from heed.store.studio import tables as s
from heed.store.studio.claims import forget_places


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """An item that still wants answers."""

    id: int
    prompt: Prompt
    completions: tuple[Completion, ...]
    generation_ids: tuple[int, ...]


class Priorities:
    """Reads open items and sets their turns."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_items(self, campaign: str) -> list[OpenItem]:
        """Ordinary items of a campaign with candidates to rank and slots left."""
        statement = (
            select(t.item.c.id, t.generation.c.id.label("generation_id"), *PROMPT_COLUMNS, *COMPLETION_COLUMNS)
            .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
            .join(t.item_candidate, t.item_candidate.c.item_id == t.item.c.id)
            .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
            .where(t.item.c.campaign == campaign, t.item.c.purpose == "ordinary", t.item.c.slots_open > 0)
            .where(t.item.c.reserved_for.is_(None))
            .order_by(t.item.c.id, t.item_candidate.c.ordinal)
        )
        with self._store.reader() as connection:
            groups = [list(group) for _, group in groupby(connection.execute(statement), key=lambda row: row.id)]
        return [
            OpenItem(
                id=rows[0].id,
                prompt=prompt_of(rows[0]),
                completions=tuple(completion_of(row) for row in rows),
                generation_ids=tuple(row.generation_id for row in rows),
            )
            for rows in groups
            if len(rows) > 1
        ]

    def put_scores(self, model: str, scores: Mapping[int, float]) -> None:
        """Keep what a reward model thinks of answers, for the lead's pages; labeling pages never read it."""
        with self._store.writer() as connection:
            for generation_id, value in scores.items():
                row = {"generation_id": generation_id, "model": model, "value": value, "created_at": self._store.now()}
                upsert(connection, s.score, row, newer="created_at")

    def set_turns(self, campaign: str, disagreement: Mapping[int, float], random_arm: float) -> dict[str, int]:
        """Let the items on which models differ most come first, but for those of the random arm; how many in each.

        An item's arm depends on its id and campaign alone, so that it never changes. Items of the two arms take turns
        evenly: the chosen ones are spread over the same range of priorities that chance drew from.
        """
        chosen = [item for item in disagreement if not in_random_arm(campaign, item, random_arm)]
        chosen.sort(key=lambda item: (-disagreement[item], item))
        turns = [
            {"key": item, "turn": (place + 0.5) / len(chosen), "how": "ensemble"} for place, item in enumerate(chosen)
        ]
        statement = (
            update(t.item)
            .where(t.item.c.id == bindparam("key"), t.item.c.slots_open > 0)
            .values(priority=bindparam("turn"), arm=bindparam("how"))
        )
        turns.sort(key=lambda turn: int(str(turn["key"])))  # in one order, like all who change several
        for start in range(0, len(turns), 1000):
            with self._store.writer() as connection:
                connection.execute(statement, turns[start : start + 1000])
                forget_places(connection, campaign)
        return {"ensemble": len(chosen), "random": len(disagreement) - len(chosen)}


def in_random_arm(campaign: str, item_id: int, share: float) -> bool:
    """Whether an item's turn stays random."""
    digest = hashlib.sha256(f"{campaign}\x1f{item_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 < share


def pair_disagreement(probabilities: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """How much models differ about each item: the mean over its pairs of the variance of P(first beats second).

    Args:
        probabilities: for each item and each of its pairs, one probability from each model.

    >>> pair_disagreement([[[0.5, 0.5], [0.0, 1.0]], [[0.9, 0.9]]])
    [0.125, 0.0]
    """
    return [sum(_variance(pair) for pair in pairs) / len(pairs) for pairs in probabilities]


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
