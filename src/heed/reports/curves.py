"""The report's figures of how it got there: curves of every stage, with healthy bands and where they were left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from heed.reports.drawing import BAND, INK, MUTED, WORSE, canvas, colour, quiet, svg
from heed.reports.material import Band, Material
from heed.reports.words import label, short

PPO_PANELS = {
    "score": "Reward-model score",
    "kl": "KL from the start, nats",
    "entropy": "Entropy, nats per token",
    "length": "Answer length, tokens",
    "kl_per_token": "KL per token, nats",
    "clip_fraction": "Clipped tokens, share",
    "explained_variance": "Explained variance of values",
    "eos_rate": "Answers that end",
    "ptx_loss": "Pretraining loss, nats",
}
LEARNING_PANELS = (
    ("loss", "validation_loss", "loss"),
    ("accuracy", "validation_accuracy", "accuracy"),
)
"""Metric, its counterpart on held-out data, what to call it."""


def ppo_curves(material: Material) -> str:
    """The figures of all PPO runs over their iterations, a panel for each, bands shaded."""
    runs = {name: rows for name, rows in material.curves.items() if any("kl_per_token" in row for row in rows)}
    if not runs:
        return ""
    names = tuple(run_model(name) for name in runs)
    height = -(-len(PPO_PANELS) // 3) * 2.15 + 0.5
    with canvas(10.4, height, nrows=-(-len(PPO_PANELS) // 3), ncols=3) as (figure, grid):
        for axes, (metric, title) in zip(np.ravel(grid), PPO_PANELS.items(), strict=True):
            quiet(axes)
            axes.set_title(title)
            for name, rows in runs.items():
                steps, values = _series(rows, metric)
                if steps:
                    model = run_model(name)
                    axes.plot(steps, values, color=colour(model, names), linewidth=1.5, label=short(label(model)))
                    _mark(axes, material.diagnoses.get(name, ()), metric)
            if metric == "eos_rate":
                axes.set_ylim(min(axes.get_ylim()[0], 0.9), 1.01)
            first = next((values[0] for rows in runs.values() if (values := _series(rows, metric)[1])), None)
            _shade(axes, [band for band in material.bands if band.metric == metric], first)
            axes.xaxis.get_major_locator().set_params(integer=True)
        handles, texts = np.ravel(grid)[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=min(5, len(runs)))
        return svg(figure, "ppo", "Curves of the PPO runs with healthy bands")


def learning_curves(material: Material) -> str:
    """Loss and accuracy of the other stages over their optimizer steps."""
    panels = [
        (name, metric, held, title)
        for name, rows in material.curves.items()
        if not any("kl_per_token" in row for row in rows)
        for metric, held, title in LEARNING_PANELS
        if len(_series(rows, metric)[0]) > 1
    ]
    if not panels:
        return ""
    columns = min(3, len(panels))
    rows_of_panels = -(-len(panels) // columns)
    with canvas(10.4, rows_of_panels * 2.15 + 0.2, nrows=rows_of_panels, ncols=columns) as (figure, grid):
        places = np.ravel(np.atleast_1d(grid))
        for axes in places[len(panels) :]:
            axes.set_visible(False)
        for axes, (name, metric, held, title) in zip(places, panels, strict=False):
            quiet(axes)
            axes.set_title(f"{short(name)}: {title}")
            steps, values = _series(material.curves[name], metric)
            tint = colour(run_model(name))
            axes.plot(steps, values, color=tint, linewidth=0.7, alpha=0.3)
            axes.plot(steps, _smooth(values), color=tint, linewidth=1.7)
            held_steps, held_values = _series(material.curves[name], held)
            if held_steps:
                axes.plot(held_steps, held_values, "o", color=INK, markersize=5)
        return svg(figure, "learning", "Loss and accuracy of each stage; dots are held-out data")


def run_model(stage: str) -> str:
    """The ladder's name for what a stage trains: ``"ppo-ptx"`` trains ``"ppo_ptx"``."""
    name = stage.replace("-", "_")
    return {"ppo_kl_free": "kl_free", "ppo_blind": "blind", "pretrain": "base", "reward": "ppo_ptx"}.get(name, name)


def _series(rows: Sequence[Mapping[str, Any]], metric: str) -> tuple[list[int], list[float]]:
    pairs = [(row["step"], row[metric]) for row in rows if isinstance(row.get(metric), int | float)]
    return [step for step, _ in pairs], [float(value) for _, value in pairs]


def _smooth(values: Sequence[float]) -> np.ndarray[Any, Any]:
    """Running mean over about a fortieth of the curve."""
    data = np.asarray(values, dtype=np.float64)
    width = max(1, data.size // 40)
    sums = np.cumsum(np.concatenate([[0.0], data]))
    ends = np.minimum(np.arange(data.size) + width // 2 + 1, data.size)
    starts = np.maximum(np.arange(data.size) - width // 2, 0)
    result: np.ndarray[Any, Any] = (sums[ends] - sums[starts]) / (ends - starts)
    return result


def _shade(axes: Axes, bands: Sequence[Band], first: float | None) -> None:
    """Shade what lies outside the bands, without stretching the panel to show it."""
    low, high = axes.get_ylim()
    for band in bands:
        scale = abs(first or 0.0) if band.relative else 1.0
        if band.low is not None and low < band.low * scale:
            axes.axhspan(low, band.low * scale, color=BAND, linewidth=0, zorder=0)
        if band.high is not None and high > band.high * scale:
            axes.axhspan(band.high * scale, high, color=BAND, linewidth=0, zorder=0)
    axes.set_ylim(low, high)


def _mark(axes: Axes, diagnoses: Sequence[Mapping[str, Any]], metric: str) -> None:
    for one in diagnoses:
        if one.get("metric") == metric and isinstance(one.get("value"), int | float):
            axes.plot(one["step"], one["value"], "x", color=WORSE, markersize=7, markeredgewidth=2)
            late = one["step"] > sum(axes.get_xlim()) / 2
            note = axes.annotate(
                short(str(one.get("name", "")), 40),
                (one["step"], one["value"]),
                textcoords="offset points",
                xytext=(-7 if late else 7, -11),
                ha="right" if late else "left",
                color=MUTED,
                fontsize=8,
            )
            note.set_in_layout(False)
