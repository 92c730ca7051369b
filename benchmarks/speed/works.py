"""The works that are measured: what is to be done, by whom, and what must be equal in all that do it.

A work is data: token ids, settings and the models' directories, written to a file that every side reads.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.speed.models import SIZES, prepare_models, random_words
from heed.data.batches import Example
from heed.data.chat import Codec
from heed.data.packing import pack_examples
from heed.data.tokenizer import load_tokenizer
from heed.records import Prompt

CONTEXT = 512
FIRST_ID = 5
"""Ids below are special tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Who does the work: a module, and the environment it runs in."""

    name: str
    module: str
    environment: str = "heed"
    """``heed`` is the one that this program runs in; the others are those of :mod:`benchmarks.speed.environments`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What this side does otherwise; laid over the work's settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One work, ready to be done."""

    kind: str
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    models: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One row of the table: Heed beside one other."""

    name: str
    title: str
    unit: str
    """What is counted, such as ``"tokens"``."""
    target: float
    """How many times the other's rate Heed is meant to reach."""
    other: Side
    make: Callable[[Path, str, bool, Mapping[str, Any]], Job]
    """From the directory for models, the size, whether it is to be quick, and settings to lay over."""
    memory_target: float | None = None
    """The share of the other's memory that Heed is meant to need."""


HEED = Side(name="Heed", module="benchmarks.speed.heed_side")
UNSHARED = Side(name="Heed, unshared", module="benchmarks.speed.heed_side", settings={"share": False})
GENERATE = Side(name="transformers generate", module="benchmarks.speed.peers.generate", environment="trl")
VLLM = Side(name="vLLM", module="benchmarks.speed.peers.vllm_rollouts", environment="vllm")
TRL_SFT = Side(name="TRL, bfd packing", module="benchmarks.speed.peers.trl_sft", environment="trl")
TRL_REWARD = Side(name="TRL", module="benchmarks.speed.peers.trl_reward", environment="trl")
TRL_PPO = Side(name="TRL 1.12", module="benchmarks.speed.peers.trl_ppo", environment="trl-ppo")


def in_dtype(side: Side, dtype: str) -> Side:
    """``side`` with its models in ``dtype``, if it is Heed's; others stay in float32."""
    if side.module != HEED.module or dtype == "float32":
        return side
    return replace(side, name=f"{side.name}, {dtype}", settings={**side.settings, "dtype": dtype})


def generation(
    *, prompts: int, length: tuple[int, int], new: int, p_eos: float, n: int = 1
) -> Callable[[Path, str, bool, Mapping[str, Any]], Job]:
    """Answers to prompts of random tokens: ``n`` to each prompt."""

    def make(directory: Path, size: str, quick: bool, further: Mapping[str, Any]) -> Job:
        wanted = {"prompts": prompts // 2 if quick else prompts, "new": new, "batch": 64, "n": n, "p_eos": p_eos}
        settings = {**wanted, "share": True, **further}
        models = prepare_models(directory, size, p_eos, settings.get("vocab"))
        vocab = settings.get("vocab", SIZES[size].vocab)
        chance = random.Random(5)
        data = [_ids(chance, chance.randint(*length), vocab) for _ in range(settings["prompts"])]
        return Job(kind="generate", settings=settings, data={"prompts": data}, models=models)

    return make


def make_sft(directory: Path, size: str, quick: bool, further: Mapping[str, Any]) -> Job:
    """Documents of log-normal lengths (mean about 80, at most 512) that fill a dozen rows of 512 tokens.

    A turn is one epoch over them, in as many optimizer steps on both sides.
    """
    settings = {"rows": 6 if quick else 12, "rows_per_step": 3, "row": 512, "learning_rate": 1e-6, **further}
    models = prepare_models(directory, size, 0.0, settings.get("vocab"))
    chance = random.Random(11)
    vocab = settings.get("vocab", SIZES[size].vocab)
    documents: list[list[int]] = []
    while True:
        documents.append(_ids(chance, _log_normal(chance, mean=80, sigma=0.8, low=8, high=512), vocab))
        examples = [Example(ids=ids, loss_mask=[True] * len(ids)) for ids in documents]
        if len(pack_examples(examples, settings["row"])) > settings["rows"]:
            documents.pop()
            break
    settings["steps"] = settings["rows"] // settings["rows_per_step"]
    settings["documents_per_step"] = -(-len(documents) // settings["steps"])
    assert -(-len(documents) // settings["documents_per_step"]) == settings["steps"]
    return Job(kind="sft", settings=settings, data={"documents": documents}, models=models)


def reward(
    *, k: int, groups: int, groups_per_step: int, prompt: tuple[int, int], answer: int, micro: int
) -> Callable[[Path, str, bool, Mapping[str, Any]], Job]:
    """Prompts with ``k`` ranked answers of log-normal lengths around ``answer``. A turn is one epoch over them."""

    def make(directory: Path, size: str, quick: bool, further: Mapping[str, Any]) -> Job:
        wanted = {"k": k, "groups": groups_per_step if quick else groups, "groups_per_step": groups_per_step}
        settings = {**wanted, "micro": micro, "learning_rate": 1e-7, **further}
        models = prepare_models(directory, size, 0.0, settings.get("vocab"))
        vocab = settings.get("vocab", SIZES[size].vocab)
        chance = random.Random(4)
        data = [
            {
                "prompt": _ids(chance, chance.randint(*prompt), vocab),
                "answers": [
                    _ids(chance, _log_normal(chance, mean=answer, sigma=0.5, low=8, high=256), vocab)
                    for _ in range(settings["k"])
                ],
            }
            for _ in range(settings["groups"])
        ]
        settings["pairs_per_step"] = settings["groups_per_step"] * settings["k"] * (settings["k"] - 1) // 2
        return Job(kind="reward", settings=settings, data={"groups": data}, models=models)

    return make


def episodes(*, p_eos: float, epochs: int, response: int = 64) -> Callable[[Path, str, bool, Mapping[str, Any]], Job]:
    """A round of PPO on 32 prompts of 16 to 32 tokens: all of it, from sampling to the last update."""

    def make(directory: Path, size: str, quick: bool, further: Mapping[str, Any]) -> Job:
        wanted = {"episodes": 16 if quick else 32, "response": response, "epochs": epochs, "p_eos": p_eos}
        settings = {**wanted, "micro": 16, "learning_rate": 1e-7, "kl_coef": 0.05, **further}
        settings["micro"] = min(settings["micro"], settings["episodes"])
        models = prepare_models(directory, size, p_eos, settings.get("vocab"))
        texts, ids = _worded_prompts(models["tokenizer"], settings["episodes"], low=16, high=32)
        return Job(kind="ppo", settings=settings, data={"texts": texts, "prompts": ids}, models=models)

    return make


WORKS = (
    Work(
        name="generate",
        title="generation, 64 answers of 128 tokens",
        unit="tokens",
        target=1.6,
        other=GENERATE,
        make=generation(prompts=64, length=(32, 64), new=128, p_eos=0.0),
    ),
    Work(
        name="generate-eos",
        title="generation, 128 answers that end by themselves (mean 31, at most 96)",
        unit="tokens",
        target=3.0,
        other=GENERATE,
        make=generation(prompts=128, length=(32, 64), new=96, p_eos=0.03),
    ),
    Work(
        name="sharing",
        title="8 answers to each of 8 prompts of 112 tokens, prompt computed once",
        unit="tokens",
        target=2.0,
        other=UNSHARED,
        make=generation(prompts=8, length=(112, 112), new=32, p_eos=0.0, n=8),
    ),
    Work(
        name="vllm",
        title="rollouts with log-probabilities, 128 answers that end by themselves",
        unit="tokens",
        target=1.0,
        other=VLLM,
        make=generation(prompts=128, length=(32, 64), new=96, p_eos=0.03),
    ),
    Work(
        name="sft",
        title="supervised fine-tuning, documents of 80 tokens on average",
        unit="tokens",
        target=1.8,
        other=TRL_SFT,
        make=make_sft,
    ),
    Work(
        name="reward-6",
        title="reward model, rankings of 6 answers",
        unit="pairs",
        target=8.0,
        other=TRL_REWARD,
        make=reward(k=6, groups=4, groups_per_step=2, prompt=(16, 48), answer=60, micro=10),
    ),
    Work(
        name="reward-9",
        title="reward model, rankings of 9 answers, prompts as long as four answers",
        unit="pairs",
        target=12.0,
        other=TRL_REWARD,
        make=reward(k=9, groups=2, groups_per_step=2, prompt=(128, 128), answer=32, micro=12),
    ),
    Work(
        name="ppo",
        title="PPO, 32 episodes of 64 tokens, 1 epoch",
        unit="episodes",
        target=1.5,
        other=TRL_PPO,
        make=episodes(p_eos=0.0, epochs=1),
    ),
    Work(
        name="ppo-eos",
        title="PPO, 32 episodes that end by themselves (mean 23, at most 64), 4 epochs",
        unit="episodes",
        target=2.2,
        other=TRL_PPO,
        make=episodes(p_eos=0.04, epochs=4),
        memory_target=0.6,
    ),
)


class UnequalWorkError(Exception):
    """Two sides did not do the same work, so that their times cannot be compared."""


def check_equal(job: Job, facts: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Compare what the sides say they did.

    Counts must be equal, turn by turn; losses on the same data within 1 %; and the mean length of answers that end by
    themselves must be that of the planted law, within five standard errors.

    Args:
        facts: of each side, one for each turn.

    Raises:
        UnequalWorkError: names the fact, and what each side said.
    """
    for name in ("answers", "steps", "targets", "pairs", "episodes"):
        told = {side: sorted({fact[name] for fact in turns if name in fact}) for side, turns in facts.items()}
        told = {side: values for side, values in told.items() if values}
        if any(len(values) > 1 for values in told.values()) or len({values[0] for values in told.values()}) > 1:
            raise UnequalWorkError(f"the sides differ in {name}: {told}")
    losses = {side: [fact["loss"] for fact in turns] for side, turns in facts.items() if turns and "loss" in turns[0]}
    for turn in zip(*losses.values(), strict=True):
        if max(turn) - min(turn) > 0.01 * max(turn):
            raise UnequalWorkError(
                f"on the same data the sides have other losses: {dict(zip(losses, turn, strict=True))}"
            )
    for side, turns in facts.items():
        lengths = [(fact["tokens"], fact["answers"]) for fact in turns if "tokens" in fact]
        if lengths:
            _check_lengths(side, job.settings, sum(t for t, _ in lengths), sum(n for _, n in lengths))


def expected_length(p_eos: float, longest: int) -> tuple[float, float]:
    """Mean and standard deviation of an answer's tokens, its end included, when each token ends it with ``p_eos``.

    >>> expected_length(0.5, 2)
    (1.5, 0.5)
    """
    chances = [p_eos * (1 - p_eos) ** (n - 1) for n in range(1, longest)]
    chances.append(1 - sum(chances))
    mean = sum(n * chance for n, chance in enumerate(chances, 1))
    return mean, math.sqrt(max(0.0, sum((n - mean) ** 2 * chance for n, chance in enumerate(chances, 1))))


def _check_lengths(side: str, settings: Mapping[str, Any], tokens: float, answers: float) -> None:
    mean, deviation = expected_length(settings["p_eos"], settings.get("new") or settings["response"])
    slack = 5 * deviation / math.sqrt(answers) + (0.05 * mean if deviation else 1e-9)  # planting is not quite exact
    if abs(tokens / answers - mean) > slack:
        raise UnequalWorkError(
            f"answers of {side} have {tokens / answers:.2f} tokens on average, expected {mean:.2f} within {slack:.2f}"
        )


def _ids(chance: random.Random, count: int, vocab: int) -> list[int]:
    return [chance.randrange(FIRST_ID, vocab) for _ in range(count)]


def _log_normal(chance: random.Random, *, mean: float, sigma: float, low: int, high: int) -> int:
    return int(min(high, max(low, chance.lognormvariate(math.log(mean) - sigma**2 / 2, sigma))))


def _worded_prompts(tokenizer: str, count: int, *, low: int, high: int) -> tuple[list[str], list[list[int]]]:
    """Prompts as text, since Heed's PPO takes text; and the same as tokens, for those who take tokens."""
    codec = Codec(load_tokenizer(tokenizer), CONTEXT)
    chance, words = random.Random(2), random_words(1000)
    texts, found = [], []
    while len(texts) < count:
        goal, text = chance.randint(low, high), chance.choice(words)
        while len(ids := codec.encode_prompt(Prompt.from_text(text))) < goal:
            text += " " + chance.choice(words)
        if len(ids) <= high:
            texts.append(text)
            found.append(ids)
    return texts, found
