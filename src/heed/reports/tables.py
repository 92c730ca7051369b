"""The report's tables: rows of plain values, ready for the template to lay out and escape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heed.reports.figures import commonest
from heed.reports.material import Material
from heed.reports.words import (
    COMPARISONS,
    CONTROLS,
    GOOD_RATES,
    RATES,
    Figures,
    big,
    duration,
    kind_label,
    label,
    number,
    percent,
    span,
)

Row = dict[str, Any]


def ladder_rows(results: Figures) -> list[Row]:
    """One row for each model: three win rates, what got worse, and what it cost."""
    models = list(results.get("win_rate", {}))
    scores, losses, kl = (results.get(name, {}) for name in ("scores", "pretraining_loss", "kl"))
    baseline = results.get("evaluation", {}).get("baseline", "sft")
    rows = []
    for name in [*(one for one in models if one not in CONTROLS), *(one for one in CONTROLS if one in models)]:
        greedy = results.get("win_rate_greedy", {}).get(name)
        row: Row = {"model": name, "label": label(name), "control": name in CONTROLS}
        row["wins"] = [
            _share(None if name == baseline and section != "win_rate" else results.get(section, {}).get(name))
            for section in COMPARISONS
        ]
        row["moved"] = (
            f"{100 * greedy['better']:.0f} / {percent(greedy['worse'])}" if greedy and name != baseline else ""
        )
        own = scores.get(name, {})
        row["gold"] = _mean(own.get("gold"))
        row["reward"] = _mean(own.get("reward"))
        row["words"] = _mean(own.get("words"), 1)
        row["kl"] = number(kl.get(name), 2)
        row["loss"] = number(losses.get(name), 3)
        row["elo"] = _mean(results.get("elo", {}).get(name), 0)
        rows.append(row)
    return rows


def control_rows(results: Figures, model: str) -> list[Row]:
    """One model's win rate under every control, in the order in which they take style away."""
    drawn = results.get("win_rate", {}).get(model, {})
    greedy = results.get("win_rate_greedy", {}).get(model, {})
    controlled = results.get("win_rate_controlled", {}).get(model, {})
    baseline = label(results.get("evaluation", {}).get("baseline", "sft"))
    has_strays = results.get("evaluation", {}).get("stripped", True)
    listed = [
        ("Temperature 1, independent samples", drawn),
        ("… length regressed out", drawn.get("length_regressed")),
        (f"… against the {baseline} answer of closest length, of 8", drawn.get("length_matched")),
        (f"… against the greedy answer of {baseline}", drawn.get("over_greedy_baseline")),
        ("Greedy against greedy", greedy),
        ("… length regressed out", greedy.get("length_regressed")),
        ("… stray sentences stripped from both sides", controlled.get("stripped") if has_strays else None),
        ("… both: the controlled win rate", controlled if has_strays else None),
    ]
    for name, one in greedy.get("groups", {}).items():
        listed.append((f"Greedy, {kind_label(name)} kinds only", one))
    return [{"name": name, **_share(one)} for name, one in listed if one]


def duel_rows(results: Figures) -> list[Row]:
    """Models face to face."""
    return [
        {
            "a": label(duel["a"]),
            "b": label(duel["b"]),
            "wins": [_share(duel.get(section)) for section in COMPARISONS],
            "differences": [_points(duel.get("difference", {}).get(section)) for section in COMPARISONS],
        }
        for duel in results.get("duels", [])
    ]


def kind_rows(results: Figures, model: str) -> list[Row]:
    """One row for each kind of task, what got worse first."""
    baseline = results.get("evaluation", {}).get("baseline", "sft")
    greedy = results.get("win_rate_greedy", {}).get(model, {}).get("kinds", {})
    drawn = results.get("win_rate", {}).get(model, {}).get("kinds", {})
    right = results.get("kinds", {})
    rows = []
    for kind in sorted(commonest(greedy), key=lambda one: greedy[one]["value"]):
        one = greedy[kind]
        row: Row = {"kind": kind_label(kind), "n": one["n"], "greedy": _share(one), "drawn": _share(drawn.get(kind))}
        row |= {"better": percent(one["better"]), "worse": percent(one["worse"])}
        row["state"] = "worse" if one["high"] < 0.5 else "doubtful" if one["value"] < 0.5 else ""
        for name, who in (("before", baseline), ("after", model)):
            found = right.get(who, {}).get(kind, {})
            row[name] = percent(found.get("right_greedy", {}).get("value"))
            row[f"{name}_drawn"] = percent(found.get("right", {}).get("value"))
        rows.append(row)
    return rows


def rate_rows(results: Figures) -> tuple[list[str], list[Row]]:
    """Names of the rates, and one row of them for each model; each says whether it is better than the baseline's."""
    table = results.get("intervals", {}).get("rates", {})
    baseline = table.get(results.get("evaluation", {}).get("baseline", "sft"), {})
    wanted = [rate for rate in RATES if any(one.get(rate, {}).get("n") for one in table.values())]
    rows = [
        {"label": label(name), "cells": [_rate(one.get(rate), baseline.get(rate), rate) for rate in wanted]}
        for name, one in table.items()
    ]
    return [RATES[rate] for rate in wanted], rows


def _rate(one: Figures | None, baseline: Figures | None, rate: str) -> Row:
    if one is None or one.get("value") is None:
        return {"value": "–", "span": "", "change": ""}
    change = ""
    if baseline and baseline.get("value") is not None and rate != "abstention":
        up, down = one["low"] > baseline["high"], one["high"] < baseline["low"]
        if up or down:
            change = "better" if up == (rate in GOOD_RATES) else "worse"
    return {"value": percent(one["value"], 1), "span": span(one, 1), "change": change}


def baseline_rows(results: Figures) -> tuple[list[str], list[Row]]:
    """The reward model beside what sees less: names of the scorers, and a row for each set of comparisons."""
    table: Mapping[str, Figures] = results.get("reward_model_baselines", {})
    names = list(next(iter(table.values()), {}))
    rows = [
        {
            "name": source,
            "n": next((one["n"] for one in cells.values()), ""),
            "cells": [_share(cells.get(n)) for n in names],
        }
        for source, cells in table.items()
    ]
    return [kind_label(name) for name in names], rows


def curve_rows(results: Figures) -> list[Row]:
    """For each run the fitted curve of over-optimisation: its coefficients, where it turns, and what it foretold."""
    fits: Mapping[str, Figures] = results.get("overoptimization", {}).get("fits", {})
    rows = []
    for name, one in fits.items():
        own = one.get("forms", {}).get(one.get("form"), {})
        ahead = one.get("extrapolation", {}).get(one.get("form"), {})
        rows.append(
            {
                "label": label(name),
                "form": "d(α − βd)" if one.get("form") == "best_of_n" else "d(α − β ln d)",
                "better": one.get("better") == one.get("form"),
                "alpha": _coefficient(own.get("alpha")),
                "beta": _coefficient(own.get("beta")),
                "r_squared": number(own.get("r_squared"), 2),
                "peak": _place(own.get("peak")),
                "observed": _place(one.get("observed"), one.get("resampled") == "prompts"),
                "foretold": _place(ahead.get("peak")),
                "resampled": one.get("resampled", ""),
                "n": one.get("n", ""),
            }
        )
    return rows


def _place(one: Figures | None, with_interval: bool = True) -> Row:
    """The KL of an optimum with its interval; open at the far end where the curve may never turn."""
    if not one or one.get("kl") is None:
        return {"value": "none" if one else "–", "span": "", "state": ""}
    high = "…" if one.get("high") is None else number(one["high"])
    return {
        "value": number(one["kl"]),
        "span": f"{number(one.get('low'))}–{high}" if with_interval else "",
        "state": "",
    }


def _coefficient(one: Figures | None) -> Row:
    if not one:
        return {"value": "–", "span": "", "state": ""}
    span = f"{number(one.get('low'))} to {number(one.get('high'))}"  # a dash would look like a minus
    return {"value": number(one.get("value")), "span": span, "state": ""}


def invariance_rows(reward_model: Figures) -> list[Row]:
    """What must not change a score, and the most it did."""
    return [
        {
            "what": one["what"],
            "largest": "not finite" if one.get("largest") is None else f"{one['largest']:.1e}",
            "turned": one["changed_order"],
            "holds": one["holds"],
            "n": one["n"],
        }
        for one in reward_model.get("invariance", {}).values()
    ]


def stage_rows(results: Figures) -> list[Row]:
    """What each stage took."""
    stages: Mapping[str, Figures] = results.get("stages", {})
    longest = max((one.get("wall_seconds") or 0.0 for one in stages.values()), default=0.0) or 1.0
    return [
        {
            "name": one.get("title", name),
            "seconds": duration(one.get("wall_seconds")),
            "share": round(100 * (one.get("wall_seconds") or 0.0) / longest, 1),
            "tokens": big(one["tokens"]) if one.get("tokens") else "",
            "speed": f"{big(one['tokens'] / one['wall_seconds'])}/s"
            if one.get("tokens") and one.get("wall_seconds")
            else "",
            "memory": f"{one['peak_rss_mib']:.0f} MiB" if one.get("peak_rss_mib") else "",
        }
        for name, one in stages.items()
    ]


def plan_rows(material: Material) -> list[Row]:
    """What was predicted of each stage, and what it took. Seconds are compared with the CPU seconds of the stage's own
    process where it computed on one thread, because other programs make the clock's longer."""
    planned = {one["name"]: one for one in material.plan.get("stages", [])}
    rows = []
    for name, one in material.results.get("stages", {}).items():
        if name not in planned or one.get("wall_seconds") is None:
            continue
        found, seconds = planned[name], one["wall_seconds"]
        memory = one.get("peak_device_mib") or one.get("peak_rss_mib")
        if one.get("threads") == 1:
            seconds = one.get("cpu_seconds", seconds)
        skipped = found["perhaps"] and seconds < 0.2 * found["seconds"]
        rows.append(
            {
                "name": one.get("title", name),
                "planned": duration(found["seconds"]),
                "taken": duration(seconds),
                "off": "not needed" if skipped else _off(found["seconds"], seconds),
                "planned_memory": f"{found['peak_mib']:,.0f} MiB",
                "memory": f"{memory:,.0f} MiB" if memory else "",
                "off_memory": _off(found["peak_mib"], memory),
            }
        )
    return rows


def _off(planned: float, measured: float | None) -> str:
    """How far a prediction was from what was measured: ``"+12 %"`` was too much."""
    return f"{100 * (planned / measured - 1):+.0f} %" if measured else ""


def round_rows(results: Figures) -> list[Row]:
    """The run's model after each round, and the control of a single round with as many comparisons."""
    names = [one for one in results.get("win_rate", {}) if one == "ppo_ptx" or one.startswith("ppo_ptx_")]
    if len(names) < 2:
        return []
    return [
        {"label": label(name), "wins": [_share(results.get(s, {}).get(name)) for s in COMPARISONS]}
        for name in sorted(names, key=lambda one: (not one.startswith("ppo_ptx_round"), one))
    ]


def lineage_rows(material: Material) -> list[Row]:
    """Models as a tree: each under the one it was made from."""
    parents = {name: card.get("parent") for name, card in material.models.items()}
    rows: list[Row] = []

    def grow(parent: str | None, depth: int) -> None:
        for name in sorted(parents):
            known = parents[name] if parents[name] in parents else None
            if known == parent and name != parent and name not in {row["name"] for row in rows}:
                card = material.models[name]
                origin = parents[name] if parents[name] not in parents else None
                row: Row = {"name": name, "depth": depth, "origin": origin, "kind": card.get("kind") or ""}
                row |= {field: str(card.get(field) or "")[:16] for field in ("export_hash", "config_hash", "stage")}
                rows.append(row)
                grow(name, depth + 1)

    grow(None, 0)
    return rows


def setting_rows(results: Figures) -> list[tuple[str, list[tuple[str, str]]]]:
    """The configuration by section, each a list of names and values."""
    config: Mapping[str, Any] = results.get("config", {})
    top = [(name, _written(value)) for name, value in config.items() if not isinstance(value, Mapping)]
    sections = [
        (name, [(field, _written(one)) for field, one in value.items()])
        for name, value in config.items()
        if isinstance(value, Mapping)
    ]
    return ([("run", top)] if top else []) + sections


def diagnosis_rows(material: Material) -> list[Row]:
    """What the PPO runs said was wrong, in the order they said it."""
    return [
        {
            "run": run,
            "step": one.get("step"),
            "name": one.get("name", ""),
            "meaning": one.get("meaning", ""),
            "metric": one.get("metric", ""),
            "value": number(_number(one.get("value")), 3),
        }
        for run, rows in material.diagnoses.items()
        for one in rows
    ]


def sample_groups(results: Figures) -> list[tuple[str, list[Row]]]:
    """Sample answers by kind, each with its models' answers in order."""
    groups: dict[str, list[Row]] = {}
    for sample in results.get("samples", []):
        answers = [
            {
                "model": name,
                "label": label(name),
                "text": text,
                "score": number(_number(sample.get("scores", {}).get(name)), 1),
            }
            for name, text in sample["answers"].items()
            if name != "kl_free"
        ]
        row = {"prompt": sample["prompt"], "outcome": sample.get("outcome", ""), "answers": answers}
        groups.setdefault(kind_label(sample.get("kind", "")), []).append(row)
    return list(groups.items())


def _share(one: Figures | None) -> Row:
    if not one or one.get("value") is None:
        return {"value": "–", "span": "", "n": "", "state": "", "low": 0, "high": 0, "at": 0}
    state = "better" if one["low"] > 0.5 else "worse" if one["high"] < 0.5 else ""
    return {
        "value": percent(one["value"], 1),
        "span": span(one, 1),
        "n": one.get("n", ""),
        "state": state,
        "low": _along(one["low"]),
        "high": _along(one["high"]),
        "at": _along(one["value"]),
    }


def _along(share: float) -> float:
    """Place of a share on a bar that reaches from one quarter to three quarters, in percent."""
    return round(100 * min(max(2 * share - 0.5, 0.0), 1.0), 1)


def _points(one: Figures | None) -> Row:
    if not one or one.get("value") is None:
        return {"value": "–", "span": ""}
    ends: Sequence[float] = (one["low"], one["high"])
    return {
        "value": number(100 * one["value"], 1, sign=True),
        "span": " to ".join(number(100 * end, 1, sign=True) for end in ends),
    }


def _mean(one: Figures | None, digits: int = 2) -> str:
    return number(one.get("value"), digits) if one else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _written(value: Any) -> str:
    return "–" if value is None else str(value)
