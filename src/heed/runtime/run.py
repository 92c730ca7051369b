"""What a learner is given besides models and data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heed.runtime.metrics import MetricLogger
from heed.runtime.progress import Progress

if TYPE_CHECKING:
    from heed.runtime.device import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One stage on its way: where it writes, what it computes on, whom it tells."""

    dir: Path
    """Holds ``metrics.jsonl``, ``checkpoints/`` and whatever else the stage leaves behind."""
    runtime: Runtime
    metrics: MetricLogger
    progress: Progress
    seed: int
    checkpoint_every: int = 50
    """Optimizer steps between two checkpoints."""
