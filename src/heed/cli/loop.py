"""``heed init``, ``status``, ``run``, ``train``: the workspace and the loop in it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    SetOption,
    WorkspaceOption,
    create_workspace,
    open_workspace,
    print_json,
    print_table,
    say,
    usable_cores,
)

if TYPE_CHECKING:
    from heed.config import RunConfig
    from heed.pipeline import Outcome
    from heed.store.lineage import Dependents, Lineage
    from heed.store.workspace import Workspace

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
DTypeOption = Annotated[
    str,
    typer.Option(
        help="What models compute in while they are trained: float32, bfloat16, or auto, the faster one here."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def init(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="Where to make it.")] = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Make a workspace: a database for people's work, and directories for models, runs and exports.

    [dim]Example:[/]  heed init my-project
    """
    workspace = create_workspace(path)
    if as_json:
        print_json({"workspace": str(workspace.root)})
    else:
        say(f"{workspace.root} is a workspace. Next: heed run sandbox --workspace {path}")


def status(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="What this model was made from, and by whom.")
    ] = None,
    labeler: Annotated[str | None, typer.Option(metavar="ID", help="What this labeler's work went into.")] = None,
    as_json: JsonOption = False,
) -> None:
    """What is in a workspace: people's work, models, and how far the loop got.

    [dim]Examples:[/]

    heed status --workspace my-project

    heed status --model ppo-ptx
    """
    place = open_workspace(workspace)
    with place.store() as store:
        if model is not None:
            _print_lineage(store.lineage(model), as_json)
        elif labeler is not None:
            _print_dependents(store.dependents(labeler), as_json)
        else:
            _print_status(place, dict(store.counts()), as_json)


def _print_status(place: Workspace, counts: Mapping[str, int], as_json: bool) -> None:
    models, stages = list_models(place), _stages(place)
    if as_json:
        print_json({"workspace": str(place.root), "counts": counts, "models": models, "stages": stages})
        return
    say(str(place.root))
    print_table("People's work", ["", "rows"], [[name, f"{number:,}"] for name, number in counts.items() if number])
    columns = ["", "kind", "made from", "by stage"]
    print_table("Models", columns, [[m["name"], m["kind"], m["parent"] or "", m["stage"] or ""] for m in models])
    seconds = [[s["name"], s["state"], f"{s['wall_seconds']:.1f} s" if s["wall_seconds"] else ""] for s in stages]
    print_table("Stages", ["", "state", "time"], seconds)


def _print_lineage(lineage: Lineage, as_json: bool) -> None:
    if as_json:
        print_json(lineage.as_json())
        return
    rows = [[m.name, m.parent or "", ", ".join(m.uses), m.export_hash or "", m.config_hash] for m in lineage.models]
    print_table("Made from", ["", "parent", "with the help of", "data", "settings"], rows)
    print_table("Data", ["", "kind", "rows"], [[e.hash, e.kind, f"{e.rows:,}"] for e in lineage.exports])
    people = [[c.labeler, c.kind, c.group, f"{c.responses:,}"] for c in lineage.labelers]
    print_table(f"People, over {lineage.num_prompts:,} prompts", ["", "kind", "group", "responses"], people)


def _print_dependents(dependents: Dependents, as_json: bool) -> None:
    if as_json:
        print_json(dependents.as_json())
        return
    print_table("Data", ["", "kind", "rows"], [[e.hash, e.kind, f"{e.rows:,}"] for e in dependents.exports])
    print_table("Models", [""], [[name] for name in dependents.models])


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="sandbox, real or labels.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    assignments: SetOption = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="STAGE", help="Run this stage only. May be repeated.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set seed=N.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Short for --set rounds=N.")] = None,
    device: DeviceOption = "auto",
    dtype: DTypeOption = "float32",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard event files.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the loop from top to bottom, or a part of it.

    A stage whose inputs and settings have not changed is skipped; one that was interrupted goes on where it was.

    [dim]Examples:[/]

    heed run sandbox --workspace my-project --seed 1

    heed run sandbox --set ppo.kl_coef=0.05 --only ppo

    heed run real --set data=DIR

    heed run labels --set base=DIR --only text --only base
    """
    from heed.config import override
    from heed.recipes import find

    short = [f"{name}={value}" for name, value in (("seed", seed), ("rounds", rounds)) if value is not None]
    config = override(find(recipe).config(), [*short, *(assignments or [])])
    outcomes = start(config, workspace, only or [], device=device, dtype=dtype, tensorboard=tensorboard, quiet=quiet)
    _tell(config, workspace, outcomes, as_json)


class TrainStage(StrEnum):
    """What ``heed train`` can train."""

    pretrain = "pretrain"
    sft = "sft"
    reward = "reward"
    ppo = "ppo"


LabelCampaignOption = Annotated[
    list[str] | None,
    typer.Option("--campaign", metavar="NAME", help="Learn from this campaign's labels only. May be repeated."),
]
CurveOption = Annotated[
    bool, typer.Option("--learning-curve", help="Also train on parts of the rankings: what would more labels add?")
]
_STAGES = {
    TrainStage.pretrain: r"base",
    TrainStage.sft: r"sft",
    TrainStage.reward: r"reward(-\d+|-curve)?",
    TrainStage.ppo: r"ppo(-ptx)?(-\d+)?",
}
"""Names of the stages of each, of every round; the report's controls are not among them."""


def train(
    stage: Annotated[TrainStage, typer.Argument(metavar="STAGE", help="pretrain, sft, reward or ppo.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    assignments: SetOption = None,
    campaigns: LabelCampaignOption = None,
    learning_curve: CurveOption = False,
    device: DeviceOption = "auto",
    dtype: DTypeOption = "float32",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train one kind of model with the settings this workspace was last run with.

    After heed run labels, what people have said so far is frozen first, and learned from.

    [dim]Example:[/]  heed train ppo --set ppo.kl_coef=0.1
    """
    place = open_workspace(workspace)
    config = saved_config(place, assignments or [])
    if config.recipe == "labels" and stage in (TrainStage.sft, TrainStage.reward):
        from heed.cli.freeze import freeze_labels

        config = freeze_labels(config, place, stage, campaigns or [], learning_curve)
    elif campaigns or learning_curve:
        raise typer.BadParameter("--campaign and --learning-curve belong to sft and reward after heed run labels")
    wanted = [name for name in stage_names(config) if re.fullmatch(_STAGES[stage], name)]
    outcomes = start(config, workspace, wanted, device=device, dtype=dtype, quiet=quiet)
    _tell(config, workspace, outcomes, as_json)


def start(
    config: RunConfig,
    workspace: Path,
    only: Sequence[str] = (),
    *,
    device: str = "auto",
    dtype: str = "float32",
    tensorboard: bool = False,
    quiet: bool = False,
) -> list[Outcome]:
    """Run stages of the recipe that ``config`` names, with progress on standard error."""
    from heed.cli.plan import bring
    from heed.pipeline import Machine, run_recipe
    from heed.recipes import stages_of
    from heed.runtime.progress import open_progress

    if not quiet:
        print_config(config)
    progress = open_progress(sys.stderr, silent=quiet)
    try:
        machine = Machine(device=device, dtype=dtype, cores=usable_cores(), tensorboard=tensorboard)
        place = create_workspace(workspace)
        bring(config, dtype, place)
        return run_recipe(stages_of(config), config, place, machine, progress, only)
    except KeyboardInterrupt:
        progress.note("Interrupted. The same command goes on from the last checkpoint.")
        raise typer.Exit(130) from None
    finally:
        progress.close()


def saved_config(place: Workspace, assignments: Sequence[str] = ()) -> RunConfig:
    """The settings the workspace was last run with, some of them changed.

    Raises:
        ConfigError: nothing has been run here yet.
    """
    from heed.config import RunConfig, override, parse
    from heed.errors import ConfigError
    from heed.files import read_json
    from heed.pipeline import CONFIG_FILE

    path = place.root / CONFIG_FILE
    if not path.exists():
        raise ConfigError(f"{place.root}: nothing has been run here yet; start with heed run RECIPE")
    saved = read_json(path)
    assert isinstance(saved, Mapping)
    return override(parse(RunConfig, saved["settings"], where=str(path)), assignments)


def stage_names(config: RunConfig) -> list[str]:
    """The stages of the recipe that ``config`` names, in order."""
    from heed.recipes import stages_of

    return [stage.name for stage in stages_of(config)]


def list_models(place: Workspace) -> list[dict[str, Any]]:
    """Every model of the workspace with what its card says, oldest first."""
    from heed.files import read_json

    models = []
    cards = sorted(place.models_dir.glob("*/heed.json"), key=lambda path: (path.stat().st_mtime, path))
    for path in cards:
        content = read_json(path)
        assert isinstance(content, Mapping) and isinstance(content["card"], Mapping)
        card = content["card"]
        models.append(
            {
                "name": path.parent.name,
                "kind": content["kind"],
                "parent": card.get("parent"),
                "stage": card.get("stage"),
                "export_hash": card.get("export_hash"),
                "config_hash": card.get("config_hash"),
            }
        )
    return models


def print_config(config: RunConfig) -> None:
    """The resolved settings on standard error, a section to a line; what differs from the recipe is bold."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from heed.config import config_hash, flatten
    from heed.recipes import find

    usual = dict(flatten(find(config.recipe).config()))
    sections: dict[str, Text] = {}
    for name, value in flatten(config):
        section, _, field = name.rpartition(".")
        shown = Text(f"{field}\xa0{'none' if value is None else value}", style="bold" if usual[name] != value else "")
        sections.setdefault(section, Text()).append(shown).append("  ")
    grid = Table.grid(padding=(0, 2))
    for section, text in sections.items():
        grid.add_row(Text(f"  {section or 'run'}", style="dim"), text)
    console = Console(file=sys.stderr, highlight=False)
    console.print(Text(f"heed run {config.recipe}", style="bold"), f" configuration {config_hash(config)}")
    console.print(grid)
    console.print()


def _tell(config: RunConfig, workspace: Path, outcomes: Sequence[Outcome], as_json: bool) -> None:
    """What came out: the ladder and where the report is, if it was evaluated."""
    from heed.cli.ladder import print_ladder
    from heed.config import config_hash
    from heed.pipeline import REPORT_FILE, RESULTS_FILE

    evaluated = any(outcome.name == "evaluate" for outcome in outcomes)
    results, report = (str((workspace / name).resolve()) for name in (RESULTS_FILE, REPORT_FILE))
    if as_json:
        print_json(
            {
                "workspace": str(workspace.resolve()),
                "config_hash": config_hash(config),
                "stages": [{"name": o.name, "skipped": o.skipped, "wall_seconds": o.wall_seconds} for o in outcomes],
                "results": results if evaluated else None,
                "report": report if evaluated else None,
            }
        )
    elif evaluated:
        print_ladder(workspace / RESULTS_FILE)
        say(f"\nReport: {report}")
    else:
        for outcome in outcomes:
            say(f"{outcome.name}: {'unchanged' if outcome.skipped else format_figures(outcome.figures)}")


def format_figures(figures: Mapping[str, Any]) -> str:
    """The numbers of a stage on one line: ``"loss 1.234, tokens 6,000,000"``."""
    shown = []
    for name, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        shown.append(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.4g}")
    return ", ".join(shown)


def _stages(place: Workspace) -> list[dict[str, Any]]:
    """Every stage that was begun: finished, or not yet."""
    from heed.files import read_json

    stages = []
    for started in sorted(place.runs_dir.glob("*/started.json"), key=lambda path: path.stat().st_mtime):
        record = started.parent / "stage.json"
        figures: Any = {}
        if record.exists():
            content = read_json(record)
            assert isinstance(content, Mapping)
            figures = content["figures"]
        state = "finished" if record.exists() else "interrupted"
        stages.append({"name": started.parent.name, "state": state, "wall_seconds": figures.get("wall_seconds")})
    return stages
