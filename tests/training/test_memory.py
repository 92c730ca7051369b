"""What PPO holds: as much after fifty iterations as after a few, one trunk with adapters, no rollout in its updates."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fakes import VOCAB_SIZE, tiny_lm
from heed.config import PPOConfig
from heed.models.types import CausalLM
from training_fakes import adapted_lm, make_run, random_rows, run_ppo

CONFIG = PPOConfig(iterations=50, prompts_per_round=8, minibatch=4, max_new_tokens=8, learning_rate=1e-4, ptx_coef=1.0)
RANKS = [
    0,
    pytest.param(
        4,
        marks=pytest.mark.skipif(find_spec("peft") is None, reason="peft is not installed: pip install 'heed[lora]'"),
    ),
]


def tensors() -> list[Tensor]:
    """All that something still refers to."""
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Tensor) and one.device.type == "cpu"]


def held_bytes() -> int:
    """Of all tensors, each storage once."""
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors()}
    return sum(storages.values())


@pytest.mark.parametrize("rank", RANKS)
def test_memory_is_flat_over_fifty_iterations(rank: int, tmp_path: Path) -> None:
    held: dict[int, int] = {}

    def look(iteration: int, policy: CausalLM) -> Mapping[str, float]:
        held[iteration] = held_bytes()
        return {}

    run = make_run(tmp_path, checkpoint_every=1000)
    run_ppo(adapted_lm(rank), CONFIG, run, rows=random_rows(), evaluate=look, evaluate_every=10)
    assert list(held) == [0, 10, 20, 30, 40, 50]
    assert held[50] <= 1.01 * held[10], held
    assert held[10] < 2.1 * held[0], held  # four weights and four moments, and next to nothing of a round


@pytest.mark.parametrize("rank", RANKS)
def test_with_adapters_policy_and_reference_are_one_trunk(rank: int, tmp_path: Path) -> None:
    """Counted by what is as large as the embedding, (300, 16), and is somewhere else in memory.

    All weights: policy, reference, value model; two moments of two models; the average: 8. Through adapters: the trunk
    of the policy, which is also the reference, and that of the value model: 2.
    """
    counts: list[int] = []

    def look(iteration: int, policy: CausalLM) -> Mapping[str, float]:
        counts.append(len({one.data_ptr() for one in tensors() if one.shape == (VOCAB_SIZE, 16)}))
        return {}

    config = CONFIG.model_copy(update={"iterations": 2})
    before = {one.data_ptr() for one in tensors() if one.shape == (VOCAB_SIZE, 16)}
    policy = adapted_lm(rank)
    run_ppo(policy, config, make_run(tmp_path), rows=random_rows(), evaluate=look, evaluate_every=1)
    assert counts[-1] - len(before) == (2 if rank else 8)


def test_nothing_of_the_rollout_or_of_the_last_round_is_there_in_an_update(tmp_path: Path) -> None:
    """What lives when a round's first update begins, looked at again in the updates of the rounds after it."""
    policy = tiny_lm()
    caches: list[torch.Size] = []
    left: list[torch.Size] = []
    began: list[dict[int, Callable[[], Tensor | None]]] = []
    alive: list[set[int]] = []
    sampled = 0

    def look(module: nn.Module, inputs: object) -> None:
        nonlocal sampled
        if torch.is_inference_mode_enabled():
            sampled += 1
            if sampled == 4:  # prompts have been filled in
                caches.extend(one.shape for one in tensors() if one.is_inference() and one.dim() == 4)
        elif torch.is_grad_enabled() and sampled:
            sampled = 0
            now = tensors()
            left.extend(one.shape for one in now if one.is_inference())
            began.append({id(one): weakref.ref(one) for one in now})
            alive.append({key for key, one in began[min(1, len(began) - 1)].items() if one() is not None})

    config = CONFIG.model_copy(update={"iterations": 5, "minibatch": 8})
    hook = policy.base_model.embed_tokens.register_forward_pre_hook(look)
    run_ppo(policy, config, make_run(tmp_path), rows=random_rows())
    hook.remove()
    assert caches, "the sampler works in inference mode, and has a cache"
    assert left == []
    assert len(began) == 5 and len(began[1]) == len(began[4])
    assert alive[2] == alive[3] == alive[4], "of the second round only what all rounds share outlives it"
    assert len(alive[4]) < len(began[1])
