"""Records of any kind into the store at once: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable

from heed.errors import DataError
from heed.records import Demonstration, Labeler, Prompt, Ranking, Rating
from heed.store import reading, writing
from heed.store.database import Store
from heed.store.judgements import judgement_of


def add_records(store: Store, records: Iterable[object]) -> None:
    """Add prompts, labelers and judgements in one transaction. What is there already is not added again.

    Labelers that the store does not know yet are people of the training group.

    Raises:
        DataError: a record is plain text, which is for pretraining and read from its file, or cannot be stored.
    """
    everything = list(records)
    if any(isinstance(one, str) for one in everything):
        raise DataError("plain text is not kept in a workspace; name its file in the settings of a run instead")
    judged = [one for one in everything if isinstance(one, Demonstration | Ranking | Rating)]
    now = store.now()
    with store.writer() as connection:
        writing.put_labelers(connection, [one for one in everything if isinstance(one, Labeler)], now)
        known = {labeler.id for labeler in reading.read_labelers(connection)}
        named = dict.fromkeys(one.labeler for one in judged)
        new = [Labeler(id=name) for name in named if name and name not in known]
        writing.put_labelers(connection, new, now)
        writing.put_prompts(connection, [one for one in everything if isinstance(one, Prompt)], now)
        for kind in (Demonstration, Ranking, Rating):
            some = [judgement_of(one) for one in judged if isinstance(one, kind)]
            writing.put_judgements(connection, some, round=0, campaign="", now=now)
