"""``heed compare``: models side by side on the same prompts and tasks, as one page."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heed.cli.common import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, open_workspace, print_json, say
from heed.cli.evaluate import (
    DataOption,
    LayoutOption,
    LimitOption,
    ServerOption,
    ShotsOption,
    TaskOption,
    ToxicityOption,
    TruthOption,
)
from heed.cli.loop import DeviceOption, QuietOption
from heed.cli.talk import LengthOption, SeedOption
from heed.errors import ConfigError

if TYPE_CHECKING:
    from heed.cli.measuring import Subject
    from heed.evaluation.tasks.run import TaskResult
    from heed.evaluation.tasks.suite import Suite
    from heed.evaluation.verdicts import Verdicts
    from heed.records import Completion, Prompt
    from heed.roles import Decoding
    from heed.runtime.progress import Progress

COMPARISONS = "comparisons"
"""The directory of a workspace with the pages."""
SAMPLES = 24
"""Prompts of which the page shows all answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that was had from one model."""

    about: Mapping[str, Any]
    answers: Sequence[Completion]
    tasks: Mapping[str, TaskResult]


def compare(
    models: Annotated[list[str], typer.Argument(metavar="A B...", help="Models of the workspace, or directories.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whom the others are set against; the last one if not given.")
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            metavar="JUDGE", help="Who prefers: a reward model, people, gold, length, a language model; or none."
        ),
    ] = "reward",
    judge_server: Annotated[
        str | None, typer.Option(metavar="URL", help="The OpenAI-compatible server of the language model that judges.")
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Prompts to compare on.")] = 200,
    split: Annotated[str, typer.Option(help="Which of the workspace's prompts.")] = "test",
    show: Annotated[int, typer.Option(min=0, help="Answers to show side by side.")] = 5,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
    max_new_tokens: LengthOption = 48,
    data: DataOption = None,
    tasks: TaskOption = None,
    shots: ShotsOption = None,
    limit: LimitOption = None,
    layout: LayoutOption = "auto",
    toxicity: ToxicityOption = "words",
    truth: TruthOption = "similarity",
    server: ServerOption = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the page goes, and its JSON beside it.")
    ] = None,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Models on the same prompts and tasks, as one page that says what got better and what got worse.

    Each figure has its interval, differences are tested question by question, and only those that survive the
    correction for their number count. Replies to tasks are kept: comparing again costs nothing.

    [dim]Examples:[/]

    heed compare ppo-ptx sft --show 10

    heed compare ppo-ptx sft base --data DIR --judge none
    """
    from heed.cli.measuring import Asked, wanted_suite
    from heed.evaluation.comparison import correct_together
    from heed.roles import Decoding
    from heed.runtime.progress import open_progress

    started = time.monotonic()
    order = _order(models, baseline)
    suite = wanted_suite(
        workspace, data, tasks or [], shots=shots, limit=limit, seed=seed, toxicity=toxicity, truth=truth
    )
    prompts = [] if judge in ("none", "people") else comparison_prompts(workspace, split, number)
    if judge == "none" and not suite.tasks:
        raise ConfigError("there is nothing to compare on: name a judge, or tasks with --data DIR")
    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    progress = open_progress(sys.stderr, silent=quiet or as_json)
    try:
        asked = Asked(layout=layout, server=server, device=device, seed=seed)
        measured = [_measured(workspace, name, asked, prompts, decoding, suite, progress) for name in order]
        names = [str(one.about["name"]) for one in measured]
        answers = {name: one.answers for name, one in zip(names, measured, strict=True)}
        verdicts = _verdicts(workspace, judge, judge_server, prompts, answers, device, seed, progress)
    except KeyboardInterrupt:
        progress.note("Interrupted. The same command goes on from the last reply that was kept.")
        raise typer.Exit(130) from None
    finally:
        progress.close()
    document = _document(names, measured, suite, seed)
    document["preference"] = _preference(verdicts, names, temperature, split, judge, seed)
    document["tests"] = correct_together(document["tasks"], document["preference"])
    document["samples"] = _samples(prompts, answers, verdicts, names[0]) if verdicts else []
    if judge == "people":
        document["ratings"] = _ratings(workspace, names)
    document["wall_seconds"] = time.monotonic() - started
    path = _write(workspace, document, page)
    if as_json:
        print_json(document)
        return
    _print(document, show)
    say(f"\nPage: {path}")


def _order(models: Sequence[str], baseline: str | None) -> list[str]:
    """The baseline first, and the model that was named first last: it is what the page is about.

    Raises:
        ConfigError: fewer than two models, one of them twice, or a baseline that is not among them.
    """
    if len(models) < 2:
        raise ConfigError(
            f"one model, {models[0]!r}; expected two or more to compare, such as: heed compare ppo-ptx sft"
        )
    twice = next((name for name in models if list(models).count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice!r} is named twice; a model cannot be told from itself")
    if baseline is not None and baseline not in models:
        raise ConfigError(f"baseline is {baseline!r}, expected one of {', '.join(models)}")
    first = baseline or models[-1]
    return [first, *(name for name in reversed(models) if name != first)]


def _measured(
    workspace: Path,
    name: str,
    asked: Any,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    suite: Suite,
    progress: Progress,
) -> Measured:
    """One model at a time: it is gone from memory before the next is loaded."""
    from heed.cli.measuring import measure, open_subject

    subject: Subject = open_subject(workspace, name, asked)
    answers: list[Completion] = []
    with progress.track(len(prompts), "answers", heading=f"{subject.name}: answers") as tracker:
        for start in range(0, len(prompts), 100):
            part = prompts[start : start + 100]
            answers += [row[0] for row in subject.model.sampler.sample(part, 1, decoding)]
            tracker.advance(len(part))
    results = measure(workspace, subject, suite.tasks, progress)
    return Measured(about=subject.about, answers=answers, tasks={one.task.name: one for one in results})


def _verdicts(
    workspace: Path,
    judge: str,
    judge_server: str | None,
    prompts: Sequence[Prompt],
    answers: Mapping[str, Sequence[Completion]],
    device: str,
    seed: int,
    progress: Progress,
) -> Verdicts | None:
    """What the judge says; None if nobody judges.

    Raises:
        DataError: nobody ranked answers of these models.
    """
    from heed.cli.judges import JudgeSettings, decider
    from heed.errors import DataError
    from heed.evaluation.preference import compare_models, verdicts_of_rankings
    from heed.evaluation.verdicts import scorer_decides

    if judge == "none":
        return None
    if judge == "people":
        with open_workspace(workspace).store() as store:
            said = verdicts_of_rankings(store.rankings(final=True), list(answers))
        if not said.verdicts:
            raise DataError(
                f"{workspace}: nobody has ranked answers of {' and '.join(answers)} against each other; "
                f"ask people with: heed ask NAME --form compare --model {' --model '.join(answers)}"
            )
        return said
    if judge == "gold":
        decide = scorer_decides(_gold(workspace), "gold", what="The sandbox's true preference: for evaluation only.")
    else:
        settings = JudgeSettings(server=judge_server, device=device, seed=seed)
        decide = decider(workspace, judge, settings, progress)
    return compare_models(prompts, answers, decide, next(iter(answers)))


def _gold(workspace: Path) -> Any:
    """The true preference of the sandbox that the workspace was run with."""
    from heed.cli.loop import saved_config
    from heed.sandbox import GoldScorer, World

    config = saved_config(open_workspace(workspace))
    if config.recipe not in ("sandbox", "labels"):
        raise ConfigError(
            f"{workspace} was run with the recipe {config.recipe}; only the sandbox knows a true preference"
        )
    return GoldScorer(World(config.seed))


def _document(names: Sequence[str], measured: Sequence[Measured], suite: Suite, seed: int) -> dict[str, Any]:
    from heed import __version__
    from heed.evaluation.comparison import compare_tasks

    tasks = [
        {name: one.tasks[task.name] for name, one in zip(names, measured, strict=True) if task.name in one.tasks}
        for task in suite.tasks
    ]
    return {
        "schema": 1,
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "baseline": names[0],
        "models": [dict(one.about) for one in measured],
        **compare_tasks([results for results in tasks if results], names, names[0]),
        "not_measured": list(suite.left_out),
    }


def _preference(
    verdicts: Verdicts | None, names: Sequence[str], temperature: float, split: str, judge: str, seed: int
) -> dict[str, Any] | None:
    from heed.evaluation.preference import summarize

    if verdicts is None:
        return None
    found = summarize(verdicts, names[0], seed=seed).as_json()
    return {**found, "judge": found["judge"] or judge, "temperature": temperature, "split": split}


def _samples(
    prompts: Sequence[Prompt], answers: Mapping[str, Sequence[Completion]], verdicts: Verdicts, baseline: str
) -> list[dict[str, Any]]:
    """The first prompts with all answers, and how each fared against the baseline's: 1 won, 0 lost."""
    scores: dict[tuple[str, str], list[float]] = {}
    for verdict in verdicts.verdicts:
        for name, other in ((verdict.first, verdict.second), (verdict.second, verdict.first)):
            if other == baseline:
                scores.setdefault((verdict.prompt_id, name), []).append(verdict.seen_from(name))
    return [
        {
            "prompt": prompt.text,
            "answers": {name: some[place].text for name, some in answers.items()},
            "scores": {
                name: sum(held) / len(held) for name in answers if (held := scores.get((prompt.id, name))) is not None
            },
        }
        for place, prompt in enumerate(prompts[:SAMPLES])
    ]


def _ratings(workspace: Path, names: Sequence[str]) -> dict[str, Any]:
    """What people said of each model's answers one by one: grades from 1 to 7, and flags."""
    from heed.evaluation.model_ratings import ratings_by_model

    with open_workspace(workspace).store() as store:
        ratings = store.ratings(final=True)
    return {name: one.as_json() for name, one in ratings_by_model(ratings).items() if name in names}


def _write(workspace: Path, document: Mapping[str, Any], page: Path | None) -> Path:
    """The page, and the document beside it."""
    from heed.files import write_json
    from heed.reports.comparison_page import clean, write_comparison

    names = [model["name"] for model in document["models"]]
    path = page or open_workspace(workspace).root / COMPARISONS / f"{'-vs-'.join(reversed(names))}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_suffix(".json"), clean(document))
    write_comparison(document, path)
    return path


def _print(document: Mapping[str, Any], show: int) -> None:
    """A few answers side by side, who is preferred, and the differences that count."""
    from heed.cli.evaluate import print_figures

    for sample in document["samples"][:show]:
        say(sample["prompt"])
        width = max(map(len, sample["answers"]))
        for name, text in reversed(sample["answers"].items()):
            score = sample["scores"].get(name)
            say(f"  {name:<{width}}  {'     ' if score is None else f'{score:+.2f}'}  {text}")
        say()
    print_figures(document)
    preference = document["preference"]
    if preference is not None:
        for name, rate in preference["win_rates"].items():
            interval = f"95 % interval {100 * rate['low']:.1f}–{100 * rate['high']:.1f}, ties count half"
            share = f"{100 * rate['value']:.1f} % of {rate['n']} prompts ({interval})"
            say(f"{preference['judge']} prefers {name} to {document['baseline']} on {share}.")
        if preference["failures"]:
            say(f"{preference['failures']} judgements failed: {preference['failure_reasons']}")


def comparison_prompts(workspace: Path, split: str, number: int) -> list[Prompt]:
    """The first ``number`` prompts of a split.

    Raises:
        DataError: the split has none; the splits there are are named.
    """
    from heed.errors import DataError

    with open_workspace(workspace).store() as store:
        prompts = store.prompts(split=split)
        if not prompts:
            splits = sorted({prompt.split for prompt in store.prompts()})
            there = f"its splits are {', '.join(splits)}" if splits else "it has no prompts"
            raise DataError(f"{workspace}: no prompts of split {split!r}; {there}")
    return prompts[:number]
