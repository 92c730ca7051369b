"""Passwords: kept as argon2id hashes, a few at a time, and slow to guess."""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from heed.errors import DataError
from heed.store.studio.people import Account, People, name_key

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 200
TRIES: Final = 8
"""Failed attempts at one account, or from one address times four, within a quarter of an hour."""
MINUTES: Final = 15
_HASHER: Final = PasswordHasher()
_DECOY: Final = _HASHER.hash("nobody's password")
"""Checked where there is no account, so that the time taken does not say so."""
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""A hash takes 64 MiB and a core: a flood of sign-ins must not take them all."""


def hash_password(password: str, name: str) -> str:
    """What is stored of a password.

    Raises:
        DataError: it is too short or too long, or it is the name.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise DataError(f"the password has {len(password)} characters, expected {MIN_LENGTH} to {MAX_LENGTH}")
    if password.casefold().strip() == name.casefold().strip() or len(set(password)) < 4:
        raise DataError("the password is too easy to guess; take a few words that do not belong together")
    with _AT_ONCE:
        return _HASHER.hash(password)


def sign_in(people: People, name: str, password: str, address: str) -> Account | None:
    """The account, if the password is right and there were not too many wrong ones lately.

    Raises:
        DataError: there were too many.
    """
    whos = (f"account {name_key(name)}", f"address {address}")
    if any(people.failures(who, MINUTES) >= limit for who, limit in zip(whos, (TRIES, 4 * TRIES), strict=True)):
        raise DataError(f"too many attempts; wait {MINUTES} minutes, or ask the lead for a link")
    account = people.by_name(name)
    stored = account.password_hash if account is not None else None
    right = _matches(stored or _DECOY, password[:MAX_LENGTH]) and stored is not None
    if right and account is not None and account.status != "closed":
        people.forgive(whos[0])
        return account
    for who in whos:
        people.fail(who)
    return None


def _matches(stored: str, password: str) -> bool:
    with _AT_ONCE:
        try:
            return _HASHER.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
