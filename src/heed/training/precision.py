"""Which numbers are faster for one model on one machine: measured, not guessed.

Narrow numbers halve the bytes that move, and processors that know them multiply them faster; but a small model's time
goes into other things, and a processor that does not know them is many times slower with them. So both are tried.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from heed.generation.engine import Engine
from heed.models.types import CausalLM
from heed.roles import Decoding
from heed.runtime.device import Runtime
from heed.training.lm import lm_losses, row_batches
from heed.training.step import Tally, Update, make_optimizer, take_step
from heed.training.weights import Weights

WORTH_IT = 1.1
"""So many times as fast bfloat16 has to be, or float32 is taken: a measurement is a little wrong."""
_ROWS, _LONGEST = 4, 128
"""Of a training step; sampling is of as many tokens."""
_ROUNDS, _SECONDS = 5, 20.0
"""Rounds that are timed; fewer where they take long, but two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was measured, and what follows from it."""

    dtype: str
    ratio: float
    """Time in float32 over time in bfloat16, for training on some text and sampling as much."""
    training_ratio: float
    sampling_ratio: float

    def __str__(self) -> str:
        return (
            f"dtype is {self.dtype}: bfloat16 was measured to be {self.ratio:.2f} times as fast as float32 here "
            f"(training {self.training_ratio:.2f}, sampling {self.sampling_ratio:.2f}), and {WORTH_IT} is asked for"
        )


def fastest_dtype(model: CausalLM, runtime: Runtime) -> Choice:
    """Try a training step and sampling in float32 and in bfloat16, in turn, and choose. Takes seconds, if it is small.

    On a CPU it computes on one thread and counts that thread's own seconds, which others on the machine hardly change.

    Args:
        model: of the size to be trained, in float32. It is left as it was.
        runtime: where it is.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return choose(_rounds(model, runtime))
    finally:
        torch.set_num_threads(threads)


def _rounds(model: CausalLM, runtime: Runtime) -> list[list[float]]:
    narrow = copy.deepcopy(model)
    with Weights(narrow, torch.bfloat16) as narrow_weights:
        wide = _works(model, Weights(model, torch.float32), runtime)
        return time_in_turn([*wide, *_works(narrow, narrow_weights, runtime)], runtime.device)


def choose(rounds: Sequence[Sequence[float]]) -> Choice:
    """From seconds: of training and of sampling in float32, then of the same in bfloat16, in each of some rounds.

    Of each the least counts: what disturbs a measurement makes it longer.
    """
    wide_training, wide_sampling, training, sampling = (min(column) for column in zip(*rounds, strict=True))
    whole = (wide_training + wide_sampling) / (training + sampling)
    return Choice(
        dtype="bfloat16" if whole >= WORTH_IT else "float32",
        ratio=round(whole, 3),
        training_ratio=round(wide_training / training, 3),
        sampling_ratio=round(wide_sampling / sampling, 3),
    )


def time_in_turn(works: Sequence[Callable[[], object]], device: torch.device) -> list[list[float]]:
    """Seconds of each piece of work, in some rounds; what else the machine does meets all of them alike."""
    rounds: list[list[float]] = []
    began = time.perf_counter()
    for number in range(1 + _ROUNDS):
        seconds = [_seconds(work, device) for work in works]
        if number:  # the first warms up
            rounds.append(seconds)
        if len(rounds) > 1 and time.perf_counter() - began > _SECONDS:
            break
    return rounds


def _works(model: CausalLM, weights: Weights, runtime: Runtime) -> list[Callable[[], object]]:
    """A training step that moves nothing, and sampling."""
    optimizer = make_optimizer(weights)
    length = min(_LONGEST, getattr(model.config, "max_position_embeddings", None) or _LONGEST)
    text = np.random.default_rng(0).integers(2, model.config.vocab_size, (_ROWS, length))
    batches = row_batches(text, _ROWS)
    engine = Engine(model, eos_id=0, max_slots=_ROWS * length)
    new = max(1, length // 8)
    decoding = Decoding(max_new_tokens=new, min_new_tokens=new, seed=0)
    prompts = [row[start : start + new // 2 + 1].tolist() for row in text for start in range(0, 8 * new, new)]

    def train() -> None:
        losses = lm_losses(model, batches, runtime, Tally())
        take_step("measuring", Update(name="model", optimizer=optimizer, losses=losses, learning_rate=0.0))

    return [train, lambda: engine.generate(prompts, 1, decoding)]


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
