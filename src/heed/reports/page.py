"""The report of a run: one HTML file that needs nothing else, neither scripts nor anything from the network.

Prompts and answers are text by strangers and by models. They reach the page only through the template, which escapes
everything; the only ready-made markup in it is the style sheet and the figures drawn here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from heed import __version__
from heed.files import write_text
from heed.reports import curves, figures, reward_figures, tables
from heed.reports.material import Material, read_workspace
from heed.reports.words import COMPARISONS, duration, kind_label, label, number, percent, span, subject, verdict

REPORT = "report.html"


def write_report(root: Path) -> Path:
    """Write ``report.html`` into the workspace at ``root`` from what its run left there, and return its path.

    Raises:
        WorkspaceError: there is no ``results.json``.
    """
    path = root / REPORT
    write_text(path, render(read_workspace(root)))
    return path


def render(material: Material) -> str:
    """The page as text. Sections for which there is nothing are left out."""
    environment = Environment(
        loader=PackageLoader("heed.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "span": span, "duration": duration}
    style = environment.get_template("style.css").render()
    return environment.get_template("report.html").render(style=Markup(style), **_view(material))


def _view(material: Material) -> dict[str, Any]:
    """Everything the template reads."""
    results = material.results
    model = subject(results)
    reward_model = results.get("reward_model", {})
    evaluation = {"baseline": "sft", "judged_by": "gold", **results.get("evaluation", {})}
    rate_names, rate_rows = tables.rate_rows(results)
    scorer_names, baseline_rows = tables.baseline_rows(results)
    stages = results.get("stages", {})
    return {
        "version": __version__,
        "recipe": results.get("recipe", "run"),
        "seed": results.get("seed"),
        "config_hash": results.get("config_hash"),
        "peak_rss_mib": results.get("peak_rss_mib"),
        "wall_seconds": results.get("wall_seconds") or sum(one.get("wall_seconds") or 0.0 for one in stages.values()),
        "evaluation": evaluation,
        "model": label(model) if model else "",
        "baseline": label(evaluation["baseline"]),
        "verdict": verdict(results),
        "cards": _cards(results, model),
        "comparisons": list(COMPARISONS.values()),
        "ladder": _drawn(figures.ladder(results)),
        "ladder_rows": tables.ladder_rows(results),
        "control_rows": tables.control_rows(results, model) if model else [],
        "duel_rows": tables.duel_rows(results),
        "kinds": _drawn(figures.kinds(results, model) if model else ""),
        "kind_rows": tables.kind_rows(results, model) if model else [],
        "rates": _drawn(figures.rates(results)),
        "rate_names": rate_names,
        "rate_rows": rate_rows,
        "reward_model": reward_model,
        "accuracy": _drawn(reward_figures.accuracy(results)),
        "reliability": _drawn(reward_figures.reliability(reward_model)),
        "by_gap": _drawn(reward_figures.by_gap(reward_model)),
        "by_kind": _drawn(reward_figures.by_kind(reward_model)),
        "by_labeler": _drawn(reward_figures.by_labeler(reward_model)),
        "both_high": _drawn(reward_figures.both_high(reward_model)),
        "invariance_rows": tables.invariance_rows(reward_model),
        "scorer_names": scorer_names,
        "baseline_rows": baseline_rows,
        "overoptimization": _drawn(figures.overoptimization(results)),
        "curve_rows": tables.curve_rows(results),
        "tax": _drawn(figures.tax(results)),
        "round_rows": tables.round_rows(results),
        "learning_curves": _drawn(curves.learning_curves(material)),
        "ppo_curves": _drawn(curves.ppo_curves(material)),
        "diagnosis_rows": tables.diagnosis_rows(material),
        "sample_groups": tables.sample_groups(results),
        "stage_rows": tables.stage_rows(results),
        "plan_rows": tables.plan_rows(material),
        "planned_on": material.plan.get("machine", {}),
        "lineage_rows": tables.lineage_rows(material),
        "setting_rows": tables.setting_rows(results),
        "kind_label": kind_label,
    }


def _drawn(svg: str) -> Markup:
    """A figure drawn by this package; matplotlib has escaped the texts in it."""
    return Markup(svg)


def _cards(results: Any, model: str | None) -> list[dict[str, str]]:
    """The few figures at the top."""
    cards = []
    for section, way in COMPARISONS.items():
        one = results.get(section, {}).get(model)
        if one:
            state = "better" if one["low"] > 0.5 else "worse" if one["high"] < 0.5 else ""
            cards.append(
                {"value": percent(one["value"]), "name": f"wins {way}", "detail": f"{span(one)} %", "state": state}
            )
    greedy = results.get("win_rate_greedy", {})
    if model in greedy:
        cards.append(
            {
                "value": percent(greedy[model]["worse"]),
                "name": "got worse greedily",
                "detail": f"of {greedy[model]['n']}",
                "state": "",
            }
        )
    if "blind" in greedy:
        cards.append(
            {
                "value": percent(greedy["blind"]["value"]),
                "name": "blind control, greedily",
                "detail": f"{span(greedy['blind'])} %",
                "state": "",
            }
        )
    return cards
