"""The loop from top to bottom: stages that read and leave rows and files, each run once for one set of inputs.

A recipe lists :class:`Stage` values. Each names the settings it depends on and the stages it comes after; from both
follows its fingerprint. A stage whose fingerprint stands in its ``stage.json`` is skipped; one that was interrupted
finds its checkpoints and goes on exactly; one whose inputs changed starts anew. Every stage runs in a process of its
own, and two that do not depend on each other run side by side where the machine has the cores.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed import __version__
from heed.config import RunConfig, config_hash, flatten
from heed.errors import ConfigError, nearest
from heed.files import read_json, write_json
from heed.records import Json, content_id
from heed.runtime.progress import Progress
from heed.runtime.workers import Job, Workers
from heed.store.workspace import Workspace

if TYPE_CHECKING:
    from heed.runtime.run import Run

MOST_SIDE_BY_SIDE = 4
CONFIG_FILE, RESULTS_FILE, REPORT_FILE = "config.json", "results.json", "report.html"
DTYPE_FILE = "dtype.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a stage may use: the settings, the workspace, and the run that records what it does."""

    config: RunConfig
    workspace: Workspace
    run: Run
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the loop."""

    name: str
    title: str
    """What it does, in a few words, for the progress bar and the report."""
    work: Callable[[Context], Mapping[str, Json]]
    """Does it and returns its figures. Everything it leaves is in the workspace."""
    settings: tuple[str, ...] = ()
    """Settings and sections it depends on, such as ``"seed"`` or ``"ppo"``."""
    after: tuple[str, ...] = ()
    """Stages whose rows, files or models it reads."""
    alone: bool = False
    """Nothing runs beside it, so it gets all cores; other stages get an equal share. What a stage computes does not
    depend on what happens to run beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What to run on."""

    device: str = "auto"
    dtype: str = "float32"
    """What models compute in while they are trained; ``"auto"`` is what is once measured to be faster."""
    cores: int = 1
    """CPU cores; a stage that runs alone computes with all of them."""
    tensorboard: bool = False
    """Also write each stage's figures as TensorBoard event files."""

    @property
    def side_by_side(self) -> int:
        """Stages that may run at once: they share the cores, but they would not share a GPU's memory well."""
        return min(self.cores, MOST_SIDE_BY_SIDE) if self.device in ("auto", "cpu") and not _sees_gpu() else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one stage did."""

    name: str
    skipped: bool
    wall_seconds: float
    figures: Mapping[str, Json]


def run_recipe(
    stages: Sequence[Stage],
    config: RunConfig,
    workspace: Workspace,
    machine: Machine,
    progress: Progress,
    only: Sequence[str] = (),
) -> list[Outcome]:
    """Run the stages of a recipe, and write ``results.json`` and ``report.html`` if it was evaluated.

    Args:
        stages: what the recipe runs with these settings, in order; see :func:`heed.recipes.stages_of`.
        only: names of stages to run; the others must have been run before. Empty means all.

    Raises:
        ConfigError: ``only`` names an unknown stage, or a stage it needs has not been run.
        WorkspaceError: another run holds the workspace.
    """
    with workspace.lock(f"heed run {config.recipe}"):
        write_json(workspace.root / CONFIG_FILE, _described(config))
        machine = replace(machine, dtype=_settled_dtype(config, workspace, machine, progress))
        outcomes = list(_run_all(stages, config, workspace, machine, progress, only))
        _conclude(stages, config, workspace)
    return outcomes


def _run_all(
    stages: Sequence[Stage],
    config: RunConfig,
    workspace: Workspace,
    machine: Machine,
    progress: Progress,
    only: Sequence[str],
) -> Iterator[Outcome]:
    """Start each stage as soon as those before it are done; yields in the order they end."""
    prints = fingerprints(stages, config)
    waiting = _chosen(stages, only)
    done = {stage.name for stage in stages if finished(workspace.runs_dir / stage.name, prints[stage.name]) is not None}
    _check_inputs(waiting, done, only)
    for stage in [stage for stage in waiting if stage.name in done]:
        waiting.remove(stage)
        figures = finished(workspace.runs_dir / stage.name, prints[stage.name])
        assert figures is not None
        progress.note(f"unchanged, skipped: {stage.title}")
        yield Outcome(name=stage.name, skipped=True, wall_seconds=0.0, figures=figures)
    number = {stage.name: index + 1 for index, stage in enumerate(stages)}
    with Workers(machine.side_by_side, progress) as workers:
        while waiting or workers.busy:
            for stage in _ready(waiting, done, workers):
                waiting.remove(stage)
                heading = f"[{number[stage.name]}/{len(stages)}] {stage.title}"
                threads = machine.cores // (1 if stage.alone else machine.side_by_side)
                arguments = (stage, config, workspace, machine, prints[stage.name], threads)
                workers.start(Job(name=stage.name, heading=heading, alone=stage.alone), run_stage, arguments)
            name, figures = workers.wait()
            done.add(name)
            yield Outcome(name=name, skipped=False, wall_seconds=figures["wall_seconds"], figures=figures)


def _ready(waiting: Sequence[Stage], done: set[str], workers: Workers) -> Iterator[Stage]:
    """Stages that can start now, in the recipe's order."""
    for stage in list(waiting):
        if not workers.free or (stage.alone and workers.busy) or workers.alone:
            return
        if set(stage.after) <= done:
            yield stage


def _settled_dtype(config: RunConfig, workspace: Workspace, machine: Machine, progress: Progress) -> str:
    """``machine.dtype``; for ``"auto"`` what was found faster when it was first asked of this model on this device.

    It stays so, since a run that goes on must compute as it began.
    """
    if machine.dtype != "auto":
        return machine.dtype
    path = workspace.root / DTYPE_FILE
    subject: Json = {"model": config.model.model_dump(mode="json"), "base": config.base, "device": machine.device}
    if not path.exists() or read_json(path)["for"] != subject:  # type: ignore[call-overload, index]
        with Workers(1, progress) as workers:
            job = Job(name="dtype", heading="Which dtype is faster here", alone=True)
            workers.start(job, measure_dtype, (config, machine))
            write_json(path, {"for": subject, **workers.wait()[1]})
    found = read_json(path)
    assert isinstance(found, dict)
    progress.note(f"{found['words']}; kept in {path}")
    return str(found["dtype"])


def measure_dtype(config: RunConfig, machine: Machine, progress: Progress) -> Mapping[str, Json]:
    """Measure a model of the size that will be trained; see :func:`heed.training.precision.fastest_dtype`."""
    from heed.models.loading import build_causal_lm, load_causal_lm, ready
    from heed.runtime.device import start_runtime
    from heed.training.precision import fastest_dtype

    runtime = start_runtime(machine.device, "float32", config.microbatch)
    size = config.model.vocab_size
    model = (
        load_causal_lm(config.base, device=runtime.device)
        if config.base
        else ready(build_causal_lm(config.model, eos_id=0, pad_id=1, vocab_size=size, seed=0), runtime.device)
    )
    choice = fastest_dtype(model, runtime)
    return {**asdict(choice), "words": str(choice)}


def run_stage(
    stage: Stage,
    config: RunConfig,
    workspace: Workspace,
    machine: Machine,
    fingerprint: str,
    threads: int,
    progress: Progress,
) -> Mapping[str, Json]:
    """Run one stage in this process, whatever ran before, and record that it is done."""
    from heed.runtime.device import device_peak_mib, forget_device_peak, start_runtime
    from heed.runtime.metrics import MetricLogger, forget_peak_rss, peak_rss_mib, tensorboard_sink
    from heed.runtime.run import Run

    directory = workspace.runs_dir / stage.name
    _prepare(directory, fingerprint, config)
    runtime = start_runtime(machine.device, machine.dtype, config.microbatch, threads)
    run = Run(
        dir=directory,
        runtime=replace(runtime, activation_checkpointing=config.activation_checkpointing),
        metrics=MetricLogger(
            directory / "metrics.jsonl", [tensorboard_sink(directory / "events")] if machine.tensorboard else []
        ),
        progress=progress,
        seed=config.seed,
    )
    forget_peak_rss()
    forget_device_peak(runtime.device)
    began, cpu_began = time.perf_counter(), time.process_time()
    figures = dict(stage.work(Context(config=config, workspace=workspace, run=run, fingerprint=fingerprint)))
    figures["wall_seconds"] = round(time.perf_counter() - began, 2)
    figures["cpu_seconds"] = round(time.process_time() - cpu_began, 2)
    figures["dtype"], figures["threads"] = machine.dtype, threads
    figures["peak_rss_mib"] = round(peak_rss_mib(), 1)
    if (on_device := device_peak_mib(runtime.device)) is not None:
        figures["peak_device_mib"] = round(on_device, 1)
    record: Json = {"name": stage.name, "title": stage.title, "fingerprint": fingerprint, "figures": figures}
    write_json(directory / "stage.json", record)
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    return figures


def fingerprints(stages: Iterable[Stage], config: RunConfig) -> dict[str, str]:
    """For each stage a hash of its settings and of the fingerprints of the stages it comes after."""
    values = dict(flatten(config))
    result: dict[str, str] = {}
    for stage in stages:
        chosen = {
            name: value
            for name, value in values.items()
            if any(name == setting or name.startswith(f"{setting}.") for setting in stage.settings)
        }
        result[stage.name] = content_id(
            config.recipe, stage.name, __version__, chosen, [result[name] for name in stage.after]
        )
    return result


def finished(directory: Path, fingerprint: str) -> Mapping[str, Any] | None:
    """The figures of the stage recorded in ``directory`` if it finished with this fingerprint."""
    path = directory / "stage.json"
    if not path.exists():
        return None
    record = read_json(path)
    assert isinstance(record, dict)
    return record["figures"] if record["fingerprint"] == fingerprint else None


def _chosen(stages: Sequence[Stage], only: Sequence[str]) -> list[Stage]:
    known = [stage.name for stage in stages]
    for name in only:
        if name not in known:
            raise ConfigError(f"there is no stage {name!r}; stages are {', '.join(known)}.{nearest(name, known)}")
    return [stage for stage in stages if not only or stage.name in only]


def _check_inputs(chosen: Sequence[Stage], done: set[str], only: Sequence[str]) -> None:
    """What is left out must have been run before."""
    coming = {stage.name for stage in chosen} | done
    for stage in chosen:
        missing = [name for name in stage.after if name not in coming]
        if missing:
            raise ConfigError(
                f"stage {stage.name!r} needs {', '.join(missing)}, not run with these settings yet; run everything "
                f"once without --only, or add {' '.join(f'--only {name}' for name in missing)}"
            )


def _prepare(directory: Path, fingerprint: str, config: RunConfig) -> None:
    """Keep what an interrupted stage with the same inputs left; clear away anything else."""
    started = directory / "started.json"
    if started.exists() and read_json(started) == {"fingerprint": fingerprint}:
        return
    shutil.rmtree(directory, ignore_errors=True)
    write_json(directory / "config.json", _described(config))
    write_json(started, {"fingerprint": fingerprint})


def _described(config: RunConfig) -> Json:
    return {"hash": config_hash(config), "settings": config.model_dump(mode="json")}


def _conclude(stages: Sequence[Stage], config: RunConfig, workspace: Workspace) -> None:
    """Put the stages' own figures beside those of the evaluation, and write the page."""
    measured = workspace.runs_dir / "evaluate" / RESULTS_FILE
    evaluated = fingerprints(stages, config).get("evaluate", "")
    if finished(measured.parent, evaluated) is None:
        return
    results = read_json(measured)
    assert isinstance(results, dict)
    figures: dict[str, Any] = {}
    for stage in stages:
        record = read_json(workspace.runs_dir / stage.name / "stage.json")
        assert isinstance(record, dict)
        figures[stage.name] = {"title": stage.title, **record["figures"]}
    write_json(
        workspace.root / RESULTS_FILE,
        {
            **results,
            "recipe": config.recipe,
            "seed": config.seed,
            "config_hash": config_hash(config),
            "config": config.model_dump(mode="json"),
            "stages": figures,
            "peak_rss_mib": max(one["peak_rss_mib"] for one in figures.values()),
        },
    )
    from heed.reports import write_report

    write_report(workspace.root)


def _sees_gpu() -> bool:
    """Whether this machine shows an accelerator, without importing torch for it."""
    return Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()
