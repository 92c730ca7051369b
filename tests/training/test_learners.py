"""All four learners, end to end, on models of a few thousand weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from fakes import random_groups, tiny_codec, tiny_lm, tiny_reward_model
from heed.config import PPOConfig, PretrainConfig, RewardConfig, SFTConfig
from heed.data.batches import Example
from heed.errors import ConfigError, DataError, NonFiniteError
from heed.models.scorer import score_groups
from heed.runtime.device import Runtime
from heed.training.lm import lm_losses, row_batches
from heed.training.pretrain import pretrain
from heed.training.ptx import PretrainingMix
from heed.training.reward_modeling import (
    RankedGroup,
    fit_temperature,
    measure_ranking,
    reward_modeling,
    set_zero_point,
)
from heed.training.sft import sft
from heed.training.step import Tally, gradient_norm, make_optimizer
from heed.training.weights import Weights
from training_fakes import TokenScorer, make_ranked, make_run, random_rows, read_log, run_ppo


def test_pretraining_learns_a_text_that_repeats(tmp_path: Path) -> None:
    model = tiny_lm()
    text = np.tile(np.arange(10, 18), 64).reshape(-1, 16)
    config = PretrainConfig(tokens=16 * 8 * 60, learning_rate=1e-2, minibatch=8)
    result = pretrain(model, text, config, make_run(tmp_path))
    log = read_log(tmp_path)
    assert result.steps == 60 and result.tokens == 16 * 8 * 60
    assert [row["step"] for row in log] == list(range(1, 61))
    assert log[0]["loss"] > 3 and result.metrics["loss"] < 0.5


def test_a_broken_weight_stops_pretraining_at_the_first_step(tmp_path: Path) -> None:
    model = tiny_lm()
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = math.nan
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(NonFiniteError, match="pretraining step 1: the language model loss is nan"):
        pretrain(model, np.full((4, 16), 7), PretrainConfig(tokens=1000), make_run(tmp_path))
    same = [torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(before, model.parameters(), strict=True)]
    assert all(same)
    assert read_log(tmp_path) == []


def test_sft_learns_the_answers_and_not_the_prompts(tmp_path: Path) -> None:
    model = tiny_lm()
    codec = tiny_codec()
    rng = np.random.default_rng(0)
    examples = [
        Example(ids=[*rng.integers(100, 200, 5).tolist(), 20, 21, 0], loss_mask=[False] * 5 + [True] * 3)
        for _ in range(32)
    ]
    config = SFTConfig(epochs=10, learning_rate=1e-2, minibatch=8)
    result = sft(model, examples, random_rows(), config, codec, make_run(tmp_path))
    assert result.steps == 40
    assert result.tokens == 10 * 32 * 8 + 40 * 16
    assert result.metrics["loss"] < 0.3
    assert result.metrics["pretraining_loss"] > 3


def test_sft_keeps_the_epoch_that_the_selection_prefers(tmp_path: Path) -> None:
    model = tiny_lm()
    examples = [Example(ids=[5, 6, 7, 0], loss_mask=[False, True, True, True])] * 4
    scores = iter([0.1, 0.9, 0.3])
    weights = []

    def select(candidate: torch.nn.Module) -> float:
        weights.append(next(candidate.parameters()).detach().clone())
        return next(scores)

    config = SFTConfig(epochs=3, minibatch=4)
    result = sft(model, examples, None, config, tiny_codec(), make_run(tmp_path), select=select)
    assert result.metrics["selected_epoch"] == 2 and result.metrics["selection_score"] == 0.9
    assert torch.equal(next(model.parameters()), weights[1])


def test_reward_modeling_learns_an_order_it_can_see(tmp_path: Path) -> None:
    model = tiny_reward_model()
    config = RewardConfig(epochs=6, learning_rate=1e-2, minibatch=8)
    validation = make_ranked(24, seed=9)
    before = measure_ranking(model, validation, 1, make_run(tmp_path).runtime)
    result = reward_modeling(model, make_ranked(64), config, 1, make_run(tmp_path), validation=validation)
    after = measure_ranking(model, validation, 1, make_run(tmp_path).runtime)
    assert after.accuracy > 0.9 > before.accuracy
    assert result.metrics["validation_accuracy"] == after.accuracy
    assert after.loss < before.loss


def test_rankings_that_are_all_ties_are_refused(tmp_path: Path) -> None:
    tied = [RankedGroup(group=group, tiers=(0,) * len(group.completion_ids)) for group in random_groups()]
    with pytest.raises(DataError, match="none of 3 rankings"):
        reward_modeling(tiny_reward_model(), tied, RewardConfig(), 1, make_run(tmp_path))


def test_the_zero_point_makes_demonstrations_average_zero(tmp_path: Path) -> None:
    model = tiny_reward_model()
    model.zero_point = 5.0
    groups = random_groups([(4, (3,)), (2, (5,)), (7, (1,))])
    runtime = make_run(tmp_path).runtime
    zero = set_zero_point(model, groups, 1, runtime)
    scores = np.concatenate(score_groups(model, groups, pad_id=1))
    assert zero != 0 and scores.mean() == pytest.approx(0, abs=1e-6)


def test_the_temperature_is_that_of_the_labels(tmp_path: Path) -> None:
    """Labels drawn with probability sigmoid(gap / 2.5) give back 2.5."""
    model = tiny_reward_model()
    groups = random_groups([(3, (4, 4))] * 3000, seed=1)
    rng = np.random.default_rng(0)
    validation = []
    for group, (a, b) in zip(groups, score_groups(model, groups, pad_id=1), strict=True):
        first = rng.random() < 1 / (1 + math.exp(-(a - b) / 2.5))
        validation.append(RankedGroup(group=group, tiers=(0, 1) if first else (1, 0)))
    assert fit_temperature(model, validation, 1, make_run(tmp_path).runtime) == pytest.approx(2.5, rel=0.15)
    assert model.temperature == pytest.approx(2.5, rel=0.15)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ppo_makes_better_rewarded_text_likelier(tmp_path: Path, sign: float) -> None:
    """And with the score's sign turned, worse text: reward, KL and advantage all have the right sign."""
    policy = tiny_lm()
    config = PPOConfig(
        iterations=12,
        prompts_per_round=64,
        minibatch=32,
        learning_rate=2e-2,
        value_learning_rate=1e-2,
        kl_coef=0.01,
        ptx_coef=0,
        max_new_tokens=6,
        missing_eos_penalty=0,
    )
    result = run_ppo(policy, config, make_run(tmp_path), scorer=TokenScorer(sign))
    log = read_log(tmp_path)
    assert log[-1]["score"] > log[0]["score"] + 0.25
    assert log[0]["kl"] == 0 and log[-1]["kl"] > 0.1
    assert result.tokens > 0 and set(result.average_weights) == set(policy.state_dict())


def test_the_kl_penalty_holds_the_policy_back(tmp_path: Path) -> None:
    nats = {}
    for coef in (0.0, 1.0):
        config = PPOConfig(
            iterations=10,
            prompts_per_round=32,
            minibatch=32,
            learning_rate=2e-2,
            kl_coef=coef,
            ptx_coef=0,
            max_new_tokens=6,
            missing_eos_penalty=0,
        )
        run_ppo(tiny_lm(), config, make_run(tmp_path / str(coef)))
        nats[coef] = read_log(tmp_path / str(coef))[-1]["kl_k3"]
    assert nats[1.0] < 0.5 * nats[0.0]


@pytest.mark.parametrize("coef", [1.0, "auto"])
def test_ppo_ptx_holds_the_pretraining_loss_down(tmp_path: Path, coef: float | Literal["auto"]) -> None:
    config = PPOConfig(iterations=8, prompts_per_round=16, minibatch=16, learning_rate=1e-2, max_new_tokens=6)
    text, losses = random_rows(4), {}
    for name, ptx_coef in {"plain": 0.0, "mixed": coef}.items():
        policy = tiny_lm()
        run = make_run(tmp_path / name)
        result = run_ppo(policy, config.model_copy(update={"ptx_coef": ptx_coef}), run, rows=text)
        with torch.no_grad():
            losses[name] = float(sum(lm_losses(policy, row_batches(text, 64), run.runtime, Tally())))
        assert (result.ptx_coef > 0) == (name == "mixed")
        assert ("ptx_loss" in result.metrics) == (name == "mixed")
    assert losses["mixed"] < losses["plain"] - 0.05


def test_the_automatic_weight_makes_the_gradients_equally_long() -> None:
    policy = tiny_lm()
    runtime = Runtime(device=torch.device("cpu"))
    weight = policy.get_input_embeddings().weight
    mix = PretrainingMix(random_rows(), "auto", 16, 0, runtime)
    assert mix.coef == 0
    optimizer = make_optimizer(Weights(policy, torch.float32))
    mix.balance(policy, optimizer, [3 * weight[0].sum(), 3 * weight[1].sum()])
    norm = gradient_norm(optimizer, mix.losses(policy, 0, Tally()))
    assert norm == pytest.approx(3 * math.sqrt(2 * 16), rel=1e-5)
    coef = mix.coef
    mix.balance(policy, optimizer, [weight.sum()])
    assert mix.coef == coef, "it is set once"


def test_ppo_ptx_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ppo\.ptx_coef is 1\.0"):
        run_ppo(tiny_lm(), PPOConfig(), make_run(tmp_path))
