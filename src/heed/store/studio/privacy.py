"""Removing a person's data so that counts stay true.

Whatever says who someone is, and every text they wrote, is overwritten in the database and, if asked, in the frozen
files that hold it. What they judged stays as numbers, but counts as withdrawn: nothing is trained on it from then on,
and what had been made from it is listed, since a model cannot forget.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from heed.errors import DataError, WorkspaceError
from heed.records import Json
from heed.store import dialect, lineage
from heed.store import schema as t
from heed.store.database import Store
from heed.store.lineage import ExportCard
from heed.store.redacted import MARK, MESSAGES
from heed.store.rows import chunks
from heed.store.studio import tables as s
from heed.store.studio.claims import end
from heed.store.studio.tombstones import Written, rewrite_export

_TEXTS = {"text": MARK, "examples": "[]", "choices": "[]"}
"""What replaces the answer to a question in a person's own words, by the question's kind; and what people tell of
themselves when they choose topics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What there is of one person."""

    labeler: str
    name: str
    """Empty for someone who has no account."""
    responses: int
    """Judgements and texts, which stay countable."""
    texts: int
    """Answers and prompts they wrote, which are overwritten."""
    notes: int
    """Notes, reasons, drafts, feedback and appeals."""
    withdrawn: bool
    exports: tuple[ExportCard, ...]
    """Frozen data sets with their judgements or texts."""
    models: tuple[str, ...]
    """Models that were trained on these, or descend from such."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was done."""

    footprint: Footprint
    """Of the person before; it still has the name, and is not stored."""
    subject: str
    """The labeler's id from now on."""
    rewritten: tuple[Path, ...]
    """Frozen files that were replaced by copies without the texts."""


class Privacy:
    """Finds and removes one person's data."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def footprint(self, who: str) -> Footprint:
        """What there is of a person, by account or labeler id, or by name.

        Raises:
            WorkspaceError: there is no such person.
        """
        with self._store.reader() as connection:
            return _footprint(connection, _find(connection, who))

    def forget(self, who: str, *, reason: str = "", exports: Path | None = None) -> Forgotten:
        """Remove a person's data. What cannot be undone is done in one transaction; files follow it.

        Args:
            exports: the workspace's directory of frozen data sets, if those with the person's texts shall be replaced.

        Raises:
            WorkspaceError: there is no such person.
            DataError: it is the only owner, without whom no one could invite anyone.
        """
        now = self._store.now()
        with self._store.writer() as connection:
            dialect.forget_deleted(connection)
            labeler = _find(connection, who)
            _keep_an_owner(connection, labeler)
            footprint = _footprint(connection, labeler)
            written = _written(connection, labeler)
            _overwrite(connection, written)
            _return_leases(connection, labeler)
            _close_items(connection, written, labeler)
            _empty(connection, labeler, now)
            lineage.mark_withdrawn(connection, labeler, now)
            subject = _rename(connection, labeler, now)
            affected: dict[str, Json] = {
                "responses": footprint.responses,
                "texts": footprint.texts,
                "exports": [card.hash for card in footprint.exports],
                "models": list(footprint.models),
            }
            row = {"subject": subject, "reason": reason, "affected": affected, "at": now}
            connection.execute(insert(s.redaction).values(row))
        self._store.scrub()
        rewritten = [
            path
            for card in footprint.exports
            if exports is not None and (path := rewrite_export(exports, card.hash, written, labeler, subject))
        ]
        return Forgotten(footprint=footprint, subject=subject, rewritten=tuple(rewritten))

    def redactions(self) -> list[dict[str, Any]]:
        """Who was removed, and what had been made from their work; oldest first."""
        with self._store.reader() as connection:
            rows = connection.execute(select(s.redaction).order_by(s.redaction.c.id))
            return [
                {"subject": row.subject, "reason": row.reason, "affected": row.affected, "at": row.at} for row in rows
            ]


def _find(connection: Connection, who: str) -> str:
    by_account = select(s.account.c.labeler_id).where(
        or_(s.account.c.id == who, s.account.c.name == who, s.account.c.name_key == who.casefold())
    )
    found = connection.execute(by_account).scalars().first()
    if found is None:
        found = connection.execute(select(t.labeler.c.id).where(t.labeler.c.id == who)).scalar()
    if not found:  # the empty id is nobody in particular
        raise WorkspaceError(f"there is no person {who!r} here; give an account's or labeler's id, or a name")
    return str(found)


def _keep_an_owner(connection: Connection, labeler: str) -> None:
    others = select(func.count()).where(s.account.c.role == "owner", s.account.c.labeler_id != labeler)
    own = select(s.account.c.role).where(s.account.c.labeler_id == labeler)
    if connection.execute(own).scalar() == "owner" and connection.execute(others).scalar_one() == 0:
        raise DataError("this is the only owner; make someone else an owner first, or no one could invite anyone")


def _responses(labeler: str) -> Any:
    """Ids of everything they said."""
    return (
        select(t.response.c.id)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .where(t.assignment.c.labeler_id == labeler)
    )


def _written(connection: Connection, labeler: str) -> Written:
    """The texts that are theirs alone: what another person wrote in the same words is that person's."""
    own = (
        select(t.answer.c.generation_id)
        .where(t.answer.c.response_id.in_(_responses(labeler)), t.answer.c.generation_id.is_not(None))
    )  # fmt: skip
    others = (
        select(t.answer.c.id)
        .join(t.response, t.response.c.id == t.answer.c.response_id)
        .join(t.assignment, t.assignment.c.id == t.response.c.assignment_id)
        .where(t.answer.c.generation_id == t.generation.c.id, t.assignment.c.labeler_id != labeler)
    )
    generations = connection.execute(
        select(t.generation.c.id, t.generation.c.record_id).where(
            t.generation.c.id.in_(own), t.generation.c.policy == "", ~exists(others)
        )
    ).all()
    in_chats = (
        select(t.item.c.prompt_id)
        .join(s.turn, s.turn.c.item_id == t.item.c.id)
        .join(s.conversation, s.conversation.c.id == s.turn.c.conversation_id)
        .where(s.conversation.c.labeler_id == labeler)
    )
    as_answers = select(s.written_prompt.c.prompt_id).where(s.written_prompt.c.response_id.in_(_responses(labeler)))
    prompts = connection.execute(
        select(t.prompt.c.id, t.prompt.c.record_id).where(
            or_(t.prompt.c.author == labeler, t.prompt.c.id.in_(in_chats), t.prompt.c.id.in_(as_answers))
        )
    ).all()
    return Written(
        generations={row.id: row.record_id for row in generations}, prompts={row.id: row.record_id for row in prompts}
    )


def _footprint(connection: Connection, labeler: str) -> Footprint:
    account = connection.execute(select(s.account).where(s.account.c.labeler_id == labeler)).one_or_none()
    own = _responses(labeler)
    written = _written(connection, labeler)
    assignments = select(t.assignment.c.id).where(t.assignment.c.labeler_id == labeler)
    remarks = (
        select(func.count()).select_from(t.note).where(t.note.c.response_id.in_(own)),
        select(func.count()).select_from(s.skip).where(s.skip.c.assignment_id.in_(assignments), s.skip.c.note != ""),
        select(func.count()).select_from(s.draft).where(s.draft.c.assignment_id.in_(assignments)),
        select(func.count()).select_from(s.feedback).where(s.feedback.c.labeler_id == labeler),
        select(func.count()).select_from(s.appeal).where(s.appeal.c.labeler_id == labeler),
    )
    withdrawn = connection.execute(select(t.labeler.c.withdrawn_at).where(t.labeler.c.id == labeler)).scalar()
    exports = _exports(connection, labeler, written)
    return Footprint(
        labeler=labeler,
        name="" if account is None else account.name,
        responses=connection.execute(select(func.count()).select_from(own.subquery())).scalar_one(),
        texts=len(written.generations) + len(written.prompts),
        notes=sum(connection.execute(one).scalar_one() for one in remarks),
        withdrawn=withdrawn is not None,
        exports=exports,
        models=lineage.models_from(connection, {card.hash for card in exports}),
    )


def _exports(connection: Connection, labeler: str, written: Written) -> tuple[ExportCard, ...]:
    """Frozen data sets with what they said, or with what others said about their texts."""
    ids: set[int] = set()
    said = select(t.export_response.c.export_id).where(t.export_response.c.response_id.in_(_responses(labeler)))
    ids.update(connection.execute(said.distinct()).scalars())
    for prompts in chunks(written.prompts):
        listed = select(t.export_prompt.c.export_id).where(t.export_prompt.c.prompt_id.in_(prompts))
        judged = _exports_about(select(t.item.c.id).where(t.item.c.prompt_id.in_(prompts)))
        ids.update(connection.execute(listed.union(judged)).scalars())
    for generations in chunks(written.generations):
        candidates = select(t.item_candidate.c.item_id).where(t.item_candidate.c.generation_id.in_(generations))
        ids.update(connection.execute(_exports_about(candidates)).scalars())
    rows = [
        row
        for some in chunks(sorted(ids))
        for row in connection.execute(select(t.export).where(t.export.c.id.in_(some)).order_by(t.export.c.id))
    ]
    return tuple(ExportCard(hash=row.hash, kind=row.kind, rows=row.row_count) for row in rows)


def _exports_about(items: Any) -> Any:
    return (
        select(t.export_response.c.export_id)
        .join(t.response, t.response.c.id == t.export_response.c.response_id)
        .where(t.response.c.item_id.in_(items))
    )


def _overwrite(connection: Connection, written: Written) -> None:
    """Put the mark in the place of every text."""
    for some in chunks(written.generations):
        gone = {"text": MARK, "token_ids": (), "logprobs": (), "meta": {}}
        connection.execute(update(t.generation).where(t.generation.c.id.in_(some)).values(gone))
    messages = [[one.role, one.content] for one in MESSAGES]
    for some in chunks(written.prompts):
        connection.execute(update(t.prompt).where(t.prompt.c.id.in_(some)).values(messages=messages, meta={}))


def _close_items(connection: Connection, written: Written, labeler: str) -> None:
    """Nobody is asked about a text that is gone, nor waits for someone who is. What was answered stays counted."""
    closed = {"slots_total": t.item.c.slots_total - t.item.c.slots_open, "slots_open": 0}
    connection.execute(update(t.item).where(t.item.c.reserved_for == labeler).values(closed))
    for some in chunks(written.prompts):
        connection.execute(update(t.item).where(t.item.c.prompt_id.in_(some)).values(closed))
    for some in chunks(written.generations):
        about = select(t.item_candidate.c.item_id).where(t.item_candidate.c.generation_id.in_(some))
        connection.execute(update(t.item).where(t.item.c.id.in_(about)).values(closed))


def _empty(connection: Connection, labeler: str, now: datetime) -> None:
    """Their words beside the answers, their name, and their way in."""
    own = _responses(labeler)
    assignments = select(t.assignment.c.id).where(t.assignment.c.labeler_id == labeler)
    connection.execute(delete(t.note).where(t.note.c.response_id.in_(own)))
    connection.execute(delete(s.draft).where(s.draft.c.assignment_id.in_(assignments)))
    connection.execute(update(s.skip).where(s.skip.c.assignment_id.in_(assignments)).values(note=""))
    connection.execute(delete(s.feedback).where(s.feedback.c.labeler_id == labeler))
    connection.execute(update(s.appeal).where(s.appeal.c.labeler_id == labeler).values(text=MARK))
    connection.execute(update(t.assignment).where(t.assignment.c.labeler_id == labeler).values(device=None))
    _overwrite_answers(connection, own)
    with dialect.changeable(connection, "screening_result"):
        mine = s.screening_result.c.labeler_id == labeler
        connection.execute(update(s.screening_result).where(mine).values(detail={}))
    account = connection.execute(select(s.account).where(s.account.c.labeler_id == labeler)).one_or_none()
    if account is None:
        return
    connection.execute(delete(s.session).where(s.session.c.account_id == account.id))
    connection.execute(delete(s.attempt).where(_about(s.attempt.c.who, (account.id, account.name, account.name_key))))
    invited = or_(s.invitation.c.account_id == account.id, s.invitation.c.used_by == account.id)
    connection.execute(update(s.invitation).where(invited).values(note=""))
    open_link = and_(s.invitation.c.account_id == account.id, s.invitation.c.used_at.is_(None))
    connection.execute(delete(s.invitation).where(open_link))
    connection.execute(update(s.feedback).where(s.feedback.c.account_id == account.id).values(text=MARK))
    connection.execute(update(s.appeal).where(s.appeal.c.decided_by == account.id).values(answer=MARK))
    with dialect.changeable(connection, "adjudication"):
        theirs = and_(s.adjudication.c.account_id == account.id, s.adjudication.c.note != "")
        connection.execute(update(s.adjudication).where(theirs).values(note=MARK))
    name = f"someone who left ({account.id[:8]})"
    gone: dict[str, Any] = {
        "name": name,
        "name_key": name,
        "password_hash": None,
        "settings": {},
        "role": "labeler",  # no rights may hang on an empty name
        "status": "closed",
        "seen_at": None,
    }
    connection.execute(update(s.account).where(s.account.c.id == account.id).values(gone))


def _about(column: Any, names: Iterable[str]) -> Any:
    """Rows whose key is a name, or ends in one after a colon."""
    return or_(*(or_(column == name, column.like(f"%:{name}")) for name in names if name))


def _return_leases(connection: Connection, labeler: str) -> None:
    held = select(t.assignment.c.id, t.assignment.c.item_id).where(
        t.assignment.c.labeler_id == labeler, t.assignment.c.state == "leased"
    )
    for row in connection.execute(held.order_by(t.assignment.c.item_id)).all():
        end(connection, row.id, row.item_id, "returned")


def _overwrite_answers(connection: Connection, own: Any) -> None:
    """What they wrote, and what they told of themselves, into the questions of forms."""
    forms = {row.id: row.definition for row in connection.execute(select(t.form.c.id, t.form.c.definition))}
    with dialect.changeable(connection, "answer"):
        for form_id, definition in forms.items():
            for kind, instead in _TEXTS.items():
                names = _questions(definition, kind)
                if not names:
                    continue
                items = select(t.item.c.id).where(t.item.c.form_id == form_id)
                mine = and_(
                    t.answer.c.response_id.in_(own),
                    t.answer.c.item_id.in_(items),
                    t.answer.c.question.in_(names),
                    t.answer.c.value_text.is_not(None),
                )
                connection.execute(update(t.answer).where(mine).values(value_text=instead))


def _questions(definition: Any, kind: str) -> Sequence[str]:
    questions = definition.get("questions", ()) if isinstance(definition, dict) else ()
    return [one["name"] for one in questions if isinstance(one, dict) and one.get("kind") == kind]


def _rename(connection: Connection, labeler: str, now: datetime) -> str:
    """An id that says nothing. An account's already is; an imported labeler's may well be a name."""
    account = connection.execute(select(s.account.c.id).where(s.account.c.labeler_id == labeler)).scalar()
    if account is not None:
        return labeler
    subject = f"forgotten-{secrets.token_hex(6)}"
    old = connection.execute(select(t.labeler).where(t.labeler.c.id == labeler)).one()
    connection.execute(insert(t.labeler).values({**old._mapping, "id": subject}))
    for one in t.metadata.sorted_tables:
        for column in one.columns:
            if any(key.column is t.labeler.c.id for key in column.foreign_keys):
                _point_to(connection, one, column, labeler, subject)
    connection.execute(update(t.prompt).where(t.prompt.c.author == labeler).values(author=subject))
    connection.execute(delete(t.labeler).where(t.labeler.c.id == labeler))
    return subject


def _point_to(connection: Connection, one: Any, column: Any, old: str, new: str) -> None:
    statement = update(one).where(column == old).values({column.name: new})
    if one.name in s.APPEND_ONLY:
        with dialect.changeable(connection, one.name):
            connection.execute(statement)
    else:
        connection.execute(statement)
