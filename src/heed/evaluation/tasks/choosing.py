"""Settings that tasks with written answers share: the mode, and the worked examples drawn for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from heed.errors import ConfigError, nearest
from heed.runtime.seeds import numpy_generator

Item = TypeVar("Item")


def examples_of(rows: Sequence[Item], shots: int, seed: int, *names: str | int) -> list[Item]:
    """``shots`` rows drawn by ``seed``, in the order drawn.

    Raises:
        ConfigError: there are not so many, or fewer than none are asked for.
    """
    if not 0 <= shots <= len(rows):
        raise ConfigError(f"shots is {shots}, expected 0 to {len(rows)}, the worked examples there are")
    return [rows[int(index)] for index in numpy_generator(seed, "shots", *names).permutation(len(rows))[:shots]]


def check_mode(mode: str, known: Sequence[str]) -> None:
    """Refuse a mode that the task does not have.

    Raises:
        ConfigError: says the modes there are.
    """
    if mode not in known:
        raise ConfigError(f"mode is {mode!r}, expected {' or '.join(map(repr, known))}.{nearest(mode, known)}")


def check_shots(shots: int, most: int) -> None:
    """Refuse a number of worked examples that the task does not have.

    Raises:
        ConfigError: says how many there are.
    """
    if not 0 <= shots <= most:
        raise ConfigError(f"shots is {shots}, expected 0 to {most}, the worked examples there are")
