"""``heed plan``: a recipe's settings in, a prediction out, and the first change of settings with which it would fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from heed.config import RunConfig, override
from heed.errors import ConfigError, nearest
from heed.planning.calibration import measured_machine, no_slower
from heed.planning.loads import Given
from heed.planning.machines import ASSUMED, GIB, GPUS, Machine, from_data_sheet
from heed.planning.memory import Precision
from heed.planning.prediction import Prediction, predict
from heed.planning.sample import Sample, sample_sandbox
from heed.planning.sample_real import sample_real
from heed.planning.shapes import ModelShape, read_shape, shape_of
from heed.planning.stages import loads
from heed.recipes import stages_of
from heed.runtime.device import DTYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the run is to be."""

    cores: int
    side_by_side: int
    memory: float
    """Bytes of this machine."""
    dtype: str = "float32"
    gpu: str | None = None
    """A name of :data:`heed.planning.machines.GPUS`; None for this machine's CPU."""
    cache: Path | None = None
    """Directory of the calibrations; None keeps none."""


def plan(config: RunConfig, place: Place, *, anew: bool = False) -> Prediction:
    """Predict a run.

    Args:
        anew: measure this machine again.

    Raises:
        ConfigError: a recipe that cannot be planned, an unknown GPU, or a base model whose sizes are not known.
    """
    stages_of(config)  # says what settings it lacks
    sample = _sample(config)
    shape = _shape(config, sample)
    side_by_side = 1 if place.gpu is not None else place.side_by_side

    def predicted(machines: _Machines, settings: RunConfig, narrow: bool) -> Prediction:
        given = Given(
            config=settings,
            shape=shape,
            sample=sample,
            precision=Precision(narrow=narrow),
            chunk_numbers=machines.alone.chunk_numbers,
            lora_rank=settings.lora.rank,
            checkpointing=settings.activation_checkpointing,
        )
        return predict(
            settings,
            loads(stages_of(settings), given),
            machines.alone,
            side_by_side=side_by_side,
            beside=machines.beside,
            in_float32=machines.alone_in_float32,
            beside_in_float32=machines.beside_in_float32,
        )

    found = {machines: predicted(machines, config, machines.is_narrow) for machines in _machines(shape, place, anew)}
    machines = min(found, key=lambda one: found[one].seconds)
    best = found[machines]
    if best.fits:
        return best
    return replace(best, remedy=_remedy(config, best, machines.is_narrow, partial(predicted, machines)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machines:
    """What stages run on: one that has all cores, and one that shares them; and the same for stages in float32."""

    alone: Machine
    beside: Machine
    alone_in_float32: Machine
    beside_in_float32: Machine

    @property
    def is_narrow(self) -> bool:
        """Models compute in 16 bits while they are trained."""
        return self.alone.dtype != "float32"


def _sample(config: RunConfig) -> Sample:
    """A little of the recipe's data."""
    if config.recipe == "sandbox":
        return sample_sandbox(config)
    if config.recipe == "real":
        return sample_real(config)
    raise ConfigError(
        f"heed plan knows the recipes sandbox and real, not {config.recipe}: what people will write is not known yet"
    )


def _machines(shape: ModelShape, place: Place, anew: bool) -> list[_Machines]:
    """This machine's CPU, measured, in the dtype that is wanted, or in both for ``"auto"``; or a GPU's data sheet.

    Raises:
        ConfigError: an unknown dtype or GPU.
    """
    if place.dtype not in DTYPES:
        raise ConfigError(
            f"dtype is {place.dtype!r}, expected one of {', '.join(DTYPES)}.{nearest(place.dtype, DTYPES)}"
        )
    if place.gpu is not None:
        gpu = from_data_sheet(place.gpu, "bfloat16" if place.dtype == "auto" else place.dtype)
        plain = from_data_sheet(place.gpu, "float32")
        return [_Machines(alone=gpu, beside=gpu, alone_in_float32=plain, beside_in_float32=plain)]

    def measure(dtype: str) -> tuple[Machine, Machine]:
        threads = (max(1, place.cores // place.side_by_side), place.cores)
        beside, alone = (
            measured_machine(shape, dtype=dtype, threads=one, memory=place.memory, cache=place.cache, anew=anew)
            for one in threads
        )
        return no_slower(alone, beside), beside

    plain, shared = measure("float32")
    chosen = [(plain, shared)] if place.dtype != "bfloat16" else []
    if place.dtype != "float32":
        chosen.append(measure("bfloat16"))
    return [
        _Machines(alone=alone, beside=beside, alone_in_float32=plain, beside_in_float32=shared)
        for alone, beside in chosen
    ]


def _shape(config: RunConfig, sample: Sample) -> ModelShape:
    if config.base is None:
        return shape_of(config.model, sample.vocab)
    shape = read_shape(config.base)
    if config.model.context > shape.context:
        raise ConfigError(
            f"model.context is {config.model.context} and {config.base} takes {shape.context} tokens at most; "
            f"try --set model.context={shape.context}"
        )
    return shape


def _remedy(
    config: RunConfig, found: Prediction, narrow: bool, predicted: Callable[[RunConfig, bool], Prediction]
) -> str:
    """The first change with which the run fits, in words: one setting by itself if that is enough, else several."""
    steps = list(_changes(config))
    together: list[dict[str, str]] = []
    for name, value in steps:
        together.append({**(together[-1] if together else {}), name: value})
    tried = [*({name: value} for name, value in steps), *together[1:]]
    ways = [(False, changes) for changes in tried]
    if not narrow and (found.machine.threads or GPUS[found.machine.name].bfloat16):
        ways += [(True, changes) for changes in ({}, *tried)]
    least = found
    for narrower, changes in ways:
        assignments = [f"{name}={value}" for name, value in changes.items()]
        after = predicted(override(config, assignments), narrow or narrower)
        if after.fits:
            said = [*(["--dtype bfloat16"] if narrower else []), *(f"--set {one}" for one in assignments)]
            return f"with {' '.join(said)} it does: {after.needed_bytes / GIB:.1f} GiB"
        least = min(least, after, key=lambda one: one.needed_bytes)
    stage = max(least.stages, key=lambda one: one.peak_bytes)
    large = [name for name, sheet in GPUS.items() if 1e9 * sheet.memory_gb * ASSUMED["spare"] >= least.needed_bytes]
    enough = f"; that much have {', '.join(large)}" if large else ""
    return (
        "nor does it with smaller microbatches, activation checkpointing, adapters and narrow numbers together: the "
        f"stage {stage.title!r} then still takes {least.needed_bytes / GIB:.1f} GiB{enough}"
    )


def _changes(config: RunConfig) -> Iterator[tuple[str, str]]:
    """From what costs nothing to what changes the training: smaller microbatches, activations computed again, fewer
    answers at once, adapters."""
    size = config.microbatch
    while size > 1:
        size //= 2
        yield "microbatch", str(size)
    if not config.activation_checkpointing:
        yield "activation_checkpointing", "true"
    if config.ppo.prompts_per_round > 64:
        yield "ppo.prompts_per_round", "64"
    if not config.lora.rank:
        yield "lora.rank", "16"
