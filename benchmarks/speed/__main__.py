"""How fast Heed is and how much memory it takes, beside what else one would use: ``make bench``.

    python -m benchmarks.speed                       all works at the small size, most of an hour
    python -m benchmarks.speed --quick               all works at the tiny size, three minutes
    python -m benchmarks.speed --only sft --only ppo --size medium
    python -m benchmarks.speed --dtype bfloat16      Heed in bfloat16 beside the others in float32
    python -m benchmarks.speed --sweep               time and memory against size, length, K and vocabulary, drawn

The peers are installed once, in an environment of their own, so the first run needs the network. One that cannot be
had is reported as absent, with the reason. Tables go to build/bench/<date>.md and .json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.speed.compare import ROOT, Outcome, compare, run_alone
from benchmarks.speed.environments import Environment, prepare
from benchmarks.speed.models import SIZES
from benchmarks.speed.report import circumstances, markdown, write
from benchmarks.speed.sweep import DIMENSIONS, sweep
from benchmarks.speed.works import HEED, WORKS, Job, Work, in_dtype


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the table, show it. 1 if sides did unequal work."""
    options = _options(arguments)
    size = options.size or ("tiny" if options.quick else "small")
    repeats = options.repeats or (2 if options.quick else 5)
    threads = options.threads or ([1] if options.quick else [1, min(2, os.cpu_count() or 1)])
    wanted = {dimension.work for dimension in DIMENSIONS} if options.sweep else options.only
    heed = in_dtype(HEED, options.dtype)
    works = [
        replace(work, other=in_dtype(work.other, options.dtype)) for work in WORKS if not wanted or work.name in wanted
    ]
    environments = _environments(options, works)

    document = circumstances(environments) | {"dtype": options.dtype}
    floor_job = Job(kind="floor", settings={"hidden": SIZES[size].hidden}, data={}, models={})
    document["floor"] = dict(run_alone(HEED, floor_job, environments["heed"]).facts[0])
    if options.sweep:
        points = sweep(options.out, environments, document["floor"], size=size, quick=options.quick, tell=_tell)
        _tell(f"{len(points)} points are drawn in {options.out / 'sweep.svg'}")
        return 0
    outcomes: list[Outcome] = []
    for count in dict.fromkeys(threads):
        for work in works:
            job = work.make(options.out / "models", size, options.quick, {})
            outcomes.append(
                compare(
                    work,
                    job,
                    environments,
                    heed,
                    size=size,
                    threads=count,
                    repeats=repeats,
                    tell=lambda line: _tell(f"  {line}"),
                )
            )
            document["load_after"] = os.getloadavg()
            table, data = write(options.out, document, outcomes)  # what there is so far, should it be interrupted
    print(markdown(document, outcomes))
    _tell(f"Written to {table} and {data}")
    return int(any(outcome.unequal for outcome in outcomes))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="the tiny size, less of everything, one thread")
    parser.add_argument("--only", action="append", metavar="WORK", choices=[work.name for work in WORKS])
    parser.add_argument("--size", choices=sorted(SIZES))
    parser.add_argument("--repeats", type=int, help="turns that are counted (5; quick: 2)")
    parser.add_argument("--threads", type=int, action="append", help="1: by CPU seconds; more: by the clock (1 and 2)")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16"], default="float32", help="of Heed's models; others stay in float32"
    )
    parser.add_argument("--sweep", action="store_true", help="draw time and memory instead")
    parser.add_argument("--no-peers", action="store_true", help="Heed alone; nothing is installed")
    parser.add_argument("--peers", type=Path, default=ROOT / "build" / "bench-peers", help="where peers are installed")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="where tables go")
    parser.add_argument("--torch-index", help="another index to take PyTorch from")
    options = parser.parse_args(arguments)
    if options.sweep and options.dtype != "float32":
        parser.error("--sweep is in float32: its floor is. Leave out --dtype.")
    return options


def _environments(options: argparse.Namespace, works: Sequence[Work]) -> dict[str, Environment]:
    wanted = {work.other.environment for work in works} - {"heed"}
    if options.no_peers:
        left_out = Environment(python="", absent="left out by --no-peers")
        return {"heed": Environment(python=sys.executable), **dict.fromkeys(sorted(wanted), left_out)}
    return prepare(
        options.peers.absolute(), wanted, index=options.torch_index, lock=ROOT / "requirements.lock", tell=_tell
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
