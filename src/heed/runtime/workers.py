"""Work in processes of its own, two pieces side by side, with one place to see how far each is.

A worker is a fresh process that is kept for the next piece of work. It dies with its parent, however that ends, so
that nobody writes into a workspace whose lock is gone. Errors and progress come back to the parent.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
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
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._messages = self._context.Queue()
        self._count = count
        self._idle: list[_Worker] = []
        self._running: dict[Connection, tuple[_Worker, Job]] = {}
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
        return any(job.alone for _, job in self._running.values())

    def start(self, job: Job, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call ``work(*arguments, progress)`` in a worker."""
        worker = self._idle.pop() if self._idle else _Worker(self._context, self._messages)
        worker.connection.send((job, work, arguments))
        self._running[worker.connection] = worker, job

    def wait(self) -> tuple[str, Any]:
        """The name and result of the next job to end.

        Raises:
            Whatever the job raised; WorkspaceError if its process was killed.
        """
        connection = wait(list(self._running))[0]
        assert isinstance(connection, Connection)
        worker, job = self._running.pop(connection)
        try:
            error, result = connection.recv()
        except (EOFError, ConnectionError) as gone:
            raise WorkspaceError(
                f"the process of stage {job.name!r} was killed, perhaps because memory ran out; the same command goes "
                "on from its last checkpoint"
            ) from gone
        if error is not None:
            raise error
        self._idle.append(worker)
        return job.name, result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker, _ in self._running.values():  # after an error: their checkpoints are there, nobody waits for them
            worker.process.kill()
        for worker in [*self._idle, *(worker for worker, _ in self._running.values())]:
            worker.connection.close()
            worker.process.join()
        self._messages.put(None)
        self._screen.join(timeout=5)
        self._messages.close()


class _Worker:
    """A process, and the line to it."""

    def __init__(self, context: SpawnContext, messages: Any) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, messages), daemon=True)
        self.process.start()
        theirs.close()


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


def _serve(connection: Connection, messages: Any) -> None:
    """In a worker: do one job after another, until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which is interrupted too, decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            job, work, arguments = connection.recv()
        except EOFError:
            return
        messages.put(("begin", job.heading))
        try:
            result = work(*arguments, RelayedProgress(messages, job.heading))
        except Exception as error:
            connection.send((_portable(error), None))
        else:
            messages.put(("done", job.heading))
            connection.send((None, result))


def _portable(error: Exception) -> Exception:
    """The error as it can travel to another process: with the story of where it was raised, which does not travel."""
    story = traceback.format_exc()
    error.add_note(story)
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(story)
    return error


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


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
