"""What is common to the stages that are planned: how their work is written down, and what learners and samplers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from heed.config import RunConfig
from heed.models.flat import FAMILIES
from heed.planning import memory
from heed.planning.batches import draws, sampling
from heed.planning.costs import Head, Pass, Work, decode_work, forward_work, train_work, update_work
from heed.planning.memory import Precision, Trained
from heed.planning.sample import Sample
from heed.planning.shapes import ModelShape

SLOTS = 256
"""Answers under way at once in sampling of every kind, see :class:`heed.generation.sampler.LocalSampler`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of a stage's work, done ``times`` over."""

    name: str
    times: float = 1.0
    works: tuple[Work, ...] = ()
    host_seconds: float = 0.0
    """Besides models, all of it: measured on a little of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something in memory at a stage's peak."""

    name: str
    bytes: float
    on_host: bool = False
    """Never in a GPU's memory, wherever models are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One stage."""

    name: str
    title: str
    after: tuple[str, ...]
    alone: bool
    perhaps: bool
    """Whether it is needed turns out in the run."""
    in_float32: bool
    """Whatever the run's dtype: models only read there, and are read as they are kept."""
    tokens: float
    """Computed, by whichever model; the same token counts again for each pass over it."""
    parts: tuple[Part, ...]
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What all stages are planned from."""

    config: RunConfig
    shape: ModelShape
    sample: Sample
    precision: Precision
    chunk_numbers: int
    lora_rank: int = 0
    checkpointing: bool = False

    @property
    def in_float32(self) -> Given:
        """The same where models compute as they are kept."""
        return replace(self, precision=Precision(narrow=False))

    @property
    def adapter(self) -> int:
        """Weights of adapters of this rank beside every matrix of the trunk."""
        shape = self.shape
        width, shared = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        sides = 2 * (shape.hidden + width) + 2 * (shape.hidden + shared)
        sides += (3 if shape.gated else 2) * (shape.hidden + shape.mlp)
        return self.lora_rank * shape.layers * sides

    def trained(self, head: Head, with_lora: bool = True) -> Trained:
        """The model that learns: a language model, or one with a single output."""
        size = self.shape.trunk_parameters if head in ("values", "scores") else self.shape.parameters
        adapters = self.adapter if self.lora_rank and with_lora else 0
        return Trained(parameters=size + adapters, moving=adapters or size)

    def train(self, one: Pass, head: Head, with_lora: bool = True) -> Work:
        """A training pass with these settings."""
        adapters = self.adapter if with_lora else 0
        work = train_work(self.shape, one, head, checkpointing=self.checkpointing, frozen=bool(adapters))
        if not adapters:
            return work
        beside = 6.0 * adapters * one.tokens  # two thin matrices beside each, forward, and backward twice
        return replace(work, linear_flops=work.linear_flops + beside, launches=1.5 * work.launches)

    def weights(self, parameters: float) -> float:
        """Bytes of a model that only reads."""
        return parameters * self.precision.number

    def host(self, name: str) -> float:
        """Seconds of one of something."""
        return self.sample.host.seconds.get(name, 0.0)


def learner(
    given: Given,
    passes: Sequence[tuple[Pass, Head]],
    *,
    steps: float,
    per: float = 1.0,
    with_lora: bool = True,
    name: str = "train",
) -> tuple[list[Part], list[Held]]:
    """A model that learns.

    Args:
        passes: what goes through it in ``per`` of its steps.
        steps: in all.
        with_lora: adapters learn, if there are any; False where all weights do in any case.
        name: of the part that passes are.
    """
    model = given.trained(passes[0][1], with_lora)
    trained = tuple(given.train(one, head, with_lora) for one, head in passes)
    parts = [
        Part(name=name, times=steps / per, works=trained),
        Part(name="optimizer", times=steps, works=(update_work(given.shape, model.moving),)),
    ]
    return parts, learning(given, [model], passes)


def learning(given: Given, models: Sequence[Trained], passes: Sequence[tuple[Pass, Head]]) -> list[Held]:
    """Models that learn, and the larger of what an update and what a checkpoint needs beside them."""
    number = given.precision.number
    embedding_learns = any(one.moving == one.parameters for one in models)
    kept = 0.0
    for one, head in passes:
        size = memory.activation_bytes(given.shape, one, head, number, given.checkpointing)
        if head == "logprobs":
            size += memory.logits_bytes(given.shape, one.targets, given.chunk_numbers, embedding_learns)
        kept = max(kept, size)
    return [
        Held(name="weights and moments", bytes=sum(memory.trained_bytes(one, given.precision) for one in models)),
        Held(name="gradients", bytes=sum(memory.gradient_bytes(one) for one in models)),
        Held(name="activations", bytes=kept),
        Held(name="checkpoint", bytes=12.0 * sum(one.moving for one in models), on_host=True),
    ]


def answering(given: Given, prompts: int, n: int, *, slots: int = SLOTS, shot: bool = False) -> tuple[Work, ...]:
    """``n`` answers to each of some prompts by the engine."""
    sample, limit = given.sample, given.config.ppo.max_new_tokens
    lengths = [sample.few_shot] * prompts if shot else draws(sample.prompts, prompts)
    answers = [min(one, limit) for one in draws(sample.answers, prompts * n, seed=1)]
    plan = sampling(lengths, answers, n, slots, limit)
    number = given.precision.number
    done = [decode_work(given.shape, rows, width, number) for rows, width in plan.steps]
    for rows, width in plan.prefilled:
        pairs = rows * width * (width + 1) // 2
        done.append(forward_work(given.shape, Pass(tokens=rows * width, pairs=pairs, targets=0, answers=rows), "cache"))
    return tuple(done)


def sampling_held(given: Given, prompts: int) -> tuple[Held, Held]:
    """The engine's cache, with room for the longest prompt and the longest answer; and its copy of the weights."""
    longest = max(given.sample.prompts) + given.config.ppo.max_new_tokens
    slots, shape = min(SLOTS, prompts), given.shape
    packed = shape.layers * shape.layer_matrices + shape.embedding if shape.family in FAMILIES else 0
    return (
        Held(name="cache of answers", bytes=memory.slots_bytes(shape, slots, longest, given.precision.number)),
        Held(name="weights packed for sampling", bytes=given.weights(packed), on_host=True),
    )


def prompts_held(given: Given) -> Held:
    """All prompts of the run, as they are read from the database."""
    return Held(
        name="prompts", bytes=given.sample.stored_prompts * given.sample.host.bytes.get("prompt", 0.0), on_host=True
    )


def rows_held(given: Given) -> Held:
    """The pretraining text as token ids."""
    return Held(name="text", bytes=4.0 * given.sample.text_words * given.sample.tokens_per_word, on_host=True)
