"""The microbatch bounds memory and never changes a result: weights after training agree to rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fakes import PAD_ID, tiny_codec, tiny_lm, tiny_reward_model
from heed.config import PPOConfig, PretrainConfig, RewardConfig, SFTConfig
from heed.data.batches import Example
from heed.models.value_model import ValueModel
from heed.runtime.run import Run
from heed.training.ppo import ppo
from heed.training.pretrain import pretrain
from heed.training.reward_modeling import reward_modeling
from heed.training.sft import sft
from training_fakes import TokenScorer, make_prompts, make_ranked, make_run, random_rows, read_log, run_ppo


def trained_by_pretraining(run: Run) -> nn.Module:
    model = tiny_lm()
    pretrain(model, random_rows(), PretrainConfig(tokens=16 * 8 * 5, minibatch=8), run)
    return model


def trained_by_sft(run: Run) -> nn.Module:
    model = tiny_lm()
    rng = np.random.default_rng(0)
    examples = [
        Example(ids=rng.integers(2, 300, n).tolist(), loss_mask=[False] * 2 + [True] * (n - 2))
        for n in rng.integers(4, 30, 12)
    ]
    sft(model, examples, random_rows(), SFTConfig(epochs=2, minibatch=6), tiny_codec(), run)
    return model


def trained_by_reward_modeling(run: Run) -> nn.Module:
    model = tiny_reward_model()
    reward_modeling(model, make_ranked(12), RewardConfig(minibatch=6), PAD_ID, run)
    return model


def trained_by_ppo(run: Run) -> nn.Module:
    model = tiny_lm()
    config = PPOConfig(iterations=2, prompts_per_round=12, minibatch=6, max_new_tokens=8, learning_rate=3e-3)
    run_ppo(model, config, run, rows=random_rows())
    return model


@pytest.mark.parametrize("train", [trained_by_pretraining, trained_by_sft, trained_by_reward_modeling, trained_by_ppo])
def test_the_microbatch_changes_nothing(train: Callable[[Run], nn.Module], tmp_path: Path) -> None:
    runs = {size: make_run(tmp_path / str(size), microbatch=size) for size in (64, 3, 1)}
    models = {size: train(run) for size, run in runs.items()}
    start = train_nothing(train)
    for size in (3, 1):
        for name, tensor in models[64].state_dict().items():
            moved = (tensor - start.state_dict()[name]).abs().max()
            gap = (tensor - models[size].state_dict()[name]).abs()
            # Adam divides by the gradient's size: where a gradient is rounding alone, so is the direction of the step.
            far = int((gap > 0.01 * moved + 1e-6).sum())
            assert far <= max(1, tensor.numel() // 1000), f"{name} at microbatch {size}: {far} weights are apart"
            assert gap.max() <= 0.1 * moved + 1e-6, f"{name} at microbatch {size}: {gap.max():.3g} of {moved:.3g}"
        whole, pieces = read_log(tmp_path / "64"), read_log(tmp_path / str(size))
        assert [row.keys() for row in whole] == [row.keys() for row in pieces]
        for a, b in zip(whole, pieces, strict=True):
            for key in a.keys() - {"diagnoses", "sampler_gap", "explained_variance"}:
                assert b[key] == pytest.approx(a[key], rel=1e-3, abs=1e-4), key


def train_nothing(train: Callable[[Run], nn.Module]) -> nn.Module:
    return tiny_reward_model() if train is trained_by_reward_modeling else tiny_lm()


def test_no_gradient_reaches_the_reference(tmp_path: Path) -> None:
    ref_policy = tiny_lm()
    before = [parameter.detach().clone() for parameter in ref_policy.parameters()]
    config = PPOConfig(iterations=2, prompts_per_round=4, minibatch=4, max_new_tokens=4, ptx_coef=0)
    value_model = ValueModel.from_reward_model(tiny_reward_model())
    ppo(tiny_lm(), ref_policy, value_model, TokenScorer(), make_prompts(), tiny_codec(), config, make_run(tmp_path))
    for old, now in zip(before, ref_policy.parameters(), strict=True):
        assert torch.equal(old, now) and now.grad is None
