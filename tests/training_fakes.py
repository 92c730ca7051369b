"""What the tests of the learners share: a run that writes to a directory, small data, and a scorer that is a rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from fakes import EOS_ID, VOCAB_SIZE, random_groups, tiny_codec, tiny_lm, tiny_reward_model
from heed.config import LoraConfig, PPOConfig
from heed.data.batches import EncodedGroup
from heed.models.adapters import add_adapter, has_adapter
from heed.models.value_model import ValueModel
from heed.records import Completion, Prompt
from heed.roles import Scorer
from heed.runtime.device import Runtime
from heed.runtime.metrics import MetricLogger, read_metrics
from heed.runtime.progress import SilentProgress
from heed.runtime.run import Run
from heed.training.lm import Rows
from heed.training.ppo import ppo
from heed.training.results import PPOResult
from heed.training.reward_modeling import RankedGroup


def make_run(
    directory: Path,
    *,
    seed: int = 0,
    microbatch: int = 64,
    checkpoint_every: int = 50,
    dtype: torch.dtype = torch.float32,
) -> Run:
    return Run(
        dir=directory,
        runtime=Runtime(device=torch.device("cpu"), dtype=dtype, microbatch=microbatch),
        metrics=MetricLogger(directory / "metrics.jsonl"),
        progress=SilentProgress(),
        seed=seed,
        checkpoint_every=checkpoint_every,
    )


def read_log(directory: Path, name: str = "metrics") -> list[dict[str, Any]]:
    return read_metrics(directory / f"{name}.jsonl")


def random_rows(count: int = 32, length: int = 16, seed: int = 0) -> Rows:
    """Plain text of random tokens."""
    return np.random.default_rng(seed).integers(2, VOCAB_SIZE, (count, length))


def make_prompts(count: int = 24) -> list[Prompt]:
    words = ("cup", "park", "sky", "dog", "cat")
    return [Prompt.from_text(f"Where is the {words[i % 5]} number {i}?") for i in range(count)]


def make_ranked(count: int = 24, seed: int = 0) -> list[RankedGroup]:
    """Groups of 2 to 4 answers; every second token of an answer in tier t is 10 + t; each third group has a tie."""
    rng = np.random.default_rng(seed)
    ranked = []
    for index in range(count):
        tiers = rng.permutation(int(rng.integers(2, 5))).tolist()
        if index % 3 == 0:
            tiers = [min(tier, 1) for tier in tiers]
        [group] = random_groups([(int(rng.integers(1, 8)), [2] * len(tiers))], seed=seed + index)
        answers = []
        for tier in tiers:
            tokens = rng.integers(20, VOCAB_SIZE, int(rng.integers(2, 8)))
            tokens[::2] = 10 + tier
            answers.append([*tokens.tolist(), EOS_ID])
        group = EncodedGroup(prompt_ids=group.prompt_ids, completion_ids=answers)
        ranked.append(RankedGroup(group=group, tiers=tuple(tiers)))
    return ranked


class TokenScorer:
    """Plays Scorer: the share of an answer's tokens that are good; half of all tokens are."""

    def __init__(self, sign: float = 1.0) -> None:
        self.good = tiny_lm().get_input_embeddings().weight[:, 0] > 0
        self.sign = sign

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[self.sign * self.share(completion) for completion in answers] for answers in completions]

    def share(self, completion: Completion) -> float:
        tokens = [token for token in completion.token_ids if token != EOS_ID]
        return sum(bool(self.good[token]) for token in tokens) / max(1, len(tokens))


def run_ppo(
    policy: PreTrainedModel, config: PPOConfig, run: Run, *, scorer: Scorer | None = None, **optional: Any
) -> PPOResult:
    """PPO from ``tiny_lm()`` as the reference, with a value model from a random reward model.

    A policy with an adapter is its own reference, and the value model gets an adapter too.
    """
    value_model = ValueModel.from_reward_model(tiny_reward_model())
    reference = policy if has_adapter(policy) else tiny_lm()
    add_adapter(value_model.classifier, LoraConfig(rank=4 if reference is policy else 0), seed=0)
    scorer = scorer or TokenScorer()
    return ppo(policy, reference, value_model, scorer, make_prompts(), tiny_codec(), config, run, **optional)


def adapted_lm(rank: int = 4) -> PreTrainedModel:
    """``tiny_lm()`` with an adapter, or without one for rank 0."""
    model = tiny_lm()
    add_adapter(model, LoraConfig(rank=rank), seed=0)
    return model
