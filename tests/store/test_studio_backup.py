"""A backup is one state of the database, comes back whole on any engine, and is refused if a byte is wrong."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from heed.errors import WorkspaceError
from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.store import Store
from heed.store import schema as t
from heed.store.studio import tables as s
from heed.store.studio.backup import MANIFEST, read_backup, restore_backup, write_backup

AWKWARD = "a\x00b c\x1a “ß” 日本 \u202e"


def filled(store: Store, directory: Path) -> None:
    """Something of most tables: ties, characters that databases refuse, models that refer forward, sessions."""
    store.add_labelers([Labeler(id="ann"), Labeler(id="bob", group="heldout")])
    prompts = [Prompt.from_text(f"Question {index}", meta={"kind": AWKWARD}) for index in range(3)]
    answers = tuple(
        Completion(text=f"{AWKWARD} {index}", token_ids=(1, 2), logprobs=(-0.1, -1e-300)) for index in range(4)
    )
    rankings = [Ranking(prompt=prompt, completions=answers, tiers=(2, 0, 1, 1), labeler="ann") for prompt in prompts]
    store.add_rankings(rankings)
    store.add_demonstrations([Demonstration(prompt=prompts[0], completion=Completion(text="So."), labeler="bob")])
    store.add_guideline("Be kind.\n")
    export = store.freeze_export("prompts", directory / "exports", prompts)
    store.register_model("child", parent=None, metrics={"loss": 0.1 + 0.2})
    store.register_model("parent", export_hash=export.hash)
    store.register_model("child", parent="parent", uses=["helper"])
    with store.writer() as connection:
        connection.execute(
            insert(s.account).values(
                id="ann", labeler_id="ann", name="Ann", name_key="ann", role="lead", status="active",
                settings={"theme": "dark"}, created_at=store.now(),
            )
        )  # fmt: skip
        connection.execute(
            insert(s.session).values(
                token_hash="x", account_id="ann", csrf="y", created_at=store.now(), seen_at=store.now(),
                expires_at=store.now(), device="",
            )
        )  # fmt: skip


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.reader() as connection:
        return {
            table.name: sorted(map(repr, (tuple(row) for row in connection.execute(select(table)))))
            for table in t.metadata.sorted_tables
            if table.name not in ("session", "attempt")
        }


def workspace(tmp_path: Path, name: str) -> Path:
    root = tmp_path / name
    (root / "exports").mkdir(parents=True)
    return root


def test_a_backup_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    source, target = workspace(tmp_path, "source"), workspace(tmp_path, "target")
    filled(store, source)
    written = write_backup(store, tmp_path / "b.zip", root=source, folders=["exports"])
    assert written.rows["rank_tier"] == 12 and written.rows["labeler"] == 2 and written.files == 2
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600
    assert read_backup(tmp_path / "b.zip") == written
    with Store.open(target / "heed.db") as other:
        restore_backup(other, tmp_path / "b.zip", root=target)
        assert everything(other) == everything(store)
        assert other.rankings() == store.rankings()
        with other.reader() as connection:
            assert connection.execute(select(s.session)).first() is None, "no one is signed in by a restore"
        other.add_prompts([Prompt.from_text("new")])  # ids go on
    files = {path.relative_to(source): path.read_bytes() for path in source.rglob("*.json*")}
    assert files == {path.relative_to(target): path.read_bytes() for path in target.rglob("*.json*")} and files


def test_from_sqlite_to_the_other_engine_and_back(store: Store, tmp_path: Path, empty_database: Path) -> None:
    """With PostgreSQL under test, from SQLite onto it and back; else between two files."""
    shutil.copy(empty_database, tmp_path / "first.db")
    with Store.open(tmp_path / "first.db") as first:
        filled(first, tmp_path)
        write_backup(first, tmp_path / "1.zip")
        before = everything(first)
    restore_backup(store, tmp_path / "1.zip")
    assert everything(store) == before
    store.add_labelers([Labeler(id="cat")])
    store.add_rankings(
        [
            Ranking(
                prompt=Prompt.from_text("later"),
                completions=(Completion(text="x"), Completion(text="y")),
                tiers=(0, 1),
                labeler="cat",
            )
        ]
    )
    write_backup(store, tmp_path / "2.zip")
    with Store.open(tmp_path / "third.db") as third:
        restore_backup(third, tmp_path / "2.zip")
        assert everything(third) == everything(store)


def test_a_database_in_use_is_left_alone(store: Store, tmp_path: Path) -> None:
    filled(store, tmp_path)
    write_backup(store, tmp_path / "b.zip")
    before = everything(store)
    with pytest.raises(WorkspaceError, match="not empty"):
        restore_backup(store, tmp_path / "b.zip")
    assert everything(store) == before


def tampered(source: Path, target: Path, member: str, change: bytes | None) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        if change is not None:
            new.writestr(member, change)


def manifest_with(source: Path, **changes: object) -> bytes:
    with zipfile.ZipFile(source) as archive:
        return json.dumps(json.loads(archive.read(MANIFEST)) | changes).encode()


def test_a_damaged_backup_changes_nothing(store: Store, tmp_path: Path) -> None:
    source = workspace(tmp_path, "source")
    filled(store, source)
    good, bad = tmp_path / "b.zip", tmp_path / "bad.zip"
    write_backup(store, good, root=source, folders=["exports"])
    cases = [
        ("tables/labeler.jsonl", b'["eve","human","training",null,"2026-01-01T00:00:00"]\n', "not what was backed up"),
        ("tables/labeler.jsonl", None, "missing"),
        ("files/exports/../../evil", b"x", "not in its manifest"),
        (MANIFEST, manifest_with(good, schema="9999"), "newer Heed"),
        (MANIFEST, manifest_with(good, format="other"), "not a backup"),
        (MANIFEST, b"no json", "damaged"),
    ]
    for number, (member, change, message) in enumerate(cases):
        tampered(good, bad, member, change)
        with Store.open(tmp_path / f"{number}.db") as target:
            with pytest.raises(WorkspaceError, match=message):
                restore_backup(target, bad, root=tmp_path / f"root{number}")
            assert not any(everything(target).values())
    bad.write_bytes(good.read_bytes()[:500])
    with pytest.raises(WorkspaceError, match="damaged"):
        read_backup(bad)
    with pytest.raises(WorkspaceError, match="no such file"):
        read_backup(tmp_path / "nowhere.zip")


def test_a_file_outside_its_folders_is_refused(store: Store, tmp_path: Path) -> None:
    write_backup(store, tmp_path / "b.zip")
    for name in ("exports/../../evil", "/etc/evil", "models/..\\evil", "runs/x", "exports"):
        entry = {"bytes": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
        with zipfile.ZipFile(tmp_path / "b.zip") as old, zipfile.ZipFile(tmp_path / "evil.zip", "w") as new:
            for member in old.namelist():
                if member != MANIFEST:
                    new.writestr(member, old.read(member))
            new.writestr(f"files/{name}", b"x")
            new.writestr(MANIFEST, manifest_with(tmp_path / "b.zip", files={name: entry}))
        if name == "exports":
            continue
        with pytest.raises(WorkspaceError, match="outside exports and models"):
            read_backup(tmp_path / "evil.zip")


def test_a_backup_is_one_state_while_others_write(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A labeler who is added while the tables are read is in none of them."""
    from heed.store.studio import backup

    filled(store, tmp_path)
    real = backup._write_table
    added = []

    def slow(archive: zipfile.ZipFile, connection: object, one: object) -> object:
        written = real(archive, connection, one)  # type: ignore[arg-type]
        if not added:
            added.append(one)
            store.add_labelers([Labeler(id="latecomer")])
        return written

    monkeypatch.setattr(backup, "_write_table", slow)
    assert write_backup(store, tmp_path / "b.zip").rows["labeler"] == 2
