"""``heed backup`` and ``heed restore``: a workspace's database and files as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    create_workspace,
    open_workspace,
    print_json,
    say,
)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to write, such as monday.zip.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    with_models: Annotated[bool, typer.Option("--with-models", help="The models too, which may be large.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the database and the frozen data sets into one file, while labelers go on working.

    The file is the same for SQLite and PostgreSQL, holds a hash of every part, and is readable by its owner alone:
    people's names and password hashes are in it.

    [dim]Example:[/]  heed backup monday.zip
    """
    from heed.store.studio.backup import write_backup

    place = open_workspace(workspace)
    folders = ["exports", "models"] if with_models else ["exports"]
    with place.store() as store:
        written = write_backup(store, file, root=place.root, folders=folders)
    if as_json:
        print_json({"path": str(file), "rows": dict(written.rows), "files": written.files, "schema": written.schema})
    else:
        say(f"Wrote {written.total:,} rows and {written.files:,} files to {file} ({_size(file)}).")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What heed backup wrote.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Put a backup into a new workspace, or into the empty database that HEED_DATABASE_URL names.

    Everything is checked first; if anything is wrong, nothing is changed. People have to sign in again.

    [dim]Example:[/]  heed restore monday.zip --workspace restored
    """
    from heed.store.studio.backup import read_backup, restore_backup

    read_backup(file)  # before a directory is made for it
    place = create_workspace(workspace)
    with place.store() as store:
        found = restore_backup(store, file, root=place.root)
    if as_json:
        print_json({"workspace": str(place.root), "rows": dict(found.rows), "files": found.files})
    else:
        say(f"Restored {found.total:,} rows and {found.files:,} files of {found.created_at} into {place.root}.")
        say("Whoever was removed with heed forget after that day is back: remove them again.")


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"
