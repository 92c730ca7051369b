"""What the benchmarks of reward models share: a finished sandbox's SFT model, fresh labels, and reward models on them.

The workspace is only read. Labels are made anew from the world, which follows from its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from heed.config import RewardConfig, RunConfig, parse
from heed.data.chat import Codec
from heed.data.tokenizer import load_tokenizer
from heed.files import read_json
from heed.generation.sampler import LocalSampler
from heed.models.checkpoints import load_policy
from heed.models.reward_model import RewardModel
from heed.models.scorer import RewardScorer, encode_groups
from heed.models.types import CausalLM
from heed.records import Completion, Prompt, Ranking
from heed.roles import Decoding, Judge
from heed.runtime.device import Runtime
from heed.runtime.metrics import MetricLogger
from heed.runtime.progress import SilentProgress
from heed.runtime.run import Run
from heed.sandbox import World
from heed.training.reward_modeling import ranked_groups, reward_modeling, set_zero_point


class TrainedSandbox:
    """A workspace in which ``heed run sandbox`` has come as far as the SFT model.

    Args:
        workspace: read, never written to.
        scratch: for what training writes.
    """

    def __init__(self, workspace: Path, scratch: Path) -> None:
        saved = read_json(workspace / "config.json")
        assert isinstance(saved, dict)
        self.config = parse(RunConfig, saved["settings"], where=str(workspace / "config.json"))
        self.workspace, self.scratch = workspace, scratch
        self.world = World(self.config.seed)
        tokenizer = load_tokenizer(workspace / "runs" / "text" / "tokenizer")
        self.codec = Codec(tokenizer, self.config.model.context)
        self.runtime = Runtime(device=torch.device("cpu"), microbatch=self.config.microbatch)

    def policy(self) -> CausalLM:
        """The SFT model, fresh from its file."""
        return load_policy(self.workspace / "models" / "sft", device=self.runtime.device)

    def run(self, name: str, seed: int) -> Run:
        """Somewhere to train."""
        directory = self.scratch / name
        directory.mkdir(parents=True, exist_ok=True)
        metrics = MetricLogger(directory / "metrics.jsonl")
        return Run(
            dir=directory,
            runtime=self.runtime,
            metrics=metrics,
            progress=SilentProgress(),
            seed=seed,
            checkpoint_every=10**9,
        )

    def decoding(self, seed: int) -> Decoding:
        """As PPO draws."""
        return Decoding(max_new_tokens=self.config.ppo.max_new_tokens, seed=seed)

    def sample(self, prompts: Sequence[Prompt], n: int, seed: int) -> list[list[Completion]]:
        """Answers of the SFT model."""
        sampler, decoding = LocalSampler(self.policy(), self.codec, "sft"), self.decoding(seed)
        return [
            one
            for start in range(0, len(prompts), 500)
            for one in sampler.sample(prompts[start : start + 500], n, decoding)
        ]

    def train_reward(
        self, rankings: Sequence[Ranking], seed: int, name: str, *, epochs: int = 1, learning_rate: float = 1e-3
    ) -> tuple[RewardModel, RewardScorer]:
        """A reward model on ``rankings``, from the SFT model; the ranked answers score 0 on average."""
        model = RewardModel.from_causal_lm(self.policy(), seed=seed, pad_id=self.codec.pad_id)
        groups = encode_groups(self.codec, [one.prompt for one in rankings], [one.completions for one in rankings])
        config = RewardConfig(epochs=epochs, learning_rate=learning_rate)
        run = self.run(f"{name}-{seed}", seed)
        reward_modeling(model, ranked_groups(groups, rankings), config, self.codec.pad_id, run)
        set_zero_point(model, groups[:500], self.codec.pad_id, self.runtime)
        return model, RewardScorer(model, self.codec, microbatch=self.runtime.microbatch)


def rank_in_turn(
    judges: Sequence[Judge], prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]
) -> list[Ranking]:
    """Each prompt ranked by one judge, the next one each time."""
    return [
        ranking
        for index, judge in enumerate(judges)
        for ranking in judge.rank(prompts[index :: len(judges)], completions[index :: len(judges)])
    ]
