"""Freed memory stays for the next step, until it is given back."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys, torch
from heed.runtime.allocation import give_back_freed_memory, keep_freed_memory
from heed.runtime.metrics import current_rss_mib

keep_freed_memory()

def step():
    tensors = [torch.ones(7_000_000) for _ in range(4)]  # 28 MB each

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
kept = current_rss_mib()
give_back_freed_memory()
print(after - before, kept - current_rss_mib())
"""


def steps(**environment: str) -> tuple[int, float]:
    """Pages that had to be mapped again in five steps, and MiB given back afterwards."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", STEPS], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    faults, given_back = done.stdout.split()
    return int(faults), float(given_back)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_steps_find_their_memory_again_and_it_can_be_given_back() -> None:
    faults, given_back = steps()
    pages = 5 * 4 * 28e6 / os.sysconf("SC_PAGE_SIZE")
    assert faults < 0.02 * pages
    assert given_back > 90


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_somebody_s_own_settings_stay() -> None:
    faults, given_back = steps(MALLOC_TRIM_THRESHOLD_="65536", MALLOC_MMAP_THRESHOLD_="65536")
    assert faults > 0.5 * 5 * 4 * 28e6 / os.sysconf("SC_PAGE_SIZE")
    assert given_back < 60
