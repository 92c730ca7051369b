"""``heed forget``: a person's data, out of the workspace."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from heed.cli.common import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, open_workspace, print_json, say


def forget(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A name, or the id of an account or labeler.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    rewrite_exports: Annotated[
        bool, typer.Option("--rewrite-exports", help="Replace frozen files by copies without their texts.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a person's data: name, password, sessions, notes, drafts, and every text they wrote.

    What they judged stays as numbers but is left out of all reading. It cannot be undone. Data sets and models that
    were made from their work are listed: a model cannot forget, and has to be trained anew. Old backups still hold
    the data.

    [dim]Example:[/]  heed forget "Ann Other" --rewrite-exports
    """
    from heed.store.studio.audit import Audit
    from heed.store.studio.privacy import Privacy

    place = open_workspace(workspace)
    with place.store() as store:
        privacy = Privacy(store)
        seen = privacy.footprint(person)
        if not yes:
            say(f"{seen.name or seen.labeler}: {seen.responses:,} answers, {seen.texts:,} texts, {seen.notes:,} notes;")
            say(f"in {len(seen.exports)} data sets and {len(seen.models)} models: {', '.join(seen.models) or 'none'}.")
            if not sys.stdin.isatty() or not typer.confirm("Remove it all? This cannot be undone."):
                say("Nothing was changed. Say --yes to remove it.")
                raise typer.Exit(1)
        done = privacy.forget(person, reason=reason, exports=place.exports_dir if rewrite_exports else None)
        Audit(store).record("system", "person.forget", done.subject, {"exports": len(seen.exports)})
    if as_json:
        affected = {"exports": [card.hash for card in seen.exports], "models": list(seen.models)}
        print_json({"subject": done.subject, "rewritten": [str(path) for path in done.rewritten], **affected})
        return
    say(f"Removed: {seen.texts:,} texts and {seen.notes:,} notes. {seen.responses:,} answers count as withdrawn.")
    for card in seen.exports:
        say(f"  data set {card.hash[:16]} ({card.kind}, {card.rows:,} rows) holds some of their work")
    for model in seen.models:
        say(f"  model {model} was made from it; train it anew")
    if seen.exports and not rewrite_exports:
        say("The files of these data sets are as they were; --rewrite-exports takes the texts out of them.")
