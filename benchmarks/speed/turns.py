"""One side of a measurement: a process that works when it is told to, and says what that cost.

Both sides of a comparison are such processes, alive at the same time and never at work at the same time. A side does
a piece of work, calls :meth:`Turns.done`, and waits there until its next turn. So a trainer of any library can be
measured between two of its own steps, without a loop of ours around its parts. Standard library only: the peers'
environments have nothing of Heed.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MIB = 2**20


class Turns:
    """The turns of this process. Whatever the work prints goes to standard error from now on."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._start_mib = resident_mib()
        self._begin()

    def done(self, amount: float, facts: Mapping[str, float] | None = None) -> None:
        """The piece of work is done: say what it was, and wait for the next turn.

        Args:
            amount: how much was done, in the unit of the work; only what is of use counts.
            facts: numbers by which the parent sees that all sides do the same work.

        Raises:
            SystemExit: there is no next turn.
        """
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        others = max(0.0, (busy_seconds() - self._busy - cpu) / wall)
        self._tell(
            {
                "amount": amount,
                "cpu": cpu,
                "wall": wall,
                "others": others,
                "peak_mib": peak_mib(),
                "start_mib": self._start_mib,
                "facts": dict(facts or {}),
            }
        )
        if sys.stdin.readline().strip() != "go":
            raise SystemExit(0)
        self._begin()

    def absent(self, reason: str) -> None:
        """This side cannot do the work, and never will.

        Raises:
            SystemExit: always.
        """
        self._tell({"absent": reason})
        raise SystemExit(0)

    def _tell(self, message: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def _begin(self) -> None:
        self._busy, self._cpu, self._wall = busy_seconds(), time.process_time(), time.perf_counter()


def read_job() -> dict[str, Any]:
    """The job that the first command line argument names."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return job


def busy_seconds() -> float:
    """CPU seconds that the whole machine has worked; 0 where Linux is not there to say."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, *interrupts = map(int, file.readline().split()[1:9])
    except OSError:
        return 0.0
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def peak_mib() -> float:
    """The most memory that was resident in this process so far."""
    found = _status("VmHWM")
    if found is not None:
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def resident_mib() -> float:
    """Memory resident in this process now."""
    found = _status("VmRSS")
    return peak_mib() if found is None else found


def _status(name: str) -> float | None:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None
