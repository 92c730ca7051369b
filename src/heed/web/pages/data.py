"""The lead's data: files in, after a look at what is in them; frozen data sets out; a backup for the owner."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, StreamingResponse

from heed.data.readers import READERS, read
from heed.errors import DataError, HeedError, WorkspaceError
from heed.records import Json, LabelerGroup
from heed.store.exports import DATA, ExportKind
from heed.store.intake import add_records
from heed.store.studio.backup import write_backup
from heed.store.studio.frozen import Frozen, frozen_exports
from heed.web.pages.lead_common import one_of
from heed.web.routes import Route
from heed.web.sheets import as_csv
from heed.web.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from heed.store.lines import Record
    from heed.web.visit import Visit

FORMATS: Final = tuple(name for name in READERS if name != "text")
"""Plain text is for pretraining; it is named in the settings of a run."""
SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".tsv", ".parquet", ".arrow")
UPLOADS: Final = "uploads"
"""Folder of the workspace for files that were looked at and not yet taken in."""
STALE_SECONDS: Final = 24 * 3600
SHOWN: Final = 5
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a file holds."""

    token: str
    format: str
    name: str
    counts: dict[str, int]
    error: str
    """The first mistake, with its line; empty if there is none."""
    samples: tuple[str, ...]


def data(visit: Visit) -> Response:
    """The page."""
    return _page(visit)


def look(visit: Visit) -> Response:
    """Read a file from its first line to its last, and say what is in it. Nothing is taken in yet."""
    format = visit.form.get("format", "")
    if format not in FORMATS:
        return _page(visit, f"format is {format[:40]!r}, expected one of {', '.join(FORMATS)}", 422)
    try:
        upload = visit.upload("file")
    except DataError as error:
        return _page(visit, str(error), 422)
    name = Path(upload.filename or "").name[:120]
    suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(one)), "")
    if not suffix:
        return _page(visit, f"{name!r}: expected a file that ends in {', '.join(SUFFIXES)}", 422)
    folder = _folder(visit)
    token = secrets.token_hex(16)
    path = folder / f"{token}.{format}{suffix}"
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file, 1 << 20)
    found = _look(path, token, format, name)
    if found.error or not found.counts:
        path.unlink()
    return visit.page("lead/data_look.html", title="Import", look=found, status=422 if found.error else 200)


def take(visit: Visit) -> Response:
    """Take in a file that was looked at: all of it or, if it cannot be, nothing."""
    path, format = _waiting(visit)
    if visit.form.get("action") != "import":
        path.unlink()
        return visit.go("/lead/data", "The file was discarded; nothing was imported.")
    before = visit.studio.store.counts()
    try:
        add_records(visit.studio.store, read(format, path))
    except HeedError as error:
        return _page(visit, f"Nothing was imported: {_plain(str(error), path)}", 422)
    after = visit.studio.store.counts()
    added = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    path.unlink()
    visit.studio.audit.record(visit.me.id, "data.import", format, {"added": added})
    words = ", ".join(f"{number:,} {name}" for name, number in added.items()) or "nothing that was not there already"
    return visit.go("/lead/data", f"Imported: {words}.")


def freeze(visit: Visit) -> Response:
    """Freeze what was chosen as a data set that never changes."""
    form = visit.form
    kind, group, ties = form.get("kind", ""), form.get("group", ""), form.get("ties", "keep")
    campaign = form.get("campaign", "") or None
    if kind not in get_args(ExportKind):
        return _page(visit, f"kind is {kind[:40]!r}, expected one of {', '.join(get_args(ExportKind))}", 422)
    if group and group not in get_args(LabelerGroup):
        return _page(visit, f"group is {group[:40]!r}, expected training or heldout", 422)
    final = form.get("decided") == "final"
    records = _records(visit, kind, campaign, group, ties, final)
    try:
        export = visit.studio.store.freeze_export(kind, visit.studio.workspace.exports_dir, records)  # type: ignore[arg-type]
    except (DataError, WorkspaceError) as error:
        return _page(visit, str(error), 422)
    detail: dict[str, Json] = {"kind": kind, "rows": export.rows, "campaign": campaign or "", "group": group}
    detail |= {"ties": ties, "final": final}
    visit.studio.audit.record(visit.me.id, "data.export", export.hash[:16], detail)
    return visit.go("/lead/data", f"Frozen: {export.rows:,} {kind} as {export.hash[:16]}.")


def download(visit: Visit) -> Response:
    """A frozen data set as a file: its own lines, or a table."""
    found = next((one for one in _frozen(visit) if one.id == visit.path["id"]), None)
    path = None if found is None else visit.studio.workspace.exports_dir / found.id / DATA
    if found is None or path is None or not path.is_file():
        raise NotFound
    visit.studio.audit.record(visit.me.id, "data.download", found.id, {"kind": found.kind})
    if one_of(visit, "format", ("jsonl", "csv"), "jsonl") == "jsonl":
        name = f"{found.kind}-{found.id}.jsonl"
        return FileResponse(path, media_type="application/octet-stream", filename=name)
    headers = {"Content-Disposition": f'attachment; filename="{found.kind}-{found.id}.csv"'}
    return StreamingResponse(as_csv(_lines(path)), media_type="text/csv; charset=utf-8", headers=headers)


def backup(visit: Visit) -> Response:
    """The whole database and the frozen data sets as one file."""
    studio = visit.studio
    folder = Path(tempfile.mkdtemp(prefix="heed-backup-"))
    name = f"heed-{studio.clock():%Y%m%d-%H%M}.zip"
    try:
        written = write_backup(studio.store, folder / name, root=studio.workspace.root, folders=["exports"])
        studio.audit.record(visit.me.id, "data.backup", "", {"rows": written.total, "files": written.files})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    away = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(folder / name, media_type="application/zip", filename=name, background=away)


def _page(visit: Visit, error: str = "", status: int = 200) -> Response:
    studio = visit.studio
    return visit.page(
        "lead/data.html",
        title="Data",
        status=status,
        error=error,
        counts=studio.store.counts(),
        formats=FORMATS,
        kinds=get_args(ExportKind),
        groups=get_args(LabelerGroup),
        campaigns=[one.name for one in studio.campaigns.list()],
        frozen=_frozen(visit),
        given=visit.form,
        most=studio.settings.max_upload,
    )


def _frozen(visit: Visit) -> list[Frozen]:
    return frozen_exports(visit.studio.store, visit.studio.workspace.exports_dir)


def _records(visit: Visit, kind: str, campaign: str | None, group: str, ties: str, final: bool) -> list[Record]:
    """What was chosen; with ``final``, a lead's decision stands for its item."""
    store = visit.studio.store
    if kind == "prompts":
        return list(store.prompts())
    if kind == "demonstrations":
        return list(store.demonstrations(campaign=campaign))
    chosen: LabelerGroup | None = None if not group else "training" if group == "training" else "heldout"
    if kind == "ratings":
        return list(store.ratings(labeler_group=chosen, campaign=campaign, final=final))
    rankings = store.rankings(labeler_group=chosen, campaign=campaign, final=final)
    return [one for one in rankings if ties != "drop" or len(set(one.tiers)) > 1]


def _look(path: Path, token: str, format: str, name: str) -> Look:
    counts: Counter[str] = Counter()
    samples: list[str] = []
    error = ""
    try:
        for record in read(format, path):
            counts[type(record).__name__.lower()] += 1
            prompt = getattr(record, "prompt", record)
            if len(samples) < SHOWN and hasattr(prompt, "text"):
                samples.append(prompt.text)
        if not counts:
            error = f"{name}: there is nothing in it"
    except HeedError as found:
        error = _plain(str(found), path, name)
    return Look(token=token, format=format, name=name, counts=dict(counts), error=error, samples=tuple(samples))


def _plain(message: str, path: Path, name: str = "the file") -> str:
    """A message about an upload, under the name that its sender knows."""
    return message.replace(str(path), name).replace(path.name, name)


def _folder(visit: Visit) -> Path:
    """Where uploads wait; those of days ago are gone."""
    folder = visit.studio.workspace.root / UPLOADS
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > STALE_SECONDS:
            old.unlink(missing_ok=True)
    return folder


def _waiting(visit: Visit) -> tuple[Path, str]:
    token = visit.path["token"]
    if not _TOKEN.fullmatch(token):
        raise NotFound
    found = list(_folder(visit).glob(f"{token}.*"))
    if not found:
        raise NotFound
    return found[0], found[0].name.split(".")[1]


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from file


ROUTES = (
    Route(method="GET", path="/lead/data", endpoint=data, who="lead"),
    Route(method="POST", path="/lead/data/import", endpoint=look, who="lead", body="file"),
    Route(method="POST", path="/lead/data/import/{token}", endpoint=take, who="lead", body="form"),
    Route(method="POST", path="/lead/data/export", endpoint=freeze, who="lead", body="form"),
    Route(method="GET", path="/lead/data/export/{id}", endpoint=download, who="lead"),
    Route(method="POST", path="/lead/data/backup", endpoint=backup, who="owner", body="form"),
)
