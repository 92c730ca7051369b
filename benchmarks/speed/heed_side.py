"""Heed's side of every work, through what Heed offers to anyone: the engine and the learners. No loop of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoModelForSequenceClassification

from benchmarks.speed.floor import measure_floor
from benchmarks.speed.turns import Turns, read_job
from benchmarks.speed.works import CONTEXT
from heed.config import PPOConfig, RewardConfig, SFTConfig
from heed.data.batches import EncodedGroup, Example
from heed.data.chat import Codec
from heed.data.tokenizer import load_tokenizer
from heed.generation.engine import Engine
from heed.models.loading import load_causal_lm, load_pretrained, ready
from heed.models.precision import narrow
from heed.models.reward_model import RewardModel
from heed.models.scorer import RewardScorer
from heed.models.value_model import ValueModel
from heed.records import Completion, Prompt
from heed.roles import Decoding
from heed.runtime.device import start_runtime
from heed.runtime.metrics import MetricLogger, Sink
from heed.runtime.progress import SilentProgress
from heed.runtime.run import Run
from heed.training.ppo import ppo
from heed.training.reward_modeling import RankedGroup, reward_modeling
from heed.training.sft import sft


class Listener(Protocol):
    """Is told what a turn came to, and returns when there is another one. See :class:`Turns`."""

    def done(self, amount: float, facts: Mapping[str, float] | None = None) -> None:
        """A turn is done."""


def generate(job: Mapping[str, Any], turns: Listener, directory: Path) -> None:
    """Answers by the engine; without ``share`` every answer's prompt is computed for itself."""
    settings, prompts = job["settings"], job["data"]["prompts"]
    model = load_causal_lm(job["models"]["policy"], dtype=_dtype(job))
    engine = Engine(model, eos_id=model.config.eos_token_id)
    n, copies = (settings["n"], 1) if settings["share"] else (1, settings["n"])
    prompts = [prompt for prompt in prompts for _ in range(copies)]
    for turn in range(job["turns"]):
        decoding = Decoding(max_new_tokens=settings["new"], temperature=1.0, seed=turn)
        answers = [answer for group in engine.generate(prompts, n, decoding) for answer in group]
        tokens = sum(len(answer.token_ids) for answer in answers)
        assert tokens == sum(len(answer.logprobs) for answer in answers)
        turns.done(tokens, {"tokens": tokens, "answers": len(answers)})


def fine_tune(job: Mapping[str, Any], turns: Listener, directory: Path) -> None:
    """Supervised fine-tuning on the documents; every token but a document's first is learned."""
    settings, documents = job["settings"], job["data"]["documents"]
    model = load_causal_lm(job["models"]["policy"])
    codec = Codec(load_tokenizer(job["models"]["tokenizer"]), CONTEXT)
    examples = [Example(ids=ids, loss_mask=[True] * len(ids)) for ids in documents]
    tokens = sum(map(len, documents))
    targets = tokens - len(documents)
    config = SFTConfig(
        epochs=job["turns"],
        learning_rate=settings["learning_rate"],
        minibatch=settings["documents_per_step"],
        pretraining_coef=0.0,
    )
    steps = _Steps(settings["steps"], lambda loss: turns.done(tokens, _learned(settings, loss) | {"targets": targets}))
    sft(model, examples, None, config, codec, _run(job, directory, steps))


def reward_model(job: Mapping[str, Any], turns: Listener, directory: Path) -> None:
    """Reward modelling on the rankings: all pairs of a prompt are one batch element."""
    settings, groups = job["settings"], job["data"]["groups"]
    model = _classifier(job)
    ranked = [
        RankedGroup(
            group=EncodedGroup(prompt_ids=group["prompt"], completion_ids=group["answers"]),
            tiers=tuple(range(len(group["answers"]))),
        )
        for group in groups
    ]
    pairs = sum(len(one.tiers) * (len(one.tiers) - 1) // 2 for one in ranked)
    steps_per_turn = len(ranked) // settings["groups_per_step"]
    config = RewardConfig(
        epochs=job["turns"], learning_rate=settings["learning_rate"], minibatch=settings["groups_per_step"]
    )
    told = {"steps": steps_per_turn}
    steps = _Steps(steps_per_turn, lambda loss: turns.done(pairs, _learned(told, loss) | {"pairs": pairs}))
    pad_id = model.classifier.config.pad_token_id
    reward_modeling(model, ranked, config, pad_id, _run(job, directory, steps))


def optimize_policy(job: Mapping[str, Any], turns: Listener, directory: Path) -> None:
    """PPO without a pretraining mix; every round takes all prompts, and is one minibatch."""
    settings = job["settings"]
    policy = load_causal_lm(job["models"]["policy"])
    reference = load_causal_lm(job["models"]["policy"], dtype=_dtype(job))
    scorer_model = _classifier(job)
    value_model = ValueModel.from_reward_model(scorer_model)
    narrow(scorer_model, _dtype(job))
    codec = Codec(load_tokenizer(job["models"]["tokenizer"]), CONTEXT)
    prompts = [Prompt.from_text(text) for text in job["data"]["texts"]]
    assert codec.encode_prompts(prompts) == job["data"]["prompts"]
    scorer = _CountingScorer(RewardScorer(scorer_model, codec, microbatch=settings["micro"]))
    config = PPOConfig(
        iterations=job["turns"],
        prompts_per_round=settings["episodes"],
        minibatch=settings["episodes"],
        epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        value_learning_rate=settings["learning_rate"],
        kl_coef=settings["kl_coef"],
        ptx_coef=0.0,
        max_new_tokens=settings["response"],
        missing_eos_penalty=0.0,
    )

    def finished(loss: float) -> None:
        count = settings["episodes"]
        facts = {"tokens": scorer.take(), "answers": count, "episodes": count, "steps": settings["epochs"]}
        turns.done(count, facts)

    run = _run(job, directory, _Steps(1, finished), microbatch=settings["micro"])
    ppo(policy, reference, value_model, scorer, prompts, codec, config, run)


def floor(job: Mapping[str, Any], turns: Listener, directory: Path) -> None:
    """What this machine can do at most: products of matrices, and bytes moved."""
    turns.done(1.0, measure_floor(job["settings"]["hidden"]))


KINDS: dict[str, Callable[[Mapping[str, Any], Listener, Path], None]] = {
    "generate": generate,
    "sft": fine_tune,
    "reward": reward_model,
    "ppo": optimize_policy,
    "floor": floor,
}


class _Steps:
    """A place for a learner's figures to go: after so many optimizer steps a turn is done."""

    def __init__(self, per_turn: int, finished: Callable[[float], None]) -> None:
        self._per_turn, self._finished = per_turn, finished
        self._losses: list[float] = []

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        self._losses.append(figures.get("loss", 0.0))
        if len(self._losses) == self._per_turn:
            loss = sum(self._losses) / self._per_turn
            self._losses.clear()
            self._finished(loss)


class _CountingScorer:
    """A scorer that counts the tokens of each round's answers.

    Before the first update, PPO has some of them scored a second time, to see whether the scores are the same.
    """

    def __init__(self, scorer: RewardScorer) -> None:
        self._scorer = scorer
        self._tokens: int | None = None

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        if self._tokens is None:
            self._tokens = sum(len(completion.token_ids) for group in completions for completion in group)
        return self._scorer.score(prompts, completions)

    def take(self) -> int:
        """The tokens of the round that is over."""
        tokens, self._tokens = self._tokens, None
        assert tokens is not None
        return tokens


def _learned(settings: Mapping[str, Any], loss: float) -> dict[str, float]:
    return {"steps": settings["steps"], "loss": loss}


def _classifier(job: Mapping[str, Any]) -> RewardModel:
    path = job["models"]["classifier"]
    network = load_pretrained(AutoModelForSequenceClassification, path, dtype=torch.float32)
    return RewardModel(ready(network, "cpu"))


def _dtype(job: Mapping[str, Any]) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, job["settings"].get("dtype", "float32"))
    return dtype


def _run(job: Mapping[str, Any], directory: Path, sink: Sink, microbatch: int = 64) -> Run:
    return Run(
        dir=directory,
        runtime=start_runtime("cpu", job["settings"].get("dtype", "float32"), microbatch),
        metrics=MetricLogger(directory / "metrics.jsonl", [sink]),
        progress=SilentProgress(),
        seed=0,
    )


def main() -> None:
    """Do the job that the command line names, turn by turn."""
    turns, job = Turns(), read_job()
    start_runtime("cpu", threads=job["threads"])  # as every command of Heed begins
    with tempfile.TemporaryDirectory() as directory:
        KINDS[job["kind"]](job, turns, Path(directory))


if __name__ == "__main__":
    main()
