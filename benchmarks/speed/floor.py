"""What the machine can do at most, and what a work needs at least: no program is faster, or smaller."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.speed.models import Size


def measure_floor(hidden: int) -> dict[str, float]:
    """Billions of operations a second in float32 products of a model this wide, and gigabytes a second moved."""
    states, weights = torch.randn(1024, hidden), torch.randn(4 * hidden, hidden)
    product = _seconds(lambda: torch.nn.functional.linear(states, weights), 30)
    source, target = torch.ones(2**25), torch.ones(2**25)  # far larger than any cache
    copy = _seconds(lambda: target.copy_(source), 8)
    return {
        "gflops": 2 * 1024 * 4 * hidden**2 / product / 1e9,
        "gigabytes": 2 * source.numel() * source.element_size() / copy / 1e9,
    }


def ppo_floor(
    size: Size, settings: Mapping[str, Any], prompt: float, rates: Mapping[str, float]
) -> tuple[float, float]:
    """CPU seconds and MiB that a round of PPO needs at least, in float32.

    Time: the products of matrices on real tokens (2 operations a weight forward, 4 backward; of the last layer, none
    for prompts) at the measured rate, and the bytes that must move at the measured bandwidth: the cached keys and
    values at every token drawn, the weights at every step of sampling, and what Adam reads and writes. Memory: weights,
    gradients and moments of the policy and the value model, weights of the reference and the reward model.

    Args:
        size: of all four models.
        settings: of the work.
        prompt: mean length of a prompt.
        rates: what :func:`measure_floor` found.
    """
    count, response, epochs = settings["episodes"], settings["response"], settings["epochs"]
    through_all_but_one = size.body * (size.layers - 1) / size.layers
    body = count * 2 * (prompt * through_all_but_one + response * size.body)
    head = count * response * 2 * size.head
    forwards = 4 * body + 2 * head  # sampling, whose log-probabilities serve; then reference, value and reward model
    updates = epochs * 3 * (2 * body + head)
    cached = 2 * size.layers * size.hidden * 4
    policy, other = size.body + 2 * size.head, size.body + size.head
    moved = count * response * (prompt + response / 2) * cached + response * 4 * (size.body + size.head)
    moved += epochs * 7 * 4 * (policy + other)
    seconds = (forwards + updates) / rates["gflops"] / 1e9 + moved / rates["gigabytes"] / 1e9
    return seconds, 4 * (4 * (policy + other) + policy + other) / 2**20


def reward_floor(
    size: Size, job_data: Mapping[str, Any], steps: int, rates: Mapping[str, float]
) -> tuple[float, float]:
    """The same for reward modelling: every prompt once, every answer once, the last layer for no more than its end."""
    tokens = sum(len(group["prompt"]) + sum(map(len, group["answers"])) for group in job_data["groups"])
    weights = size.body + size.head
    body = size.body * (size.layers - 1) / size.layers
    seconds = 6 * body * tokens / rates["gflops"] / 1e9 + steps * 7 * 4 * weights / rates["gigabytes"] / 1e9
    return seconds, 16 * weights / 2**20


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    run()
    found = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return statistics.median(found)
