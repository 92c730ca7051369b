"""The rows of the comparison page: plain values from the comparison document, laid out and escaped by the template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from heed.reports.comparison_findings import (
    between,
    counted,
    difference,
    difference_span,
    digits_for,
    findings,
    fine_digits,
    level_of,
    outcome_of,
    signed,
    subject_of,
)
from heed.reports.drawing import MODELS
from heed.reports.words import Figures, duration, kind_label, number, percent

Row = dict[str, Any]
LONGEST_TEXT = 6000
"""Characters of a question or an answer that are shown."""
MOST_ROWS = 40
"""Of the table of all figures. If there are more, it has the main figures, and a folded one below it the others."""
ALL, MAIN, OTHERS = slice(None), slice(1), slice(1, None)
BETTER = {"high": "higher is better", "low": "lower is better"}


def tint(document: Figures, model: str) -> str:
    """The style class of a model's colour; never made from a stranger's text."""
    known = model.replace("-", "_")
    if known in MODELS:
        return f"m-{known.replace('_', '-')}"
    strangers = [one["name"] for one in document["models"] if one["name"].replace("-", "_") not in MODELS]
    return f"o-{strangers.index(model) % 4}" if model in strangers else "o-0"


def shown(value: float | None, share: bool, digits: int = 3) -> str:
    """A figure: shares in per cent."""
    return percent(value, 1) if share else number(value, digits)


def span_of(one: Figures, share: bool, digits: int = 3) -> str:
    """Its interval, without the unit."""
    low, high = one.get("low"), one.get("high")
    if low is None or high is None:
        return ""
    ends = [number(100 * end, 1) if share else number(end, digits) for end in (low, high)]
    return (" to " if min(low, high) < 0 else "–").join(ends)


def p_value(p: float | None) -> str:
    """``0.0004`` as ``< 0.001``."""
    return "–" if p is None else "< 0.001" if p < 0.001 else number(p, 3)


# --- the table of all figures


def figure_groups(document: Figures, metrics: slice = ALL) -> list[Row]:
    """All tasks under their headings, in the order in which the headings first come; a row for each metric."""
    groups: dict[str, list[Row]] = {}
    for task in document["tasks"]:
        if not task["metrics"][metrics]:
            continue
        rows = groups.setdefault(task.get("group") or "Other", [])
        for place, metric in enumerate(task["metrics"][metrics]):
            figures = [task["figures"].get(one["name"], {}).get(metric["name"]) for one in document["models"]]
            digits = digits_for(*(one.get("value") for one in figures if one))
            rows.append(
                {
                    "first": place == 0,
                    "title": task["title"],
                    "n": task.get("n"),
                    "metric": metric["title"],
                    "better": BETTER.get(metric["better"], "neither way is better"),
                    "cells": [
                        _cell(document, task, metric, one["name"], figure, digits, place == 0)
                        for one, figure in zip(document["models"], figures, strict=True)
                    ],
                }
            )
    return [{"name": name, "rows": rows} for name, rows in groups.items()]


def _cell(
    document: Figures, task: Figures, metric: Figures, model: str, one: Figures | None, digits: int, first: bool
) -> Row:
    lost = [f"{task.get(what, {}).get(model)} {what}" for what in ("failed", "cut") if task.get(what, {}).get(model)]
    cell: Row = {"value": "–", "span": "", "outcome": "", "size": "", "n": "", "lost": ", ".join(lost) if first else ""}
    if not one or one.get("value") is None:
        return cell
    share = metric["percent"]
    cell |= {"value": shown(one["value"], share, digits), "span": span_of(one, share, digits)}
    if one.get("n") != task.get("n"):
        cell["n"] = f"n {one.get('n')}"
    row = between(task.get("differences", {}).get(metric["name"], []), model, document["baseline"])
    if row is not None and model != document["baseline"]:
        outcome = outcome_of(row.get("value"), row.get("p_holm"), metric["better"], level_of(document))
        if outcome not in ("undecided", "untested"):
            cell |= {"outcome": outcome, "size": difference(row["value"], share, unit=False)}
    return cell


def tally_rows(document: Figures) -> list[Row]:
    """Each model against the baseline: how many findings on each side."""
    rows = []
    for one in document["models"]:
        if one["name"] != document["baseline"]:
            counts = counted(findings(document, one["name"]))
            rows.append({"model": one["name"], "tint": tint(document, one["name"]), **counts})
    return rows


# --- every difference


def all_differences(document: Figures) -> list[Row]:
    """Every tested pair, by task: what a reader needs to check the page."""
    level, groups = level_of(document), []
    preference = document.get("preference")
    if preference and preference.get("differences"):
        rows = [_pair(row, True, "high", level, "") for row in preference["differences"]]
        groups.append({"title": f"Preference, judged by {preference['judge']}", "rows": rows})
    for task in document["tasks"]:
        rows = [
            _pair(row, metric["percent"], metric["better"], level, metric["title"])
            for metric in task["metrics"]
            for row in task.get("differences", {}).get(metric["name"], [])
        ]
        if rows:
            groups.append({"title": task["title"], "rows": rows})
    return groups


def _pair(row: Figures, share: bool, better: str, level: float, metric: str) -> Row:
    return {
        "a": row["a"],
        "b": row["b"],
        "metric": metric,
        "value": difference(row.get("value"), share),
        "span": difference_span(row.get("low"), row.get("high"), share),
        "n": row.get("n", ""),
        "p": p_value(row.get("p")),
        "p_holm": p_value(row.get("p_holm")),
        "outcome": outcome_of(row.get("value"), row.get("p_holm"), better, level),
    }


# --- preference


def preference_rows(document: Figures) -> list[Row]:
    """One row for each model: win rate against the baseline, plain and at equal length, and what goes with it."""
    preference = document.get("preference")
    if not preference:
        return []
    level, rows = level_of(document), []
    for one in document["models"]:
        name = one["name"]
        rate = preference.get("win_rates", {}).get(name) if name != document["baseline"] else None
        pair = between(preference.get("differences", []), name, document["baseline"]) or {}
        value = None if not rate or rate.get("value") is None else rate["value"] - 0.5
        rows.append(
            {
                "model": name,
                "tint": tint(document, name),
                "baseline": name == document["baseline"],
                "plain": _rate(rate),
                "controlled": _rate(preference.get("length_controlled", {}).get(name) if rate else None),
                "linear": _rate(preference.get("length_controlled_linear", {}).get(name) if rate else None),
                "outcome": outcome_of(value, pair.get("p_holm"), "high", level),
                "p_holm": p_value(pair.get("p_holm")),
                "elo": _estimate(preference.get("elo", {}).get(name), 0, sign=True),
                "words": _estimate(preference.get("words", {}).get(name), 1),
                "needed": preference.get("needed", {}).get(name),
            }
        )
    return rows


def rating_tables(document: Figures) -> Row | None:
    """What people said of single answers: a row for each model's mean grade, and for each flag."""
    ratings: Mapping[str, Any] = document.get("ratings") or {}
    names = [one["name"] for one in document["models"] if one["name"] in ratings]
    if not names:
        return None
    rows = [{"name": "Grade, mean", "cells": [_estimate(ratings[name]["overall"].get("mean"), 2) for name in names]}]
    for part, title in (("figure_4", ""), ("flags", "flag: ")):
        for key in dict.fromkeys(key for name in names for key in ratings[name].get(part, {})):
            found = [ratings[name].get(part, {}).get(key) for name in names]
            cells = [
                {"value": percent(one.get("value"), 1), "span": span_of(one, True)}
                if one
                else {"value": "–", "span": ""}
                for one in found
            ]
            rows.append({"name": f"{title}{kind_label(key)}", "cells": cells})
    heads = [
        {"name": name, **{what: ratings[name].get(what, "–") for what in ("prompts", "labelers")}} for name in names
    ]
    return {"heads": heads, "rows": rows}


def meeting_rows(document: Figures) -> list[Row]:
    """Every two models that met, from the first one's side."""
    met = (document.get("preference") or {}).get("head_to_head", [])
    return [{"a": one["a"], "b": one["b"], "rate": _rate(one)} for one in met]


def _rate(rate: Figures | None) -> Row | None:
    if not rate or rate.get("value") is None:
        return None
    row: Row = {"value": percent(rate["value"], 1), "span": span_of(rate, True), "n": rate.get("n", "")}
    row |= {name: percent(rate.get(name), 1) for name in ("better", "worse", "ties")}
    row["at"] = _share_along(rate["value"])
    row["low"], row["high"] = (None if rate.get(end) is None else _share_along(rate[end]) for end in ("low", "high"))
    return row


def _share_along(share: float) -> float:
    return round(100 * min(max(share, 0.0), 1.0), 1)


def _estimate(one: Figures | None, digits: int, sign: bool = False) -> Row:
    if not one or one.get("value") is None:
        return {"value": "–", "span": ""}
    ends = (one.get("low"), one.get("high"))
    spread = "" if None in ends else f"{number(ends[0], digits)} to {number(ends[1], digits)}"
    return {"value": number(one["value"], digits, sign=sign), "span": spread}


# --- categories, answers, how it was measured


def category_tables(document: Figures) -> list[Row]:
    """For each task with categories its first metric in each of them."""
    tables = []
    for task in document["tasks"]:
        by_model: Mapping[str, Any] = task.get("categories", {})
        names = list(dict.fromkeys(name for one in by_model.values() for name in one))
        if names and task["metrics"]:
            metric = task["metrics"][0]
            rows = [
                {"name": name, "cells": [_category(by_model.get(one["name"], {}).get(name), metric) for one in models]}
                for models in [document["models"]]
                for name in names
            ]
            tables.append({"title": task["title"], "metric": metric["title"], "rows": rows})
    return tables


def _category(one: Figures | None, metric: Figures) -> Row:
    if not one or one.get("value") is None:
        return {"value": "–", "span": "", "n": ""}
    digits, share = digits_for(one["value"]), metric["percent"]
    return {"value": shown(one["value"], share, digits), "span": span_of(one, share, digits), "n": one.get("n", "")}


def changed_groups(document: Figures) -> list[Row]:
    """Questions that changed most between baseline and the page's model, what got worse first."""
    model, metrics = subject_of(document), {one["name"]: one["metrics"] for one in document["tasks"]}
    groups: dict[str, list[Row]] = {"worse": [], "better": [], "changed": []}
    for one in sorted(document.get("changed", []), key=lambda one: -abs(one.get("gap") or 0.0)):
        ways = metrics.get(one["task"]) or [{}]
        ours, theirs = (one.get("scores", {}).get(name) for name in (model, document["baseline"]))
        gap = one.get("gap") if ours is None or theirs is None else ours - theirs
        side = outcome_of(gap, 0.0, ways[0].get("better", "none"), 1.0)
        row = {
            "title": one.get("title", one["task"]),
            "id": one["id"],
            "asked": clipped(one.get("asked", "")),
            "right": clipped(one.get("right", "")),
            "gap": "–" if one.get("gap") is None else signed(one["gap"], fine_digits(one["gap"])),
            "answers": _answers(document, one),
        }
        groups[side if side in groups else "changed"].append(row)
    return [{"side": side, "rows": rows} for side, rows in groups.items() if rows]


def sample_rows(document: Figures) -> list[Row]:
    """Answers that the judge compared."""
    return [{"prompt": clipped(one["prompt"]), "answers": _answers(document, one)} for one in document["samples"]]


def _answers(document: Figures, sample: Figures) -> list[Row]:
    return [
        {
            "model": name,
            "tint": tint(document, name),
            "text": clipped(text),
            "score": number(sample.get("scores", {}).get(name), 2),
        }
        for name, text in sample["answers"].items()
    ]


def clipped(text: str) -> str:
    """The text, without what goes beyond :data:`LONGEST_TEXT`."""
    more = len(text) - LONGEST_TEXT
    return text if more <= 0 else f"{text[:LONGEST_TEXT]} … ({more} more characters)"


def run_rows(document: Figures) -> list[Row]:
    """For each task and model how the measurement went."""
    rows = []
    for task in document["tasks"]:
        for one in document["models"]:
            if one["name"] in task["figures"]:
                counts = {what: task.get(what, {}).get(one["name"], 0) for what in ("failed", "cut", "cached")}
                left_out = task.get("shots_left_out", {}).get(one["name"])
                rows.append(
                    {
                        "title": task["title"],
                        "model": one["name"],
                        "n": task.get("n", ""),
                        "shots": number(left_out, 2) if left_out else "0",
                        "seconds": duration(task.get("seconds", {}).get(one["name"])),
                        **counts,
                    }
                )
    return rows


def card_fields(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a model was made from, as names and values."""
    fields = []
    for name, value in card.items():
        if value is not None:
            fields.append((name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return [(name, clipped(value)) for name, value in fields]
