from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from heed.errors import DataError, WorkspaceError
from heed.files import atomic_directory, atomic_write, file_hash, read_json, write_json, write_text

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    value = {"text": "naïve – ✓", "numbers": [1, 2.5, None, True]}
    write_json(tmp_path / "new" / "x.json", value)
    assert read_json(tmp_path / "new" / "x.json") == value
    assert names(tmp_path / "new") == ["x.json"]
    assert (tmp_path / "new" / "x.json").stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and names(tmp_path) == ["x.txt"]


def test_a_failed_directory_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with atomic_directory(path) as temporary:
        write_text(temporary / "a", "old")
    with pytest.raises(ZeroDivisionError), atomic_directory(path) as temporary:
        write_text(temporary / "b", "new")
        raise ZeroDivisionError
    assert names(path) == ["a"] and names(tmp_path) == ["model"]


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for name in ("a", "b"):
        with atomic_directory(path) as temporary:
            write_text(temporary / name, name)
    assert names(path) == ["b"] and names(tmp_path) == ["model"]
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "x.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkspaceError, match=r"x\.txt: no space left on the disk \(\d+ MiB free\)\. Nothing was"):
        write_text(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["x.txt"]


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode != 0,
    reason="this machine does not let a test mount a small disk",
)
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\nfrom heed.files import write_text\nfrom heed.errors import HeedError\n"
        "path = Path('/mnt/x.txt')\nwrite_text(path, 'old')\n"
        "try: write_text(path, 'new' * 200_000)\nexcept HeedError as error: print(error)\n"
        "print(path.read_text(), sorted(p.name for p in Path('/mnt').iterdir()))\n"
    )
    command = f'mount -t tmpfs -o size=256k tmpfs /mnt && {sys.executable} -c "$PROGRAM"'
    environment = {**os.environ, "PROGRAM": program, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", command], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines() == [
        "/mnt/x.txt: no space left on the disk (0 MiB free). Nothing was changed; free some space and run again.",
        "old ['x.txt']",
    ]


def test_broken_json_is_found_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{\n"a": 1,\n}')
    with pytest.raises(DataError, match=r"x\.json, line 3: not valid JSON"):
        read_json(path)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match=r"x\.json: not valid UTF-8 at byte 7"):
        read_json(path)


def test_the_hash_of_a_file_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "abc")
    assert file_hash(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
