"""Stopwatches: how long one product of matrices, one attention, one training step really takes here."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from heed.config import ModelConfig, PretrainConfig
from heed.models.loading import build_causal_lm
from heed.ops.linear import linear
from heed.ops.logprobs import nll_sum, token_logprobs
from heed.planning.costs import head_flops
from heed.planning.shapes import ModelShape
from heed.runtime.device import Runtime
from heed.runtime.metrics import MetricLogger
from heed.runtime.run import Run
from heed.training.pretrain import pretrain

LONGEST = 512
"""Tokens of the longest sequence that attention is timed with."""
HEAD_TOKENS = 512
"""Tokens that the output embedding is timed with."""
_STEPS = 8
_PATIENCE = 1.5
"""Seconds by the clock after which one measurement ends with what it has: the machine is busy."""


def seconds_of(work: Callable[[], object], repeats: int = 5) -> float:
    """How long ``work`` takes once it is warm."""
    work()
    alone = torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    taken: list[float] = []
    started = time.perf_counter()
    while len(taken) < repeats and (not taken or time.perf_counter() - started < _PATIENCE):
        began = clock()
        work()
        taken.append(clock() - began)
    return float(np.median(taken) if alone else min(taken))


def matrix_speed(shape: ModelShape, runtime: Runtime) -> float:
    """Operations per second of 512 tokens times the largest matrix of a layer."""
    x = torch.randn(512, shape.hidden, dtype=runtime.dtype)
    weight = torch.randn(shape.mlp, shape.hidden, dtype=runtime.dtype)
    times = max(1, int(2e7 // weight.numel() // 16))

    def multiply() -> None:
        for _ in range(times):
            linear(x, weight)

    return 2.0 * 512 * weight.numel() * times / seconds_of(multiply)


def memory_bandwidth() -> float:
    """Bytes per second of adding two vectors larger than any cache, three numbers moved for each sum."""
    a, b = torch.ones(2**24), torch.ones(2**24)
    return 12.0 * len(a) / seconds_of(lambda: torch.add(a, b, out=a), repeats=4)


def attention_speed(shape: ModelShape, runtime: Runtime, *, trains: bool) -> tuple[float, float]:
    """Operations per second of attention in long sequences, and seconds for each table of a short one."""
    heads, size = shape.heads, shape.head_size
    taken, flops, tables = [], [], []
    longest = max(32, min(LONGEST, shape.context))
    for count, length in ((max(1, 512 // longest), longest), (32, 12)):
        query, key, value = (
            torch.randn(count, heads, length, size, dtype=runtime.dtype, requires_grad=trains) for _ in range(3)
        )

        def attend(query: Any = query, key: Any = key, value: Any = value) -> None:
            with torch.set_grad_enabled(trains):
                seen = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
                if trains:
                    seen.backward(seen.detach())  # type: ignore[no-untyped-call]

        taken.append(seconds_of(attend))
        flops.append((3.5 if trains else 1.0) * 4.0 * count * heads * size * length * (length + 1) / 2)
        tables.append(float(count * heads))
    # Two equations: seconds = operations / rate + tables * each.
    determinant = flops[0] * tables[1] - flops[1] * tables[0]
    inverse = (taken[0] * tables[1] - taken[1] * tables[0]) / determinant
    each = (flops[0] * taken[1] - flops[1] * taken[0]) / determinant
    return 1.0 / max(inverse, 1e-15), max(0.0, each)


def head_speeds(shape: ModelShape, runtime: Runtime) -> tuple[float, float]:
    """Operations per second of the output embedding in training and without gradient."""
    one = head_flops(shape, HEAD_TOKENS)
    hidden = torch.randn(HEAD_TOKENS, shape.hidden, dtype=runtime.dtype)
    weight = torch.randn(shape.vocab, shape.hidden, dtype=runtime.dtype)
    targets = torch.zeros(HEAD_TOKENS, dtype=torch.int64)

    def look() -> None:
        with torch.no_grad():
            token_logprobs(hidden, weight, targets)

    return 3.0 * one / head_training_seconds(shape.vocab, shape.hidden, runtime), one / seconds_of(look)


def head_training_seconds(vocab: int, width: int, runtime: Runtime) -> float:
    """Of the loss of :data:`HEAD_TOKENS` tokens and its gradient."""
    hidden = torch.randn(HEAD_TOKENS, width, dtype=runtime.dtype, requires_grad=True)
    weight = torch.randn(vocab, width, dtype=runtime.dtype, requires_grad=True)
    targets = torch.zeros(HEAD_TOKENS, dtype=torch.int64)

    def learn() -> None:
        nll_sum(hidden, weight, targets).backward()  # type: ignore[no-untyped-call]

    return seconds_of(learn)


def step_seconds(config: ModelConfig, rows: int, length: int, runtime: Runtime) -> float:
    """Of one pretraining step of ``rows`` rows."""
    watch = Stopwatch(alone=torch.get_num_threads() == 1)
    text = np.random.default_rng(0).integers(2, config.vocab_size, (rows, length))
    settings = PretrainConfig(tokens=rows * length * _STEPS, minibatch=rows)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        run = Run(
            dir=directory,
            runtime=runtime,
            metrics=MetricLogger(directory / "metrics.jsonl"),
            progress=watch,
            seed=0,
            checkpoint_every=10**9,
        )
        with suppress(_EnoughError):
            pretrain(small_model(config), text, settings, run)
    taken = np.diff(watch.ticks)[1:]
    return float(np.median(taken) if watch.alone else taken.min())


def small_model(config: ModelConfig) -> Any:
    """A model to measure with, weights random."""
    return build_causal_lm(config, eos_id=0, pad_id=1, vocab_size=config.vocab_size, seed=0)


class _EnoughError(Exception):
    """Ends a learner whose steps were timed."""


@dataclass(slots=True)
class _Ticks:
    watch: Stopwatch

    def advance(self, amount: int = 1, figure: str = "") -> None:
        self.watch.ticks.append(self.watch.now())
        if len(self.watch.ticks) > 3 and time.perf_counter() - self.watch.began > _PATIENCE:
            raise _EnoughError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Stopwatch:
    """Plays Progress, and notes when each step of a learner was done."""

    def __init__(self, alone: bool) -> None:
        self.alone = alone
        """CPU seconds of this process instead of the clock."""
        self.ticks: list[float] = []
        self.began = time.perf_counter()

    def now(self) -> float:
        """Seconds."""
        return time.process_time() if self.alone else time.perf_counter()

    def begin(self, heading: str) -> None:
        """Nobody looks."""

    def end(self, heading: str, seconds: float, figure: str = "") -> None:
        """Nobody looks."""

    def track(self, total: int, unit: str, *, done: int = 0, heading: str = "") -> _Ticks:
        """A tracker that notes the time."""
        return _Ticks(self)

    def note(self, message: str) -> None:
        """Nobody looks."""

    def close(self) -> None:
        """Nothing was opened."""
