"""What is where, and who may go there: every page is a :class:`Route`, and a route says who may use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.web.visit import Visit

Method = Literal["GET", "POST", "PUT", "DELETE"]
Who = Literal["anyone", "signed_in", "labeler", "lead", "owner"]
"""``labeler`` is everyone whose account may work: in screening or active. Leads and the owner may do all of it."""
Body = Literal["none", "form", "json", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address with one method."""

    method: Method
    path: str
    endpoint: Callable[[Visit], Response]
    who: Who
    body: Body = "none"
