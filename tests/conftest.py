"""What every test shares: quiet libraries, one thread, nothing from the network, the same examples each time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A busy machine is slow, which is no fault of the code; and a test that fails now and then teaches nobody.
settings.register_profile("heed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("heed")


PUBLIC_DATA = Path(os.environ.get("HEED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
"""Where the published files lie, if they are at hand."""


@pytest.fixture
def public_data() -> Callable[[str], Path]:
    """The path of one published file or directory; the test is skipped where it is not at hand."""

    def find(name: str) -> Path:
        if not (PUBLIC_DATA / name).exists():
            pytest.skip(f"{name} is not here: set HEED_DATA to the directory of the public data")
        return PUBLIC_DATA / name

    return find
