"""Randomness by name: every consumer asks for its own stream, so that adding one never shifts another.

``torch_generator(seed, "ppo", "minibatches", 3)`` is the same stream on every machine and in every process, and has
nothing to do with ``torch_generator(seed, "ppo", "minibatches", 4)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heed.records import content_id

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called ``names`` of the run with ``seed``."""
    return int(content_id(seed, *names), 16) >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream called ``names``."""
    return np.random.default_rng(derive_seed(seed, *names))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU torch generator for the stream called ``names``."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *names))
