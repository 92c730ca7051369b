"""How far along: which stage of how many, how long is left, and the figure that matters.

A learner asks for a tracker and advances it::

    with run.progress.track(num_steps, "steps", done=resumed_at) as tracker:
        for step in range(resumed_at, num_steps):
            ...
            tracker.advance(1, figure=f"loss {loss:.3f}")

On a terminal that is a bar; elsewhere it is a plain line every ten seconds; in a test it is nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

Clock = Callable[[], float]


class Tracker(Protocol):
    """One piece of work being done. A context manager: it says so when the work ends."""

    def advance(self, amount: int = 1, figure: str = "") -> None:
        """``amount`` more units are done; ``figure`` is what to look at now, such as ``"loss 1.23"``."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Progress(Protocol):
    """Whom a long run tells how far it is."""

    def stage(self, index: int, total: int, name: str) -> None:
        """Stage ``index`` (from 1) of ``total`` begins; the one before has ended."""
        ...

    def track(self, total: int, unit: str, *, done: int = 0) -> Tracker:
        """``total`` units of work begin, of which ``done`` were done before an interruption."""
        ...

    def note(self, message: str) -> None:
        """Something worth a line of its own: a skipped stage, a diagnosis."""
        ...

    def close(self) -> None:
        """The last stage has ended."""
        ...


class SilentProgress:
    """Tells nobody."""

    def stage(self, index: int, total: int, name: str) -> None:
        """Nothing."""

    def track(self, total: int, unit: str, *, done: int = 0) -> SilentProgress:
        """A tracker that does nothing."""
        return self

    def note(self, message: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

    def advance(self, amount: int = 1, figure: str = "") -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Stages:
    """What a bar and a plain line have in common: the stage's heading, its clock and its last figure."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heading = ""
        self.figure = ""
        self._started = clock()

    def begin(self, heading: str) -> str | None:
        """Start the next stage. Returns the closing line of the one before, if there was one."""
        closing = None
        if self.heading:
            closing = "  ".join(
                part for part in (self.heading, duration(self.clock() - self._started), self.figure) if part
            )
        self.heading, self.figure, self._started = heading, "", self.clock()
        return closing


class PlainProgress:
    """Lines for a log file: one when a stage begins and ends, and one every ``every_seconds`` in between."""

    def __init__(self, stream: TextIO, every_seconds: float = 10.0, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._every = every_seconds
        self._clock = clock
        self._stages = _Stages(clock)

    def stage(self, index: int, total: int, name: str) -> None:
        """Say that the stage before has ended and this one begins."""
        self._switch(f"[{index}/{total}] {name}")

    def track(self, total: int, unit: str, *, done: int = 0) -> _PlainTracker:
        """Work that is reported every so often."""
        return _PlainTracker(self, total, unit, done)

    def note(self, message: str) -> None:
        """One line."""
        print(message, file=self._stream, flush=True)

    def close(self) -> None:
        """Say that the last stage has ended."""
        self._switch("")

    def _switch(self, heading: str) -> None:
        closing = self._stages.begin(heading)
        if closing:
            self.note(f"{closing}  done")
        if heading:
            self.note(heading)


class _PlainTracker:
    def __init__(self, owner: PlainProgress, total: int, unit: str, done: int) -> None:
        self._owner = owner
        self._total, self._unit, self._done = total, unit, done
        self._before = done
        self._began = self._said = owner._clock()

    def advance(self, amount: int = 1, figure: str = "") -> None:
        self._done += amount
        stages = self._owner._stages
        stages.figure = figure or stages.figure
        now = self._owner._clock()
        if now - self._said < self._owner._every:
            return
        self._said = now
        left = (now - self._began) * (self._total - self._done) / max(self._done - self._before, 1)
        share = self._done / max(self._total, 1)
        parts = [stages.heading, f"{share:4.0%}", f"{self._done:,}/{self._total:,} {self._unit}"]
        parts += [f"{duration(max(left, 0.0))} left", stages.figure]
        self._owner.note("  ".join(part for part in parts if part))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class RichProgress:
    """A bar for the work being done, and a tick for every stage behind it."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._stages = _Stages(clock)
        self._bars = Bars(
            TextColumn("[bold]{task.fields[heading]}"),
            BarColumn(bar_width=24),
            _Counts(),
            _TimeLeft(),
            TextColumn("[cyan]{task.fields[figure]}"),
            console=console,
            get_time=clock,
            transient=True,
        )
        self._bars.start()

    def stage(self, index: int, total: int, name: str) -> None:
        """Tick off the stage before; the bars from now on belong to this one."""
        self._switch(f"{index}/{total} {name}")

    def track(self, total: int, unit: str, *, done: int = 0) -> _RichTracker:
        """A bar."""
        heading = self._stages.heading
        task = self._bars.add_task("", total=total, completed=done, unit=unit, before=done, heading=heading, figure="")
        return _RichTracker(self._bars, task, self._stages)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._console.print(Text(message))

    def close(self) -> None:
        """Tick off the last stage and take the bars away."""
        self._switch("")
        self._bars.stop()

    def _switch(self, heading: str) -> None:
        closing = self._stages.begin(heading)
        if closing:
            self._console.print(Text("✓ ", style="green") + Text(closing))


class _RichTracker:
    def __init__(self, bars: Bars, task: TaskID, stages: _Stages) -> None:
        self._bars, self._task, self._stages = bars, task, stages

    def advance(self, amount: int = 1, figure: str = "") -> None:
        self._stages.figure = figure or self._stages.figure
        self._bars.update(self._task, advance=amount, figure=self._stages.figure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.remove_task(self._task)


class _Counts(ProgressColumn):
    """``1,200/6,000 rows``."""

    def render(self, task: Task) -> Text:
        return Text(f"{int(task.completed):,}/{int(task.total or 0):,} {task.fields['unit']}", style="dim")


class _TimeLeft(ProgressColumn):
    """Time left at the mean speed since this process began the work; what was done before a resume does not count."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        fresh = task.completed - task.fields["before"]
        if not fresh or task.elapsed is None or task.total is None:
            return Text("…", style="dim")
        return Text(f"{duration(task.elapsed * (task.total - task.completed) / fresh)} left")


def duration(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> duration(7.4), duration(432), duration(4321)
    ('7 s', '7:12 min', '1:12 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def open_progress(stream: TextIO, *, silent: bool = False) -> Progress:
    """Bars if ``stream`` is a terminal, plain lines if it is not, nothing if ``silent``."""
    if silent:
        return SilentProgress()
    console = Console(file=stream)
    return RichProgress(console) if console.is_terminal else PlainProgress(stream)
