"""What the lead's pages read from addresses and forms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from heed.errors import DataError
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from heed.store.studio.review import Person
    from heed.web.visit import Visit

LONGEST_NUMBER = 15
"""Digits in a number from an address: beyond, no row has it."""


def row_number(text: str) -> int:
    """A row's number from an address.

    Raises:
        NotFound: it is none.
    """
    if not (text.isascii() and text.isdecimal()) or len(text) > LONGEST_NUMBER:
        raise NotFound()
    return int(text)


def after(visit: Visit, name: str = "after") -> int | None:
    """Where a list goes on, from the address."""
    given = visit.query.get(name, "")
    return row_number(given) if given else None


def one_of(visit: Visit, name: str, allowed: Collection[str], default: str = "") -> str:
    """A choice from the address; whatever is not on offer is the default."""
    given = visit.query.get(name, default)
    return given if given in allowed else default


def whole(form: Mapping[str, str], name: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number from a form.

    Raises:
        DataError: it is none, or out of its range.
    """
    text = form.get(name, "").strip().replace(",", "")
    if not text and default is not None:
        return default
    if not (text.isascii() and text.removeprefix("-").isdecimal()) or len(text) > LONGEST_NUMBER:
        raise DataError(f"{name} is {text[:40]!r}, expected a whole number from {low:,} to {high:,}")
    if not low <= int(text) <= high:
        raise DataError(f"{name} is {int(text):,}, expected {low:,} to {high:,}")
    return int(text)


def share(form: Mapping[str, str], name: str, default: float) -> float:
    """A share from a form that asks for percent.

    Raises:
        DataError: it is no number from 0 to 100.
    """
    text = form.get(name, "").strip().removesuffix("%").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{name} is {text[:40]!r}, expected percent, 0 to 100") from error
    if not 0 <= value <= 100:
        raise DataError(f"{name} is {value:g} %, expected 0 to 100")
    return value / 100


def known_campaign(visit: Visit) -> str:
    """The campaign in the address.

    Raises:
        NotFound: there is none of that name.
    """
    name = visit.path["name"]
    if all(one.name != name for one in visit.studio.campaigns.list()):
        raise NotFound()
    return name


def person_name(people: Mapping[str, Person], labeler: str) -> str:
    """How a labeler is called on the lead's pages."""
    found = people.get(labeler)
    return found.name if found is not None and found.name else labeler or "nobody in particular"
