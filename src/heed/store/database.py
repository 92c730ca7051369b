"""The store: records in, records out, and what was made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine

from heed.errors import DataError
from heed.records import Completion, Demonstration, Json, Labeler, LabelerGroup, Prompt, Ranking, Rating
from heed.store import dialect, exports, lineage, reading, runs, writing
from heed.store.exports import Export, ExportKind
from heed.store.judgements import judgement_of
from heed.store.lineage import Dependents, Lineage, ModelCard
from heed.store.lines import Record
from heed.store.migrate import ensure_schema
from heed.store.reading import AnswerGroup, Selection
from heed.store.redacted import is_redacted
from heed.store.runs import RunCard


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
        try:
            ensure_schema(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock)

    def now(self) -> datetime:
        """The time in UTC, by the store's clock."""
        return self._clock()

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Add prompts. One that is there already, by its id, stays as it is."""
        with self.writer() as connection:
            writing.put_prompts(connection, prompts, self.now())

    def add_generations(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> None:
        """Add answers to prompts, and the prompts where they are new. Equal answers to one prompt are stored once."""
        now = self.now()
        with self.writer() as connection:
            rows = writing.put_prompts(connection, prompts, now)
            pairs = ((rows[p.id], one) for p, group in zip(prompts, completions, strict=True) for one in group)
            writing.put_generations(connection, pairs, now)

    def add_labelers(self, labelers: Iterable[Labeler]) -> None:
        """Add labelers; those who are there already stay as they are.

        Raises:
            DataError: a labeler is known as another kind or in another group.
        """
        with self.writer() as connection:
            writing.put_labelers(connection, labelers, self.now())

    def add_guideline(self, markdown: str) -> int:
        """Instructions for labelers, under which all that is asked from now on is filed; their version."""
        with self.writer() as connection:
            return writing.put_guideline(connection, markdown, self.now())

    def add_demonstrations(self, demonstrations: Iterable[Demonstration], round: int = 0, campaign: str = "") -> int:
        """Add demonstrations with their prompts and answers; returns how many were new.

        Raises:
            DataError: a labeler is not known. An empty labeler id is nobody in particular and needs no introduction.
        """
        return self._add_judgements(demonstrations, round, campaign)

    def add_rankings(self, rankings: Iterable[Ranking], round: int = 0, campaign: str = "") -> int:
        """Add rankings with their prompts and answers; returns how many were new.

        Raises:
            DataError: a labeler is not known.
        """
        return self._add_judgements(rankings, round, campaign)

    def add_ratings(self, ratings: Iterable[Rating], round: int = 0, campaign: str = "") -> int:
        """Add ratings with their prompts and answers; returns how many were new.

        Raises:
            DataError: a labeler is not known.
        """
        return self._add_judgements(ratings, round, campaign)

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
        *,
        final: bool = False,
        arm: str | None = None,
    ) -> list[Ranking]:
        """Rankings by one group of labelers, or all; not those of withdrawn labelers, nor superseded ones.

        With ``final``, only a lead's decision where there is one about an item; with ``arm``, only those of items that
        got their turn in this way.
        """
        chosen = Selection(
            split=split, labeler_group=labeler_group, max_round=max_round, campaign=campaign, final=final, arm=arm
        )
        return self._read(lambda c: reading.read_rankings(c, chosen))

    def ratings(
        self,
        split: str | None = None,
        labeler_group: LabelerGroup | None = None,
        max_round: int | None = None,
        campaign: str | None = None,
        *,
        final: bool = False,
    ) -> list[Rating]:
        """Ratings by one group of labelers, or all; not those of withdrawn labelers, nor superseded ones.

        With ``final``, only a lead's decision where there is one about an item.
        """
        chosen = Selection(
            split=split, labeler_group=labeler_group, max_round=max_round, campaign=campaign, final=final
        )
        return self._read(lambda c: reading.read_ratings(c, chosen))

    def generations(self, policy: str | None = None) -> list[AnswerGroup]:
        """Prompts with the answers stored for them, by one policy or by all and people too."""
        with self.reader() as connection:
            return list(reading.read_generations(connection, policy))

    def labelers(self) -> list[Labeler]:
        """Everyone who judged or may judge, by id."""
        with self.reader() as connection:
            return list(reading.read_labelers(connection))

    def counts(self) -> dict[str, int]:
        """How many prompts, generations, labelers, responses, demonstrations, rankings and ratings there are."""
        with self.reader() as connection:
            return reading.count(connection)

    def freeze_export(self, kind: ExportKind, directory: Path, records: Sequence[Record]) -> Export:
        """Freeze records that are in the store as ``directory/<id>/data.jsonl`` with a manifest.

        The same records always give the same bytes and the same hash; freezing them again changes nothing.

        Raises:
            DataError: no records, records of another kind, or records that are not in the store.
            WorkspaceError: the disk is full.
        """
        with self.reader() as connection:
            sources = exports.find_sources(connection, kind, records)
        export, manifest = exports.write_files(directory, kind, records, sources)
        with self.writer() as connection:
            exports.put_export(connection, export, manifest, sources, self.now())
        return export

    def register_model(
        self,
        name: str,
        parent: str | None = None,
        export_hash: str | None = None,
        config_hash: str = "",
        metrics: Mapping[str, Json] | None = None,
        *,
        stage: str = "",
        uses: Sequence[str] = (),
    ) -> None:
        """Enter a model and what it was made from; a model of that name that is there already is replaced.

        Args:
            parent: the model its training started from; a name not registered here is a model from outside.
            export_hash: the frozen data it was trained on.
            uses: other models it was made with: for a policy, its reward model.

        Raises:
            DataError: the export is not known.
        """
        values = {"config_hash": config_hash, "metrics": metrics or {}, "stage": stage}
        with self.writer() as connection:
            lineage.put_model(
                connection,
                name,
                parent=parent,
                uses=uses,
                export_hash=export_hash,
                values=values,
                now=self.now(),
            )

    def models(self) -> list[ModelCard]:
        """Every model registered, oldest first."""
        with self.reader() as connection:
            return list(lineage.read_models(connection))

    def lineage(self, name: str) -> Lineage:
        """Everything a model was made from: its ancestors, their data sets, and the people behind those.

        Raises:
            WorkspaceError: there is no such model.
        """
        with self.reader() as connection:
            return lineage.read_lineage(connection, name)

    def dependents(self, labeler: str) -> Dependents:
        """The data sets and models that a labeler's work went into.

        Raises:
            WorkspaceError: there is no such labeler.
        """
        with self.reader() as connection:
            return lineage.read_dependents(connection, labeler)

    def withdraw_labeler(self, labeler: str) -> Dependents:
        """Leave a labeler's work out of all reading from now on; returns what would have to be rebuilt.

        Raises:
            WorkspaceError: there is no such labeler.
        """
        with self.writer() as connection:
            dependents = lineage.read_dependents(connection, labeler)
            lineage.mark_withdrawn(connection, labeler, self.now())
            return dependents

    def start_run(self, recipe: str, config: Mapping[str, Json], config_hash: str) -> int:
        """Enter a run that starts now; its number."""
        with self.writer() as connection:
            return runs.put_run(connection, recipe, config, config_hash, self.now())

    def end_run(self, run_id: int, state: Literal["done", "failed"], message: str = "") -> None:
        """Say how a run ended."""
        with self.writer() as connection:
            runs.end_run(connection, run_id, state, message, self.now())

    def runs(self) -> list[RunCard]:
        """Every run, oldest first."""
        with self.reader() as connection:
            return list(runs.read_runs(connection))

    def _add_judgements(self, records: Iterable[Demonstration | Ranking | Rating], round: int, campaign: str) -> int:
        if round < 0:
            raise DataError(f"round is {round}, expected 0 or more")
        judgements = [judgement_of(record) for record in records]
        with self.writer() as connection:
            return writing.put_judgements(connection, judgements, round=round, campaign=campaign, now=self.now())

    def _read(self, read: Callable[[Connection], Iterator[reading.Stored]]) -> list[Any]:
        with self.reader() as connection:
            return [stored.record for stored in read(connection) if not is_redacted(stored.record)]

    def reader(self) -> AbstractContextManager[Connection]:
        """A transaction that reads one state of the database; for the services of this package."""
        return dialect.transaction(self._engine, write=False)

    def scrub(self) -> None:
        """Empty the database's log and dead rows of texts that were deleted."""
        dialect.scrub(self._engine)

    def writer(self) -> AbstractContextManager[Connection]:
        """A transaction that holds the writer's lock from its start; for the services of this package."""
        return dialect.transaction(self._engine, write=True)
