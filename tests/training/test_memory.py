"""PPO holds as much after fifty iterations as after a few: nothing of a round outlives it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path

import torch

from fakes import tiny_lm
from heed.config import PPOConfig
from heed.models.types import CausalLM
from training_fakes import make_run, random_rows, run_ppo


def held_bytes() -> int:
    """Of all tensors that something still refers to, each storage once."""
    gc.collect()
    storages = {
        one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
        for one in gc.get_objects()
        if isinstance(one, torch.Tensor) and one.device.type == "cpu" and not one.is_sparse
    }
    return sum(storages.values())


def test_memory_is_flat_over_fifty_iterations(tmp_path: Path) -> None:
    held: dict[int, int] = {}

    def look(iteration: int, policy: CausalLM) -> Mapping[str, float]:
        held[iteration] = held_bytes()
        return {}

    config = PPOConfig(
        iterations=50, prompts_per_round=8, minibatch=4, max_new_tokens=8, learning_rate=1e-4, ptx_coef=1.0
    )
    run = make_run(tmp_path, checkpoint_every=1000)
    run_ppo(tiny_lm(), config, run, rows=random_rows(), evaluate=look, evaluate_every=10)
    assert list(held) == [0, 10, 20, 30, 40, 50]
    assert held[50] <= 1.01 * held[10], held
    assert held[10] < 2 * held[0], held  # the optimizers' state and the average, and no round's tensors
