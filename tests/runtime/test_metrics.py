from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from heed.runtime.metrics import MetricLogger, forget_peak_rss, peak_rss_mib, read_metrics, tensorboard_sink


def test_each_line_is_on_disk_when_log_returns(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path / "runs" / "metrics.jsonl")
    logger.log(1, {"loss": 1.5, "diagnosis": "length is being rewarded"})
    assert json.loads(logger.path.read_text()) == {"step": 1, "loss": 1.5, "diagnosis": "length is being rewarded"}


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path / "metrics.jsonl")
    logger.log(1, {"loss": float("nan"), "kl": float("inf")})
    assert read_metrics(logger.path) == [{"step": 1, "loss": None, "kl": None}]


def test_a_resumed_run_forgets_what_it_will_write_again(tmp_path: Path) -> None:
    logger = MetricLogger(tmp_path / "metrics.jsonl")
    for step in range(5):
        logger.log(step, {"loss": float(step)})
    with logger.path.open("a") as file:
        file.write('{"step": 5, "lo')  # killed here
    logger.truncate_after(2)
    logger.log(3, {"loss": 30.0})
    assert [(row["step"], row["loss"]) for row in read_metrics(logger.path)] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
        (3, 30.0),
    ]


def test_no_file_means_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "none.jsonl") == []
    MetricLogger(tmp_path / "metrics.jsonl").truncate_after(-1)
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_sinks_get_the_numbers_and_nothing_else(tmp_path: Path) -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    logger = MetricLogger(tmp_path / "m.jsonl", sinks=[lambda step, values: seen.append((step, dict(values)))])
    logger.log(7, {"loss": 1.0, "episodes": 64, "note": "x", "healthy": True})
    assert seen == [(7, {"loss": 1.0, "episodes": 64.0})]


def test_tensorboard_reads_back_what_was_logged(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    MetricLogger(tmp_path / "m.jsonl", sinks=[tensorboard_sink(tmp_path / "events")]).log(3, {"loss": 1.25})
    events = accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(3, 1.25)]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here to compare with")
def test_peak_memory_is_what_the_system_says() -> None:
    status = Path("/proc/self/status").read_text()
    mebibytes = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]
    assert peak_rss_mib() == pytest.approx(mebibytes, rel=0.1)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system cannot forget a peak")
def test_what_was_needed_before_is_forgotten() -> None:
    big = bytearray(300 * 2**20)
    before = peak_rss_mib()
    del big
    forget_peak_rss()
    assert peak_rss_mib() < before - 250
    kept = bytearray(100 * 2**20)
    assert 90 < before - peak_rss_mib() < 250 and len(kept) == 100 * 2**20
