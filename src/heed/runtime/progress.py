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
from rich.markup import escape
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
    """Whom a long run tells how far it is. Two stages may be on their way at once; each is known by its heading."""

    def begin(self, heading: str) -> None:
        """A stage begins, such as ``"[3/9] Pretraining"``."""
        ...

    def end(self, heading: str, seconds: float, figure: str = "") -> None:
        """It has ended, after so long, with this figure."""
        ...

    def track(self, total: int, unit: str, *, done: int = 0, heading: str = "") -> Tracker:
        """``total`` units of work begin, of which ``done`` were done before an interruption."""
        ...

    def note(self, message: str) -> None:
        """Something worth a line of its own: a skipped stage, a diagnosis."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class SilentProgress:
    """Tells nobody."""

    def begin(self, heading: str) -> None:
        """Nothing."""

    def end(self, heading: str, seconds: float, figure: str = "") -> None:
        """Nothing."""

    def track(self, total: int, unit: str, *, done: int = 0, heading: str = "") -> SilentProgress:
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


class PlainProgress:
    """Lines for a log file: one when a stage begins and ends, and one every ``every_seconds`` in between."""

    def __init__(self, stream: TextIO, every_seconds: float = 10.0, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._every = every_seconds
        self._clock = clock

    def begin(self, heading: str) -> None:
        """Say that it begins."""
        self.note(heading)

    def end(self, heading: str, seconds: float, figure: str = "") -> None:
        """Say that it has ended."""
        self.note("  ".join(part for part in (heading, duration(seconds), figure, "done") if part))

    def track(self, total: int, unit: str, *, done: int = 0, heading: str = "") -> _PlainTracker:
        """Work that is reported every so often."""
        return _PlainTracker(self, heading, total, unit, done)

    def note(self, message: str) -> None:
        """One line."""
        print(message, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class _PlainTracker:
    def __init__(self, owner: PlainProgress, heading: str, total: int, unit: str, done: int) -> None:
        self._owner, self._heading = owner, heading
        self._total, self._unit, self._done = total, unit, done
        self._before, self._figure = done, ""
        self._began = self._said = owner._clock()

    def advance(self, amount: int = 1, figure: str = "") -> None:
        self._done += amount
        self._figure = figure or self._figure
        now = self._owner._clock()
        if now - self._said < self._owner._every:
            return
        self._said = now
        left = (now - self._began) * (self._total - self._done) / max(self._done - self._before, 1)
        share = self._done / max(self._total, 1)
        parts = [self._heading, f"{share:4.0%}", f"{self._done:,}/{self._total:,} {self._unit}"]
        parts += [f"{duration(max(left, 0.0))} left", self._figure]
        self._owner.note("  ".join(part for part in parts if part))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class RichProgress:
    """A bar for every stage on its way, and a tick for every one behind."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("[bold]{task.description}", markup=True),
            BarColumn(bar_width=24),
            _Counts(),
            _TimeLeft(),
            TextColumn("[cyan]{task.fields[figure]}"),
            console=console,
            get_time=clock,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._bars.start()

    def begin(self, heading: str) -> None:
        """A bar that does not know its length yet."""
        self._tasks[heading] = self._bars.add_task(escape(heading), total=None, unit="", before=0, figure="")

    def end(self, heading: str, seconds: float, figure: str = "") -> None:
        """Take the bar away and tick the stage off."""
        self._bars.remove_task(self._tasks.pop(heading))
        line = "  ".join(part for part in (heading, duration(seconds), figure) if part)
        self._console.print(Text("✓ ", style="green") + Text(line))

    def track(self, total: int, unit: str, *, done: int = 0, heading: str = "") -> _RichTracker:
        """A bar: the stage's own while it has begun, else one for this work alone."""
        if heading in self._tasks:
            task = self._tasks[heading]
            self._bars.reset(task, total=total, completed=done, unit=unit, before=done, figure="")
            return _RichTracker(self._bars, task, passing=False)
        task = self._bars.add_task(escape(heading), total=total, completed=done, unit=unit, before=done, figure="")
        return _RichTracker(self._bars, task, passing=True)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._console.print(Text(message))

    def close(self) -> None:
        """Take the bars away."""
        self._bars.stop()


class _RichTracker:
    def __init__(self, bars: Bars, task: TaskID, *, passing: bool) -> None:
        self._bars, self._task, self._passing = bars, task, passing

    def advance(self, amount: int = 1, figure: str = "") -> None:
        if figure:
            self._bars.update(self._task, advance=amount, figure=figure)
        else:
            self._bars.update(self._task, advance=amount)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._passing:
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
