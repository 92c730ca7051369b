"""Figures as SVG that takes its colours from the page, so that they are at home in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, LINE, PAPER, BAND = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05"
BETTER, WORSE = "#0a0b06", "#0a0b07"
MODELS = {
    "base": "#0a0c01",
    "prompted": "#0a0c02",
    "sft": "#0a0c03",
    "ppo": "#0a0c04",
    "ppo_ptx": "#0a0c05",
    "best_of_n": "#0a0c06",
    "blind": "#0a0c07",
    "kl_free": "#0a0c08",
}
OTHERS = ("#0a0d01", "#0a0d02", "#0a0d03", "#0a0d04")
"""Colours that stand for a name in the page's style sheet; nothing is ever shown in them."""

_NAMES = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper", BAND: "band", BETTER: "better", WORSE: "worse"}
_NAMES |= {colour: f"model-{name.replace('_', '-')}" for name, colour in MODELS.items()}
_NAMES |= {colour: f"other-{index}" for index, colour in enumerate(OTHERS)}

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "heed",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "axes.unicode_minus": True,
    "text.parse_math": False,
}


def colour(model: str, among: tuple[str, ...] = ()) -> str:
    """The colour of a model; one without its own takes one by its place among the others."""
    if model in MODELS:
        return MODELS[model]
    strangers = [name for name in among if name not in MODELS]
    return OTHERS[strangers.index(model) % len(OTHERS)] if model in strangers else OTHERS[0]


@contextmanager
def canvas(width: float, height: float, **subplots: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure of ``width`` by ``height`` inches with its axes, in the report's style."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(**subplots)


def svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an SVG element for inline use. ``name`` keeps its ids apart from those of other figures."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub("#0a0[bcd]0[0-9]", lambda found: f"var(--{_NAMES[found.group()]})", text)
    text = text.replace("'DejaVu Sans'", "var(--sans)")
    described = f'<svg role="img" aria-label="{_quoted(description)}" class="figure"'
    text = re.sub(r"<svg", described, text, count=1)
    return re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1))


def quiet(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Leave only the grid lines that are read: those across ``x``, ``y`` or both."""
    axes.grid(visible=False)
    if x:
        axes.grid(visible=True, axis="x")
    if y:
        axes.grid(visible=True, axis="y")
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
