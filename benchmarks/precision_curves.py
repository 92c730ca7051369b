"""Do narrow numbers harm? Learning curves on the sandbox in float32 and bfloat16, from the same models, seed by seed.

Supervised fine-tuning starts from the workspace's base model, reward modelling and PPO from its SFT model; PPO climbs
the workspace's reward model. Whatever was trained is measured in float32. Gold is for evaluation only: the gold of each
round's answers on the way, and of the final policies' answers to other prompts. A dtype passes if the 95 % interval of
the difference of final gold contains 0, over seeds.

    python benchmarks/precision_curves.py WORKSPACE FIGURES.json --seeds 3 --figure curves.svg
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import stdtrit
from trained_sandbox import TrainedSandbox, rank_in_turn

from heed.config import PPOConfig, RewardConfig, SFTConfig
from heed.data.batches import make_sequence_batch
from heed.generation.sampler import LocalSampler
from heed.models.checkpoints import load_policy, load_reward_model
from heed.models.precision import narrow
from heed.models.reward_model import RewardModel
from heed.models.scorer import RewardScorer, encode_groups
from heed.models.value_model import ValueModel
from heed.records import Completion, Prompt
from heed.roles import Scorer
from heed.runtime.metrics import read_metrics
from heed.runtime.run import Run
from heed.sandbox import GoldScorer, crew
from heed.stats import Estimate, bootstrap_mean
from heed.training.lm import lm_losses
from heed.training.ppo import ppo
from heed.training.reward_modeling import measure_ranking, ranked_groups, reward_modeling
from heed.training.sft import sft
from heed.training.step import Tally

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
POLICY_PROMPTS = 8000
WINDOW = 10
"""Rounds whose mean is one point of the curve."""


def main() -> None:
    """Train, measure, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path, help="a finished heed run sandbox")
    parser.add_argument("out", type=Path, help="file of figures to write (JSON)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=PPOConfig(iterations=150).iterations, help="of PPO")
    parser.add_argument("--labels", type=int, default=3000, help="demonstrations, and rankings, to learn from")
    parser.add_argument("--test", type=int, default=600, help="prompts on which the final policies are measured")
    parser.add_argument("--figure", type=Path, help="file to draw the curves of PPO into")
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"seeds": given.seeds, "sft": [], "reward": [], "ppo": []}
    with tempfile.TemporaryDirectory() as scratch:
        sandbox = TrainedSandbox(given.workspace, Path(scratch))
        for seed in range(given.seeds):
            for work in (fine_tune, learn_reward, climb):
                for dtype in DTYPES if seed % 2 else reversed(DTYPES):
                    row = {"seed": seed, "dtype": dtype, **work(sandbox, dtype, seed, given)}
                    found[row.pop("work")].append(row)
                    given.out.write_text(json.dumps(found))
    for line in report(found):
        print(line)
    if given.figure is not None:
        draw(found["ppo"], given.figure)


def fine_tune(sandbox: TrainedSandbox, dtype: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Supervised fine-tuning from the base model; the loss on demonstrations it has not seen."""
    world, codec = sandbox.world, sandbox.codec
    train, test = (
        codec.encode_demonstrations(world.demonstrations(world.prompts(split, count, seed=seed), seed=seed))
        for split, count in (("train", given.labels), ("test", given.test))
    )
    model = load_policy(sandbox.workspace / "models" / "base")
    run, config = run_in(sandbox, f"sft-{dtype}", dtype, seed), SFTConfig(epochs=4, pretraining_coef=0.0)
    _, seconds = timed(lambda: sft(model, train, None, config, codec, run))
    batch = make_sequence_batch(test, [[index] for index in range(len(test))], codec.pad_id)
    with torch.no_grad():
        loss = sum(float(one) for one in lm_losses(model, [batch], sandbox.runtime, Tally()))
    return {"work": "sft", "loss": loss, "cpu_seconds": seconds, "curve": logged(run, "loss")}


def learn_reward(sandbox: TrainedSandbox, dtype: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Reward modelling from the SFT model; loss and accuracy on rankings it has not seen."""
    world, codec = sandbox.world, sandbox.codec
    judges = [one for one in crew(world, seed=sandbox.config.seed) if one.labeler.group == "training"]
    parts = []
    for split, count in (("train", given.labels), ("test", given.test)):
        prompts = world.prompts(split, count, seed=1000 + seed)
        rankings = rank_in_turn(judges, prompts, sandbox.sample(prompts, 4, seed))
        groups = encode_groups(codec, [one.prompt for one in rankings], [one.completions for one in rankings])
        parts.append(ranked_groups(groups, rankings))
    train, test = parts
    model = RewardModel.from_causal_lm(sandbox.policy(), seed=seed, pad_id=codec.pad_id)
    run = run_in(sandbox, f"reward-{dtype}", dtype, seed)
    _, seconds = timed(lambda: reward_modeling(model, train, RewardConfig(), codec.pad_id, run))
    figures = measure_ranking(model, test, codec.pad_id, sandbox.runtime)
    measured = {"loss": figures.loss, "accuracy": figures.accuracy}
    return {"work": "reward", **measured, "cpu_seconds": seconds, "curve": logged(run, "loss")}


def climb(sandbox: TrainedSandbox, dtype: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """PPO from the SFT model against the workspace's reward model; gold on the way and of the final policy."""
    world, codec, number = sandbox.world, sandbox.codec, DTYPES[dtype]
    policy, reference = sandbox.policy(), narrow(sandbox.policy(), number)
    reward_model = load_reward_model(sandbox.workspace / "models" / "reward")
    value_model = ValueModel.from_reward_model(reward_model)
    narrow(reward_model, number)
    config = PPOConfig(iterations=given.iterations, ptx_coef=0.0)
    gold = GoldScorer(world)
    scorer = Witness(RewardScorer(reward_model, codec), gold, config.prompts_per_round)
    run = run_in(sandbox, f"ppo-{dtype}", dtype, seed)
    prompts = world.prompts("train", POLICY_PROMPTS, seed=2000 + seed)
    _, seconds = timed(lambda: ppo(policy, reference, value_model, scorer, prompts, codec, config, run))
    test = world.prompts("final", given.test, seed=seed)
    answers = LocalSampler(policy, codec, "policy").sample(test, 1, sandbox.decoding(seed))
    logs = {name: logged(run, name) for name in ("kl", "score", "sampler_gap", "ratio_max", "ratio_min", "entropy")}
    final = [score for [score] in gold.score(test, answers)]
    return {"work": "ppo", "gold": final, "rounds": scorer.rounds, "cpu_seconds": seconds, **logs}


class Witness:
    """A Scorer that also writes down the gold of every round, which nothing learns from."""

    def __init__(self, scorer: Scorer, gold: Scorer, round_size: int) -> None:
        self._scorer, self._gold, self._round_size = scorer, gold, round_size
        self.rounds: list[list[float]] = []

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        """The scorer's scores."""
        if len(prompts) == self._round_size:
            self.rounds.append([score for [score] in self._gold.score(prompts, completions)])
        return self._scorer.score(prompts, completions)


def run_in(sandbox: TrainedSandbox, name: str, dtype: str, seed: int) -> Run:
    """Somewhere to train, in a dtype."""
    run = sandbox.run(f"{name}-{seed}", seed)
    return replace(run, runtime=replace(run.runtime, dtype=DTYPES[dtype]))


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What ``work`` returns, and its CPU seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def logged(run: Run, name: str) -> list[float]:
    """A figure of every step of a run."""
    return [row[name] for row in read_metrics(run.dir / "metrics.jsonl") if name in row]


def differences(rows: Sequence[Mapping[str, Any]], name: str, dtype: str) -> list[list[float]]:
    """By seed: the figure in ``dtype`` less that in float32, number by number."""
    by = {(row["dtype"], row["seed"]): np.atleast_1d(row[name]) for row in rows}
    seeds = sorted({seed for _, seed in by})
    return [(by[dtype, seed] - by["float32", seed]).tolist() for seed in seeds]


def t_interval(values: Sequence[float]) -> Estimate:
    """The mean of a few values with Student's 95 % interval; a bootstrap of three cannot leave their range."""
    n, mean = len(values), float(np.mean(values))
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n)


def report(found: Mapping[str, Any]) -> list[str]:
    """A table: each figure in float32, in bfloat16, and the difference with its interval over seeds."""
    lines = ["| figure | float32 | bfloat16 | difference (95 %, over seeds) |", "| --- | ---: | ---: | ---: |"]
    figures = [("sft", "loss"), ("reward", "loss"), ("reward", "accuracy"), ("ppo", "gold")]
    for work, name in figures + [(work, "cpu_seconds") for work in ("sft", "reward", "ppo")]:
        means = {kind: np.mean([np.mean(row[name]) for row in found[work] if row["dtype"] == kind]) for kind in DTYPES}
        by_seed = differences(found[work], name, "bfloat16")
        over_seeds = t_interval([float(np.mean(one)) for one in by_seed])
        span = f"{over_seeds.value:+.4f} ({over_seeds.low:+.4f} to {over_seeds.high:+.4f})"
        lines.append(f"| {work}: {name} | {means['float32']:.4f} | {means['bfloat16']:.4f} | {span} |")
    gaps = differences(found["ppo"], "gold", "bfloat16")
    flat = [(value, prompt) for one in gaps for prompt, value in enumerate(one)]
    over_prompts = bootstrap_mean([value for value, _ in flat], clusters=[prompt for _, prompt in flat])
    over_seeds = t_interval([float(np.mean(one)) for one in gaps])
    verdict = "passes" if over_seeds.low <= 0 <= over_seeds.high else "FAILS"
    lines += [
        f"PPO in bfloat16 {verdict}. Over prompts the difference of gold is {over_prompts.value:+.3f} "
        f"({over_prompts.low:+.3f} to {over_prompts.high:+.3f}); by seed "
        + ", ".join(f"{np.mean(one):+.3f}" for one in gaps)
    ]
    for kind in DTYPES:
        rows = [row for row in found["ppo"] if row["dtype"] == kind]
        gap = max(max(row["sampler_gap"]) for row in rows)
        ratio = max(max(row["ratio_max"]) for row in rows)
        lines.append(f"{kind}: largest sampler gap {gap:.3g} nats, largest ratio {ratio:.3g}")
    return lines


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Gold of the rounds' answers and KL, over iterations: a band over seeds and prompts for each dtype."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for kind, colour in zip(DTYPES, ("#444444", "#c2571a"), strict=True):
        runs = [row for row in rows if row["dtype"] == kind]
        rounds = np.array([np.mean(row["rounds"], axis=1) for row in runs])  # (seeds, iterations)
        points = range(0, rounds.shape[1] - WINDOW + 1, WINDOW)
        at = [start + WINDOW / 2 for start in points]
        found = [bootstrap_mean(rounds[:, start : start + WINDOW].ravel()) for start in points]
        left.plot(at, [one.value for one in found], color=colour, label=kind)
        left.fill_between(at, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.2, lw=0)
        divergence = np.array([row["kl"] for row in runs])
        for one in divergence:
            right.plot(range(len(one)), one, color=colour, lw=0.6, alpha=0.5)
        right.plot(range(divergence.shape[1]), divergence.mean(axis=0), color=colour, label=kind)
    left.set(xlabel="PPO iteration", ylabel="gold score of the round's answers")
    right.set(xlabel="PPO iteration", ylabel="KL to the SFT model (nats)")
    left.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
