"""Both sides of a work, in turns: alive at the same time, never at work at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.speed.environments import Environment
from benchmarks.speed.works import Job, Side, UnequalWorkError, Work, check_equal

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 1800.0
"""Seconds that a turn may take, the first one with its start and warm-up."""
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "PYTHONWARNINGS": "ignore",
}


class SideFailedError(Exception):
    """A side ended before its work was done; the message is what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one side's turns came to; the warm-up is not among them."""

    name: str
    rates_cpu: tuple[float, ...] = ()
    """Units for each CPU second of its own process, one for each turn."""
    rates_wall: tuple[float, ...] = ()
    """The same by the clock."""
    cpu_seconds: tuple[float, ...] = ()
    peak_mib: float = 0.0
    """The most that was resident in the process, from its start on."""
    start_mib: float = 0.0
    """What was resident before the models were loaded: the libraries."""
    others: float = 0.0
    """Cores that other processes kept busy meanwhile; the median over turns."""
    facts: tuple[Mapping[str, float], ...] = ()
    absent: str = ""
    """Why there are no figures; empty if there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One work on one number of threads."""

    work: str
    size: str
    threads: int
    heed: Measured
    other: Measured
    unequal: str = ""
    """In what the sides differ; empty if they did the same work."""

    def ratios(self, of: str = "cpu") -> list[float]:
        """How many times the other's rate Heed's was, turn by turn; ``of`` is ``"cpu"`` or ``"wall"``."""
        mine, theirs = (getattr(side, f"rates_{of}") for side in (self.heed, self.other))
        return [a / b for a, b in zip(mine, theirs, strict=True)] if mine and theirs else []

    @property
    def memory(self) -> float | None:
        """Heed's share of the other's peak memory."""
        return self.heed.peak_mib / self.other.peak_mib if self.heed.peak_mib and self.other.peak_mib else None

    def to_json(self) -> dict[str, Any]:
        """Everything, with the ratios."""
        return asdict(self) | {
            "ratios_cpu": self.ratios("cpu"),
            "ratios_wall": self.ratios("wall"),
            "memory": self.memory,
        }


def compare(
    work: Work,
    job: Job,
    environments: Mapping[str, Environment],
    heed: Side,
    *,
    size: str,
    threads: int,
    repeats: int,
    tell: Callable[[str], None],
) -> Outcome:
    """Measure Heed and the other side of one work, turn by turn, Heed first in every second turn.

    A side that cannot be had, or that fails, is absent from the outcome with the reason; the one that is left is
    measured all the same.
    """
    sides = (heed, work.other)
    absent: dict[str, str] = {}
    turns: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory() as directory:
        processes: dict[str, _Process] = {}
        try:
            for side in sides:
                environment = environments[side.environment]
                if environment.absent:
                    absent[side.name] = environment.absent
                    continue
                processes[side.name] = _Process(side, environment, job, Path(directory), threads, repeats + 1)
            for turn in range(repeats + 1):
                for name in list(processes)[:: 1 if turn % 2 else -1]:
                    try:
                        told = processes[name].turn(first=turn == 0)
                    except SideFailedError as error:
                        absent[name] = str(error)
                        processes.pop(name).end()
                        continue
                    turns[name].append(told)
                    tell(f"{work.name}, {threads} thread(s), {name}: {told['amount'] / told['cpu']:.4g} {work.unit}/s")
        finally:
            for process in processes.values():
                process.end()
    measured = {side.name: _measured(side.name, turns[side.name], absent.get(side.name, "")) for side in sides}
    outcome = Outcome(
        work=work.name, size=size, threads=threads, heed=measured[heed.name], other=measured[work.other.name]
    )
    present = {name: found.facts for name, found in measured.items() if not found.absent}
    try:
        check_equal(job, present)
    except UnequalWorkError as error:
        return replace(outcome, unequal=str(error))
    return outcome


def run_alone(side: Side, job: Job, environment: Environment, *, threads: int = 1, repeats: int = 0) -> Measured:
    """The turns of one side without another; with no repeats, its warm-up is what counts."""
    with tempfile.TemporaryDirectory() as directory:
        process = _Process(side, environment, job, Path(directory), threads, repeats + 1)
        try:
            turns = [process.turn(first=turn == 0) for turn in range(repeats + 1)]
        finally:
            process.end()
    return _measured(side.name, turns if repeats else [*turns, *turns], "")


class _Process:
    """One side at work; it starts as soon as it is made, and warms up for its first turn."""

    def __init__(
        self, side: Side, environment: Environment, job: Job, directory: Path, threads: int, turns: int
    ) -> None:
        place = directory / f"{len(list(directory.iterdir()))}.json"
        settings = {**job.settings, **side.settings}
        place.write_text(
            json.dumps({**asdict(job), "settings": settings, "threads": threads, "turns": turns}), encoding="utf-8"
        )
        paths = [str(ROOT), *environment.paths]
        if side.environment == "heed":
            paths.append(str(ROOT / "src"))
        numbers = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        self._log = place.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [environment.python, "-m", side.module, str(place)],
                cwd=ROOT,
                env={**os.environ, **_QUIET, **numbers, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def turn(self, *, first: bool) -> dict[str, Any]:
        """Let it work, and hear what that came to.

        Raises:
            SideFailedError: it cannot do the work, ended, or took too long.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        if not first:
            try:
                self._process.stdin.write(b"go\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                raise SideFailedError(self._last_words()) from None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise SideFailedError(f"no answer in {PATIENCE:.0f} seconds")
        line = self._process.stdout.readline()
        if not line:
            raise SideFailedError(self._last_words())
        told: dict[str, Any] = json.loads(line)
        if "absent" in told:
            raise SideFailedError(told["absent"])
        return told

    def end(self) -> None:
        """No further turn."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _last_words(self) -> str:
        time.sleep(0.1)
        lines = [line.strip() for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines()]
        told = [line for line in lines if "Error" in line] or [line for line in lines if line]
        return f"failed: {told[-1][:300]}" if told else "ended without a word"


def _measured(name: str, turns: Sequence[Mapping[str, Any]], absent: str) -> Measured:
    if absent or len(turns) < 2:
        return Measured(name=name, absent=absent or "was not measured")
    counted = turns[1:]
    return Measured(
        name=name,
        rates_cpu=tuple(turn["amount"] / turn["cpu"] for turn in counted),
        rates_wall=tuple(turn["amount"] / turn["wall"] for turn in counted),
        cpu_seconds=tuple(turn["cpu"] for turn in counted),
        peak_mib=max(turn["peak_mib"] for turn in turns),
        start_mib=turns[0]["start_mib"],
        others=statistics.median(turn["others"] for turn in counted),
        facts=tuple(turn["facts"] for turn in counted),
    )
