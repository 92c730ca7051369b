"""When the work will be done, at the pace of the last day, and between which dates that pace puts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from heed.stats import Estimate, bootstrap_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """An expected end, or why there is none."""

    per_day: Estimate | None
    """Answers a day, with the interval that resampling the hours gives."""
    expected: datetime | None
    earliest: datetime | None
    latest: datetime | None
    """``None`` where the slow end of the pace would never finish."""
    reason: str = ""
    """Why there is no date."""


MOST_DAYS = 3650
"""Dates further off than this are no dates."""


def finish(remaining: int, hours: Sequence[int], now: datetime) -> Finish:
    """When ``remaining`` answers will have been given.

    Args:
        hours: answers in each of the last hours, a day of them. Labelers come and go, so hours are what is resampled:
            people who work in shifts make the range wide, as it should be.
    """
    if remaining <= 0:
        return Finish(per_day=None, expected=None, earliest=None, latest=None, reason="everything is answered")
    if not any(hours):
        return Finish(per_day=None, expected=None, earliest=None, latest=None, reason="nothing was answered in a day")
    mean = bootstrap_mean(hours)
    pace = Estimate(value=24 * mean.value, low=24 * mean.low, high=24 * mean.high, n=int(sum(hours)))

    def when(per_day: float) -> datetime | None:
        days = remaining / per_day if per_day > 0 else float("inf")
        return now + timedelta(days=days) if days <= MOST_DAYS else None

    return Finish(per_day=pace, expected=when(pace.value), earliest=when(pace.high), latest=when(pace.low))
