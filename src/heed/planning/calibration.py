"""How fast this machine is at a model of a given shape: a few seconds of Heed's own learner and engine.

Two sizes of a batch tell what a kernel costs from what an operation costs; the same batch in one piece and in several
tells what a pass costs from what a step costs. Models too large for that are measured with fewer layers, or fewer
tokens, at their own width; what is measured is a rate, so that it holds for the whole model. On one thread the CPU time
of this process is taken, which other jobs hardly change; on several the time by the clock, the shortest of a few.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heed.config import ModelConfig
from heed.data.batches import make_row_batch
from heed.errors import HeedError
from heed.files import read_json, write_json
from heed.generation.engine import Engine
from heed.models.forward import token_states
from heed.models.precision import narrowed
from heed.planning.batches import rows_passes
from heed.planning.costs import Pass, Work, decode_work, forward_work, head_flops, train_work, update_work
from heed.planning.machines import MIB, Machine, Speed
from heed.planning.measures import (
    HEAD_TOKENS,
    LONGEST,
    attention_speed,
    head_speeds,
    head_training_seconds,
    matrix_speed,
    memory_bandwidth,
    seconds_of,
    small_model,
    step_seconds,
)
from heed.planning.shapes import ModelShape, shape_of
from heed.records import content_id
from heed.roles import Decoding
from heed.runtime.device import Runtime, start_runtime, torch_version
from heed.runtime.metrics import current_rss_mib

_FORM = 2
"""Of what is remembered; another number forgets what was measured before."""
_BUDGET = 0.4
"""Seconds that the larger training step may take, by the speed of plain products of matrices."""
_LARGEST_VOCABULARY = 8192
"""Of the model that is trained; the output embedding is measured by itself, at its real size."""
_FEWEST = 1e-9
"""Seconds, where noise would make a difference negative."""


def calibrate(shape: ModelShape, *, dtype: str, threads: int, memory: float, name: str) -> Machine:
    """Measure this machine's CPU.

    Args:
        shape: of the model that is planned for.
        dtype: what a forward pass computes in.
        threads: CPU threads of one operation.
        memory: bytes this machine has.
        name: what to call it.
    """
    before = torch.get_num_threads()
    try:
        runtime = start_runtime("cpu", dtype, microbatch=64, threads=threads)
        peak = matrix_speed(shape, runtime)
        small, tokens = affordable(shape, peak)
        train, update = training_speeds(small, tokens, runtime)
        forward = forward_speed(small, tokens, runtime)
        head_train, head_forward = head_speeds(shape, runtime)
        decode = decode_speed(small, runtime)
    finally:
        torch.set_num_threads(before)
    bandwidth = memory_bandwidth()
    return Machine(
        name=name,
        measured=True,
        dtype=dtype,
        threads=threads,
        memory=memory,
        bandwidth=bandwidth,
        peak_flops=peak,
        train=replace(train, head_flops=head_train),
        forward=replace(forward, head_flops=head_forward),
        decode=decode,
        update=update,
        process_bytes=current_rss_mib() * MIB,
        chunk_numbers=2**20,
    )


def measured_machine(
    shape: ModelShape,
    *,
    dtype: str,
    threads: int,
    memory: float,
    cache: Path | None,
    anew: bool = False,
) -> Machine:
    """This machine, measured once for each width of a model, dtype and number of threads, and then remembered.

    Args:
        cache: directory of what was measured; None remembers nothing.
        anew: measure again.
    """
    name = _processor()
    same = replace(shape, layers=0, context=min(LONGEST, shape.context))  # rates do not depend on how many layers
    key = content_id(_FORM, name, torch_version(), dtype, threads, asdict(same))
    path = None if cache is None else cache / f"{key}.json"
    if path is not None and path.exists() and not anew:
        found = _read(path)
        if found is not None:
            return replace(found, memory=memory)
    machine = calibrate(shape, dtype=dtype, threads=threads, memory=memory, name=name)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(machine))
    return machine


def no_slower(machine: Machine, alone: Machine) -> Machine:
    """``machine``, where more threads were measured slower than one: as fast as one. Threads that wait for each other
    lose much while other programs keep the cores; a run beside them would lose it too, but that is no rate."""

    def better(one: Speed, other: Speed) -> Speed:
        return Speed(
            flops=max(one.flops, other.flops),
            attention_flops=max(one.attention_flops, other.attention_flops),
            head_flops=max(one.head_flops, other.head_flops),
            launch_seconds=min(one.launch_seconds, other.launch_seconds),
            table_seconds=min(one.table_seconds, other.table_seconds),
        )

    return replace(
        machine,
        peak_flops=max(machine.peak_flops, alone.peak_flops),
        train=better(machine.train, alone.train),
        forward=better(machine.forward, alone.forward),
        decode=better(machine.decode, alone.decode),
        update=better(machine.update, alone.update),
    )


def _read(path: Path) -> Machine | None:
    """What was measured before; None where the file is not what is expected, so that it is measured again."""
    try:
        found: Any = read_json(path)
        found |= {kind: Speed(**found[kind]) for kind in ("train", "forward", "decode", "update")}
        return Machine(**found)
    except (HeedError, TypeError, AttributeError, KeyError):
        return None


def _processor() -> str:
    """What the processor calls itself."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def affordable(shape: ModelShape, peak: float) -> tuple[ModelConfig, int]:
    """A model of the same width, and tokens, whose training step takes about :data:`_BUDGET` seconds at most."""
    tokens, layers = 1024, shape.layers
    vocab = min(shape.vocab, _LARGEST_VOCABULARY)
    while layers > 1 and _step_flops(shape, layers, vocab, tokens) > _BUDGET * peak:
        layers -= max(1, layers // 4)
    while tokens > 128 and _step_flops(shape, layers, vocab, tokens) > _BUDGET * peak:
        tokens //= 2
    family = shape.family if shape.family in ("llama", "qwen3", "gpt2", "gpt_neox") else "llama"
    config = ModelConfig.model_validate(
        {
            "architecture": family,
            "hidden_size": shape.hidden,
            "num_layers": layers,
            "num_heads": shape.heads,
            "context": max(64, min(shape.context, 512)),
            "vocab_size": vocab,
        }
    )
    return config, tokens


def _step_flops(shape: ModelShape, layers: int, vocab: int, tokens: int) -> float:
    return 6.0 * tokens * (layers * shape.layer_matrices + vocab * shape.hidden)


def training_speeds(config: ModelConfig, tokens: int, runtime: Runtime) -> tuple[Speed, Speed]:
    """Of forward and backward passes, and of optimizer steps, from :func:`heed.training.pretrain.pretrain`."""
    shape, length = shape_of(config), min(64, config.context)
    rows = tokens // length
    whole = step_seconds(config, rows, length, replace(runtime, microbatch=rows))
    part = step_seconds(config, rows // 4 or 1, length, replace(runtime, microbatch=rows))
    cut = step_seconds(config, rows, length, replace(runtime, microbatch=max(1, rows // 4)))
    pieces = -(-rows // max(1, rows // 4))
    attention_rate, table = attention_speed(shape, runtime, trains=True)

    def work(count: int) -> Work:
        return train_work(shape, _rectangle(count, length), "logprobs")

    head_seconds = head_training_seconds(shape.vocab, shape.hidden, runtime)
    large, small = work(rows), work(rows // 4 or 1)
    head_rate = 3.0 * head_flops(shape, HEAD_TOKENS) / head_seconds
    launch = max(_FEWEST, (cut - whole) / ((pieces - 1) * large.launches))

    def linear_seconds(seconds: float, one: Work) -> float:
        return seconds - one.head_flops / head_rate - one.attention_flops / attention_rate - one.attended * table

    gain = linear_seconds(whole, large) - linear_seconds(part, small)
    flops = (large.linear_flops - small.linear_flops) / max(_FEWEST, gain)
    left = linear_seconds(whole, large) - launch * large.launches - large.linear_flops / flops
    train = Speed(
        flops=flops,
        attention_flops=attention_rate,
        head_flops=head_rate,
        launch_seconds=launch,
        table_seconds=table,
    )
    update = max(_FEWEST, left) / update_work(shape, shape.parameters).launches
    return train, replace(train, launch_seconds=update)


def forward_speed(config: ModelConfig, tokens: int, runtime: Runtime) -> Speed:
    """Of forward passes without gradient."""
    shape, length = shape_of(config), min(64, config.context)
    model = narrowed(small_model(config), runtime.dtype)
    taken, works = [], []
    for rows in (tokens // length, tokens // length // 4 or 1):
        batch = make_row_batch(np.full((rows, length), 2))
        works.append(replace(forward_work(shape, _rectangle(rows, length), "logprobs"), head_flops=0.0))

        def go(batch: Any = batch) -> None:
            with torch.no_grad():
                token_states(model, batch)

        taken.append(seconds_of(go))
    rate, table = attention_speed(shape, runtime, trains=False)
    rest = [
        seconds - one.attention_flops / rate - one.attended * table for seconds, one in zip(taken, works, strict=True)
    ]
    flops = (works[0].linear_flops - works[1].linear_flops) / max(_FEWEST, rest[0] - rest[1])
    launch = max(_FEWEST, rest[1] - works[1].linear_flops / flops) / works[1].launches
    return Speed(flops=flops, attention_flops=rate, head_flops=flops, launch_seconds=launch, table_seconds=table)


def decode_speed(config: ModelConfig, runtime: Runtime) -> Speed:
    """Of steps of the engine, drawing included: 8 and 64 answers of 12 tokens."""
    shape = shape_of(config)
    engine = Engine(narrowed(small_model(config), runtime.dtype), eos_id=0, max_slots=64, context=config.context)
    steps, taken = 12, []
    decoding = Decoding(max_new_tokens=steps, min_new_tokens=steps)
    for rows in (64, 8):
        prompts = [[2, 3]] * rows

        def go(prompts: Any = prompts) -> None:
            engine.generate(prompts, 1, decoding)

        taken.append(seconds_of(go, repeats=3) / steps)
    many, few = decode_work(shape, 64, 8), decode_work(shape, 8, 8)
    flops = (many.flops - few.flops) / max(_FEWEST, taken[0] - taken[1])
    launch = max(_FEWEST, taken[1] - few.flops / flops) / few.launches
    return Speed(flops=flops, attention_flops=flops, head_flops=flops, launch_seconds=launch)


def _rectangle(rows: int, length: int) -> Pass:
    return rows_passes(rows, length, rows)[0]
