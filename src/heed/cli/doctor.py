"""``heed doctor``: what this machine can do, and what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from heed.cli.common import JsonOption, print_json, say, usable_cores

_EXTRAS = {
    "tensorboard": "tensorboard",
    "datasets": "pyarrow",
    "lora": "peft",
    "postgres": "psycopg",
}
"""Optional extras of the package, and the library each brings."""

_NEEDED_DISK_MIB = 500
_NEEDED_MEMORY_MIB = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    name: str
    state: str
    """``"ok"``, ``"optional"`` (missing, and only some things need it) or ``"problem"``."""
    detail: str


def doctor(
    path: Annotated[Path, typer.Argument(metavar="DIR", help="Where a workspace is to be.")] = Path("."),
    as_json: JsonOption = False,
) -> None:
    """What this machine can do, and what is missing. Exit status 1 if something needed is.

    [dim]Example:[/]  heed doctor
    """
    findings = [*look_at_machine(path), *look_at_torch(), *look_at_extras()]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "✓", "optional": "·", "problem": "✗"}
        for finding in findings:
            say(f"{marks[finding.state]} {finding.name:<12} {finding.detail}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def look_at_machine(path: Path) -> list[Finding]:
    """Python, cores, memory and disk."""
    python = "ok" if sys.version_info >= (3, 11) else "problem"
    memory = memory_mib()
    free = shutil.disk_usage(path).free // 2**20 if path.exists() else 0
    writable = path.exists() and os.access(path, os.W_OK)
    return [
        Finding(name="Python", state=python, detail=f"{platform.python_version()}, 3.11 needed"),
        Finding(name="processors", state="ok", detail=f"{usable_cores()} usable, {platform.machine()}"),
        Finding(
            name="memory",
            state="ok" if memory is None or memory >= _NEEDED_MEMORY_MIB else "problem",
            detail="unknown" if memory is None else f"{memory:,} MiB, {_NEEDED_MEMORY_MIB:,} needed for the sandbox",
        ),
        Finding(
            name="disk",
            state="ok" if writable and free >= _NEEDED_DISK_MIB else "problem",
            detail=f"{free:,} MiB free at {path.resolve()}" if writable else f"{path} is not a directory to write in",
        ),
    ]


def look_at_torch() -> list[Finding]:
    """PyTorch, how fast it multiplies, and the accelerators it sees."""
    from heed.runtime.device import accelerators, matmul_gflops, torch_version

    detail = f"{torch_version()}, {matmul_gflops():,.0f} GFLOP/s in float32 on the CPU"
    found = [Finding(name="PyTorch", state="ok", detail=detail)]
    found += [Finding(name=name, state="ok", detail=detail) for name, detail in accelerators().items()]
    if len(found) == 1:
        found.append(Finding(name="accelerator", state="optional", detail="none; everything runs on the CPU"))
    return found


def look_at_extras() -> list[Finding]:
    """Libraries that only some commands need."""
    found = []
    for extra, library in _EXTRAS.items():
        there = importlib.util.find_spec(library) is not None
        detail = "installed" if there else f"not installed; pip install 'heed[{extra}]' brings it"
        found.append(Finding(name=extra, state="ok" if there else "optional", detail=detail))
    return found


def memory_mib() -> int | None:
    """Memory of the machine in MiB, or None where the system does not say."""
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
