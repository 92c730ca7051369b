"""What a labeler holds, has done, and gets back for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from heed.forms import LETTERS, Form, parse_form
from heed.records import Completion, Json, Prompt
from heed.store import schema as t
from heed.store.reading import COMPLETION_COLUMNS, PROMPT_COLUMNS, completion_of, prompt_of
from heed.store.studio import tables as s
from heed.store.studio.claims import LEASED, order_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An item that a labeler holds for a while."""

    token: str
    campaign: str
    form: Form
    form_version: int
    guideline_version: int | None
    prompt: Prompt
    shown: tuple[Completion, ...]
    """The candidates in the order in which this labeler sees them."""
    order: tuple[int, ...]
    """At place i stands the candidate of ordinal ``order[i]``."""
    draft: Mapping[str, Json] | None
    revision: int
    """Of the draft; 0 when there is none."""
    served_at: datetime
    lease_until: datetime
    purpose: str
    """Never for the browser, like ``gold`` and ``item_id``."""
    gold: Mapping[str, Json] | None
    item_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof that an answer is stored."""

    response_id: int
    replayed: bool = False
    """Whether it had been stored before, and this was the same once more."""
    gold: Mapping[str, Json] | None = None
    """The known answer, by letters as this labeler saw them; only in training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An answer as its labeler gave it."""

    response_id: int
    campaign: str
    form: Form
    form_version: int
    guideline_version: int | None
    prompt: Prompt
    shown: tuple[Completion, ...]
    payload: Mapping[str, Json]
    """As :func:`heed.forms.check_answers` takes it."""
    submitted_at: datetime
    """When the labeler was done with the item first."""
    active_ms: int
    revisable: bool
    superseded: bool
    """Whether they changed their mind since; then it is kept but does not count."""


_COLUMNS: Final = (
    t.assignment.c.id.label("assignment_id"),
    t.assignment.c.item_id,
    t.assignment.c.labeler_id,
    t.assignment.c.state,
    t.assignment.c.lease_token,
    t.assignment.c.lease_until,
    t.assignment.c.order_seed,
    t.assignment.c.served_at,
    t.assignment.c.submitted_at,
    t.assignment.c.active_ms,
    t.item.c.campaign,
    t.item.c.purpose,
    t.item.c.gold,
    t.item.c.prompt_id,
    t.item.c.form_id,
)
_BARE: Final = (
    select(*_COLUMNS, s.campaign.c.settings, t.labeler.c.withdrawn_at)
    .join(t.item, t.item.c.id == t.assignment.c.item_id)
    .join(s.campaign, s.campaign.c.name == t.item.c.campaign)
    .join(t.labeler, t.labeler.c.id == t.assignment.c.labeler_id)
)
HELD: Final = (
    _BARE.add_columns(
        *PROMPT_COLUMNS,
        t.guideline.c.version.label("guideline_version"),
        s.draft.c.revision,
        s.draft.c.payload,
    )
    .join(t.prompt, t.prompt.c.id == t.item.c.prompt_id)
    .outerjoin(t.guideline, t.guideline.c.id == t.item.c.guideline_id)
    .outerjoin(s.draft, s.draft.c.assignment_id == t.assignment.c.id)
    .order_by(t.assignment.c.id)
)
"""What is held, with all that a page shows but the candidates."""
BARE_BY_TOKEN: Final = _BARE.where(
    t.assignment.c.lease_token == bindparam("token"), t.assignment.c.labeler_id == bindparam("labeler")
)
BY_ASSIGNMENT: Final = HELD.where(t.assignment.c.id == bindparam("key"))
BY_TOKEN: Final = HELD.where(
    t.assignment.c.lease_token == bindparam("token"), t.assignment.c.labeler_id == bindparam("labeler")
)
BY_LABELER: Final = HELD.where(t.assignment.c.labeler_id == bindparam("labeler"), LEASED)
_CANDIDATES: Final = (
    select(t.item_candidate.c.ordinal, *COMPLETION_COLUMNS)
    .join(t.generation, t.generation.c.id == t.item_candidate.c.generation_id)
    .where(t.item_candidate.c.item_id == bindparam("item"))
    .order_by(t.item_candidate.c.ordinal)
)


class Forms:
    """Forms already read and parsed, by row: they never change."""

    def __init__(self) -> None:
        self._parsed: dict[int, tuple[Form, int]] = {}

    def of(self, connection: Connection, form_id: int) -> Form:
        """The form of a row."""
        return self._versioned(connection, form_id)[0]

    def version(self, connection: Connection, form_id: int) -> int:
        """Its version."""
        return self._versioned(connection, form_id)[1]

    def _versioned(self, connection: Connection, form_id: int) -> tuple[Form, int]:
        if form_id not in self._parsed:
            row = connection.execute(select(t.form).where(t.form.c.id == form_id)).one()
            self._parsed[form_id] = (parse_form(row.definition, f"form {row.name}"), row.version)
        return self._parsed[form_id]


def candidates_of(connection: Connection, item_id: int) -> tuple[Completion, ...]:
    """An item's candidates in canonical order."""
    return tuple(completion_of(row) for row in connection.execute(_CANDIDATES, {"item": item_id}))


def lease_of(connection: Connection, row: Any, forms: Forms) -> Lease:
    """A lease from its row of :data:`BY_TOKEN` and its siblings."""
    candidates = candidates_of(connection, row.item_id)
    order = order_of(row.order_seed, len(candidates))
    return Lease(
        token=row.lease_token,
        campaign=row.campaign,
        form=forms.of(connection, row.form_id),
        form_version=forms.version(connection, row.form_id),
        guideline_version=row.guideline_version,
        prompt=prompt_of(row),
        shown=tuple(candidates[ordinal] for ordinal in order),
        order=order,
        draft=row.payload,
        revision=row.revision or 0,
        served_at=row.served_at,
        lease_until=row.lease_until,
        purpose=row.purpose,
        gold=row.gold,
        item_id=row.item_id,
    )


def shown_gold(gold: Mapping[str, Any], order: Sequence[int]) -> dict[str, Json]:
    """The known answer by the letters that a labeler saw, in the shape of what a page sends."""
    shown: dict[str, Json] = {"item": gold.get("item") or {}, "reason": gold.get("reason") or ""}
    for name in ("tiers", "candidates"):
        canonical = gold.get(name)
        shown[name] = {LETTERS[i]: canonical[ordinal] for i, ordinal in enumerate(order)} if canonical else {}
    return shown


def num_held(labeler: ColumnElement[str]) -> Any:
    """How many leases a labeler holds, as a part of a statement."""
    return select(func.count()).where(t.assignment.c.labeler_id == labeler, LEASED).scalar_subquery()
