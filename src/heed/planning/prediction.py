"""A run before it starts: seconds and memory of every stage, whether it fits, and what to change if it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heed.config import RunConfig, config_hash
from heed.planning.loads import Load
from heed.planning.machines import MIB, Machine
from heed.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPrediction:
    """Some of a stage."""

    name: str
    seconds: float
    flops: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePrediction:
    """One stage."""

    name: str
    title: str
    after: tuple[str, ...]
    alone: bool
    perhaps: bool
    """Whether it is needed turns out in the run; these figures are for the case that it is."""
    tokens: float
    flops: float
    seconds: float
    peak_bytes: float
    """Of the process on a CPU, of the device on a GPU."""
    parts: tuple[PartPrediction, ...]
    held: Mapping[str, float]
    """What the memory is for, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A whole run."""

    recipe: str
    config_hash: str
    machine: Machine
    side_by_side: int
    """Stages that run at once."""
    stages: tuple[StagePrediction, ...]
    seconds: float
    """From start to end, everything that may be needed included."""
    seconds_at_least: float
    """Without what may not be needed."""
    fits: bool
    needed_bytes: float
    """The most that stages running at once hold."""
    remedy: str
    """The first change of settings with which it fits; empty if it fits, or if none was found."""

    def as_json(self) -> dict[str, Json]:
        """For ``--json`` and for the workspace."""
        machine = self.machine
        return {
            "recipe": self.recipe,
            "config_hash": self.config_hash,
            "machine": {
                "name": machine.name,
                "measured": machine.measured,
                "dtype": machine.dtype,
                "threads": machine.threads,
                "memory_mib": round(machine.memory / MIB),
                "bandwidth_gbs": round(machine.bandwidth / 1e9, 2),
                "matmul_gflops": round(machine.peak_flops / 1e9, 1),
                "training_gflops": round(machine.train.flops / 1e9, 1),
                "side_by_side": self.side_by_side,
            },
            "seconds": round(self.seconds, 1),
            "seconds_at_least": round(self.seconds_at_least, 1),
            "fits": self.fits,
            "needed_mib": round(self.needed_bytes / MIB),
            "remedy": self.remedy,
            "stages": [_stage_json(stage) for stage in self.stages],
        }


def _stage_json(stage: StagePrediction) -> dict[str, Json]:
    return {
        "name": stage.name,
        "title": stage.title,
        "perhaps": stage.perhaps,
        "tokens": round(stage.tokens),
        "gflop": round(stage.flops / 1e9, 2),
        "seconds": round(stage.seconds, 2),
        "peak_mib": round(stage.peak_bytes / MIB, 1),
        "parts": {part.name: round(part.seconds, 2) for part in stage.parts},
        "memory_mib": {name: round(size / MIB, 1) for name, size in stage.held.items()},
    }


def predict_stage(load: Load, machine: Machine) -> StagePrediction:
    """One stage on a machine. On a GPU only what lies there counts as memory."""
    parts = tuple(
        PartPrediction(
            name=part.name,
            seconds=part.times * sum(machine.seconds(work) for work in part.works) + part.host_seconds,
            flops=part.times * sum(work.flops for work in part.works),
        )
        for part in load.parts
    )
    on_gpu = not machine.threads
    held = {"libraries": machine.process_bytes} if machine.process_bytes else {}
    held |= {one.name: one.bytes for one in load.held if not (on_gpu and one.on_host)}
    return StagePrediction(
        name=load.name,
        title=load.title,
        after=load.after,
        alone=load.alone,
        perhaps=load.perhaps,
        tokens=load.tokens,
        flops=sum(part.flops for part in parts),
        seconds=sum(part.seconds for part in parts),
        peak_bytes=_peak(held),
        parts=parts,
        held=held,
    )


def predict(
    config: RunConfig,
    loads: Sequence[Load],
    machine: Machine,
    *,
    side_by_side: int = 1,
    beside: Machine | None = None,
    in_float32: Machine | None = None,
    beside_in_float32: Machine | None = None,
) -> Prediction:
    """A run on a machine.

    Args:
        side_by_side: stages that run at once where they do not depend on each other.
        beside: the machine with the cores that such a stage has; ``machine`` itself when None.
        in_float32, beside_in_float32: the same two in float32, where models only read; None where they are that.
    """
    alone = (machine, in_float32 or machine)
    shared = (beside or machine, beside_in_float32 or beside or in_float32 or machine)
    stages = tuple(predict_stage(load, (alone if load.alone else shared)[load.in_float32]) for load in loads)
    seconds, needed = schedule(stages, side_by_side)
    at_least, _ = schedule([stage for stage in stages if not stage.perhaps], side_by_side)
    return Prediction(
        recipe=config.recipe,
        config_hash=config_hash(config),
        machine=machine,
        side_by_side=side_by_side,
        stages=stages,
        seconds=seconds,
        seconds_at_least=at_least,
        fits=needed <= machine.memory,
        needed_bytes=needed,
        remedy="",
    )


def schedule(stages: Sequence[StagePrediction], side_by_side: int) -> tuple[float, float]:
    """Seconds from the first stage's start to the last one's end, and the most bytes held at once.

    As :func:`heed.pipeline.run_recipe` does it: in order, each as soon as those before it are done, if there is room.
    """
    names = {stage.name for stage in stages}
    waiting, running, done = list(stages), list[tuple[float, StagePrediction]](), set[str]()
    now, most = 0.0, 0.0
    while waiting or running:
        for stage in list(waiting):
            full = len(running) >= side_by_side or any(one.alone for _, one in running)
            if full or (stage.alone and running):
                break
            if {name for name in stage.after if name in names} <= done:
                waiting.remove(stage)
                running.append((now + stage.seconds, stage))
        most = max(most, sum(one.peak_bytes for _, one in running))
        ended = min(running, key=lambda one: one[0])
        running.remove(ended)
        now = ended[0]
        done.add(ended[1].name)
    return now, most


def _peak(held: Mapping[str, float]) -> float:
    """Updates, sampling and checkpoints come one after the other, so that the largest of the three counts."""
    in_turn = (("gradients", "activations"), ("cache of answers", "weights packed for sampling"), ("checkpoint",))
    passing = {name for names in in_turn for name in names}
    kept = sum(size for name, size in held.items() if name not in passing)
    return kept + max(sum(held.get(name, 0.0) for name in names) for names in in_turn)
