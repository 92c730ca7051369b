"""Charts are well-formed, say what they show in words, need no style attribute, and let no text out of its place."""

from __future__ import annotations

import doctest
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.web import charts
from heed.web.charts import Series, bar_with_interval, heat, histogram, line_chart, nice_ticks, sparkline


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<root>{markup}</root>")


def test_examples() -> None:
    assert doctest.testmod(charts).failed == 0


def test_a_line_with_its_band() -> None:
    series = [
        Series(name="a", points=[(0, 0.5), (10, 1.0)], band=[(0, 0.4, 0.6), (10, 0.9, 1.0)]),
        Series(name="b <&>", points=[(5, 0.2)]),
    ]
    markup = line_chart(series, label="accuracy <1>", x_label="step", limits=[(0.7, "reference")])
    root = parsed(markup)
    [svg] = [one for one in root.iter("svg") if one.get("role") == "img"]
    assert svg.get("aria-label") == "accuracy <1>"
    assert len(list(root.iter("polygon"))) == 1
    assert "b &lt;&amp;&gt;" in markup and "style=" not in markup
    rows = ["".join(row.itertext()) for row in root.iter("tr")]
    assert rows[1:] == ["a00.50.4 to 0.6", "a1010.9 to 1", "b <&>50.2"]


def test_the_last_point_of_the_highest_value_is_top_right() -> None:
    root = parsed(line_chart([Series(name="a", points=[(0, 0), (4, 100)])], label="l"))
    [line] = root.iter("polyline")
    ends = (line.get("points") or "").split()
    assert ends == [
        f"{charts.LEFT + 8}.0,{charts.HEIGHT - charts.BOTTOM}.0",
        f"{charts.WIDTH - charts.RIGHT - 8}.0,{charts.TOP}.0",
    ]


def test_nothing_to_draw() -> None:
    assert "Nothing to draw" in line_chart([], label="l")
    assert "Nothing to draw" in histogram([0, 1], [0], label="l")
    assert sparkline([], label="l") == ""


def test_a_bar_and_its_whisker() -> None:
    root = parsed(bar_with_interval(0.5, 0.25, 2.0, label="half", reference=0.726))
    whisker = next(one for one in root.iter("line") if one.get("class") == "whisker")
    assert (whisker.get("x1"), whisker.get("x2")) == ("51.0", "198.0")
    bar = list(root.iter("rect"))[1]
    assert (bar.get("x"), bar.get("width")) == ("2.0", "98.0")
    negative = parsed(bar_with_interval(-0.5, -0.8, 0.1, label="below", ends=(-1, 1)))
    bar = list(negative.iter("rect"))[1]
    assert (bar.get("x"), bar.get("width")) == ("51.0", "49.0")


def test_a_histogram_needs_one_more_edge() -> None:
    assert parsed(histogram([0, 1, 2], [3, 6], label="h")).find(".//rect/title") is not None
    with pytest.raises(ValueError, match="2 edges for 2 counts, expected 3"):
        histogram([0, 1], [3, 6], label="h")


def test_heat() -> None:
    assert [heat(v, 0, 1) for v in (-1, 0, 0.5, 1, 2, None, float("nan"))] == [
        "heat-0", "heat-0", "heat-4", "heat-7", "heat-7", "heat-none", "heat-none",
    ]  # fmt: skip


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 9))
def test_ticks_cover_what_they_are_for(low: float, span: float, most: int) -> None:
    ticks = nice_ticks(low, low + span, most)
    slack = 1e-6 * (abs(low) + span + 1)
    assert ticks[0] <= low + slack and ticks[-1] >= low + span - slack
    assert len(ticks) <= 2 * most + 2


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=20), st.text(max_size=20))
def test_any_numbers_and_any_words(points: list[tuple[float, float]], words: str) -> None:
    words = "".join(c for c in words if c.isprintable())
    root = parsed(line_chart([Series(name=words, points=sorted(points))], label=words))
    for line in root.iter("polyline"):
        for pair in (line.get("points") or "").split():
            assert all(-5 <= float(one) <= charts.WIDTH + 5 for one in pair.split(","))
