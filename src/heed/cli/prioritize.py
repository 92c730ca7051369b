"""``heed prioritize``: which item labelers get next."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Annotated

import typer

from heed.cli.common import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, open_workspace, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heed.store.studio.priorities import OpenItem


def prioritize(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A campaign with answers to be ranked.")],
    models: Annotated[
        list[str] | None,
        typer.Option("--reward-model", metavar="MODEL", help="A reward model; two or more, trained with other seeds."),
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Let open items come first on which reward models differ most. A share of the items is left to chance.

    The share is the campaign's setting random_arm. What the choice was worth is measured by
    heed train reward --learning-curve, from as many labels of either arm.

    [dim]Example:[/]  heed prioritize round-2 --reward-model reward --reward-model reward-b
    """
    from heed.errors import DataError
    from heed.store.studio.campaigns import Campaigns
    from heed.store.studio.priorities import Priorities, pair_disagreement

    if len(set(models or [])) < 2:
        raise DataError("models can only differ if there are two or more; name each with --reward-model")
    with open_workspace(workspace).store() as store:
        share = Campaigns(store).get(campaign).settings.random_arm
        priorities = Priorities(store)
        items = priorities.open_items(campaign)
        if not items:
            raise DataError(f"no item of {campaign!r} with answers to rank is open")
        chances: list[list[list[float]]] = [[[] for _ in combinations(item.completions, 2)] for item in items]
        for name in models or []:
            scores, temperature = _score(workspace, name, items)
            flat = {key: one for item, row in zip(items, scores, strict=True)
                    for key, one in zip(item.generation_ids, row, strict=True)}  # fmt: skip
            priorities.put_scores(name, flat)
            for pairs, row in zip(chances, scores, strict=True):
                for pair, (left, right) in zip(pairs, combinations(row, 2), strict=True):
                    pair.append(_sigmoid((left - right) / temperature))
        differ = dict(zip((item.id for item in items), pair_disagreement(chances), strict=True))
        counts = priorities.set_turns(campaign, differ, share)
    if as_json:
        print_json({"campaign": campaign, **counts})
    else:
        say(
            f"{campaign}: {counts['ensemble']:,} open items are ordered by how much the reward models differ; "
            f"{counts['random']:,} keep their random turn."
        )


def _score(workspace: Path, name: str, items: Sequence[OpenItem]) -> tuple[list[list[float]], float]:
    from heed.cli.models import find_model, open_reward_scorer
    from heed.models.checkpoints import load_reward_model

    scorer = open_reward_scorer(workspace, name)
    temperature = load_reward_model(find_model(workspace, name)).temperature
    return scorer.score([item.prompt for item in items], [item.completions for item in items]), temperature


def _sigmoid(value: float) -> float:
    from math import exp

    return 1 / (1 + exp(-value)) if value >= 0 else exp(value) / (1 + exp(value))
