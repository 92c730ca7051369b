"""Jobs for the tests of worker processes, which import this module by its name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from heed.errors import DataError
from heed.runtime.progress import Progress


def count(to: int, progress: Progress) -> int:
    with progress.track(to, "numbers") as tracker:
        for number in range(to):
            tracker.advance(1, figure=f"at {number}")
    progress.note("counted")
    return os.getpid()


def meet(mine: Path, other: Path, progress: Progress) -> str:
    """Ends only if the other job runs at the same time."""
    mine.touch()
    deadline = time.monotonic() + 60
    while not other.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return "met"


def fail(progress: Progress) -> None:
    raise DataError("line 3 is wrong")


def fail_strangely(progress: Progress) -> None:
    class Local(Exception):
        """Cannot travel to another process."""

    raise Local("odd")


def be_killed(progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_forever(path: Path, progress: Progress) -> None:
    while True:
        path.write_text(f"{os.getpid()} {time.time()}")
        time.sleep(0.02)
