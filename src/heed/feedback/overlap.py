"""What a shared pool costs and tells: the interval on agreement to be expected, before anyone is paid.

One label an item teaches a reward model most; a pool that several people label says how far they agree. How large the
pool should be is a question of the interval one wants and of what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from heed.errors import ConfigError
from heed.stats import Z


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A plan for a shared pool and what it comes to."""

    share: float
    labels: int
    items: int
    """Items in the pool."""
    comparisons: int
    """Pairs of labelers times pairs of answers, over the pool."""
    half_width: float
    """Of the 95 % interval on pairwise agreement; 1 where the pool is empty."""
    extra_labels: int
    """Labels that would not be needed if every item had one."""
    extra_hours: float


def plan_pool(
    *,
    items: int,
    share: float,
    labels: int,
    answers: int,
    seconds: float,
    agreement: float = 0.726,
    likeness: float = 0.2,
) -> Pool:
    """What a pool of ``share`` of the items with ``labels`` labels each gives and costs.

    Comparisons on one item are alike: with m of them and an intraclass correlation r, an item's mean has the variance
    ``a (1 - a) (1 + (m - 1) r) / m``.

    Args:
        items: in the campaign.
        share: of them that go into the pool, 0 to 1.
        labels: of each item in the pool, at least 2.
        answers: K, at least 2.
        seconds: of work for one label.
        agreement: expected; InstructGPT's labelers had 0.726.
        likeness: intraclass correlation of comparisons on one item.

    Raises:
        ConfigError: a number is out of its range.
    """
    for name, value, low, high in (
        ("items", items, 0, 10**9),
        ("share", share, 0, 1),
        ("labels", labels, 2, 100),
        ("answers", answers, 2, 9),
        ("seconds", seconds, 0, 86400),
        ("agreement", agreement, 0, 1),
        ("likeness", likeness, 0, 1),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{name} is {value}, expected {low} to {high}")
    pool = round(items * share)
    each = labels * (labels - 1) // 2 * (answers * (answers - 1) // 2)
    variance = agreement * (1 - agreement) * (1 + (each - 1) * likeness) / each
    extra = pool * (labels - 1)
    return Pool(
        share=share,
        labels=labels,
        items=pool,
        comparisons=pool * each,
        half_width=min(1.0, Z * sqrt(variance / pool)) if pool else 1.0,
        extra_labels=extra,
        extra_hours=extra * seconds / 3600,
    )
