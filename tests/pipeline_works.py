"""Works of stages for the tests of the pipeline. Worker processes import this module by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from heed.errors import DataError
from heed.files import write_json
from heed.pipeline import Context
from heed.records import Json


def note(context: Context, name: str) -> Mapping[str, Json]:
    """Say in the workspace that this stage ran, once for each time."""
    with (context.workspace.root / "ran.txt").open("a") as file:
        file.write(f"{name}\n")
    return {"seed": context.run.seed, "microbatch": context.run.runtime.microbatch}


def evaluate(context: Context) -> Mapping[str, Json]:
    write_json(context.run.dir / "results.json", {"win_rate": {}})
    return note(context, "evaluate")


def meet(context: Context, name: str, other: str) -> Mapping[str, Json]:
    """Ends only if the other stage runs at the same time."""
    (context.workspace.root / name).touch()
    deadline = time.monotonic() + 100
    while not (context.workspace.root / other).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return note(context, name)


def killed_the_first_time(context: Context) -> Mapping[str, Json]:
    checkpoint = context.run.dir / "checkpoints" / "half"
    if not checkpoint.exists():
        checkpoint.parent.mkdir(parents=True)
        checkpoint.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"resumed": checkpoint.exists()}


def mistaken(context: Context) -> Mapping[str, Json]:
    raise DataError("prompts.jsonl, line 3: no field 'text'")


def waiting(context: Context, path: Path) -> Mapping[str, Json]:
    (context.workspace.root / "waiting").touch()
    while not path.exists():
        time.sleep(0.02)
    return {}
