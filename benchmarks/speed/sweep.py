"""How time and memory grow with the model, the answers, their number and the vocabulary; drawn beside the floor."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from benchmarks.speed.compare import Measured, compare
from benchmarks.speed.environments import Environment
from benchmarks.speed.floor import ppo_floor, reward_floor
from benchmarks.speed.models import SIZES
from benchmarks.speed.works import HEED, WORKS, Job

COLORS = {"Heed": "#1b6ca8", "TRL": "#c8553d"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One column of the figure: what is varied, in which work."""

    title: str
    work: str
    setting: str
    """``size``, or a setting of the work."""
    values: tuple[Any, ...]
    quick: tuple[Any, ...]
    rest: Mapping[str, Any]
    """Settings that stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Both sides at one value."""

    dimension: str
    value: float
    """Weights of the policy where the size is varied."""
    label: str
    seconds: Mapping[str, float]
    """CPU seconds of one turn, of each side and the floor."""
    mib: Mapping[str, float]
    """Peak memory beyond the libraries."""
    absent: str


DIMENSIONS = (
    Dimension(
        title="model",
        work="ppo",
        setting="size",
        values=("tiny", "small", "medium"),
        quick=("nano", "tiny"),
        rest={"episodes": 16},
    ),
    Dimension(
        title="tokens of an answer",
        work="ppo",
        setting="response",
        values=(16, 32, 64, 128, 256),
        quick=(16, 64),
        rest={"episodes": 16},
    ),
    Dimension(
        title="ranked answers of a prompt (K)",
        work="reward-6",
        setting="k",
        values=(2, 4, 6, 9),
        quick=(2, 6),
        rest={"groups": 2, "groups_per_step": 2, "micro": 1},
    ),
    Dimension(
        title="vocabulary",
        work="ppo",
        setting="vocab",
        values=(2048, 8192, 32768, 65536),
        quick=(1024, 4096),
        rest={"episodes": 16},
    ),
)


def sweep(
    out: Path,
    environments: Mapping[str, Environment],
    floor: Mapping[str, float],
    *,
    size: str,
    quick: bool,
    tell: Callable[[str], None],
) -> list[Point]:
    """Measure all points, on one thread, and write ``sweep.json`` and ``sweep.svg``."""
    points = []
    for dimension in DIMENSIONS:
        for value in dimension.quick if quick else dimension.values:
            points.append(_measure(dimension, value, out, environments, floor, size, quick, tell))
            _write(out, points)
    return points


def _measure(
    dimension: Dimension,
    value: Any,
    out: Path,
    environments: Mapping[str, Environment],
    rates: Mapping[str, float],
    size: str,
    quick: bool,
    tell: Callable[[str], None],
) -> Point:
    [work] = [work for work in WORKS if work.name == dimension.work]
    of_size = value if dimension.setting == "size" else size
    further = {**dimension.rest, **({} if dimension.setting == "size" else {dimension.setting: value})}
    if dimension.setting == "k":  # so that pairs are whole microbatches of the other side
        further["micro"] = value * (value - 1) // 2
    job = work.make(out / "models", of_size, quick, further)
    found = compare(
        work,
        job,
        environments,
        HEED,
        size=of_size,
        threads=1,
        repeats=1 if quick else 3,
        tell=lambda line: tell(f"  {dimension.title} {value}: {line}"),
    )
    sides = {"Heed": found.heed, "TRL": found.other}
    present = {name: side for name, side in sides.items() if not side.absent}
    seconds, mib = _floor(job, of_size, rates)
    return Point(
        dimension=dimension.title,
        value=_weights(of_size) / 1e6 if dimension.setting == "size" else float(value),
        label=str(value),
        seconds={name: statistics.median(side.cpu_seconds) for name, side in present.items()} | {"floor": seconds},
        mib={name: _beyond_libraries(side) for name, side in present.items()} | {"floor": mib},
        absent="; ".join(f"{name}: {side.absent}" for name, side in sides.items() if side.absent),
    )


def _floor(job: Job, size: str, rates: Mapping[str, float]) -> tuple[float, float]:
    shape = replace(SIZES[size], vocab=job.settings.get("vocab", SIZES[size].vocab))
    if job.kind == "ppo":
        prompts = job.data["prompts"]
        return ppo_floor(shape, job.settings, sum(map(len, prompts)) / len(prompts), rates)
    steps = job.settings["groups"] // job.settings["groups_per_step"]
    return reward_floor(shape, job.data, steps, rates)


def _weights(size: str) -> int:
    return SIZES[size].body + 2 * SIZES[size].head


def _beyond_libraries(side: Measured) -> float:
    return side.peak_mib - side.start_mib


def _write(out: Path, points: list[Point]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "sweep.json").write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n", encoding="utf-8")
    titles = list(dict.fromkeys(point.dimension for point in points))
    figure, grid = plt.subplots(
        2, len(titles), figsize=(3.4 * len(titles), 6), squeeze=False, sharey="row", layout="constrained"
    )
    for column, title in enumerate(titles):
        chosen = [point for point in points if point.dimension == title]
        _draw(grid[0][column], chosen, "seconds")
        _draw(grid[1][column], chosen, "mib")
        grid[1][column].set_xlabel(title)
    grid[0][0].set_ylabel("CPU seconds of one turn")
    grid[1][0].set_ylabel("peak MiB beyond the libraries")
    grid[0][0].legend(frameon=False)
    figure.savefig(out / "sweep.svg")
    plt.close(figure)


def _draw(axes: Axes, points: list[Point], what: str) -> None:
    for name in ("TRL", "Heed", "floor"):
        found = [(point.value, getattr(point, what)[name]) for point in points if name in getattr(point, what)]
        if found:
            style = (
                {"color": "#888888", "linestyle": ":"} if name == "floor" else {"color": COLORS[name], "marker": "o"}
            )
            axes.plot(*zip(*found, strict=True), label=name, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([point.value for point in points], [point.label for point in points])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
