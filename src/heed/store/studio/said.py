"""What one labeler said once, with all by which its quality can be told: order shown, time taken, known answer.

Records (:mod:`heed.records`) say what was preferred; these say also how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from heed.errors import DataError
from heed.forms import TaskKind
from heed.records import LabelerGroup

Purpose = Literal["ordinary", "gold", "anchor", "recheck", "screening"]
Place = tuple[str, int | None]
"""A question, and the candidate it is about (its ordinal) or None for the item as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """The known answer of an item, as far as it is known."""

    tiers: tuple[int, ...] = ()
    """One for each candidate, in canonical order; 0 is best. Empty: the ranking is not known."""
    values: Mapping[Place, float | str] = field(default_factory=dict)
    """Answers to questions; a flag is 0 or 1."""
    reason: str = ""
    """Why, in words for the labeler."""
    part: str = ""
    """``"training"`` where the labeler is shown it at once; else empty."""

    def as_json(self) -> dict[str, Any]:
        """As an item holds it."""
        item = {question: value for (question, ordinal), value in self.values.items() if ordinal is None}
        places = [ordinal for _, ordinal in self.values if ordinal is not None]
        size = max(*places, len(self.tiers) - 1) + 1 if places else 0
        candidates: list[dict[str, Any]] = [{} for _ in range(size)]
        for (question, ordinal), value in self.values.items():
            if ordinal is not None:
                candidates[ordinal][question] = value
        known: dict[str, Any] = {"tiers": list(self.tiers), "item": item, "candidates": candidates}
        return {**known, "reason": self.reason, **({"part": self.part} if self.part else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One response as it stands today."""

    response_id: int
    item_id: int
    unit: int
    """The set of answers: the same number for the same answers, whichever item they were shown in."""
    labeler: str
    group: LabelerGroup = "training"
    campaign: str = ""
    task: TaskKind = "rank"
    purpose: Purpose = "ordinary"
    origin_id: int | None = None
    """Of a second look, the item that was looked at first."""
    order: tuple[int, ...] = ()
    """Ordinals in the order in which they were shown."""
    tiers: tuple[int, ...] = ()
    """One for each candidate, in canonical order; empty where nothing was ranked."""
    values: Mapping[Place, float | str] = field(default_factory=dict)
    """Answers to questions; of ordinary items they are left out."""
    active_ms: int | None = None
    submitted_at: datetime | None = None
    gold: Gold | None = None

    @property
    def shown_tiers(self) -> tuple[int, ...]:
        """The tiers in the order in which the answers were shown."""
        return tuple(self.tiers[ordinal] for ordinal in self.order) if self.tiers else ()


def gold_of(stored: Mapping[str, Any] | None, where: str = "gold") -> Gold | None:
    """The known answer as an item holds it.

    Raises:
        DataError: it is not one.
    """
    if not stored:
        return None
    unknown = stored.keys() - {"tiers", "item", "candidates", "reason", "part"}
    if unknown:
        raise DataError(f"{where}: unknown part {min(unknown)!r}; expected tiers, item, candidates, reason, part")
    values: dict[Place, float | str] = {}
    for question, value in (stored.get("item") or {}).items():
        values[question, None] = _plain(value)
    for ordinal, answers in enumerate(stored.get("candidates") or ()):
        for question, value in answers.items():
            values[question, ordinal] = _plain(value)
    tiers = tuple(int(tier) for tier in stored.get("tiers") or ())
    reason, part = str(stored.get("reason") or ""), str(stored.get("part") or "")
    return Gold(tiers=tiers, values=values, reason=reason, part=part)


def _plain(value: object) -> float | str:
    return float(value) if isinstance(value, int | float) else str(value)
