"""What a report is made from: the results of a run, and what its stages wrote down on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heed.errors import WorkspaceError
from heed.files import read_json
from heed.runtime.metrics import read_metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where a figure of PPO should stay."""

    name: str
    metric: str
    low: float | None = None
    high: float | None = None
    relative: bool = False
    """The bounds are multiples of the figure's first value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything a page shows. All but the results may be missing."""

    results: Mapping[str, Any]
    curves: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """For each stage the lines of its ``metrics.jsonl``."""
    diagnoses: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """For each PPO stage the bands it left, and when."""
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """For each model the card that says what it was made from."""
    bands: Sequence[Band] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What ``heed plan`` predicted of this run; empty if it was not asked."""


def read_workspace(root: Path) -> Material:
    """Read what a run left in a workspace.

    Raises:
        WorkspaceError: there is no ``results.json``.
        DataError: a file is not JSON.
    """
    path = root / "results.json"
    if not path.exists():
        raise WorkspaceError(f"{root}: no results.json to report on; run: heed run RECIPE --workspace {root}")
    results = read_json(path)
    if not isinstance(results, dict):
        raise WorkspaceError(f"{path}: expected a JSON object; run the evaluate stage again")
    stages = sorted(one for one in (root / "runs").glob("*") if one.is_dir())
    return Material(
        results=results,
        curves={one.name: rows for one in stages if (rows := read_metrics(one / "metrics.jsonl"))},
        diagnoses={one.name: rows for one in stages if (rows := read_metrics(one / "diagnoses.jsonl"))},
        models={path.parent.name: _card(path) for path in sorted((root / "models").glob("*/heed.json"))},
        bands=[Band(**band) for band in results.get("bands", [])],
        plan=_plan(root / "plan.json", results),
    )


def _plan(path: Path, results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The prediction, if it is of the run that the results are of."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = isinstance(found, dict) and found.get("config_hash") == results.get("config_hash")
    return found if same else {}


def _card(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    card = content.get("card", content) if isinstance(content, dict) else {}
    kind = content.get("kind") if isinstance(content, dict) else None
    return {"kind": kind, **card} if isinstance(card, dict) else {}
