"""``heed import`` and ``heed export``: public data formats in and out of a workspace."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

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

if TYPE_CHECKING:
    from heed.data.hygiene import Item
    from heed.records import Demonstration, Prompt, Ranking, Rating

T = TypeVar("T")

_BATCH = 2000
"""Records in one transaction."""


def import_(
    source: Annotated[str, typer.Argument(metavar="FORMAT:PATH", help="Such as hh-rlhf:train.jsonl.gz.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many records at most.")] = None,
    tidy: Annotated[
        bool, typer.Option("--clean", help="Without personal data, near-copies, and more than 200 prompts of a user.")
    ] = False,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Read prompts, demonstrations and rankings from a file into a workspace.

    What is there already is not added again. A mistake in the file is named with its line.

    [dim]Example:[/]  heed import hh-rlhf:harmless-base/train.jsonl.gz
    """
    from heed.data.readers import read
    from heed.runtime.progress import open_progress
    from heed.store.intake import add_records

    format_name, path = split_source(source)
    if format_name == "labels":
        _import_labels(path, workspace, as_json)
        return
    progress = open_progress(sys.stderr, silent=quiet or as_json)
    records: Iterable[object] = islice(read(format_name, path), limit)
    taken_out: dict[str, int] = {}
    if tidy:
        records, taken_out = clean(records)
    with create_workspace(workspace).store() as store:
        before = store.counts()
        read_in: Counter[str] = Counter()
        with progress.track(0, "records") as tracker:
            for batch in batches(records, _BATCH):
                read_in.update(type(record).__name__.lower() for record in batch)
                add_records(store, batch)
                tracker.advance(len(batch))
        after = store.counts()
    progress.close()
    added = {name: after[name] - before[name] for name in after}
    if as_json:
        print_json({"read": dict(read_in), "added": added, "taken_out": taken_out})
        return
    say(f"Read {in_words(read_in)} from {path}; added {in_words(added)}.")
    if tidy:
        found = "; ".join(f"{reason}: {number:,}" for reason, number in taken_out.items())
        say(f"Taken out: {found or 'nothing'}.")


def _import_labels(path: Path, workspace: Path, as_json: bool) -> None:
    from heed.data.labels import import_labels

    with create_workspace(workspace).store() as store:
        added = import_labels(store, path)
    if as_json:
        print_json({"added": dict(added)})
    else:
        say(f"Read {path}; added {in_words(added)}.")


def clean(records: Iterable[object]) -> tuple[list[object], dict[str, int]]:
    """Records without personal data, of those with a long common beginning only one, and at most 200 of each user.

    Also returns what was taken out, and how often (InstructGPT section 3.2 and appendix A).
    """
    from heed.records import Demonstration, Prompt, Ranking

    everything = list(records)
    taken_out: Counter[str] = Counter()
    kept: list[object] = [
        *(one for one in everything if not isinstance(one, Prompt | Demonstration | Ranking)),
        *_clean([one for one in everything if isinstance(one, Prompt)], taken_out),
        *_clean([one for one in everything if isinstance(one, Demonstration)], taken_out),
        *_clean([one for one in everything if isinstance(one, Ranking)], taken_out),
    ]
    return kept, dict(taken_out)


def _clean(records: Sequence[Item], taken_out: Counter[str]) -> list[Item]:
    from heed.data.hygiene import cap_per_user, drop_shared_prefixes, redact_personal_data

    redacted = redact_personal_data(records)
    distinct = drop_shared_prefixes(redacted.records)
    capped = cap_per_user(distinct.kept)
    for counts in (redacted.kinds(), distinct.reasons(), capped.reasons()):
        taken_out.update(counts)
    return capped.kept


def in_words(counts: Mapping[str, int]) -> str:
    """``"1,489 rankings, 2 prompts"``, or ``"nothing"``."""
    parts = [
        f"{number:,} {name if number == 1 or name.endswith('s') else name + 's'}"
        for name, number in counts.items()
        if number
    ]
    return ", ".join(parts) or "nothing"


class Exported(StrEnum):
    """What ``heed export`` can write."""

    prompts = "prompts"
    demonstrations = "demonstrations"
    rankings = "rankings"
    ratings = "ratings"
    labels = "labels"


def export(
    what: Annotated[
        Exported, typer.Argument(metavar="WHAT", help="prompts, demonstrations, rankings, ratings, labels.")
    ],
    target: Annotated[str, typer.Argument(metavar="FORMAT:PATH", help="Such as heed:rankings.jsonl.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    split: Annotated[str | None, typer.Option(help="This split only.")] = None,
    campaign: Annotated[str | None, typer.Option(help="What was said in this campaign only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write people's work from a workspace to a file.

    Labels are all that was said in the studio, with the order shown, times, notes, flags, forms and guidelines.

    [dim]Examples:[/]

    heed export rankings datasets:pairs.jsonl.gz

    heed export labels heed:labels.jsonl.gz --campaign round-1
    """
    from heed.data.writers import write
    from heed.records import Prompt

    format_name, path = split_source(target)
    if what is Exported.labels:
        _export_labels(format_name, path, workspace, campaign, as_json)
        return
    with open_workspace(workspace).store() as store:
        records: list[Prompt] | list[Demonstration] | list[Ranking] | list[Rating]
        if what is Exported.prompts:
            records = store.prompts(split=split)
        elif what is Exported.demonstrations:
            records = store.demonstrations(split=split, campaign=campaign)
        elif what is Exported.ratings:
            records = store.ratings(split=split, campaign=campaign)
        else:
            records = store.rankings(split=split, campaign=campaign)
        judged_by = {one.labeler for one in records if not isinstance(one, Prompt)}
        labelers = [one for one in store.labelers() if one.id in judged_by] if format_name == "heed" else []
    rows = write(format_name, path, [*labelers, *records]) - len(labelers)
    if as_json:
        print_json({"path": str(path), "rows": rows})
    else:
        say(f"Wrote {rows:,} rows to {path}.")


def _export_labels(format_name: str, path: Path, workspace: Path, campaign: str | None, as_json: bool) -> None:
    from heed.data.labels import write_labels
    from heed.errors import ConfigError

    if format_name not in ("heed", "labels"):
        raise ConfigError(f"{format_name!r} cannot hold labels; write heed:{path}")
    with open_workspace(workspace).store() as store:
        labels = write_labels(store, path, campaign)
    if as_json:
        print_json({"path": str(path), "rows": labels})
    else:
        say(f"Wrote {labels:,} labels to {path}. Read them with: heed import labels:{path}")


def split_source(source: str) -> tuple[str, Path]:
    """``"hh-rlhf:train.jsonl"`` as format and path.

    Raises:
        ConfigError: there is no colon in it.
    """
    from heed.errors import ConfigError

    format_name, colon, path = source.partition(":")
    if not colon or not path:
        raise ConfigError(f"{source!r}: expected FORMAT:PATH, such as hh-rlhf:train.jsonl.gz")
    return format_name, Path(path)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``items`` in lists of ``size``."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
