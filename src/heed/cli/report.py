"""``heed report``: the page of a run, drawn anew."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    open_workspace,
    print_json,
    say,
)


def report(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a workspace anew from its results, as one HTML page.

    [dim]Example:[/]  heed report --open
    """
    from heed.reports import write_report

    place = open_workspace(workspace)
    path = write_report(place.root)
    if as_json:
        print_json({"report": str(path)})
    else:
        say(str(path))
    if show:
        webbrowser.open(path.as_uri())
