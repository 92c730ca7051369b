"""The comparison page: models side by side on preference and on every task, as one HTML file that needs nothing else.

Drawn from a comparison document (``comparison.json``) alone. Questions and answers are text by strangers and models;
they reach the page only through the template, which escapes everything. It has no scripts, and its figures are plain
elements, so that they fit a phone and take the page's colours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heed.errors import DataError
from heed.files import write_text
from heed.reports import comparison_figures, comparison_findings, comparison_tables
from heed.reports.words import big, duration, number, percent, short, span

WANTED = ("models", "baseline", "tasks")
"""Without these there is nothing to draw."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""Control characters, and those that turn round the direction of whatever comes after them."""


def write_comparison(document: Mapping[str, Any], path: Path) -> None:
    """Write the page of a comparison document to ``path``, whole or not at all.

    Raises:
        DataError: the document lacks its models, its tasks or its baseline.
    """
    write_text(path, render_comparison(document))


def render_comparison(document: Mapping[str, Any]) -> str:
    """The page as text. Sections for which there is nothing are left out; figures that are not finite are dashes.

    Raises:
        DataError: the document lacks its models, its tasks or its baseline.
    """
    for name in WANTED:
        if name not in document:
            raise DataError(f"the comparison document has no {name!r}; make it anew with heed compare")
    environment = Environment(
        loader=PackageLoader("heed.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "span": span, "duration": duration}
    style = "\n".join(environment.get_template(name).render() for name in ("style.css", "comparison.css"))
    view = _view({"changed": [], "samples": [], **clean(document)})
    return environment.get_template("comparison.html").render(style=Markup(style), **view)


def clean(value: Any) -> Any:
    """The same with None for numbers that are not finite, and with texts that can be written and shown."""
    if isinstance(value, Mapping):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value.replace("\r\n", "\n")).encode("utf-8", "replace").decode("utf-8")
    return value


def _view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template reads."""
    model = comparison_findings.subject_of(document)
    found = comparison_findings.findings(document, model) if model is not None else []
    folded = sum(len(task["metrics"]) for task in document["tasks"]) > comparison_tables.MOST_ROWS
    sides = {side: [one for one in found if one.outcome == side] for side in ("better", "worse")}
    return {
        "version": document.get("version", ""),
        "created": document.get("created", ""),
        "seed": document.get("seed"),
        "wall_seconds": document.get("wall_seconds"),
        "model": model or "",
        "about": short(model or "", 60),
        "against": short(document["baseline"], 60),
        "names": [one["name"] for one in document["models"]],
        "models": [_model(document, one) for one in document["models"]],
        "sentence": comparison_findings.sentence(document, found, model),
        "explained": comparison_findings.explained(document, found),
        "sides": sides,
        "cards": _cards(document, found, model),
        "tally": comparison_tables.tally_rows(document),
        "preference": document.get("preference"),
        "preference_rows": comparison_tables.preference_rows(document),
        "ratings": comparison_tables.rating_tables(document),
        "meetings": comparison_tables.meeting_rows(document),
        "order_bias": _order_bias(document.get("preference")),
        "groups": comparison_tables.figure_groups(
            document, comparison_tables.MAIN if folded else comparison_tables.ALL
        ),
        "other_groups": comparison_tables.figure_groups(document, comparison_tables.OTHERS) if folded else [],
        "panels": comparison_figures.difference_panels([one for one in found if one.outcome != "untested"]),
        "untested_panels": comparison_figures.difference_panels([one for one in found if one.outcome == "untested"]),
        "pairs": comparison_tables.all_differences(document),
        "calibration": comparison_figures.calibration_rows(document),
        "categories": comparison_tables.category_tables(document),
        "changed": comparison_tables.changed_groups(document),
        "samples": comparison_tables.sample_rows(document),
        "tasks": document["tasks"],
        "runs": comparison_tables.run_rows(document),
        "tests": {"family": None, "method": "Holm", "false_positive_level": None, **document.get("tests", {})},
        "level": comparison_findings.level_of(document),
        "not_measured": document.get("not_measured", []),
    }


def _model(document: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": one["name"],
        "tint": comparison_tables.tint(document, one["name"]),
        "baseline": one["name"] == document["baseline"],
        "parameters": big(one["parameters"]) if one.get("parameters") else "–",
        "layout": one.get("layout") or "–",
        "parent": one.get("parent") or "–",
        "stage": one.get("stage") or "–",
        "fingerprint": one.get("fingerprint") or "–",
        "card": comparison_tables.card_fields(one.get("made_from") or {}),
    }


def _order_bias(preference: Any) -> dict[str, str] | None:
    """Whether the judge likes what is shown first."""
    bias = (preference or {}).get("order_bias")
    if not bias:
        return None
    first, same = bias["first_share"], bias["consistency"]
    low, high = first.get("low"), first.get("high")
    biased = low is not None and high is not None and not low <= 0.5 <= high
    return {
        "first": percent(first["value"], 1),
        "first_span": span(first, 1),
        "same": percent(same["value"], 1),
        "same_span": span(same, 1),
        "verdict": "it prefers a place, not only an answer" if biased else "no preference for a place is shown",
    }


def _cards(document: Mapping[str, Any], found: Any, model: str | None) -> list[dict[str, str]]:
    """The few figures at the top."""
    cards = []
    preferred = next((one for one in found if one.preference is not None), None)
    if preferred is not None:
        rate = document["preference"]["win_rates"][model]
        cards.append(
            {
                "value": percent(preferred.preference, 1),
                "name": f"preferred to {short(document['baseline'], 60)}",
                "detail": f"{span(rate, 1)} %" if span(rate, 1) else "",
                "state": preferred.outcome if preferred.outcome in ("better", "worse") else "",
            }
        )
    counts = comparison_findings.counted(found)
    tested = len(found) - counts["untested"]
    for side in ("better", "worse"):
        state = side if counts[side] else ""
        cards.append({"value": str(counts[side]), "name": f"{side}", "detail": f"of {tested} tested", "state": state})
    cards.append(
        {"value": str(counts["undecided"]), "name": "not decided", "detail": f"of {tested} tested", "state": ""}
    )
    failed = sum(sum(task.get("failed", {}).values()) for task in document["tasks"])
    failed += (document.get("preference") or {}).get("failures") or 0
    cards.append({"value": str(failed), "name": "failed", "detail": "questions and verdicts", "state": ""})
    return cards if model is not None else cards[-1:]
