"""The ladder on a terminal: each model's win rate against the supervised one, as ``results.json`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heed.cli.common import print_table, say
from heed.errors import DataError
from heed.files import read_json
from heed.reports.words import label

SECTIONS = {"win_rate": "sampled", "win_rate_greedy": "greedily", "win_rate_controlled": "controlled"}

EXPLANATION = """
sampled     at temperature 1, independent samples; ties count half everywhere
controlled  greedily, with stray additions taken out and length held equal
worse       share of prompts whose greedy answer is worse than the other model's
KL          from that model, in nats per answer; text loss: on held-out plain text"""


def load_results(path: Path) -> Mapping[str, Any]:
    """``results.json`` of a run.

    Raises:
        DataError: it is not there, or not a results file.
    """
    if not path.exists():
        raise DataError(f"{path}: there are no results yet; heed run makes them")
    content = read_json(path)
    if not isinstance(content, Mapping) or "win_rate" not in content:
        raise DataError(f"{path}: not a results file of Heed (no 'win_rate' in it)")
    return content


def print_ladder(path: Path) -> None:
    """One row for each model: win rates with their 95 % intervals, and what the training cost."""
    results = load_results(path)
    models = list(dict.fromkeys(name for section in SECTIONS for name in results.get(section, {})))
    baseline = results.get("evaluation", {}).get("baseline", "sft")
    rows = [[label(name), *_win_rates(results, name), *_costs(results, name)] for name in models]
    columns = ["", *SECTIONS.values(), "worse", "KL", "text loss"]
    print_table(f"Preferred to {label(baseline)}, in per cent (95 % interval)", columns, rows)
    say(EXPLANATION)


def _win_rates(results: Mapping[str, Any], name: str) -> list[str]:
    cells = []
    for section in SECTIONS:
        entry = results.get(section, {}).get(name)
        cells.append("" if entry is None else format_win_rate(entry))
    entry = results.get("win_rate_greedy", {}).get(name, {})
    return [*cells, f"{100 * entry['worse']:.0f} %" if "worse" in entry else ""]


def _costs(results: Mapping[str, Any], name: str) -> list[str]:
    kl, loss = results.get("kl", {}).get(name), results.get("pretraining_loss", {}).get(name)
    loss = loss.get("value") if isinstance(loss, Mapping) else loss
    return ["" if kl is None else f"{abs(round(kl, 1)):.1f}", "" if loss is None else f"{loss:.3f}"]


def format_win_rate(entry: Mapping[str, float]) -> str:
    """``61.0 (57–65)``."""
    return f"{100 * entry['value']:.1f} ({100 * entry['low']:.0f}–{100 * entry['high']:.0f})"
