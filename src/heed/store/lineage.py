"""From a model back to the people, and from a person forward to the models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from heed import __version__
from heed.errors import DataError, WorkspaceError, nearest
from heed.records import Json, LabelerGroup, LabelerKind
from heed.store import schema as t
from heed.store.dialect import insert_new
from heed.store.studio import tables as s


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a model."""

    name: str
    parent: str | None
    """The model its training started from."""
    uses: tuple[str, ...]
    """Models that helped, such as the reward model behind a policy."""
    export_hash: str | None
    """The data set it was trained on."""
    config_hash: str
    stage: str
    """The stage that made it; empty for a model that came from outside."""
    metrics: Mapping[str, Json]
    code_version: str
    created_at: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCard:
    """What is known of a frozen data set."""

    hash: str
    kind: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """How much of the data sets one labeler judged or wrote."""

    labeler: str
    kind: LabelerKind
    group: LabelerGroup
    responses: int
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a model was made from."""

    models: tuple[ModelCard, ...]
    """The model itself, then everything it descends from, nearest first."""
    exports: tuple[ExportCard, ...]
    labelers: tuple[Contribution, ...]
    num_prompts: int
    """Prompts that were judged, or answered in training."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependents:
    """What a labeler's work went into, and what would have to be rebuilt without it."""

    exports: tuple[ExportCard, ...]
    models: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


def put_model(
    connection: Connection,
    name: str,
    *,
    parent: str | None,
    uses: Sequence[str],
    export_hash: str | None,
    values: Mapping[str, Any],
    now: datetime,
) -> None:
    """Enter a model, or enter it anew when it was trained again. Models it names that are not known come from outside.

    Raises:
        DataError: the export is unknown, or the model would be its own parent.
    """
    if name == parent or name in uses:
        raise DataError(f"model {name!r} cannot be made from itself")
    row = {
        "parent_id": None if parent is None else _model_row(connection, parent, now),
        "export_id": None if export_hash is None else _export_row(connection, export_hash),
        "code_version": __version__,
        "created_at": now,
        **values,
    }
    model_id = _model_row(connection, name, now)
    connection.execute(update(t.model).where(t.model.c.id == model_id).values(row))
    connection.execute(delete(t.model_use).where(t.model_use.c.model_id == model_id))
    used = [{"model_id": model_id, "used_id": _model_row(connection, one, now)} for one in dict.fromkeys(uses)]
    if used:
        connection.execute(insert(t.model_use), used)


def read_models(connection: Connection) -> Iterator[ModelCard]:
    """Every model, in the order of their first training."""
    rows = connection.execute(select(t.model).order_by(t.model.c.id)).all()
    names = {row.id: row.name for row in rows}
    hashes: dict[int, str] = {row.id: row.hash for row in connection.execute(select(t.export.c.id, t.export.c.hash))}
    uses: dict[int, list[str]] = {}
    for use in connection.execute(select(t.model_use).order_by(t.model_use.c.used_id)):
        uses.setdefault(use.model_id, []).append(names[use.used_id])
    for row in rows:
        yield ModelCard(
            name=row.name,
            parent=names.get(row.parent_id),
            uses=tuple(uses.get(row.id, ())),
            export_hash=hashes.get(row.export_id),
            config_hash=row.config_hash,
            stage=row.stage,
            metrics=row.metrics,
            code_version=row.code_version,
            created_at=row.created_at.isoformat(),
        )


def read_lineage(connection: Connection, name: str) -> Lineage:
    """Everything behind one model.

    Raises:
        WorkspaceError: there is no such model.
    """
    models = {card.name: card for card in read_models(connection)}
    if name not in models:
        raise WorkspaceError(f"there is no model {name!r} in this workspace.{nearest(name, models)}")
    reached: dict[str, ModelCard] = {}
    front = [name]
    while front:
        card = models[front.pop(0)]
        if card.name not in reached:
            reached[card.name] = card
            front += [one for one in (card.parent, *card.uses) if one is not None]
    hashes = [card.export_hash for card in reached.values() if card.export_hash is not None]
    return Lineage(
        models=tuple(reached.values()),
        exports=tuple(_export_cards(connection, t.export.c.hash.in_(hashes))),
        labelers=tuple(_contributions(connection, hashes)),
        num_prompts=_num_prompts(connection, hashes),
    )


def read_dependents(connection: Connection, labeler: str) -> Dependents:
    """Everything that a labeler's work went into.

    Raises:
        WorkspaceError: there is no such labeler.
    """
    known = connection.execute(select(t.labeler.c.id).order_by(t.labeler.c.id)).scalars().all()
    if labeler not in known:
        raise WorkspaceError(f"there is no labeler {labeler!r} in this workspace.{nearest(labeler, known)}")
    inside = (
        select(t.export_response.c.export_id)
        .join(t.response, t.response.c.id == t.export_response.c.response_id)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .where(t.assignment.c.labeler_id == labeler)
    )
    exports = tuple(_export_cards(connection, t.export.c.id.in_(inside)))
    return Dependents(exports=exports, models=models_from(connection, {card.hash for card in exports}))


def models_from(connection: Connection, exports: Collection[str]) -> tuple[str, ...]:
    """Models that were trained on one of these data sets, given by hash, or that descend from such a model."""
    tainted: dict[str, None] = {}
    cards = list(read_models(connection))
    grown = True
    while grown:
        before = len(tainted)
        for card in cards:
            if card.export_hash in exports or any(one in tainted for one in (card.parent, *card.uses)):
                tainted[card.name] = None
        grown = len(tainted) > before
    return tuple(tainted)


def mark_withdrawn(connection: Connection, labeler: str, now: datetime) -> None:
    """Leave a labeler's work out of everything that is read from now on."""
    statement = update(t.labeler).where(t.labeler.c.id == labeler, t.labeler.c.withdrawn_at.is_(None))
    connection.execute(statement.values(withdrawn_at=now))


def _model_row(connection: Connection, name: str, now: datetime) -> int:
    outside = {"name": name, "config_hash": "", "stage": "", "metrics": {}, "code_version": "", "created_at": now}
    insert_new(connection, t.model, [outside])
    return int(connection.execute(select(t.model.c.id).where(t.model.c.name == name)).scalar_one())


def _export_row(connection: Connection, export_hash: str) -> int:
    row = connection.execute(select(t.export.c.id).where(t.export.c.hash == export_hash)).scalar()
    if row is None:
        raise DataError(f"there is no export with hash {export_hash!r}; freeze the data with freeze_export first")
    return int(row)


def _export_cards(connection: Connection, condition: Any) -> Iterable[ExportCard]:
    for row in connection.execute(select(t.export).where(condition).order_by(t.export.c.id)):
        yield ExportCard(hash=row.hash, kind=row.kind, rows=row.row_count)


def _contributions(connection: Connection, hashes: Sequence[str]) -> Iterable[Contribution]:
    statement = (
        select(t.labeler, func.count(t.response.c.id.distinct()).label("responses"))
        .join(t.assignment, t.assignment.c.labeler_id == t.labeler.c.id)
        .join(t.response, t.response.c.assignment_id == t.assignment.c.id)
        .join(t.export_response, t.export_response.c.response_id == t.response.c.id)
        .join(t.export, t.export.c.id == t.export_response.c.export_id)
        .where(t.export.c.hash.in_(hashes))
        .group_by(*t.labeler.c)
        .order_by(t.labeler.c.id)
    )
    for row in connection.execute(statement):
        yield Contribution(
            labeler=row.id,
            kind=row.kind,
            group=row.labeler_group,
            responses=row.responses,
            withdrawn=row.withdrawn_at is not None,
        )


def _num_prompts(connection: Connection, hashes: Sequence[str]) -> int:
    judged = (
        select(t.item.c.prompt_id)
        .join(t.response, t.response.c.item_id == t.item.c.id)
        .join(t.export_response, t.export_response.c.response_id == t.response.c.id)
        .join(t.export, t.export.c.id == t.export_response.c.export_id)
        .where(t.export.c.hash.in_(hashes))
        .where(
            ~select(s.written_prompt.c.response_id).where(s.written_prompt.c.response_id == t.response.c.id).exists()
        )
    )
    listed = (
        select(t.export_prompt.c.prompt_id)
        .join(t.export, t.export.c.id == t.export_prompt.c.export_id)
        .where(t.export.c.hash.in_(hashes))
    )
    both = judged.union(listed).subquery()
    return connection.execute(select(func.count()).select_from(both)).scalar_one()
