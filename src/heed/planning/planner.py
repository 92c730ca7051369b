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
from heed.planning.machines import GIB, Machine, from_data_sheet
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
    machine, beside = _machines(shape, place, anew)
    side_by_side = 1 if place.gpu is not None else place.side_by_side

    def predicted(settings: RunConfig) -> Prediction:
        given = Given(
            config=settings,
            shape=shape,
            sample=sample,
            precision=Precision(narrow=machine.dtype != "float32"),
            chunk_numbers=machine.chunk_numbers,
            lora_rank=settings.lora.rank,
            checkpointing=settings.activation_checkpointing,
        )
        listed = loads(stages_of(settings), given)
        return predict(settings, listed, machine, side_by_side=side_by_side, beside=beside)

    found = predicted(config)
    return found if found.fits else replace(found, remedy=_remedy(config, place, predicted))


def _sample(config: RunConfig) -> Sample:
    """A little of the recipe's data."""
    if config.recipe == "sandbox":
        return sample_sandbox(config)
    if config.recipe == "real":
        return sample_real(config)
    raise ConfigError(
        f"heed plan knows the recipes sandbox and real, not {config.recipe}: what people will write is not known yet"
    )


def _machines(shape: ModelShape, place: Place, anew: bool) -> tuple[Machine, Machine]:
    """What a stage has alone, and what it has beside others."""
    if place.dtype not in DTYPES:
        raise ConfigError(
            f"dtype is {place.dtype!r}, expected one of {', '.join(DTYPES)}.{nearest(place.dtype, DTYPES)}"
        )
    if place.gpu is not None:
        gpu = from_data_sheet(place.gpu, "bfloat16" if place.dtype == "auto" else place.dtype)
        return gpu, gpu
    found = []
    for dtype in ("float32", "bfloat16") if place.dtype == "auto" else (place.dtype,):
        measure = partial(
            measured_machine,
            shape,
            dtype=dtype,
            memory=place.memory,
            cache=place.cache,
            anew=anew,
        )
        beside = measure(threads=max(1, place.cores // place.side_by_side))
        alone = beside if place.side_by_side == 1 else measure(threads=place.cores)
        found.append((no_slower(alone, beside), beside))
    return max(found, key=lambda pair: pair[0].train.flops)


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


def _remedy(config: RunConfig, place: Place, predicted: Callable[[RunConfig], Prediction]) -> str:
    """The first change with which the run fits, in words; each change keeps those before it."""
    made: list[str] = []
    last = None
    for assignment in _changes(config):
        name = assignment.partition("=")[0]
        made = [*(one for one in made if one.partition("=")[0] != name), assignment]
        last = predicted(override(config, made))
        if last.fits:
            gib = last.needed_bytes / GIB
            return f"{' '.join(f'--set {one}' for one in made)} fits: {gib:.1f} GiB, {last.seconds:,.0f} s"
    more = "" if place.dtype != "float32" else " Narrower numbers (--dtype bfloat16) halve activations and caches."
    needed = "" if last is None else f" ({last.needed_bytes / GIB:.1f} GiB are still needed)"
    return f"no change of microbatch, activation checkpointing or adapters makes it fit{needed}.{more}"


def _changes(config: RunConfig) -> Iterator[str]:
    """From what costs nothing to what changes the training: smaller microbatches, activations computed again, fewer
    answers at once, adapters."""
    size = config.microbatch
    while size > 8:
        size //= 2
        yield f"microbatch={size}"
    yield "activation_checkpointing=true"
    while size > 1:
        size //= 2
        yield f"microbatch={size}"
    if config.ppo.prompts_per_round > 64:
        yield "ppo.prompts_per_round=64"
    if not config.lora.rank:
        yield "lora.rank=16"
