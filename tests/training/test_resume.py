"""Killed with SIGKILL, at whatever it is doing, and started again: the weights are those of a run left in peace."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fakes import tiny_codec, tiny_lm, tiny_reward_model
from heed.config import LoraConfig, PPOConfig, PretrainConfig, RewardConfig, SFTConfig
from heed.data.batches import Example
from heed.errors import WorkspaceError
from heed.models.adapters import add_adapter
from heed.models.value_model import ValueModel
from heed.training.ppo import ppo
from heed.training.pretrain import pretrain
from heed.training.reward_modeling import reward_modeling
from heed.training.sft import sft
from training_fakes import TokenScorer, make_prompts, make_ranked, make_run, random_rows, read_log

Weights = dict[str, Tensor]


def run_pretrain(directory: Path) -> Weights:
    model = tiny_lm()
    pretrain(
        model,
        random_rows(),
        PretrainConfig(tokens=16 * 4 * 60, minibatch=4),
        make_run(directory, checkpoint_every=4),
    )
    return model.state_dict()


def run_sft(directory: Path, dtype: torch.dtype = torch.float32, rank: int = 0) -> Weights:
    """With pretraining text, and with a selection that likes the second epoch best."""
    model = tiny_lm()
    add_adapter(model, LoraConfig(rank=rank), seed=0)
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 21)
    examples = [
        Example(ids=rng.integers(2, 300, length).tolist(), loss_mask=[False] * 2 + [True] * (length - 2))
        for length in lengths
    ]
    moving = next(one for one in model.parameters() if one.requires_grad)
    target = moving.detach() + 0.02
    config = SFTConfig(epochs=8, minibatch=4)
    run = make_run(directory, checkpoint_every=3, dtype=dtype)
    result = sft(
        model,
        examples,
        random_rows(),
        config,
        tiny_codec(),
        run,
        select=lambda _: -float((moving.detach() - target).abs().mean()),
    )
    return model.state_dict() | {"epoch": torch.tensor(result.metrics["selected_epoch"])}


def run_reward(directory: Path, rank: int = 0) -> Weights:
    model = tiny_reward_model()
    add_adapter(model.classifier, LoraConfig(rank=rank), seed=0)
    config = RewardConfig(epochs=4, minibatch=2)
    reward_modeling(model, make_ranked(30), config, 1, make_run(directory, checkpoint_every=5))
    return model.state_dict()


def run_ppo(directory: Path, dtype: torch.dtype = torch.float32, rank: int = 0) -> Weights:
    """With everything that has a state: adaptive KL, the automatic ptx coefficient, average, value model, diagnoses."""
    policy, value_model = tiny_lm(), ValueModel.from_reward_model(tiny_reward_model())
    for model in (policy, value_model.classifier):
        add_adapter(model, LoraConfig(rank=rank), seed=0)
    config = PPOConfig(
        iterations=20,
        prompts_per_round=8,
        minibatch=4,
        epochs=2,
        kl_target=0.05,
        ptx_coef="auto",
        max_new_tokens=5,
        learning_rate=1e-2,
    )
    result = ppo(
        policy,
        policy if rank else tiny_lm(),
        value_model,
        TokenScorer(),
        make_prompts(),
        tiny_codec(),
        config,
        make_run(directory, checkpoint_every=8, dtype=dtype),
        rows=random_rows(),
        evaluate=lambda iteration, model: {"weight": float(next(model.parameters()).detach().sum())},
        evaluate_every=3,
    )
    weights = policy.state_dict() | {f"value {name}": tensor for name, tensor in value_model.state_dict().items()}
    weights |= {f"average {name}": tensor for name, tensor in result.average_weights.items()}
    return weights | {"coefs": torch.tensor([result.kl_coef, result.ptx_coef], dtype=torch.float64)}


def run_ppo_that_stops(directory: Path) -> Weights:
    """A second reward model that likes the opposite ends it."""
    policy, value_model = tiny_lm(), ValueModel.from_reward_model(tiny_reward_model())
    config = PPOConfig(
        iterations=60,
        prompts_per_round=8,
        minibatch=4,
        ptx_coef=0,
        max_new_tokens=5,
        learning_rate=1e-2,
        stop_by="other",
        patience=6,
    )
    result = ppo(
        policy,
        tiny_lm(),
        value_model,
        TokenScorer(),
        make_prompts(),
        tiny_codec(),
        config,
        make_run(directory, checkpoint_every=8),
        heldout=TokenScorer(sign=-1.0),
    )
    assert result.stopped == "stop_by" and result.kept == result.iterations - 7
    return policy.state_dict() | {"kept": torch.tensor(result.kept)}


LEARNERS: Mapping[str, Callable[[Path], Weights]] = {
    "pretrain": run_pretrain,
    "sft": run_sft,
    "reward": run_reward,
    "ppo": run_ppo,
    "ppo that stops": run_ppo_that_stops,
    "sft in bfloat16": partial(run_sft, dtype=torch.bfloat16),
    "ppo in bfloat16": partial(run_ppo, dtype=torch.bfloat16),
    "sft with adapters": partial(run_sft, rank=4),
    "reward with adapters": partial(run_reward, rank=4),
    "ppo with adapters": partial(run_ppo, rank=4),
    "ppo with adapters in bfloat16": partial(run_ppo, dtype=torch.bfloat16, rank=4),
}

NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            "adapters" in name and find_spec("peft") is None, reason="peft is not installed: pip install 'heed[lora]'"
        ),
    )
    for name in LEARNERS
]


def work_in_child(name: str, directory: Path) -> None:
    torch.set_num_threads(1)
    LEARNERS[name](directory)


@pytest.fixture(scope="module")
def context() -> Iterator[ForkServerContext]:
    """Children that need not import torch each anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training_fakes"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # it cannot find the preloaded module otherwise
        forkserver.ensure_running()
    yield context


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.timeout(900)  # on a machine with nothing else to do it is seconds
@pytest.mark.parametrize("name", NAMES)
def test_a_killed_run_goes_on_to_the_same_weights(name: str, tmp_path: Path, context: ForkServerContext) -> None:
    expected = LEARNERS[name](tmp_path / "whole")
    directory = tmp_path / "killed"
    steps = len(read_log(tmp_path / "whole"))
    dice = random.Random(f"{name} {time.time_ns()}")  # another place each time: it must hold for any
    for low, high in ((0.2, 0.4), (0.5, 0.8)):
        kill_after = round(dice.uniform(low, high) * steps)
        child = context.Process(target=work_in_child, args=(name, directory))
        child.start()
        wait_for_lines(directory / "metrics.jsonl", kill_after, child)
        child.kill()
        child.join()
        assert child.exitcode == -9, f"{name} was to be killed after {kill_after} of {steps} steps, and had ended"
    assert (directory / "checkpoints" / "last.pt").exists()
    assert_same(LEARNERS[name](directory), expected)
    for log in ("metrics", "samples", "diagnoses"):
        for row, whole in zip(read_log(directory, log), read_log(tmp_path / "whole", log), strict=True):
            assert row == whole, f"{log}: {[key for key in whole if row.get(key) != whole[key]]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_run_called_again_gives_the_same_and_trains_no_more(name: str, tmp_path: Path) -> None:
    first = LEARNERS[name](tmp_path)
    log = (tmp_path / "metrics.jsonl").read_bytes()
    assert_same(LEARNERS[name](tmp_path), first)
    assert (tmp_path / "metrics.jsonl").read_bytes() == log


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    pretrain(tiny_lm(), random_rows(), PretrainConfig(tokens=200), make_run(tmp_path))
    with pytest.raises(WorkspaceError, match="other settings, data or initial weights"):
        pretrain(tiny_lm(), random_rows(), PretrainConfig(tokens=400), make_run(tmp_path))
    with pytest.raises(WorkspaceError, match="other settings, data or initial weights"):
        pretrain(tiny_lm(), random_rows(seed=1), PretrainConfig(tokens=200), make_run(tmp_path))
    with pytest.raises(WorkspaceError, match="other settings, data or initial weights"):
        pretrain(tiny_lm(seed=1), random_rows(), PretrainConfig(tokens=200), make_run(tmp_path))


def assert_same(found: Weights, expected: Weights) -> None:
    assert set(found) == set(expected)
    different = [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)]
    assert not different, f"not equal to the bit: {different}"


def wait_for_lines(path: Path, count: int, child: Any) -> None:
    while child.is_alive() and (not path.exists() or path.read_bytes().count(b"\n") < count):
        time.sleep(0.002)
