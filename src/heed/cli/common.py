"""What the commands share: their common options, and how they print."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from heed.records import Json

if TYPE_CHECKING:
    from heed.store.workspace import Workspace

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", metavar="DIR", help="The workspace's directory.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for a script to read.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one setting, such as ppo.kl_coef=0.05. May be repeated."),
]
DEFAULT_WORKSPACE = Path("workspace")


def open_workspace(path: Path) -> Workspace:
    """The workspace at ``path``; ``HEED_DATABASE_URL`` names a database server to use instead of its SQLite file."""
    from heed.store.workspace import Workspace

    return Workspace.open(path, os.environ.get("HEED_DATABASE_URL"))


def create_workspace(path: Path) -> Workspace:
    """Like :func:`open_workspace`, but makes it if it is not there."""
    from heed.store.workspace import Workspace

    return Workspace.create(path, os.environ.get("HEED_DATABASE_URL"))


def print_json(value: Json) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output, or nothing if it has no rows; all columns but the first are aligned to the right."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 200  # a file has no width that a table has to fit into
    console.print()
    console.print(Text(title, style="bold"))
    console.print(table)


def say(text: str = "") -> None:
    """A line on standard output. Square brackets are text, not markup."""
    Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=True).print(text)


def usable_cores() -> int:
    """Processors this process may run on, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
