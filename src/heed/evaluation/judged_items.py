"""Verdicts put together: one item is one matchup, with what was said of it in each order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from heed.evaluation.verdicts import Undecided, Verdict
from heed.stats import WinRate, bootstrap_mean
from heed.stats.preference import OrderBias, order_bias

_PARTICULAR = re.compile(r"""\b[0-9a-f]{16}\b|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+""")
"""What is of one failure only: an id, a quotation, a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One matchup after all its orders were judged, seen from model ``a``."""

    a: str
    b: str
    prompt_id: str
    outcome: float
    """Mean over the orders."""
    outcomes: tuple[float, ...]
    words: tuple[int, int]
    by_order: Mapping[str, float]
    """Outcome for ``a`` by order."""

    @property
    def first_and_second(self) -> tuple[float, float] | None:
        """The outcome for ``a`` when it was shown first, and when second; None unless both are known."""
        if "given" in self.by_order and "swapped" in self.by_order:
            return self.by_order["given"], self.by_order["swapped"]
        return None


def items_of(verdicts: Sequence[Verdict], failures: Sequence[Undecided] = ()) -> tuple[list[Item], int]:
    """Verdicts put together by matchup, and how many matchups were left out because an order of them failed.

    Verdicts without ``item`` belong together if prompt, models and judge are the same; ``given`` is then the order in
    which the two models stand in the alphabet.
    """
    grouped: defaultdict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for one in verdicts:
        grouped[_key(one)].append(one)
    failed = {_key(one) for one in failures}
    items = []
    for key, group in grouped.items():
        if key in failed:
            continue
        a, b = _sides(group[0])
        words = group[0].words if group[0].first == a else group[0].words[::-1]
        outcomes = [one.seen_from(a) for one in group]
        by_order: dict[str, list[float]] = defaultdict(list)
        for one in group:
            if one.order != "none":
                by_order["given" if one.first == a else "swapped"].append(one.seen_from(a))
        orders = {order: float(np.mean(of_order)) for order, of_order in by_order.items()}
        mean = float(np.mean([*orders.values()])) if orders else float(np.mean(outcomes))
        items.append(
            Item(a=a, b=b, prompt_id=group[0].prompt_id, outcome=mean, outcomes=tuple(outcomes), words=words,
                 by_order=orders)
        )  # fmt: skip
    return items, len(failed.intersection(grouped))


def _key(one: Verdict | Undecided) -> tuple[object, ...]:
    return (one.item, one.prompt_id, one.judge, *sorted((one.first, one.second)))


def _sides(verdict: Verdict) -> tuple[str, str]:
    """The two models in the order in which they were given."""
    if verdict.item is None:
        low, high = sorted((verdict.first, verdict.second))
        return low, high
    return (verdict.second, verdict.first) if verdict.order == "swapped" else (verdict.first, verdict.second)


def rate_of(items: Sequence[Item], seed: int = 0) -> WinRate:
    """The win rate of ``a`` over items."""
    won = np.array([item.outcome for item in items], dtype=np.float64)
    mean = bootstrap_mean(won, [item.prompt_id for item in items] or None, unit_interval=True, seed=seed)
    n = max(won.size, 1)
    return WinRate(
        value=mean.value,
        low=mean.low,
        high=mean.high,
        n=won.size,
        better=float((won > 0.5).sum()) / n,
        worse=float((won < 0.5).sum()) / n,
    )


def order_bias_of(items: Sequence[Item], seed: int = 0) -> OrderBias | None:
    """How the verdicts depend on order, from the items that were judged in both."""
    both = [(item.first_and_second, item.prompt_id) for item in items if item.first_and_second is not None]
    if not both:
        return None
    pairs = np.array([pair for pair, _ in both], dtype=np.float64)
    return order_bias(pairs[:, 0], pairs[:, 1], [prompt for _, prompt in both], seed=seed)


def reasons(failures: Sequence[Undecided], limit: int = 5) -> list[dict[str, Any]]:
    """The commonest reasons of failures, with how many had them: ``[{"reason", "count"}]``.

    Reasons that differ in nothing but numbers, ids and what is quoted are one; the first of them is shown.
    """
    shown: dict[str, str] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    for one in failures:
        kind = _PARTICULAR.sub("", one.reason)
        shown.setdefault(kind, one.reason)
        counts[kind] += 1
    first = sorted(counts, key=lambda kind: -counts[kind])[:limit]
    return [{"reason": shown[kind], "count": counts[kind]} for kind in first]


def from_side(item: Item, name: str) -> Item:
    """The item as its model ``name`` sees it."""
    if item.a == name:
        return item
    turned = {"given": "swapped", "swapped": "given"}
    return replace(
        item,
        a=item.b,
        b=item.a,
        outcome=1.0 - item.outcome,
        outcomes=tuple(1.0 - outcome for outcome in item.outcomes),
        words=item.words[::-1],
        by_order={turned[order]: 1.0 - outcome for order, outcome in item.by_order.items()},
    )
