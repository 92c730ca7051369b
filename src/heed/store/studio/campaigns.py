"""Campaigns: a batch of work under one form and one guideline, and the items in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, func, insert, select, update

from heed.errors import DataError, nearest
from heed.forms import Form, parse_form
from heed.store import schema as t
from heed.store.database import Store
from heed.store.forms import FORMS
from heed.store.studio import tables as s
from heed.store.studio.asks import Ask, Drawing, put_asks
from heed.store.studio.claims import LEASED
from heed.store.studio.settings import CampaignSettings, parse_settings
from heed.store.writing import put_form

CampaignState = Literal["draft", "active", "paused", "done"]
ASKS_AT_ONCE: Final = 1000
"""Items in one transaction, so that labelers do not wait for a large batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A batch of work."""

    name: str
    form: Form
    form_version: int
    guideline_version: int | None
    settings: CampaignSettings
    state: CampaignState
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FormVersion:
    """A form as it was from some day on."""

    form: Form
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Guideline:
    """Instructions for labelers as they were from some day on."""

    version: int
    markdown: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Slots of a campaign's items: one for each answer that is wanted."""

    open: int
    live: int
    """Held by a labeler just now, or by one who left and whose time is not yet noticed to be over."""
    done: int
    total: int


class Campaigns:
    """Makes campaigns and fills them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self,
        name: str,
        form: Form,
        *,
        guideline: int | None = None,
        settings: CampaignSettings | None = None,
        state: CampaignState = "draft",
    ) -> Campaign:
        """A new campaign; its form is added to the forms.

        Raises:
            DataError: the name is taken or not one, the guideline is unknown, or the form cannot be used.
        """
        _check_name(name)
        _check_state(name, state)
        with self._store.writer() as connection:
            if connection.execute(select(s.campaign.c.name).where(s.campaign.c.name == name)).first():
                raise DataError(f"there is a campaign {name!r} already; choose another name")
            row = {
                "name": name,
                "form_id": _put_form(connection, form, self._store.now()),
                "guideline_id": None if guideline is None else _guideline_row(connection, guideline),
                "state": state,
                "settings": (settings or CampaignSettings()).model_dump(mode="json"),
                "created_at": self._store.now(),
            }
            connection.execute(insert(s.campaign).values(row))
            return _one(connection, name)

    def list(self) -> list[Campaign]:
        """Every campaign, by name."""
        with self._store.reader() as connection:
            return [_campaign(row) for row in connection.execute(_CAMPAIGNS)]

    def get(self, name: str) -> Campaign:
        """One campaign.

        Raises:
            DataError: there is none of that name.
        """
        with self._store.reader() as connection:
            return _one(connection, name)

    def set_state(self, name: str, state: CampaignState) -> None:
        """Start, pause or end a campaign. What is held may still be handed in; nothing new is given out.

        Raises:
            DataError: no such campaign or state.
        """
        _check_state(name, state)
        self._change(name, {"state": state})

    def update_settings(self, name: str, settings: CampaignSettings) -> None:
        """Change how work is shared out from now on. Items that are there keep their slots.

        Raises:
            DataError: no such campaign.
        """
        self._change(name, {"settings": settings.model_dump(mode="json")})

    def set_guideline(self, name: str, version: int) -> None:
        """File what is asked from now on under another version of the guideline.

        Raises:
            DataError: no such campaign or version.
        """
        with self._store.reader() as connection:
            row = _guideline_row(connection, version)
        self._change(name, {"guideline_id": row})

    def set_form(self, name: str, form: Form) -> int:
        """Ask items that are added from now on by this form; its version.

        Raises:
            DataError: no such campaign, or the form cannot be used.
        """
        with self._store.writer() as connection:
            row = _put_form(connection, form, self._store.now())
            version = connection.execute(select(t.form.c.version).where(t.form.c.id == row)).scalar_one()
        self._change(name, {"form_id": row})
        return int(version)

    def add_form(self, form: Form) -> int:
        """Keep a form; its version. One that differs from the newest of its name becomes a new version.

        Raises:
            DataError: its name is that of a built-in form of records.
        """
        with self._store.writer() as connection:
            row = _put_form(connection, form, self._store.now())
            return int(connection.execute(select(t.form.c.version).where(t.form.c.id == row)).scalar_one())

    def forms(self) -> Sequence[FormVersion]:
        """Every version of every form, by name, newest first."""
        order = select(t.form).order_by(t.form.c.name, t.form.c.version.desc())
        with self._store.reader() as connection:
            return [
                FormVersion(form=parse_form(row.definition), version=row.version, created_at=row.created_at)
                for row in connection.execute(order)
                if row.name not in FORMS
            ]

    def guidelines(self) -> Sequence[Guideline]:
        """Every version of the guideline, newest first. New ones are added by ``Store.add_guideline``."""
        with self._store.reader() as connection:
            return [
                Guideline(version=row.version, markdown=row.markdown, created_at=row.created_at)
                for row in connection.execute(select(t.guideline).order_by(t.guideline.c.version.desc()))
            ]

    def add_items(self, campaign: str, asks: Sequence[Ask], *, round: int = 0, seed: int = 0) -> int:
        """Put questions into a campaign's queue; returns how many were new.

        The same ask (its prompt, candidates and purpose) in one campaign and round is one item. Priority, audience and
        the choice for the shared pool are drawn from ``seed`` and the ask's content, so that a batch that was cut off
        may simply be added again. Large batches are several transactions.

        Raises:
            DataError: no such campaign, or an ask that its form cannot put: nothing of its batch is added.
        """
        if round < 0:
            raise DataError(f"round is {round}, expected 0 or more")
        known = self.get(campaign)
        for number, ask in enumerate(asks, 1):
            ask.check(known.form, f"ask {number}")
        drawing = Drawing(
            seed=seed,
            overlap=known.settings.overlap,
            labels_in_pool=known.settings.labels_in_pool,
            heldout_share=known.settings.heldout_share,
        )
        added = 0
        for batch in _batches(asks):
            with self._store.writer() as connection:
                row = connection.execute(select(s.campaign).where(s.campaign.c.name == campaign)).one()
                common = {
                    "campaign": campaign,
                    "round": round,
                    "form_id": row.form_id,
                    "guideline_id": row.guideline_id,
                    "created_at": self._store.now(),
                }
                added += put_asks(connection, batch, drawing, common)
        return added

    def totals(self, campaign: str, purpose: str = "ordinary") -> Totals:
        """How many answers are wanted, being worked on and there. They always add up."""
        items = (s.campaign.c.name == campaign, t.item.c.purpose == purpose)
        held = (
            select(func.count())
            .select_from(t.assignment)
            .join(t.item, t.item.c.id == t.assignment.c.item_id)
            .where(LEASED, t.item.c.campaign == campaign, t.item.c.purpose == purpose)
        )
        statement = (
            select(
                func.coalesce(func.sum(t.item.c.slots_open), 0).label("open"),
                func.coalesce(func.sum(t.item.c.slots_total), 0).label("total"),
                held.scalar_subquery().label("live"),
            )
            .select_from(s.campaign.outerjoin(t.item, t.item.c.campaign == s.campaign.c.name))
            .where(*items)
        )
        with self._store.reader() as connection:
            row = connection.execute(statement).one()
        return Totals(open=row.open, live=row.live, done=row.total - row.open - row.live, total=row.total)

    def _change(self, name: str, values: Mapping[str, Any]) -> None:
        with self._store.writer() as connection:
            _one(connection, name)
            connection.execute(update(s.campaign).where(s.campaign.c.name == name).values(**values))


_CAMPAIGNS = (
    select(s.campaign, t.form.c.definition, t.form.c.version, t.guideline.c.version.label("guideline_version"))
    .join(t.form, t.form.c.id == s.campaign.c.form_id)
    .outerjoin(t.guideline, t.guideline.c.id == s.campaign.c.guideline_id)
    .order_by(s.campaign.c.name)
)


def _one(connection: Connection, name: str) -> Campaign:
    row = connection.execute(_CAMPAIGNS.where(s.campaign.c.name == name)).one_or_none()
    if row is None:
        names = connection.execute(select(s.campaign.c.name)).scalars().all()
        raise DataError(f"there is no campaign {name!r}.{nearest(name, names)}")
    return _campaign(row)


def _campaign(row: Any) -> Campaign:
    return Campaign(
        name=row.name,
        form=parse_form(row.definition),
        form_version=row.version,
        guideline_version=row.guideline_version,
        settings=parse_settings(row.settings),
        state=row.state,
        created_at=row.created_at,
    )


def _put_form(connection: Connection, form: Form, now: datetime) -> int:
    if form.name in FORMS:
        raise DataError(f"form {form.name!r}: this name is kept for records that come from files; choose another")
    return put_form(connection, form.name, form.model_dump(mode="json"), now)


def _guideline_row(connection: Connection, version: int) -> int:
    row = connection.execute(select(t.guideline.c.id).where(t.guideline.c.version == version)).scalar()
    if row is None:
        raise DataError(f"there is no guideline of version {version}; add it first")
    return int(row)


def _check_name(name: str) -> None:
    allowed = all(c.isalnum() or c in " -_." for c in name)
    if not (0 < len(name) <= 60 and allowed and name[0].isalnum() and name == name.strip()):
        raise DataError(
            f"campaign {name[:80]!r}: a name has up to 60 letters, digits, spaces, and the marks - _ . and begins "
            "with a letter or a digit"
        )


def _check_state(name: str, state: str) -> None:
    if state not in get_args(CampaignState):
        raise DataError(f"campaign {name!r}: state {state!r}, expected one of {', '.join(get_args(CampaignState))}")


def _batches(asks: Sequence[Ask]) -> Iterator[Sequence[Ask]]:
    iterator = iter(asks)
    while batch := list(islice(iterator, ASKS_AT_ONCE)):
        yield batch
