"""Recipes: functions that return a complete configuration, each with the stages that make the run.

There is no registry: a recipe is a module of this package with ``config()`` and ``stages(config)``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from heed.config import RunConfig
from heed.errors import ConfigError, nearest
from heed.pipeline import Stage

NAMES = ("sandbox", "real", "labels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named way through the loop."""

    name: str
    config: Callable[[], RunConfig]
    """The settings, complete; ``--set`` changes single ones."""
    stages: Callable[[RunConfig], Sequence[Stage]]
    """What is run for these settings, in order."""


def find(name: str) -> Recipe:
    """The recipe called ``name``.

    Raises:
        ConfigError: there is none; the nearest name is suggested.
    """
    if name not in NAMES:
        raise ConfigError(f"there is no recipe {name!r}; recipes are {', '.join(NAMES)}.{nearest(name, NAMES)}")
    module = importlib.import_module(f"heed.recipes.{name}")
    return Recipe(name=name, config=module.config, stages=module.stages)


def stages_of(config: RunConfig) -> Sequence[Stage]:
    """What the recipe that ``config`` names runs with these settings, in order."""
    return find(config.recipe).stages(config)
