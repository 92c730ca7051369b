"""The second reward model that says when PPO has climbed the first far enough (``ppo.stop_by``).

Comparisons are shared: one model learns from half of the prompts and is climbed, the other learns from the other half
and checks, so that what fools the one need not fool the other (Bai et al. 2022, section 4.2). What judges the run
afterwards is neither of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from heed.config import PPOConfig, RunConfig
from heed.errors import ConfigError
from heed.records import Ranking

SECOND = "reward-heldout"
"""Its name in the workspace."""


def check_name(config: RunConfig) -> None:
    """``ppo.stop_by`` may only name the model that the recipe trains for it.

    Raises:
        ConfigError: it names another.
    """
    if config.ppo.stop_by not in (None, SECOND):
        raise ConfigError(
            f"ppo.stop_by is {config.ppo.stop_by!r}, expected {SECOND!r}: heed run {config.recipe} trains that one for "
            "it on half of the comparisons, and the reward model that is climbed on the other half"
        )


def half_of(rankings: Sequence[Ranking], half: int | None) -> list[Ranking]:
    """The rankings whose prompts fall into half 0 or 1, by their ids alone; None means all of them."""
    return [one for one in rankings if half is None or hashlib.sha256(one.prompt.id.encode()).digest()[0] % 2 == half]


def checked(settings: PPOConfig, adapt: Callable[[PPOConfig], PPOConfig], second: str) -> PPOConfig:
    """Adapted, and stopped by the reward model ``second`` if the run is to be stopped by such."""
    adapted = adapt(settings)
    return adapted if adapted.stop_by is None else adapted.model_copy(update={"stop_by": second})


def unchecked(settings: PPOConfig) -> PPOConfig:
    """As configured, but stopped by no second reward model: it would tell a control what the control must not know."""
    return settings.model_copy(update={"stop_by": None})
