"""A made-up team whose habits are known: who is careful, noisy, hostile, lazy."""

from __future__ import annotations

import random
from collections.abc import Mapping

from heed.store.studio.said import Gold, Purpose, Said


def ranking(draw: random.Random, accuracy: float, size: int) -> tuple[int, ...]:
    """A ranking of answers whose truth is 0, 1, 2, ...: scores with noise, so that a pair is right about so often."""
    noise = {1.0: 0.0, 0.85: 1.0, 0.5: 1e9}.get(accuracy, 1.0)
    scores = [place + noise * draw.gauss(0, 1) for place in range(size)]
    order = sorted(range(size), key=lambda k: scores[k])
    return tuple(order.index(k) for k in range(size))


def answers(
    draw: random.Random, habits: Mapping[str, str], items: int = 60, gold_every: int = 3, size: int = 4
) -> list[Said]:
    """Every labeler on every item; each ``gold_every``-th is gold. Habits: careful, random, hostile, same, tied."""
    said = []
    for item in range(items):
        purpose: Purpose = "gold" if item % gold_every == 0 else "ordinary"
        truth = list(range(size))
        draw.shuffle(truth)  # tiers of the answers
        for number, (labeler, habit) in enumerate(habits.items()):
            order = list(range(size))
            draw.shuffle(order)
            if habit == "same":
                shown = [(k + 1) % size for k in range(size)]
                tiers = tuple(shown[order.index(k)] for k in range(size))
            elif habit == "tied":
                tiers = (0,) * size
            else:
                by_truth = ranking(draw, 0.5 if habit == "random" else 0.85, size)
                tiers = tuple(by_truth[truth[k]] for k in range(size))
            if habit == "hostile":
                tiers = tuple(size - 1 - tier for tier in tiers)
            said.append(
                Said(
                    response_id=item * 100 + number,
                    item_id=item,
                    unit=item,
                    labeler=labeler,
                    purpose=purpose,
                    order=tuple(order),
                    tiers=tiers,
                    active_ms=500 if habit == "same" else draw.randint(20_000, 90_000),
                    gold=Gold(tiers=tuple(truth)) if purpose == "gold" else None,
                )
            )
    return said
