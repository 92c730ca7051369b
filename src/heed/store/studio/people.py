"""Accounts, the links that let people in, and their sessions. Of every token only a hash is stored."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from heed.errors import AccessError, DataError
from heed.records import Json, Labeler, LabelerGroup
from heed.store import schema as t
from heed.store.database import Store
from heed.store.studio import tables as s
from heed.store.studio.audit import put_event
from heed.store.writing import put_labelers

AccountRole = Literal["owner", "lead", "labeler"]
AccountStatus = Literal["onboarding", "screening", "active", "paused", "closed"]
IDLE: Final = timedelta(hours=12)
"""A session ends when it was not used for so long."""
LONGEST: Final = timedelta(days=14)
"""A session ends so long after it began, used or not."""
MAX_NAME: Final = 80
_TOUCH: Final = timedelta(minutes=5)
"""How old the last use may be before it is written down again; else every request would write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Someone who may sign in. Their work stands under the labeler of the same id."""

    id: str
    name: str
    role: AccountRole
    status: AccountStatus
    group: LabelerGroup
    settings: Mapping[str, Any]
    created_at: datetime
    seen_at: datetime | None
    password_hash: str | None = field(default=None, repr=False)

    @property
    def has_password(self) -> bool:
        """Whether they can come back without a link."""
        return self.password_hash is not None

    @property
    def leads(self) -> bool:
        """Whether the lead's pages are open to them."""
        return self.role in ("lead", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link that works once: to join, or to come back to an account."""

    id: str
    """The token's hash: enough to revoke it, useless to use it."""
    account_id: str | None
    role: AccountRole
    group: LabelerGroup
    note: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that has signed in."""

    token: str = field(repr=False)
    account_id: str
    csrf: str = field(repr=False)
    created_at: datetime
    device: str


class People:
    """Who may come in."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- links

    def invite(self, role: AccountRole, group: LabelerGroup, note: str, by: str | None, hours: float = 168) -> str:
        """A link's token for a new account; it is not stored and cannot be shown again."""
        return self._new_link(None, role, group, note, by, hours)

    def login_link(self, account_id: str, by: str | None, hours: float = 0.25) -> str:
        """A link's token for someone who has an account and lost the way in.

        Raises:
            DataError: there is no such account.
        """
        account = self.account(account_id)
        if account is None:
            raise DataError(f"there is no account {account_id!r}")
        return self._new_link(account_id, account.role, account.group, "", by, hours)

    def owner_link(self, hours: float = 0.25) -> str:
        """A link's token for the owner: it makes the account if there is none yet."""
        with self._store.reader() as connection:
            owner = connection.execute(select(s.account.c.id).where(s.account.c.role == "owner").limit(1)).scalar()
        if owner is not None:
            return self.login_link(str(owner), None, hours)
        return self._new_link(None, "owner", "training", "the first account", None, hours)

    def invitations(self) -> list[Invitation]:
        """Links that still work, newest first."""
        statement = (
            select(s.invitation)
            .where(s.invitation.c.used_at.is_(None), s.invitation.c.expires_at > self._store.now())
            .order_by(s.invitation.c.created_at.desc())
        )
        with self._store.reader() as connection:
            return [_invitation(row) for row in connection.execute(statement)]

    def revoke(self, id: str, by: str) -> None:
        """End a link before it is used."""
        with self._store.writer() as connection:
            statement = update(s.invitation).where(s.invitation.c.token_hash == id, s.invitation.c.used_at.is_(None))
            connection.execute(statement.values(expires_at=self._store.now()))
            put_event(connection, self._store.now(), by, "invitation.revoke", id[:12], {})

    def peek(self, token: str) -> Invitation | None:
        """The link behind a token, if it still works; looking does not use it up."""
        with self._store.reader() as connection:
            row = connection.execute(select(s.invitation).where(s.invitation.c.token_hash == _digest(token))).first()
        if row is None or row.used_at is not None or row.expires_at <= self._store.now():
            return None
        return _invitation(row)

    def join(self, token: str, name: str, password_hash: str | None) -> Account:
        """Use a link up: make the account it is for, or return the one it leads back to.

        Raises:
            AccessError: the link does not work any more.
            DataError: the name is empty, too long or taken.
        """
        now = self._store.now()
        with self._store.writer() as connection:
            taken = (
                update(s.invitation)
                .where(
                    s.invitation.c.token_hash == _digest(token),
                    s.invitation.c.used_at.is_(None),
                    s.invitation.c.expires_at > now,
                )
                .values(used_at=now)
                .returning(s.invitation.c.account_id, s.invitation.c.role, s.invitation.c.labeler_group)
            )
            link = connection.execute(taken).first()
            if link is None:
                raise AccessError("this link has been used or is too old; ask for another one")
            account_id = link.account_id
            if account_id is None:
                account_id = _new_account(connection, name, link.role, link.labeler_group, password_hash, now)
            elif password_hash is not None:
                connection.execute(
                    update(s.account).where(s.account.c.id == account_id).values(password_hash=password_hash)
                )
            used = update(s.invitation).where(s.invitation.c.token_hash == _digest(token))
            connection.execute(used.values(used_by=account_id))
            put_event(connection, now, account_id, "account.join", account_id, {"role": link.role})
            return _read_account(connection, account_id)

    # --- accounts

    def account(self, id: str) -> Account | None:
        """The account of that id."""
        with self._store.reader() as connection:
            row = connection.execute(_accounts().where(s.account.c.id == id)).first()
        return None if row is None else _account(row)

    def accounts(self) -> list[Account]:
        """Everyone, in the order in which they came."""
        with self._store.reader() as connection:
            statement = _accounts().order_by(s.account.c.created_at, s.account.c.id)
            return [_account(row) for row in connection.execute(statement)]

    def by_name(self, name: str) -> Account | None:
        """The account of that name, whatever the case and width of its letters."""
        with self._store.reader() as connection:
            row = connection.execute(_accounts().where(s.account.c.name_key == name_key(name))).first()
        return None if row is None else _account(row)

    def set_status(self, id: str, status: AccountStatus, by: str) -> None:
        """Let someone work, pause them, or close their account, which also signs them out.

        Raises:
            DataError: there is no such account.
            AccessError: the owner's account cannot be closed or paused.
        """
        with self._store.writer() as connection:
            before = _read_account(connection, id)
            if before.role == "owner" and status != "active":
                raise AccessError("the owner's account stays active; make someone else the owner first")
            connection.execute(update(s.account).where(s.account.c.id == id).values(status=status))
            if status == "closed":
                connection.execute(delete(s.session).where(s.session.c.account_id == id))
            put_event(
                connection, self._store.now(), by, "account.status", id, {"before": before.status, "after": status}
            )

    def set_role(self, id: str, role: AccountRole, by: str) -> None:
        """Make someone a lead, or a labeler again.

        Raises:
            AccessError: not by the owner, or about one's own role.
            DataError: there is no such account.
        """
        with self._store.writer() as connection:
            if _read_account(connection, by).role != "owner":
                raise AccessError("only the owner changes roles")
            if id == by:
                raise AccessError("nobody changes their own role")
            before = _read_account(connection, id)
            connection.execute(update(s.account).where(s.account.c.id == id).values(role=role))
            put_event(connection, self._store.now(), by, "account.role", id, {"before": before.role, "after": role})

    def set_settings(self, id: str, settings: Mapping[str, Json]) -> None:
        """Keep what someone prefers, instead of what they preferred before."""
        with self._store.writer() as connection:
            connection.execute(update(s.account).where(s.account.c.id == id).values(settings=dict(settings)))

    def set_password(self, id: str, password_hash: str) -> None:
        """Change the password; other sessions end."""
        with self._store.writer() as connection:
            connection.execute(update(s.account).where(s.account.c.id == id).values(password_hash=password_hash))
            connection.execute(delete(s.session).where(s.session.c.account_id == id))
            put_event(connection, self._store.now(), id, "account.password", id, {})

    # --- sessions

    def open_session(self, account_id: str, device: str = "") -> Session:
        """A new session, with a new token: nobody can have known it before."""
        token, csrf, now = secrets.token_urlsafe(32), secrets.token_urlsafe(24), self._store.now()
        values = {
            "token_hash": _digest(token),
            "account_id": account_id,
            "csrf": csrf,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + LONGEST,
            "device": device[:200],
        }
        with self._store.writer() as connection:
            connection.execute(delete(s.session).where(s.session.c.expires_at < now))
            connection.execute(insert(s.session).values(**values))
            connection.execute(update(s.account).where(s.account.c.id == account_id).values(seen_at=now))
        return Session(token=token, account_id=account_id, csrf=csrf, created_at=now, device=device[:200])

    def session(self, token: str) -> Session | None:
        """The session of that token, if it still runs."""
        now = self._store.now()
        with self._store.reader() as connection:
            row = connection.execute(select(s.session).where(s.session.c.token_hash == _digest(token))).first()
        if row is None or row.expires_at <= now or row.seen_at + IDLE <= now:
            return None
        if row.seen_at + _TOUCH <= now:
            with self._store.writer() as connection:
                seen = update(s.session).where(s.session.c.token_hash == row.token_hash)
                connection.execute(seen.values(seen_at=now))
        return Session(
            token=token, account_id=row.account_id, csrf=row.csrf, created_at=row.created_at, device=row.device
        )

    def sessions(self, account_id: str) -> list[Session]:
        """Where someone is signed in; their tokens are not known."""
        statement = select(s.session).where(s.session.c.account_id == account_id).order_by(s.session.c.created_at)
        with self._store.reader() as connection:
            return [
                Session(token="", account_id=account_id, csrf="", created_at=row.created_at, device=row.device)
                for row in connection.execute(statement)
            ]

    def close_session(self, token: str) -> None:
        """Sign out."""
        with self._store.writer() as connection:
            connection.execute(delete(s.session).where(s.session.c.token_hash == _digest(token)))

    def close_sessions(self, account_id: str) -> None:
        """Sign out everywhere."""
        with self._store.writer() as connection:
            connection.execute(delete(s.session).where(s.session.c.account_id == account_id))

    # --- failed attempts

    def failures(self, who: str, minutes: float) -> int:
        """How often ``who`` failed to sign in within the last ``minutes``."""
        since = self._store.now() - timedelta(minutes=minutes)
        statement = select(func.count()).where(s.attempt.c.who == _digest(who), s.attempt.c.at > since)
        with self._store.reader() as connection:
            return int(connection.execute(statement).scalar_one())

    def fail(self, who: str) -> None:
        """Count a failed attempt; those of days ago are forgotten."""
        now = self._store.now()
        with self._store.writer() as connection:
            connection.execute(delete(s.attempt).where(s.attempt.c.at < now - timedelta(days=2)))
            connection.execute(insert(s.attempt).values(who=_digest(who), at=now))

    def forgive(self, who: str) -> None:
        """Forget someone's failed attempts, after one that succeeded."""
        with self._store.writer() as connection:
            connection.execute(delete(s.attempt).where(s.attempt.c.who == _digest(who)))

    def _new_link(
        self, account_id: str | None, role: AccountRole, group: LabelerGroup, note: str, by: str | None, hours: float
    ) -> str:
        token, now = secrets.token_urlsafe(32), self._store.now()
        values = {
            "token_hash": _digest(token),
            "account_id": account_id,
            "role": role,
            "labeler_group": group,
            "note": note[:200],
            "created_by": by,
            "created_at": now,
            "expires_at": now + timedelta(hours=hours),
        }
        with self._store.writer() as connection:
            connection.execute(insert(s.invitation).values(**values))
            put_event(connection, now, by or "system", "invitation.create", account_id or "", {"role": role})
        return token


def name_key(name: str) -> str:
    """What two names have in common that look the same."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def check_name(name: str) -> str:
    """A name as it may stand on a page.

    Raises:
        DataError: it is empty, too long, or holds what cannot be seen.
    """
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean:
        raise DataError("the name is empty")
    if len(clean) > MAX_NAME:
        raise DataError(f"the name is {len(clean)} characters long, expected at most {MAX_NAME}")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn") for c in clean):
        raise DataError("the name holds invisible characters")
    return clean


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _new_account(
    connection: Connection, name: str, role: str, group: LabelerGroup, password_hash: str | None, now: datetime
) -> str:
    clean = check_name(name)
    if connection.execute(select(s.account.c.id).where(s.account.c.name_key == name_key(clean))).first():
        raise DataError(f"the name {clean!r} is taken; choose another one")
    id = secrets.token_hex(8)
    put_labelers(connection, [Labeler(id=id, group=group)], now)
    values: dict[str, Any] = {
        "id": id,
        "labeler_id": id,
        "name": clean,
        "name_key": name_key(clean),
        "role": role,
        "status": "onboarding" if role == "labeler" else "active",
        "password_hash": password_hash,
        "settings": {},
        "created_at": now,
        "seen_at": now,
    }
    connection.execute(insert(s.account).values(**values))
    return id


def _accounts() -> Any:
    return select(s.account, t.labeler.c.labeler_group).join(t.labeler, t.labeler.c.id == s.account.c.labeler_id)


def _read_account(connection: Connection, id: str) -> Account:
    row = connection.execute(_accounts().where(s.account.c.id == id)).first()
    if row is None:
        raise DataError(f"there is no account {id!r}")
    return _account(row)


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        role=row.role,
        status=row.status,
        group=row.labeler_group,
        settings=row.settings,
        created_at=row.created_at,
        seen_at=row.seen_at,
        password_hash=row.password_hash,
    )


def _invitation(row: Any) -> Invitation:
    return Invitation(
        id=row.token_hash,
        account_id=row.account_id,
        role=row.role,
        group=row.labeler_group,
        note=row.note,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )
