"""The store: records in, records out, and what was made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from heed.errors import DataError
from heed.records import Completion, Demonstration, Labeler, LabelerGroup, Prompt, Ranking, Rating
from heed.store import dialect, reading, writing
from heed.store.forms import DEMONSTRATION, OVERALL, RANKING, RATING
from heed.store.migrate import ensure_schema
from heed.store.reading import AnswerGroup, Selection
from heed.store.writing import Judgement

R = TypeVar("R")


def utc_now() -> datetime:
    """The time in UTC, without a zone: all times in the database are UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


class Store:
    """People's work in a database.

    Every method is one transaction. Adding what is already there changes nothing, so a stage that was interrupted may
    simply be run again; reading gives records in the order in which they were first added.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    @classmethod
    def open(cls, where: str | Path, clock: Callable[[], datetime] = utc_now) -> Store:
        """Open a SQLite file or a database URL, creating or upgrading its tables.

        Raises:
            WorkspaceError: the database cannot be opened, is not Heed's, or was written by a newer Heed.
        """
        engine = dialect.connect(where)
        ensure_schema(engine)
        return cls(engine, clock)

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Add prompts. One that is there already, by its id, stays as it is."""
        with self._write() as connection:
            writing.put_prompts(connection, prompts, self._clock())

    def add_generations(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> None:
        """Add answers to prompts, and the prompts where they are new. Equal answers to one prompt are stored once."""
        now = self._clock()
        with self._write() as connection:
            rows = writing.put_prompts(connection, prompts, now)
            pairs = ((rows[p.id], one) for p, group in zip(prompts, completions, strict=True) for one in group)
            writing.put_generations(connection, pairs, now)

    def add_labelers(self, labelers: Iterable[Labeler]) -> None:
        """Add labelers. Those whose work arrives first are taken for human and in the training group.

        Raises:
            DataError: a labeler is known as another kind or in another group.
        """
        with self._write() as connection:
            writing.put_labelers(connection, labelers, self._clock())

    def add_demonstrations(self, demonstrations: Iterable[Demonstration], round: int = 0, campaign: str = "") -> int:
        """Add demonstrations with their prompts and answers; returns how many were new."""
        return self._judge(
            (
                Judgement(form=DEMONSTRATION, prompt=one.prompt, labeler=one.labeler, written=one.completion)
                for one in demonstrations
            ),
            round,
            campaign,
        )

    def add_rankings(self, rankings: Iterable[Ranking], round: int = 0, campaign: str = "") -> int:
        """Add rankings with their prompts and answers; returns how many were new."""
        return self._judge(
            (
                Judgement(form=RANKING, prompt=one.prompt, labeler=one.labeler, shown=one.completions, tiers=one.tiers)
                for one in rankings
            ),
            round,
            campaign,
        )

    def add_ratings(self, ratings: Iterable[Rating], round: int = 0, campaign: str = "") -> int:
        """Add ratings with their prompts and answers; returns how many were new."""
        return self._judge(
            (
                Judgement(
                    form=RATING,
                    prompt=one.prompt,
                    labeler=one.labeler,
                    shown=(one.completion,),
                    values={OVERALL: one.overall, **one.flags},
                )
                for one in ratings
            ),
            round,
            campaign,
        )

    def prompts(self, split: str | None = None, source: str | None = None) -> list[Prompt]:
        """Prompts of a split or source, or all."""
        return self._read(lambda c: reading.read_prompts(c, Selection(split=split, source=source)))

    def demonstrations(
        self, split: str | None = None, max_round: int | None = None, campaign: str | None = None
    ) -> list[Demonstration]:
        """Demonstrations up to a round; not those of withdrawn labelers."""
        chosen = Selection(split=split, max_round=max_round, campaign=campaign)
        return self._read(lambda c: reading.read_demonstrations(c, chosen))

    def rankings(
        self,
        split: str | None = None,
        labeler_group: LabelerGroup | None = None,
        max_round: int | None = None,
        campaign: str | None = None,
    ) -> list[Ranking]:
        """Rankings by one group of labelers, or all; not those of withdrawn labelers, nor superseded ones."""
        chosen = Selection(split=split, labeler_group=labeler_group, max_round=max_round, campaign=campaign)
        return self._read(lambda c: reading.read_rankings(c, chosen))

    def ratings(
        self,
        split: str | None = None,
        labeler_group: LabelerGroup | None = None,
        max_round: int | None = None,
        campaign: str | None = None,
    ) -> list[Rating]:
        """Ratings by one group of labelers, or all; not those of withdrawn labelers, nor superseded ones."""
        chosen = Selection(split=split, labeler_group=labeler_group, max_round=max_round, campaign=campaign)
        return self._read(lambda c: reading.read_ratings(c, chosen))

    def generations(self, policy: str | None = None) -> list[AnswerGroup]:
        """Prompts with the answers stored for them, by one policy or by all and people too."""
        with self._read_connection() as connection:
            return list(reading.read_generations(connection, policy))

    def labelers(self) -> list[Labeler]:
        """Everyone who judged or may judge, by id."""
        with self._read_connection() as connection:
            return list(reading.read_labelers(connection))

    def counts(self) -> dict[str, int]:
        """How many prompts, generations, labelers, responses, demonstrations, rankings and ratings there are."""
        with self._read_connection() as connection:
            return reading.count(connection)

    def _judge(self, judgements: Iterable[Judgement], round: int, campaign: str) -> int:
        if round < 0:
            raise DataError(f"round is {round}, expected 0 or more")
        with self._write() as connection:
            return writing.put_judgements(
                connection, list(judgements), round=round, campaign=campaign, now=self._clock()
            )

    def _read(self, read: Callable[[Connection], Iterator[reading.Stored]]) -> list[Any]:
        with self._read_connection() as connection:
            return [stored.record for stored in read(connection)]

    def _read_connection(self) -> AbstractContextManager[Connection]:
        return dialect.transaction(self._engine, write=False)

    def _write(self) -> AbstractContextManager[Connection]:
        return dialect.transaction(self._engine, write=True)
