"""What the lead's pages work with: judgements as they were made, with who made them and how, and nothing else.

Records (:mod:`heed.records`) say what was preferred; these say also in which item, how fast and under which guideline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heed.records import LabelerGroup, LabelerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One labeler's ranking of one set of answers."""

    unit: int
    """The set of answers. It is the same number for the same answers, whichever item they were shown in."""
    item_id: int
    response_id: int
    labeler: str
    group: LabelerGroup = "training"
    kind: LabelerKind = "human"
    category: str = ""
    guideline: int | None = None
    """Version of the guideline it was made under."""
    active_ms: int | None = None
    tiers: tuple[int, ...]
    """One for each answer of the unit, in the unit's order; 0 is best, equal tiers are ties."""
    decides: bool = False
    """It is a lead's decision about an item on which labelers differed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgements:
    """Rankings, and what they are about."""

    judged: tuple[Judged, ...]
    """By response."""
    answers: Mapping[int, tuple[int, ...]]
    """By unit: its answers, as rows of the database, in the unit's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """How often each value was given to one thing, by different labelers."""

    unit: int
    """The answer that was graded, or the item, for questions about the item."""
    cluster: int
    """The prompt, whose answers are not independent."""
    counts: tuple[tuple[float, int], ...]
    """(value, labelers who gave it)."""
