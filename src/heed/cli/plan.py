"""``heed plan``: what a run will take, before it starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heed import __version__
from heed.cli.common import JsonOption, SetOption, print_json, print_table, say, usable_cores
from heed.cli.doctor import memory_mib
from heed.cli.loop import DTypeOption
from heed.errors import HeedError
from heed.files import read_json, write_json
from heed.records import Json, content_id

if TYPE_CHECKING:
    from heed.config import RunConfig
    from heed.planning.planner import Place
    from heed.planning.prediction import Prediction
    from heed.store.workspace import Workspace

PLAN_FILE = "plan.json"
"""In a workspace: what was predicted of its last run."""


def plan(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="sandbox or real.")],
    assignments: SetOption = None,
    gpu: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A GPU by its data sheet, such as H200: arithmetic, nothing is measured."),
    ] = None,
    dtype: DTypeOption = "float32",
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Measure this machine anew.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What a run will take, stage by stage: tokens, operations, time and memory, and whether it fits.

    The first time, a few seconds of training and sampling measure this machine; the figures are kept for the next.

    [dim]Examples:[/]

    heed plan sandbox

    heed plan real --set data=DIR --set model.hidden_size=512 --gpu H200 --dtype bfloat16
    """
    from heed.config import override
    from heed.planning.planner import plan as predict
    from heed.recipes import find

    config = override(find(recipe).config(), assignments or [])
    place = this_place(dtype, gpu)
    if gpu is None and not as_json:
        print("Measuring this machine, or reading what was measured before ...", file=sys.stderr)
    found = predict(config, place, anew=calibrate)
    document = found.as_json()
    if gpu is None:
        keep(config, dtype, document)
    if as_json:
        print_json(document)
    else:
        _print(found)


def this_place(dtype: str = "float32", gpu: str | None = None) -> Place:
    """This machine, and where its calibrations are kept."""
    from heed.pipeline import Machine
    from heed.planning.planner import Place

    cores, memory = usable_cores(), memory_mib()
    return Place(
        cores=cores,
        side_by_side=Machine(device="cpu", cores=cores).side_by_side,
        memory=float("inf") if memory is None else memory * 2.0**20,
        dtype=dtype,
        gpu=gpu,
        cache=cache_directory() / "calibration",
    )


def cache_directory() -> Path:
    """Where measurements are kept: ``heed`` in the user's cache directory (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heed"


def keep(config: RunConfig, dtype: str, document: Mapping[str, Json]) -> None:
    """Remember a prediction for the run that it is of."""
    path = _kept(config, dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(document))


def bring(config: RunConfig, dtype: str, workspace: Workspace) -> None:
    """Put the prediction of a run into its workspace, for the report to compare with, if the run was planned on this
    machine. Nothing is computed, and a run never fails for want of a prediction."""
    from heed.config import config_hash

    try:
        found = read_json(_kept(config, dtype))
        assert isinstance(found, dict)
        write_json(workspace.root / PLAN_FILE, {**found, "config_hash": config_hash(config)})
    except (HeedError, OSError, AssertionError):
        with suppress(OSError):
            (workspace.root / PLAN_FILE).unlink()  # another run's


def _kept(config: RunConfig, dtype: str) -> Path:
    """By all settings but the seed, which changes no cost, and by what is computed with."""
    settings = config.model_copy(update={"seed": 0}).model_dump(mode="json")
    return cache_directory() / "plans" / f"{content_id(__version__, dtype, usable_cores(), settings)}.json"


def _print(found: Prediction) -> None:
    machine = found.machine
    if machine.measured:
        threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
        how = (
            f"{machine.name}, measured in {machine.dtype} on {threads}: matrices at "
            f"{machine.peak_flops / 1e9:,.0f} GFLOP/s, training at {machine.train.flops / 1e9:,.0f}, memory at "
            f"{machine.bandwidth / 1e9:,.0f} GB/s"
        )
    else:
        how = (
            f"{machine.name}, from its data sheet: arithmetic, nothing was measured. Assumed: training at "
            f"{machine.train.flops / machine.peak_flops:.0%} of {machine.peak_flops / 1e12:,.0f} TFLOP/s "
            f"({machine.dtype}), memory at {machine.bandwidth / 1e9:,.0f} GB/s, "
            f"{machine.train.launch_seconds * 1e6:.0f} µs to start a kernel; what is not models as fast as here"
        )
    say(how)
    rows = [
        [
            stage.title,
            _big(stage.tokens),
            _big(stage.flops),
            _span(stage.seconds) if not stage.perhaps else f"0 or {_span(stage.seconds)}",
            _memory(stage.peak_bytes),
            _largest({part.name: part.seconds for part in stage.parts}),
        ]
        for stage in found.stages
    ]
    title = f"heed run {found.recipe}, configuration {found.config_hash}"
    print_table(title, ["Stage", "tokens", "operations", "time", "memory", "mostly"], rows)
    total = _span(found.seconds)
    if found.seconds_at_least < found.seconds:
        total = f"{_span(found.seconds_at_least)} to {total}"
    beside = f", {found.side_by_side} stages at a time" if found.side_by_side > 1 else ""
    fits = "it fits" if found.fits else f"it does not fit; {found.remedy}"
    say(
        f"\nIn all {total}{beside}. At most {_memory(found.needed_bytes)} at once of {_memory(machine.memory)}: {fits}."
    )


def _largest(parts: dict[str, float]) -> str:
    """The two parts that take longest."""
    total = sum(parts.values())
    first = sorted(parts, key=lambda name: -parts[name])[:2]
    return ", ".join(f"{name} {parts[name] / total:.0%}" for name in first) if total else ""


def _big(value: float) -> str:
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:,.1f} {letter}"
    return f"{value:.0f}" if value else ""


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return (
        f"{minutes:.1f} min"
        if minutes < 90
        else f"{minutes / 60:.1f} h"
        if minutes < 2880
        else f"{minutes / 1440:.1f} d"
    )


def _memory(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 10 * 2**30 else f"{size / 2**20:,.0f} MiB"
