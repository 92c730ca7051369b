"""Who is asked about what.

One label for most items, and a shared pool judged by several, as both OpenAI projects did: the same budget spent on
different items teaches a reward model more, and the pool is what agreement is measured on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from heed.errors import ConfigError, DataError
from heed.records import Completion, Prompt, Ranking
from heed.roles import Judge

OVERLAP = 0.15
"""Share of the items that belong to the shared pool."""


def rank_with(
    judges: Sequence[Judge],
    prompts: Sequence[Prompt],
    completions: Sequence[Sequence[Completion]],
    *,
    seed: int,
    overlap: float = OVERLAP,
    labels_in_pool: int = 2,
) -> list[Ranking]:
    """Have answers ranked by judges who share the work evenly, in an order that depends on ``seed`` alone.

    Each judge is asked once, about all of its items. The rankings come back in the order of the prompts.

    Args:
        overlap: share of the items that ``labels_in_pool`` judges rank, or all judges if they are fewer.

    Raises:
        ConfigError: no judges, an overlap that is no share, or fewer than two labels in the pool.
        DataError: a judge did not rank what it was asked to rank.
    """
    assigned = assign(len(prompts), len(judges), seed=seed, overlap=overlap, labels_in_pool=labels_in_pool)
    found: dict[tuple[int, int], Ranking] = {}
    for number, judge in enumerate(judges):
        items = [item for item, numbers in enumerate(assigned) if number in numbers]
        asked = [prompts[item] for item in items]
        shown = [completions[item] for item in items]
        rankings = judge.rank(asked, shown) if items else []
        _check_answers(judge, asked, shown, rankings)
        found |= {(item, number): ranking for item, ranking in zip(items, rankings, strict=True)}
    return [found[key] for key in sorted(found)]


def assign(
    num_items: int, num_judges: int, *, seed: int, overlap: float = OVERLAP, labels_in_pool: int = 2
) -> list[list[int]]:
    """For each item the judges that get it: several for a random share of the items, one for the others.

    No two judges' loads differ by more than one item.
    """
    if num_judges < 1:
        raise ConfigError("there is nobody to judge; expected at least one judge")
    if not 0 <= overlap <= 1:
        raise ConfigError(f"overlap is {overlap}, expected a share from 0 to 1")
    if labels_in_pool < 2:
        raise ConfigError(
            f"labels_in_pool is {labels_in_pool}, expected at least 2, so that there is agreement to measure"
        )
    draw = random.Random(seed)
    pool = set(draw.sample(range(num_items), round(overlap * num_items)))
    assigned = []
    loads = [0] * num_judges
    for item in range(num_items):
        wanted = min(labels_in_pool, num_judges) if item in pool else 1
        order = sorted(range(num_judges), key=lambda judge: (loads[judge], draw.random()))
        chosen = sorted(order[:wanted])
        for judge in chosen:
            loads[judge] += 1
        assigned.append(chosen)
    return assigned


def _check_answers(
    judge: Judge, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]], rankings: Sequence[Ranking]
) -> None:
    name = type(judge).__name__
    if len(rankings) != len(prompts):
        raise DataError(f"{name} gave {len(rankings)} rankings for {len(prompts)} prompts, expected one for each")
    for prompt, answers, ranking in zip(prompts, completions, rankings, strict=True):
        if ranking.prompt.id != prompt.id or [one.id for one in ranking.completions] != [one.id for one in answers]:
            raise DataError(f"{name} did not rank the answers to prompt {prompt.id} that it was shown, in their order")
