"""Work in processes of its own, two pieces side by side, with one place to see how far each is.

A worker is a fresh process that is kept for the next piece of work. It dies with its parent, however that ends, so
that nobody writes into a workspace whose lock is gone. Errors and progress come back to the parent.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from heed.errors import WorkspaceError
from heed.runtime.progress import Progress, Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work."""

    name: str
    heading: str
    """What to call it on the screen."""
    alone: bool = False


class Workers:
    """A few processes, each doing one job at a time."""

    def __init__(self, count: int, progress: Progress) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._messages = context.Queue()
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_begin, initargs=(self._messages, os.getpid())
        )
        self._count = count
        self._running: dict[Future[Any], Job] = {}
        self._screen = threading.Thread(target=_show, args=(self._messages, progress), daemon=True)
        self._screen.start()

    @property
    def busy(self) -> bool:
        """Whether any job is running."""
        return bool(self._running)

    @property
    def free(self) -> bool:
        """Whether another job can start."""
        return len(self._running) < self._count

    @property
    def alone(self) -> bool:
        """Whether the job that is running wants no other beside it."""
        return any(job.alone for job in self._running.values())

    def start(self, job: Job, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call ``work(*arguments, progress)`` in a worker."""
        self._running[self._pool.submit(_do, job, work, arguments)] = job

    def wait(self) -> tuple[str, Any]:
        """The name and result of the next job to end.

        Raises:
            Whatever the job raised; WorkspaceError if its process was killed.
        """
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        future = done.pop()
        job = self._running.pop(future)
        try:
            return job.name, future.result()
        except BrokenProcessPool as error:
            raise WorkspaceError(
                f"the process of stage {job.name!r} was killed, perhaps because memory ran out; the same command goes "
                "on from its last checkpoint"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # the others' checkpoints are there; do not wait for their ends
            for process in list((self._pool._processes or {}).values()):
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._messages.put(None)
        self._screen.join(timeout=5)


class RelayedProgress:
    """Progress in a worker: what it is told goes to the parent."""

    def __init__(self, messages: Any, heading: str) -> None:
        self._messages = messages
        self._heading = heading
        self._trackers = 0

    def begin(self, heading: str) -> None:
        """The parent knows."""

    def end(self, heading: str, seconds: float, figure: str = "") -> None:
        """The parent knows."""

    def track(self, total: int, unit: str, *, done: int = 0, heading: str = "") -> _RelayedTracker:
        """A tracker whose every advance is sent, but no more than ten times a second."""
        self._trackers += 1
        key = f"{self._heading}#{self._trackers}"
        self._messages.put(("track", key, heading or self._heading, total, unit, done))
        return _RelayedTracker(self._messages, key)

    def note(self, message: str) -> None:
        """A line of its own."""
        self._messages.put(("note", f"{self._heading}: {message}"))

    def close(self) -> None:
        """The parent knows."""


class _RelayedTracker:
    def __init__(self, messages: Any, key: str) -> None:
        self._messages, self._key = messages, key
        self._amount, self._figure, self._sent = 0, "", 0.0

    def advance(self, amount: int = 1, figure: str = "") -> None:
        self._amount += amount
        self._figure = figure or self._figure
        if time.monotonic() - self._sent > 0.1:
            self._send()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._send()
        self._messages.put(("end", self._key))

    def _send(self) -> None:
        self._messages.put(("advance", self._key, self._amount, self._figure))
        self._amount, self._sent = 0, time.monotonic()


_messages_of_this_worker: Any = None  # set once, when the process begins; a worker has no other way to be told


def _begin(messages: Any, parent: int) -> None:
    global _messages_of_this_worker
    _messages_of_this_worker = messages
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _do(job: Job, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    messages = _messages_of_this_worker
    messages.put(("begin", job.heading))
    result = work(*arguments, RelayedProgress(messages, job.heading))
    messages.put(("done", job.heading))
    return result


def _show(messages: Any, progress: Progress) -> None:
    """In the parent: tell its progress what the workers say."""
    trackers: dict[str, Tracker] = {}
    began: dict[str, float] = {}
    figures: dict[str, str] = {}
    while (message := messages.get()) is not None:
        match message:
            case ("begin", heading):
                began[heading] = time.monotonic()
                progress.begin(heading)
            case ("done", heading):
                progress.end(heading, time.monotonic() - began[heading], figures.get(heading, ""))
            case ("track", key, heading, total, unit, done):
                trackers[key] = progress.track(total, unit, done=done, heading=heading).__enter__()
            case ("advance", key, amount, figure):
                trackers[key].advance(amount, figure)
                figures[key.rpartition("#")[0]] = figure
            case ("end", key):
                trackers.pop(key).__exit__(None, None, None)
            case ("note", text):
                progress.note(text)
