"""``heed``: the commands put together, and what happens to a mistake.

Every command is in a module of this package and imports what it needs when it runs, so that ``heed --help`` is there
at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from heed import __version__
from heed.cli import (
    ask,
    backup,
    compare,
    crew,
    doctor,
    evaluate,
    exchange,
    judge,
    label,
    loop,
    people,
    plan,
    prioritize,
    report,
    talk,
)
from heed.errors import HeedError

app = typer.Typer(
    name="heed",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(rich_help_panel="The loop")(loop.init)
app.command(rich_help_panel="The loop")(loop.status)
app.command(rich_help_panel="The loop")(plan.plan)
app.command(rich_help_panel="The loop")(loop.run)
app.command(rich_help_panel="The loop")(loop.train)
app.command(rich_help_panel="Labels")(label.label)
app.command(rich_help_panel="Labels")(ask.ask)
app.command(rich_help_panel="Labels")(prioritize.prioritize)
app.command(rich_help_panel="Labels")(crew.crew)
app.command("import", rich_help_panel="Data")(exchange.import_)
app.command(rich_help_panel="Data")(exchange.export)
app.command(rich_help_panel="Data")(backup.backup)
app.command(rich_help_panel="Data")(backup.restore)
app.command(rich_help_panel="Data")(people.forget)
app.command(rich_help_panel="Models")(talk.sample)
app.command(rich_help_panel="Models")(talk.chat)
app.command(rich_help_panel="Figures")(evaluate.evaluate)
app.command(rich_help_panel="Figures")(compare.compare)
app.command(rich_help_panel="Figures")(judge.judge)
app.command(rich_help_panel="Figures")(report.report)
app.command(rich_help_panel="This machine")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heed {__version__}")
        raise typer.Exit


@app.callback()
def heed(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Teach a language model to follow instructions from feedback.

    [dim]The whole loop on a small world, in minutes:[/]  heed run sandbox
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process: 0 if all went well, 2 and one sentence for a user's mistake."""
    try:
        app(list(arguments) if arguments is not None else None, prog_name="heed")
    except HeedError as error:
        print(f"heed: {error}", file=sys.stderr)
        sys.exit(2)
