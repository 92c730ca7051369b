"""Figures of a run as they happen: always one JSON object a line, and to other places if asked."""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from heed.errors import ConfigError
from heed.files import atomic_write
from heed.records import Json
from heed.runtime.allocation import give_back_freed_memory

Sink: TypeAlias = Callable[[int, Mapping[str, float]], None]
"""Another place for numbers to go: called with the step and the figures."""


class MetricLogger:
    """Appends ``{"step": 3, "loss": 1.25}`` lines to a file, each flushed, so that a killed run loses at most one.

    Numbers that are not finite are written as null, because JSON has no word for them.
    """

    def __init__(self, path: Path, sinks: Sequence[Sink] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._sinks = tuple(sinks)

    def log(self, step: int, values: Mapping[str, Json]) -> None:
        """Write one line; the numbers in ``values`` go to the sinks too."""
        line = json.dumps(
            {"step": step, **{name: _finite(value) for name, value in values.items()}}, ensure_ascii=False
        )
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._sinks:
            numbers = {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
            for sink in self._sinks:
                sink(step, numbers)

    def truncate_after(self, step: int) -> None:
        """Forget every line beyond ``step`` (-1: all of them), and a line cut off by a kill: a resumed run goes on
        from its checkpoint and writes them again."""
        kept = [row for row in read_metrics(self.path) if row["step"] <= step]
        with atomic_write(self.path) as file:
            for row in kept:
                file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a metrics file, in order; nothing if there is no file. A last line cut off by a kill is
    left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is empty, or was cut off
    return [json.loads(line) for line in lines]


def tensorboard_sink(directory: Path) -> Sink:
    """A sink that writes TensorBoard event files.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("TensorBoard is not installed; run: pip install 'heed[tensorboard]'") from error
    writer = SummaryWriter(str(directory))

    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return write


def forget_peak_rss() -> None:
    """Give free memory back to the system; from now on :func:`peak_rss_mib` looks back no further than this moment.

    A process that does one piece of work after another shall say of each what that one needed. Only Linux can do both.
    """
    give_back_freed_memory()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5 resets VmHWM, see man proc_pid_clear_refs


def peak_rss_mib() -> float:
    """The most memory this process has held at any time, or since :func:`forget_peak_rss`, in MiB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on macOS, KiB on Linux


def current_rss_mib() -> float:
    """Memory this process holds now, in MiB; the most it ever held where the system does not say."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 2**20
    return peak_rss_mib()


def _finite(value: Json) -> Json:
    return None if isinstance(value, float) and not math.isfinite(value) else value
