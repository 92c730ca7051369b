"""A workspace is one directory, held by one run at a time, and says what is wrong with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from heed.errors import WorkspaceError
from heed.records import Prompt
from heed.store import Store, Workspace


def test_a_workspace_is_made_once_and_opened_ever_after(tmp_path: Path) -> None:
    made = Workspace.create(tmp_path / "work")
    with made.store() as store:
        store.add_prompts([Prompt.from_text("q")])
    assert Workspace.create(tmp_path / "work") == made
    opened = Workspace.open(tmp_path / "work")
    assert opened == made
    with opened.store() as store:
        assert store.counts()["prompts"] == 1
    assert {path.name for path in made.root.iterdir() if path.is_dir()} == {"models", "runs", "exports"}
    assert made.db.exists()


def test_a_workspace_may_keep_its_database_elsewhere(address: str, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "work", database=address)
    assert not workspace.db.exists()
    with Workspace.open(tmp_path / "work", database=address).store() as store:
        assert store.counts()["prompts"] == 0


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path, database="postgresql+psycopg://me:secret@host/db")
    assert "secret" not in repr(workspace)


def test_a_workspace_that_is_gone_cannot_be_locked(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path / "gone", database="")
    with pytest.raises(WorkspaceError, match=r"gone: cannot be locked for a run"), workspace.lock():
        pass


def test_what_is_no_workspace_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="there is no workspace here; make one with heed init"):
        Workspace.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot make a workspace here"):
        Workspace.create(tmp_path / "file")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "heed.db").write_bytes(b"this is a letter to my aunt, not a database" * 100)
    with pytest.raises(WorkspaceError, match=r"heed\.db: this is not a database, or it is damaged"):
        Store.open(tmp_path / "heed.db")


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"missing/heed\.db: cannot be opened for writing"):
        Store.open(tmp_path / "missing" / "heed.db")


HOLD = """
import sys, time
from heed.store import Workspace
with Workspace.open(sys.argv[1]).lock("heed run sandbox"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the workspace ``tmp_path``."""
    Workspace.create(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_two_runs_at_once_are_refused_and_the_first_is_named(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    expected = rf"in use by heed run sandbox \(process {holder.pid} on .*\)\. Wait until it has ended"
    with pytest.raises(WorkspaceError, match=expected), Workspace.open(tmp_path).lock():
        raise AssertionError("both hold it")


def test_the_lock_is_free_again_when_its_holder_is_killed(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Workspace.open(tmp_path).lock():
        pass


def test_the_lock_is_free_again_after_a_run_and_after_an_error(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with workspace.lock(), pytest.raises(WorkspaceError, match=f"process {os.getpid()}"), workspace.lock():
        pass
    with pytest.raises(KeyError), workspace.lock():
        raise KeyError
    with workspace.lock():
        pass


def test_the_store_may_be_read_while_a_run_holds_the_workspace(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    with Workspace.open(tmp_path).store() as store:
        assert store.counts()["prompts"] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = os.geteuid() == 0 and sys.platform == "linux"
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=False).returncode:
        pytest.skip("a small tmpfs can only be mounted by root on Linux")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_said_to_be_full_and_what_was_there_stays(small_disk: Path) -> None:
    workspace = Workspace.create(small_disk / "work")
    kept = [Prompt.from_text(f"kept {i}") for i in range(10)]
    with workspace.store() as store:
        store.add_prompts(kept)
        many = [Prompt.from_text(f"{i} " + "long " * 400) for i in range(2000)]
        expected = (
            r"heed\.db: no space left on the disk \(\d+ MiB free\)\. Nothing was changed; free some space and run again"
        )
        with pytest.raises(WorkspaceError, match=expected):
            store.add_prompts(many)
        assert store.prompts() == kept
    with workspace.store() as store:
        assert store.prompts() == kept


def test_a_full_disk_leaves_no_half_export(small_disk: Path) -> None:
    workspace = Workspace.create(small_disk / "work")
    prompts = [Prompt.from_text(f"{i} " + "x" * 500) for i in range(200)]
    with workspace.store() as store:
        store.add_prompts(prompts)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match=re.escape("No space left on device")):
            while True:
                file.write(bytes(4096))
        with pytest.raises(WorkspaceError, match="no space left on the disk"):
            store.freeze_export("prompts", workspace.exports_dir, prompts)
        assert list(workspace.exports_dir.iterdir()) == []
        filler.unlink()
        assert store.freeze_export("prompts", workspace.exports_dir, prompts).rows == 200


def test_answers_wait_for_a_writer_and_readers_never_do(tmp_path: Path) -> None:
    path = tmp_path / "heed.db"
    with Store.open(path) as store:
        store.add_prompts([Prompt.from_text("q")])
        code = (
            "import sys; from heed.store import Store; from heed.records import *\n"
            "number = sys.argv[2]\n"
            "with Store.open(sys.argv[1]) as store:\n"
            "    for i in range(20):\n"
            "        store.add_generations([Prompt.from_text('q')], [[Completion(text=f'{number} {i}')]])\n"
            "        store.generations()\n"
        )
        running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(3)]
        assert [process.wait() for process in running] == [0, 0, 0]
        texts = {one.text for one in store.generations()[0].completions}
    assert texts == {f"{number} {i}" for number in range(3) for i in range(20)}
