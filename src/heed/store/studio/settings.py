"""How a campaign's work is shared out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heed.errors import DataError, nearest
from heed.records import Json

_Share = Annotated[float, Field(ge=0, le=1)]


class CampaignSettings(BaseModel):
    """How a campaign's work is shared out. Shares are of 1; the defaults follow what OpenAI and Anthropic reported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap: _Share = 0.15
    """Share of items that several labelers answer: the shared pool."""
    labels_in_pool: int = Field(default=3, ge=2, le=100)
    lease_seconds: int = Field(default=1800, ge=10, le=7 * 86400)
    """How long an item stays with a labeler who shows no sign of life."""
    recheck_share: _Share = 0.04
    """Share of claims that give back an own item in another order."""
    gold_share: _Share = 0.05
    anchor_share: _Share = 0.03
    heldout_share: _Share = 0.0
    """Share of items that only held-out labelers answer."""
    random_arm: _Share = 0.5
    """Share of items whose priority stays random when the others' comes from a model: the control arm."""
    undo_seconds: int = Field(default=10, ge=0, le=3600)
    revise_hours: float = Field(default=24, ge=0, le=24 * 365)
    held_at_once: int = Field(default=50, ge=1, le=1000)
    """How many items one labeler may hold, so that nobody empties the queue by asking."""
    feedback: bool = False
    """Training: show the known answer, and its reason, as soon as one has answered."""
    policies: tuple[str, ...] = ()
    """Of a chat: the models that labelers talk to. Two are drawn for each talk; one alone answers twice."""
    note: bool = True
    """Whether labelers may add a remark."""


def parse_settings(values: Mapping[str, Json], where: str = "settings") -> CampaignSettings:
    """Settings from plain data.

    Raises:
        DataError: which of them is wrong, and how.
    """
    try:
        return CampaignSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        hint = nearest(name, CampaignSettings.model_fields) if first["type"] == "extra_forbidden" else ""
        raise DataError(f"{where}: {name}: {first['msg']}{hint}") from error
