"""The comparison page's figures: places on an axis or a square, drawn by the template as plain elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

from heed.reports.comparison_findings import Finding
from heed.reports.comparison_tables import BETTER, Row, p_value, tint
from heed.reports.words import Figures, number, percent


def difference_panels(found: Sequence[Finding]) -> list[Row]:
    """One panel for each unit, its rows sorted by gain; metrics without a better side have panels of their own."""
    panels: dict[tuple[bool, str], list[Finding]] = {}
    for one in found:
        if one.value is not None:
            unit = "percentage points" if one.percent else one.metric
            panels.setdefault((one.better in BETTER, unit), []).append(one)
    ordered = sorted(panels.items(), key=lambda item: (not item[0][0], item[0][1] != "percentage points"))
    return [_panel(unit, sided, some) for (sided, unit), some in ordered]


def _panel(unit: str, sided: bool, found: Sequence[Finding]) -> Row:
    scale = 100.0 if found[0].percent else 1.0
    ends = [abs(end) * scale for one in found for end in (one.value, one.low, one.high) if end is not None]
    step, extent = axis(max(ends))
    ticks = [tick * step for tick in range(-round(extent / step), round(extent / step) + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return {
        "unit": unit,
        "sided": sided,
        "ticks": [{"at": _along(tick, extent), "text": number(tick, digits, sign=tick != 0)} for tick in ticks],
        "rows": [
            _dot(one, extent / scale, sided) for one in sorted(found, key=lambda one: (-(one.gain or 0), one.name))
        ],
    }


def _dot(one: Finding, extent: float, sided: bool) -> Row:
    sign = -1.0 if sided and one.better == "low" else 1.0
    ends = sorted(sign * end for end in (one.low, one.high) if end is not None)
    return {
        "name": one.title,
        "metric": one.metric,
        "better": BETTER.get(one.better, ""),
        "at": _along(sign * (one.value or 0.0), extent),
        "low": _along(ends[0], extent) if len(ends) == 2 else None,
        "high": _along(ends[1], extent) if len(ends) == 2 else None,
        "size": one.size,
        "span": one.span,
        "outcome": one.outcome,
        "p_holm": p_value(one.p_holm),
    }


def axis(largest: float) -> tuple[float, float]:
    """A round step and the end of an axis around zero that holds ``largest``, with at most three steps a side."""
    if largest <= 0:
        return 1.0, 1.0
    rough = largest / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * (1 - 1e-9))
    return step, step * math.ceil(largest / step - 1e-9)


def _along(value: float, extent: float) -> float:
    """Place on an axis from -extent to extent, in per cent of its length."""
    return round(min(max(50 + 50 * value / extent, 0.0), 100.0), 2)


def calibration_rows(document: Figures) -> list[Row]:
    """Reliability diagrams of each task that has them: points on a square of 100, and the calibration error."""
    rows = []
    for task in document["tasks"]:
        diagrams = [
            {
                "model": one["name"],
                "tint": tint(document, one["name"]),
                "ece": number(calibration_error(bins), 3),
                "n": sum(each["n"] for each in bins),
                "points": _points(bins),
            }
            for one in document["models"]
            if (bins := [each for each in task.get("reliability", {}).get(one["name"], []) if _whole(each)])
        ]
        if diagrams:
            rows.append({"title": task["title"], "diagrams": diagrams})
    return rows


def _whole(one: Figures) -> bool:
    return bool(one.get("n")) and one.get("confidence") is not None and one.get("accuracy") is not None


def _points(bins: Sequence[Figures]) -> list[Row]:
    most = max(one["n"] for one in bins)
    return [
        {
            "x": round(100 * one["confidence"], 1),
            "y": round(100 - 100 * one["accuracy"], 1),
            "r": round(1.6 + 3.4 * math.sqrt(one["n"] / most), 2),
            "text": f"said {percent(one['confidence'])}, right {percent(one['accuracy'])}, n {one['n']}",
        }
        for one in sorted(bins, key=lambda one: one["confidence"])
    ]


def calibration_error(bins: Sequence[Figures]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, weighted by answers (Guo et al. 2017)."""
    total = sum(one["n"] for one in bins)
    return float(sum(one["n"] * abs(one["confidence"] - one["accuracy"]) for one in bins) / total)
