"""The report's figures of what was reached. Each takes results and returns an SVG, or nothing if there is nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from heed.evaluation.overoptimization_fits import Form, fit_curve
from heed.reports.drawing import BAND, INK, LINE, MUTED, PAPER, canvas, colour, quiet, svg
from heed.reports.words import COMPARISONS, CONTROLS, RATES, Figures, kind_label, label, number, short

MARKS = {"win_rate": ("o", 8.0), "win_rate_greedy": ("D", 6.2), "win_rate_controlled": ("s", 6.4)}
FIT_SHOWN = 0.9
"""R² from which on a fit is drawn."""
NUM_KINDS = 30
"""Kinds of task a figure has room for: the commonest."""
RATES_DRAWN = ("right", "constraint", "hallucination", "rudeness", "over_abstention")


def ladder(results: Figures) -> str:
    """Every model's win rate against the baseline, three ways, with intervals; controls below a rule."""
    models = list(results.get("win_rate", {}))
    if not models:
        return ""
    rungs = [name for name in models if name not in CONTROLS]
    controls = [name for name in CONTROLS if name in models]
    rows = [*rungs, *controls]
    places = {name: index + (0.55 if name in controls else 0.0) for index, name in enumerate(rows)}
    baseline = results.get("evaluation", {}).get("baseline", "sft")
    with canvas(8.6, 0.62 * len(rows) + 1.25) as (figure, axes):
        quiet(axes, y=False)
        axes.axvline(0.5, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
        for name in rows:
            for offset, (section, (mark, size)) in zip((-0.22, 0.0, 0.22), MARKS.items(), strict=True):
                one = results.get(section, {}).get(name)
                if one is None or (name == baseline and section != "win_rate"):
                    continue
                dot(axes, one, places[name] + offset, colour(name, tuple(models)), mark, size, section == "win_rate")
        if controls:
            axes.axhline(places[controls[0]] - 0.78, color=LINE, linewidth=0.9)
            axes.text(
                0.995,
                places[controls[0]] - 0.72,
                "controls and best-of-n",
                color=MUTED,
                ha="right",
                va="top",
                fontsize=8.5,
                transform=axes.get_yaxis_transform(),
            )
        axes.set_yticks([places[name] for name in rows], [short(label(name)) for name in rows])
        axes.tick_params(axis="y", labelcolor=INK, labelsize=10.5)
        axes.set_ylim(max(places.values()) + 0.6, -0.6)
        ends = [results[s][n] for s in MARKS for n in results.get(s, {})]
        axes.set_xlim(
            min(0.0, *(one["low"] for one in ends)), min(1.0, max(0.75, *(one["high"] + 0.03 for one in ends)))
        )
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel(f"preferred to {label(baseline)}, ties count half, 95 % intervals")
        for section, (mark, size) in MARKS.items():
            face = MUTED if section == "win_rate" else PAPER
            axes.plot([], [], mark, color=MUTED, markerfacecolor=face, markersize=size, label=COMPARISONS[section])
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.2, columnspacing=1.4)
        return svg(figure, "ladder", f"Win rates of {len(rows)} models against {label(baseline)}")


def commonest(table: Mapping[str, Figures]) -> list[str]:
    """The :data:`NUM_KINDS` names in ``table`` with most observations."""
    return sorted(table, key=lambda name: (-table[name]["n"], name))[:NUM_KINDS]


def dot(axes: Axes, one: Figures, at: float, tint: str, mark: str, size: float, filled: bool) -> None:
    """An estimate with its interval, across."""
    axes.plot([one["low"], one["high"]], [at, at], color=tint, linewidth=2.2, alpha=0.55)
    axes.plot(
        one["value"],
        at,
        mark,
        color=tint,
        markersize=size,
        markeredgewidth=1.6,
        markerfacecolor=tint if filled else PAPER,
    )


def rates(results: Figures) -> str:
    """Rates of each model at temperature 1, one panel each."""
    table = results.get("intervals", {}).get("rates", {})
    models = [name for name in table if name != "kl_free"]
    wanted = [rate for rate in RATES_DRAWN if any(table[name].get(rate, {}).get("n") for name in models)]
    if not wanted:
        return ""
    with canvas(10.4, 0.34 * len(models) + 1.0, ncols=len(wanted), sharey=True) as (figure, panels):
        for axes, rate in zip(np.atleast_1d(panels), wanted, strict=True):
            quiet(axes, y=False)
            for place, name in enumerate(models):
                one = table[name].get(rate)
                if one is not None and one.get("value") is not None:
                    tint = colour(name, tuple(models))
                    axes.barh(place, one["value"], height=0.62, color=tint, alpha=0.85)
                    axes.plot([one["low"], one["high"]], [place, place], color=INK, linewidth=1.0)
            axes.set_title(RATES[rate])
            axes.set_xlim(0, None)
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            axes.xaxis.get_major_locator().set_params(nbins=3)
            axes.set_yticks(range(len(models)), [short(label(name)) for name in models])
            axes.tick_params(axis="y", labelcolor=INK)
            axes.set_ylim(len(models) - 0.4, -0.6)
        return svg(figure, "rates", "Rates of each model at temperature 1")


def overoptimization(results: Figures) -> str:
    """What was wanted and what was optimised, against the square root of KL: best-of-n beside PPO.

    Where a curve fits and turns, its optimum is marked with its interval. If some run goes much further than the
    others, a first panel shows the part near the start.
    """
    points = results.get("overoptimization", {}).get("points", [])
    runs = list(dict.fromkeys(point["run"] for point in points))
    if not runs:
        return ""
    ends = sorted(max(point["kl"] for point in points if point["run"] == run) for run in runs)
    near = next((low for low, high in pairwise(ends) if low > 0 and high > max(4 * low, 4.0)), None)
    wanted = "true preference" if results.get("evaluation", {}).get("judged_by", "gold") == "gold" else "the judge"
    fits = results.get("overoptimization", {}).get("fits", {})
    panels = [("gold", f"Near the start: {wanted}", near)] if near is not None else []
    panels += [("gold", f"What was wanted: {wanted}", None), ("reward", "What was optimised: reward model", None)]
    with canvas(10.4, 3.9, ncols=len(panels)) as (figure, places):
        for axes, (name, title, furthest) in zip(places, panels, strict=True):
            quiet(axes)
            axes.axhline(0, color=MUTED, linewidth=1.0)
            for run in runs:
                path = sorted((p for p in points if p["run"] == run), key=lambda point: point["at"])
                if name == "gold":
                    _fit(axes, path, run, colour(run, tuple(runs)), furthest)
                    _optimum(axes, path, fits.get(run), colour(run, tuple(runs)), furthest)
                _path(axes, path, name, run, colour(run, tuple(runs)), furthest, axes is places[0])
            axes.set_title(title)
            axes.set_xlabel("√KL from the start")
        places[0].set_ylabel("gain in mean score")
        handles, texts = places[-1].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=len(runs))
        return svg(figure, "overoptimization", "Gold and reward-model score against KL, best-of-n beside PPO")


def _fit(axes: Axes, path: Sequence[Figures], run: str, tint: str, furthest: float | None) -> None:
    """The fitted curve of gold, dotted, as far as there are points; nothing if it does not fit."""
    kl, gain = [point["kl"] for point in path], [point["gold"] - path[0]["gold"] for point in path]
    form: Form = "best_of_n" if run == "best_of_n" else "rl"
    curve = fit_curve(kl, gain, form)
    ends = min((one for one in kl if one > 0), default=0.0), min(max(kl), furthest or max(kl))
    if curve is not None and len(path) > 3 and curve.r_squared >= FIT_SHOWN and ends[0] < ends[1]:
        d = np.linspace(ends[0] ** 0.5, ends[1] ** 0.5, 100)
        bend = d if form == "best_of_n" else np.log(d)
        axes.plot(d, d * (curve.alpha - curve.beta * bend), color=tint, linewidth=1.1, linestyle=(0, (1, 2)))


def _optimum(axes: Axes, path: Sequence[Figures], fitted: Figures | None, tint: str, furthest: float | None) -> None:
    """A band over the interval of the KL at which the fitted curve is highest, and a line at its value."""
    found = (fitted or {}).get("forms", {}).get((fitted or {}).get("form"), {})
    peak = found.get("peak", {})
    if peak.get("kl") is None or (found.get("r_squared") or 0.0) < FIT_SHOWN:
        return
    end = max(point["kl"] for point in path)
    end = end if furthest is None else min(end, furthest)
    if peak["kl"] <= end:
        high = end if peak.get("high") is None else min(peak["high"], end)
        axes.axvspan(min(peak["low"] or 0.0, high) ** 0.5, high**0.5, color=tint, alpha=0.13, linewidth=0)
        axes.axvline(peak["kl"] ** 0.5, color=tint, linewidth=1.0, linestyle=(0, (5, 3)))


def _path(
    axes: Axes, path: Sequence[Figures], name: str, run: str, tint: str, furthest: float | None, numbered: bool
) -> None:
    """One run's gain over its first point; with ``furthest`` only where KL is below it."""
    start = path[0][name]
    path = [point for point in path if furthest is None or point["kl"] <= 1.05 * furthest]
    d = np.sqrt(np.maximum([point["kl"] for point in path], 0.0))
    gain = np.array([point[name] for point in path]) - start
    axes.plot(d, gain, "D-" if run == "best_of_n" else "o-", color=tint, markersize=5, label=label(run))
    if run == "best_of_n" and numbered:
        for x, y, point in list(zip(d, gain, path, strict=True))[1:]:
            axes.annotate(
                str(point["at"]),
                (x, y),
                textcoords="offset points",
                xytext=(0, 6),
                ha="center",
                color=MUTED,
                fontsize=8,
            )


def tax(results: Figures) -> str:
    """Loss of each model on held-out pretraining text."""
    losses = results.get("pretraining_loss", {})
    intervals = results.get("intervals", {}).get("pretraining_loss", {})
    baseline = results.get("evaluation", {}).get("baseline", "sft")
    changes = results.get("pretraining_loss_change", {})
    shown = [name for name in losses if name != "kl_free" and losses[name] is not None]
    if not shown:
        return ""
    with canvas(6.6, 0.42 * len(shown) + 1.0) as (figure, axes):
        quiet(axes, y=False)
        if losses.get(baseline) is not None:
            axes.axvline(losses[baseline], color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
        for place, name in enumerate(shown):
            axes.plot(losses[name], place, "o", color=colour(name, tuple(losses)), markersize=9)
            change = changes.get(name)
            text = number(losses[name], 3)
            if change is not None:
                text += f"   {number(change['value'], 3, sign=True)} against {label(baseline)}"
            axes.annotate(
                text,
                (losses[name], place),
                textcoords="offset points",
                xytext=(9, 0),
                va="center",
                color=INK,
                fontsize=9,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
            )
        values = [losses[name] for name in shown]
        room = max(max(values) - min(values), 0.02)
        axes.set_xlim(min(values) - 0.12 * room, max(values) + 0.85 * room)
        axes.set_yticks(range(len(shown)), [short(label(name)) for name in shown])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        rows = next((one["n"] for one in intervals.values()), 0)
        axes.set_xlabel(f"nats per token on {rows} held-out rows of pretraining text" if rows else "nats per token")
        return svg(figure, "tax", "Loss on held-out pretraining text")


def kinds(results: Figures, model: str) -> str:
    """The model's greedy win rate for each kind of task, what got worse first."""
    table: Mapping[str, Any] = results.get("win_rate_greedy", {}).get(model, {}).get("kinds", {})
    if len(table) < 2:
        return ""
    rows = sorted(commonest(table), key=lambda kind: table[kind]["value"])
    blind = results.get("win_rate_greedy", {}).get("blind", {}).get("kinds", {})
    with canvas(8.6, 0.33 * len(rows) + 1.1) as (figure, axes):
        quiet(axes, y=False)
        axes.axvspan(0.0, 0.5, color=BAND, alpha=0.55, linewidth=0)
        axes.axvline(0.5, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
        for place, kind in enumerate(rows):
            if kind in blind:
                axes.plot(
                    blind[kind]["value"],
                    place,
                    "o",
                    color=colour("blind"),
                    markersize=6,
                    markerfacecolor=PAPER,
                    markeredgewidth=1.4,
                )
            dot(axes, table[kind], place, colour(model), "o", 7.5, True)
        axes.set_yticks(range(len(rows)), [f"{short(kind_label(kind))}  ({table[kind]['n']})" for kind in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1.005)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        baseline = results.get("evaluation", {}).get("baseline", "sft")
        axes.set_xlabel(f"greedy answer preferred to that of {label(baseline)}")
        axes.plot([], [], "o", color=colour(model), label=label(model))
        if blind:
            axes.plot(
                [], [], "o", color=colour("blind"), markerfacecolor=PAPER, markeredgewidth=1.4, label=label("blind")
            )
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.2)
        return svg(figure, "kinds", "Greedy win rate for each kind of task")
