"""``heed crew``: simulated labelers, in the running studio or on paper."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    open_workspace,
    print_json,
    print_table,
    say,
)
from heed.errors import ConfigError

if TYPE_CHECKING:
    from heed.feedback.crew.gang import Outcome
    from heed.feedback.crew.hiring import Hiring

OVERLAPS = (0.05, 0.15, 0.3)
GOLD = (0.0, 0.05, 0.1)
LABELS = (500, 2000, 5000)


def crew(
    url: Annotated[str, typer.Option(help="Where the studio is.")] = "http://127.0.0.1:8000",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    honest: Annotated[int, typer.Option(min=0, help="Who do their best.")] = 8,
    noisy: Annotated[int, typer.Option(min=0, help="Who answer half of it at random.")] = 0,
    lazy: Annotated[int, typer.Option(min=0, help="Who do not read.")] = 0,
    hostile: Annotated[int, typer.Option(min=0, help="Who answer the opposite.")] = 0,
    heldout: Annotated[int, typer.Option(min=0, help="Honest ones of the held-out group.")] = 0,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so long; else when nothing is left.")] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="How many times faster than people.")] = 60.0,
    campaign: Annotated[str | None, typer.Option(help="This campaign only.")] = None,
    seed: Annotated[int, typer.Option(help="Of their tastes and of all chance.")] = 0,
    plan: Annotated[bool, typer.Option("--plan", help="On paper: what overlap, gold and labels lead to.")] = False,
    labels: Annotated[list[int] | None, typer.Option(help="With --plan: labels. May be repeated.")] = None,
    overlap: Annotated[list[float] | None, typer.Option(help="With --plan: share of items in the pool.")] = None,
    gold: Annotated[list[float] | None, typer.Option(help="With --plan: share of gold items.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="With --plan: work for one comparison.")] = 37.0,
    agreement: Annotated[float, typer.Option(min=0.5, max=1, help="With --plan: of two honest people.")] = 0.726,
    hourly: Annotated[float | None, typer.Option(min=0, help="With --plan: pay for an hour.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let simulated labelers work in the studio, or see on paper what to plan before people are hired.

    They come in by invitation like everyone, under names such as "hostile 00", do the screening, and are let in
    whatever it says of them. They are kept as simulated.

    [dim]Example:[/]  heed crew --honest 8 --hostile 1 --plan
    """
    from heed.feedback.crew.hiring import Hiring

    hiring = Hiring(honest=honest, noisy=noisy, lazy=lazy, hostile=hostile, heldout=heldout)
    if not honest + noisy + lazy + hostile + heldout:
        raise ConfigError("a crew of nobody; give at least one labeler, such as --honest 8")
    if plan:
        choices = [
            (one, share, known) for one in labels or LABELS for share in overlap or OVERLAPS for known in gold or GOLD
        ]
        _print_plan(hiring, choices, seconds=seconds, agreement=agreement, hourly=hourly, seed=seed, as_json=as_json)
        return
    outcome = _send(hiring, url, workspace, minutes=minutes, speed=speed, campaign=campaign, seed=seed)
    if as_json:
        print_json(
            {
                "answers": outcome.answers,
                "seconds": outcome.seconds,
                "retries": outcome.retries,
                "errors": outcome.errors,
                "labelers": {one.name: {"id": one.account, "answers": len(one.acknowledged), "skipped": one.skipped}
                             for one in outcome.diaries},
            }
        )  # fmt: skip
        return
    rows = [[one.name, one.account, str(len(one.acknowledged)), str(one.skipped)] for one in outcome.diaries]
    print_table("The crew", ("labeler", "id", "answers", "skipped"), rows)
    say(f"{outcome.answers:,} answers in {outcome.seconds:.0f} s; sent again {outcome.retries} times.")
    for error in outcome.errors:
        say(f"  {error}")


def _send(
    hiring: Hiring,
    url: str,
    workspace: Path,
    *,
    minutes: float | None,
    speed: float,
    campaign: str | None,
    seed: int,
) -> Outcome:
    from heed.store.studio.simulated import accept_crew, invite_crew, mark_simulated

    try:
        from heed.feedback.crew.gang import Shift, run_shift
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is missing; pip install 'heed[crew]'") from error
    from dataclasses import replace

    from heed.feedback.crew.hiring import hire
    from heed.feedback.crew.minds import gradable

    with open_workspace(workspace).store() as store:
        recruits = hire(hiring, gradable(store.prompts()), seed=seed)
        tokens = invite_crew(store, [one.group for one in recruits])
        invited = [replace(one, invitation=token) for one, token in zip(recruits, tokens, strict=True)]

        def joined(accounts: Mapping[str, str]) -> None:
            mark_simulated(store, list(accounts.values()))
            accept_crew(store, list(accounts.values()))

        shift = Shift(
            url=url, seconds=None if minutes is None else 60 * minutes, speed=speed, campaign=campaign, seed=seed
        )
        return asyncio.run(run_shift(invited, shift, joined=joined))


def _print_plan(
    hiring: Hiring,
    choices: Sequence[tuple[int, float, float]],
    *,
    seconds: float,
    agreement: float,
    hourly: float | None,
    seed: int,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from heed.feedback.crew.plan import Terms, expect

    terms = Terms(hiring=hiring, seconds=seconds, agreement=agreement, hourly=hourly, seed=seed)
    found = [expect(terms, labels=labels, overlap=share, gold_share=known) for labels, share, known in choices]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        [
            f"{one.labels:,}",
            f"{one.overlap:.0%}",
            f"{one.gold_share:.0%}",
            f"{one.items:,}",
            "" if one.agreement is None else f"{one.agreement:.1%} ± {one.half_width:.1%}",
            *("" if share is None else f"{share:.0%}" for share in (one.caught, one.lazy_caught)),
            f"{one.wronged:.0%}",
            f"{one.hours:,.1f}",
            *([] if one.cost is None else [f"{one.cost:,.0f}"]),
        ]
        for one in found
    ]
    columns = ["labels", "overlap", "gold", "items", "agreement", "hostile named", "lazy named", "honest named"]
    columns += ["hours", *([] if hourly is None else ["cost"])]
    print_table("What to expect", columns, rows)
    say(
        f"{terms.repeats} simulated projects a row; {seconds:g} s a comparison; two honest labelers agree on "
        f"{agreement:.1%}; three labels for an item in the pool."
    )
