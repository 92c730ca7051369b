"""The first impression: ``heed --help`` is there at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent / "src"
LIMIT_SECONDS = 0.5
HEAVY = ("torch", "transformers", "sqlalchemy", "scipy", "matplotlib", "numpy")
COMMAND = """
import sys
from heed.cli.app import main
try:
    main({arguments})
except SystemExit as left:
    assert left.code == 0
"""
VERDICT = f"""
import sys, time
print(time.process_time(), *[name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize(
    "program",
    ["import heed", COMMAND.format(arguments=["--help"]), COMMAND.format(arguments=["run", "--help"])],
    ids=["import", "help", "run help"],
)
def test_nothing_heavy_is_imported_and_it_is_quick(program: str) -> None:
    """Processor seconds of the whole process are counted, because wall time depends on the neighbours."""
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program + VERDICT],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        took, *loaded = done.stdout.splitlines()[-1].split()
        assert loaded == []
        seconds.append(float(took))
    assert min(seconds) < LIMIT_SECONDS
