"""Sample answers to look at, side by side: some that got better, some that got worse, none picked by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heed.records import Completion, Prompt
from heed.stats import Array

FAVOURITES = ("ppo_ptx", "ppo", "sft")
"""Whose answer decides whether a sample got better, the first of these that is there."""
AT_LEAST, KINDS = 12, 20


def choose_samples(
    prompts: Sequence[Prompt],
    answers: Mapping[str, Sequence[Completion]],
    scores: Mapping[str, Array],
    baseline: str,
    per_kind: int = 4,
) -> list[dict[str, Any]]:
    """For each kind the first prompts, in their order, whose answer got better, worse, better, ... than the baseline's.

    Outcomes are taken in turns so that what got worse is shown too where there is any; prompts where nothing changed
    fill up. ``outcome`` compares the most trained model with the baseline. Of few kinds more than ``per_kind`` are
    shown, so that there are :data:`AT_LEAST` in all; of many kinds the commonest :data:`KINDS`.
    """
    newest = next((name for name in (*FAVOURITES, *answers) if name in answers and name != baseline), baseline)
    gap = scores[newest] - scores[baseline]
    by_kind: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        by_kind.setdefault(prompt.category, []).append(index)
    kinds = sorted(by_kind, key=lambda kind: (-len(by_kind[kind]), kind))[:KINDS]
    wanted = max(per_kind, -(-AT_LEAST // len(kinds)))
    chosen = [index for kind in sorted(kinds) for index in _in_turns(by_kind[kind], gap, wanted)]
    return [
        {
            "prompt": prompts[index].text,
            "kind": prompts[index].category,
            "outcome": "better" if gap[index] > 0 else "worse" if gap[index] < 0 else "same",
            "compared": newest,
            "answers": {name: given[index].text for name, given in answers.items()},
            "scores": {name: float(values[index]) for name, values in scores.items()},
        }
        for index in chosen
    ]


def _in_turns(indices: Sequence[int], gap: Array, wanted: int) -> list[int]:
    piles = [
        [i for i in indices if gap[i] > 0],
        [i for i in indices if gap[i] < 0],
        [i for i in indices if gap[i] == 0],
    ]
    chosen: list[int] = []
    while len(chosen) < min(wanted, len(indices)):
        for pile in piles[:2] if piles[0] or piles[1] else piles[2:]:
            if pile and len(chosen) < wanted:
                chosen.append(pile.pop(0))
    return chosen
