"""``heed evaluate``: the ladder of a recipe's models, or any models on tasks with known answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    SetOption,
    WorkspaceOption,
    open_workspace,
    print_json,
    print_table,
    say,
)
from heed.cli.loop import DeviceOption, DTypeOption, QuietOption, saved_config, start
from heed.cli.measuring import shown
from heed.errors import ConfigError
from heed.records import Json

if TYPE_CHECKING:
    from heed.cli.measuring import Subject
    from heed.evaluation.tasks.suite import Suite

DataOption = Annotated[Path | None, typer.Option(metavar="DIR", help="Where the published task files lie.")]
TaskOption = Annotated[
    list[str] | None, typer.Option("--task", metavar="NAME", help="A task, or how several begin. May be repeated.")
]
ShotsOption = Annotated[
    list[int] | None, typer.Option("--shots", min=0, help="Worked examples before each question. May be repeated.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Questions of each task; all of them if not given.")]
LayoutOption = Annotated[str, typer.Option(help="auto, plain (text to go on with) or chat (the model's template).")]
ToxicityOption = Annotated[
    str, typer.Option(metavar="SCORER", help="words (a list), the directory of a classifier, or a URL.")
]
TruthOption = Annotated[
    str, typer.Option(metavar="JUDGE", help="similarity (to published answers), a judge model's directory, or a URL.")
]
ServerOption = Annotated[
    str | None, typer.Option(metavar="URL", help="An OpenAI-compatible server that has the models.")
]


def evaluate(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Models of the workspace, or directories.")
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    data: DataOption = None,
    tasks: TaskOption = None,
    shots: ShotsOption = None,
    limit: LimitOption = None,
    layout: LayoutOption = "auto",
    toxicity: ToxicityOption = "words",
    truth: TruthOption = "similarity",
    harness: Annotated[
        list[str] | None, typer.Option(metavar="TASK", help="A task of lm-eval. May be repeated.")
    ] = None,
    include: Annotated[Path | None, typer.Option(metavar="DIR", help="Your own task files for lm-eval.")] = None,
    server: ServerOption = None,
    list_tasks: Annotated[bool, typer.Option("--list", help="Say which tasks the data has, and leave.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws shots and the questions of a limit.")] = 0,
    assignments: SetOption = None,
    device: DeviceOption = "auto",
    dtype: DTypeOption = "float32",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure models. Without a model: those of the workspace's recipe against each other, on its final prompts.

    With models: on tasks with known answers, read from published files in --data. Every reply is kept, so that a
    command that was interrupted goes on, and one that was run before costs nothing.

    [dim]Examples:[/]

    heed evaluate --set evaluation.num_prompts=1000

    heed evaluate base sft ppo-ptx --data DIR --task truthfulqa --task mmlu --shots 0 --shots 5

    heed evaluate sft --harness arc_easy
    """
    if not models and not list_tasks:
        if data is not None or tasks or harness:
            raise ConfigError("say which models to measure, such as: heed evaluate base sft --data DIR")
        _ladder(workspace, assignments, device, dtype, as_json, quiet)
        return

    from heed.cli.measuring import Asked, measure, open_subject, wanted_suite
    from heed.runtime.progress import open_progress

    suite = wanted_suite(
        workspace, data, tasks or [], shots=shots, limit=limit, seed=seed, toxicity=toxicity, truth=truth
    )
    if list_tasks:
        _list(suite, as_json)
        return
    if not suite.tasks and not harness:
        raise ConfigError("say what to measure the models on: --data DIR, or --harness TASK")
    asked = Asked(layout=layout, server=server, device=device, seed=seed)
    progress = open_progress(sys.stderr, silent=quiet)
    document: dict[str, Any] = {"models": {}, "left_out": list(suite.left_out)}
    try:
        for name in models or []:
            subject = open_subject(workspace, name, asked)
            results = measure(workspace, subject, suite.tasks, progress)
            entry = {"about": dict(subject.about), "tasks": [result.as_json() for result in results]}
            if harness:
                plain = open_subject(workspace, name, replace(asked, layout="plain"), with_greedy=True)
                entry["harness"] = _harness(plain, harness, include, shots, limit)
            document["models"][subject.name] = entry
    except KeyboardInterrupt:
        progress.note("Interrupted. The same command goes on from the last reply that was kept.")
        raise typer.Exit(130) from None
    finally:
        progress.close()
    if as_json:
        print_json(document)
    else:
        _print(document)


def _ladder(
    workspace: Path, assignments: list[str] | None, device: str, dtype: str, as_json: bool, quiet: bool
) -> None:
    """The models of the recipe against each other: the recipe's own last stage."""
    from heed.cli.ladder import load_results, print_ladder
    from heed.pipeline import RESULTS_FILE

    config = saved_config(open_workspace(workspace), assignments or [])
    start(config, workspace, ["evaluate"], device=device, dtype=dtype, quiet=quiet)
    if as_json:
        print_json(dict(load_results(workspace / RESULTS_FILE)))
    else:
        print_ladder(workspace / RESULTS_FILE)


def _harness(
    subject: Subject, tasks: list[str], include: Path | None, shots: list[int] | None, limit: int | None
) -> Mapping[str, Any]:
    """The harness's own figures, without what it says of itself."""
    from heed.evaluation.harness import run_harness
    from heed.evaluation.tasks.model import LocalModel

    if not isinstance(subject.model, LocalModel):
        raise ConfigError(f"{subject.name}: the harness needs the model on this machine, not behind a server")
    report = run_harness(subject.model, tasks, include=include, shots=shots[0] if shots else None, limit=limit)
    results = report["results"]
    assert isinstance(results, Mapping)
    return {
        task: {name: value for name, value in figures.items() if isinstance(value, int | float)}
        for task, figures in results.items()
    }


def _list(suite: Suite, as_json: bool) -> None:
    """Which tasks there are, and why others are not."""
    if as_json:
        tasks: list[Json] = [{"name": one.name, "title": one.title, "n": len(one.questions)} for one in suite.tasks]
        print_json({"tasks": tasks, "left_out": list(suite.left_out)})
        return
    rows = [[one.name, one.title, one.group, f"{len(one.questions):,}"] for one in suite.tasks]
    print_table("Tasks", ["name", "", "", "questions"], rows)
    for reason in suite.left_out:
        say(reason)


def _print(document: Mapping[str, Any]) -> None:
    """One row for each task and figure, one column for each model; then what went wrong."""
    models: Mapping[str, Any] = document["models"]
    rows: dict[tuple[str, str], list[str]] = {}
    for place, entry in enumerate(models.values()):
        for task in entry["tasks"]:
            _fill(rows, task["task"], task["metrics"], task["figures"], place, len(models))
        for task, figures in entry.get("harness", {}).items():
            for name, value in figures.items():
                rows.setdefault((f"lm-eval {task}", name), ["–"] * len(models))[place] = f"{value:.4g}"
    print_table("Figures with 95 % intervals", ["task", "", *models], [[*key, *row] for key, row in rows.items()])
    for name, entry in models.items():
        failed = [task for task in entry["tasks"] if task["failed"]]
        troubles = [f"{task['task']}: {task['failed']} failed ({task['errors'][0]})" for task in failed]
        cut = sum(task["cut"] for task in entry["tasks"])
        if cut:
            troubles.append(f"{cut:,} questions were longer than its context and lost their beginning")
        for trouble in troubles:
            say(f"{name}: {trouble}")
    for reason in document["left_out"]:
        say(reason)


def print_figures(document: Mapping[str, Any]) -> None:
    """The tasks of a comparison: like :func:`_print`, and the differences that survive the correction."""
    names = [model["name"] for model in document["models"]]
    rows: dict[tuple[str, str], list[str]] = {}
    for task in document["tasks"]:
        for place, name in enumerate(names):
            _fill(rows, task["name"], task["metrics"], task["figures"].get(name, {}), place, len(names))
    print_table("Figures with 95 % intervals", ["task", "", *names], [[*key, *row] for key, row in rows.items()])
    found = [
        [task["name"], f"{one['a']} less {one['b']}", shown(one, task["metrics"][0]["percent"]), f"{one['p_holm']:.3f}"]
        for task in document["tasks"]
        for one in task["differences"][task["metrics"][0]["name"]]
        if one["p_holm"] is not None and one["p_holm"] <= document["tests"]["false_positive_level"]
    ]
    if found:
        print_table(f"Differences, of {document['tests']['family']} tested", ["task", "", "", "p"], found)
    elif document["tasks"]:
        say(f"\nNone of {document['tests']['family']} differences survives the correction for their number.")


def _fill(
    rows: dict[tuple[str, str], list[str]],
    task: str,
    metrics: Sequence[Mapping[str, Any]],
    figures: Mapping[str, Any],
    place: int,
    columns: int,
) -> None:
    for metric in metrics:
        row = rows.setdefault((task, metric["title"]), ["–"] * columns)
        if metric["name"] in figures:
            row[place] = shown(figures[metric["name"]], metric["percent"])
