from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import worker_jobs
from heed.errors import DataError, WorkspaceError
from heed.runtime.progress import PlainProgress, SilentProgress
from heed.runtime.workers import Job, Workers

TESTS = Path(__file__).parent.parent


def job(name: str, alone: bool = False) -> Job:
    return Job(name=name, heading=f"[1/1] {name}", alone=alone)


def test_a_worker_does_one_job_after_another_and_tells_how_far_it_is() -> None:
    stream = io.StringIO()
    with Workers(1, PlainProgress(stream, every_seconds=0.0)) as workers:
        workers.start(job("first"), worker_jobs.count, (1000,))
        assert workers.busy and not workers.free and not workers.alone
        name, pid = workers.wait()
        workers.start(job("second", alone=True), worker_jobs.count, (10,))
        assert workers.alone
        assert (name, workers.wait()) == ("first", ("second", pid)) and pid != os.getpid()
        assert not workers.busy
    told = stream.getvalue()
    assert told.startswith("[1/1] first\n") and "1,000/1,000 numbers" in told and "at 999" in told
    assert "[1/1] first: counted" in told and "[1/1] second  0 s  at 9  done" in told


def test_two_jobs_run_side_by_side(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with Workers(2, SilentProgress()) as workers:
        workers.start(job("a"), worker_jobs.meet, (a, b))
        workers.start(job("b"), worker_jobs.meet, (b, a))
        assert {workers.wait()[0], workers.wait()[0]} == {"a", "b"}


def test_what_a_job_raises_is_raised_here_with_its_story(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DataError) as caught, Workers(2, SilentProgress()) as workers:
        workers.start(job("endless"), worker_jobs.write_forever, (tmp_path / "x",))
        workers.start(job("bad"), worker_jobs.fail, ())
        workers.wait()
    assert str(caught.value) == "line 3 is wrong"
    assert "worker_jobs.py" in caught.value.__notes__[0]
    assert time.monotonic() - began < 60  # the endless one was not waited for


def test_an_error_that_cannot_travel_is_told_as_text() -> None:
    with pytest.raises(RuntimeError, match="Local: odd"), Workers(1, SilentProgress()) as workers:
        workers.start(job("strange"), worker_jobs.fail_strangely, ())
        workers.wait()


def test_a_killed_worker_is_said_plainly() -> None:
    with pytest.raises(WorkspaceError) as caught, Workers(1, SilentProgress()) as workers:
        workers.start(job("ppo"), worker_jobs.be_killed, ())
        workers.wait()
    assert "the process of stage 'ppo' was killed, perhaps because memory ran out" in str(caught.value)


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    """However the parent ends: nobody may write into a workspace whose lock is gone."""
    path = tmp_path / "x"
    program = (
        "import sys\n"
        f"sys.path[:0] = {[str(TESTS), str(TESTS.parent / 'src')]!r}\n"
        "import worker_jobs\nfrom pathlib import Path\n"
        "from heed.runtime.progress import SilentProgress\nfrom heed.runtime.workers import Job, Workers\n"
        "if __name__ == '__main__':\n"
        "    with Workers(1, SilentProgress()) as workers:\n"
        f"        workers.start(Job(name='x', heading='x'), worker_jobs.write_forever, (Path({str(path)!r}),))\n"
        "        workers.wait()\n"
    )
    (tmp_path / "parent.py").write_text(program)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")])
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(0.5)
    last = path.read_text()
    time.sleep(0.3)
    assert path.read_text() == last
