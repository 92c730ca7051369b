"""Charts as SVG: a line with its band, a bar with its interval, a histogram, a sparkline.

Colours and fonts come from style-sheet classes, so that one chart is readable in light and in dark and needs no style
attribute. Every chart is an image with a name for those who do not see it; what it shows is said there in words, and
:func:`line_chart` can put the numbers under it as a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 520
HEIGHT: Final = 220
LEFT: Final = 52
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 40

_ORDER: Final = ("first", "second", "third", "fourth")
"""Classes of the series of a chart, by their place."""

Write = Callable[[float], str]
"""How a number is written."""


def number(value: float) -> str:
    """A number as short as it can be read: ``12,000``, ``3.5``, ``0.07``.

    >>> number(12000), number(3.5), number(0.0712)
    ('12,000', '3.5', '0.071')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share in percent.

    >>> percent(0.726), percent(0.5), percent(-0.02)
    ('72.6 %', '50 %', '−2 %')
    """
    return f"{value * 100:.1f}".removesuffix(".0").replace("-", "−") + " %"


def signed(value: float) -> str:
    """A coefficient with two decimals and a true minus sign.

    >>> signed(-0.314), signed(0.5)
    ('−0.31', '0.50')
    """
    return f"{value:.2f}".replace("-", "−")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    """(x, y), by x."""
    band: Sequence[tuple[float, float, float]] = ()
    """(x, low, high), by x: the interval around the line."""
    dots: bool = False
    """Whether each point gets a dot; for few points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return round(self.start + (value - self.low) / span * (self.end - self.start), 1)


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``, about ``most`` of them.

    >>> nice_ticks(0, 97)
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    span = (high - low) or abs(high) or 1.0
    rough = span / max(most - 1, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _svg(
    body: Sequence[str], label: str, width: int = WIDTH, height: int = HEIGHT, more: str = "", fit: str = ""
) -> Markup:
    return Markup(
        f'<svg class="chart{more}" viewBox="0 0 {width} {height}"{fit} role="img" aria-label="{escape(label)}">'
        + "".join(body)
        + "</svg>"
    )


def _text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _frame(x: _Scale, y: _Scale, xs: Sequence[tuple[float, str]], ys: Sequence[float], write: Write) -> list[str]:
    body = []
    for tick in ys:
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>')
        body.append(_text(LEFT - 6, y(tick) + 4, write(tick), "end"))
    body.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>')
    body += [_text(x(place), HEIGHT - BOTTOM + 16, words) for place, words in xs]
    return body


def line_chart(
    series: Sequence[Series],
    *,
    label: str,
    x_label: str = "",
    y_label: str = "",
    y_range: tuple[float, float] | None = None,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    limits: Sequence[tuple[float, str]] = (),
    write: Write = number,
    numbers: bool = True,
) -> Markup:
    """Lines over one axis, each with its band.

    Args:
        label: what the chart shows, in words; it is what a screen reader says.
        y_range: of the axis; fits the data when left out.
        x_ticks: (place, words) along the axis; round numbers when left out.
        limits: (y, words) of dashed lines across, such as control limits or a reference figure.
        write: how numbers of the y axis are written.
        numbers: whether the points are under the chart as a table.
    """
    drawn = [one for one in series if one.points]
    if not drawn:
        return Markup('<p class="empty">Nothing to draw yet.</p>')
    values = [v for one in drawn for v in (*(p[1] for p in one.points), *(e for b in one.band for e in b[1:]))]
    values += [place for place, _ in limits]
    ticks = nice_ticks(*(y_range or (min(values), max(values))))
    places = [p[0] for one in drawn for p in one.points]
    x = _Scale(low=min(places), high=max(places), start=LEFT + 8, end=WIDTH - RIGHT - 8)
    low, high = y_range or (ticks[0], ticks[-1])
    y = _Scale(low=low, high=high, start=HEIGHT - BOTTOM, end=TOP)
    inside = [tick for tick in ticks if low <= tick <= high]
    if x_ticks is None:
        x_ticks = [(tick, number(tick)) for tick in nice_ticks(x.low, x.high) if x.low <= tick <= x.high]
    body = _frame(x, y, x_ticks, inside, write)
    for place, words in limits:
        body.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(place)}" y2="{y(place)}"/>')
        body.append(_text(WIDTH - RIGHT, y(place) - 4, words, "end"))
    for name, one in zip(_ORDER * len(drawn), drawn, strict=False):
        body += _line(one, name, x, y)
    if x_label:
        body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label))
    chart = _svg(body, label)
    return Markup('<figure class="chart-figure">{}{}{}{}</figure>').format(
        Markup('<figcaption class="muted small">{}</figcaption>').format(y_label) if y_label else "",
        chart,
        _legend(drawn) if len(drawn) > 1 else "",
        _numbers(drawn, x_label, write) if numbers else "",
    )


def _line(one: Series, name: str, x: _Scale, y: _Scale) -> list[str]:
    body = []
    if one.band:
        upper = [f"{x(place)},{y(high)}" for place, _, high in one.band]
        lower = [f"{x(place)},{y(low)}" for place, low, _ in reversed(one.band)]
        body.append(f'<polygon class="band {name}" points="{" ".join(upper + lower)}"/>')
    points = " ".join(f"{x(place)},{y(value)}" for place, value in one.points)
    body.append(f'<polyline class="line {name}" points="{points}"/>')
    if one.dots or len(one.points) == 1:
        body += [f'<circle class="fill {name}" cx="{x(p)}" cy="{y(v)}" r="3.5"/>' for p, v in one.points]
    return body


def _legend(series: Sequence[Series]) -> Markup:
    items = Markup("").join(
        Markup('<li><svg class="chart key" viewBox="0 0 24 8" aria-hidden="true">'
               '<polyline class="line {}" points="1,4 23,4"/></svg>{}</li>').format(name, one.name)
        for name, one in zip(_ORDER * len(series), series, strict=False)
    )  # fmt: skip
    return Markup('<ul class="legend small">{}</ul>').format(items)


def _numbers(series: Sequence[Series], x_label: str, write: Write) -> Markup:
    rows = []
    for one in series:
        bands = {place: (low, high) for place, low, high in one.band}
        for place, value in one.points[-200:]:
            ends = "{} to {}".format(*map(write, bands[place])) if place in bands else ""
            rows.append(
                Markup(
                    '<tr><td>{}</td><td class="num">{}</td><td class="num">{}</td><td class="num">{}</td></tr>'
                ).format(one.name, number(place), write(value), ends)
            )
    return Markup(
        '<details class="small"><summary>Numbers</summary>'
        '<div class="table-wrap" tabindex="0" role="group" aria-label="Numbers"><table class="table"><thead><tr>'
        '<th>Line</th><th class="num">{}</th><th class="num">Value</th><th class="num">95 % interval</th></tr></thead>'
        "<tbody>{}</tbody></table></div></details>"
    ).format(x_label or "x", Markup("").join(rows))


def sparkline(values: Sequence[float], *, label: str) -> Markup:
    """A small bar for each value, the last one being today's."""
    if not values:
        return Markup("")
    width, height, top = 8 * len(values), 28, max(max(values), 1e-12)
    body = []
    for index, value in enumerate(values):
        tall = round(max(value / top * (height - 2), 1 if value else 0.5), 1)
        kind = "fill" if index == len(values) - 1 else "fill quiet"
        body.append(f'<rect class="{kind}" x="{8 * index + 1}" y="{height - tall}" width="6" height="{tall}"/>')
    return _svg(body, label, width, height, " spark", ' preserveAspectRatio="xMinYMid"')


def bar_with_interval(
    value: float,
    low: float,
    high: float,
    *,
    label: str,
    ends: tuple[float, float] = (0.0, 1.0),
    reference: float | None = None,
) -> Markup:
    """A bar from the axis' start to a value, with a whisker for its interval and a mark at a reference.

    Args:
        label: the figure in words, for a screen reader.
        ends: of the axis; values beyond are cut off.
        reference: a figure to compare with, drawn as a dashed line.
    """
    x = _Scale(low=ends[0], high=ends[1], start=2, end=198)

    def at(one: float) -> float:
        return x(min(max(one, ends[0]), ends[1]))

    zero = at(min(max(0.0, ends[0]), ends[1]))
    start, end = sorted((zero, at(value)))
    body = [
        '<rect class="track" x="2" y="3" width="196" height="14"/>',
        f'<rect class="fill soft" x="{start}" y="3" width="{round(end - start, 1)}" height="14"/>',
        f'<line class="whisker" x1="{at(low)}" x2="{at(high)}" y1="10" y2="10"/>',
        *(f'<line class="whisker" x1="{at(one)}" x2="{at(one)}" y1="6" y2="14"/>' for one in (low, high)),
        f'<circle class="point" cx="{at(value)}" cy="10" r="3"/>',
    ]
    if reference is not None:
        body.append(f'<line class="limit" x1="{at(reference)}" x2="{at(reference)}" y1="0" y2="20"/>')
    return _svg(body, label, 200, 20, " bar-interval")


def histogram(
    edges: Sequence[float], counts: Sequence[int], *, label: str, x_label: str = "", write: Write = number
) -> Markup:
    """Counts between edges, of which there is one more than there are counts."""
    if len(edges) != len(counts) + 1:
        raise ValueError(f"{len(edges)} edges for {len(counts)} counts, expected {len(counts) + 1}")
    if not counts or not any(counts):
        return Markup('<p class="empty">Nothing to draw yet.</p>')
    ticks = nice_ticks(0, max(counts))
    x = _Scale(low=edges[0], high=edges[-1], start=LEFT, end=WIDTH - RIGHT)
    y = _Scale(low=0, high=ticks[-1], start=HEIGHT - BOTTOM, end=TOP)
    every = max(1, math.ceil(len(edges) / 8))
    body = _frame(x, y, [(edge, write(edge)) for edge in edges[::every]], ticks, number)
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        wide, tall = round(max(x(right) - x(left) - 1, 1), 1), round(y(0) - y(count), 1)
        words = escape(f"{write(left)} to {write(right)}: {count:,}")
        body.append(
            f'<rect class="fill" x="{x(left) + 0.5}" y="{y(count)}" width="{wide}" height="{tall}">'
            f"<title>{words}</title></rect>"
        )
    if x_label:
        body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label))
    return Markup('<figure class="chart-figure">{}</figure>').format(_svg(body, label))


def heat(value: float | None, low: float, high: float, steps: int = 8) -> str:
    """The class of a heat table's cell: ``heat-0`` for ``low`` or less, to ``heat-7`` for ``high`` or more."""
    if value is None or math.isnan(value):
        return "heat-none"
    share = (value - low) / ((high - low) or 1.0)
    return f"heat-{min(max(int(share * steps), 0), steps - 1)}"
