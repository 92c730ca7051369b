"""What a learner returns, besides the model it was given and has trained in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """Figures of a finished ``pretrain``, ``sft`` or ``reward_modeling``. The model holds the final weights."""

    steps: int
    """Optimizer steps in all, those before an interruption included."""
    tokens: int
    """Tokens trained on in all."""
    metrics: Mapping[str, float]
    """The last ones logged, and those of the end of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOResult:
    """Figures of a finished ``ppo``. The value model holds the final weights, and so does the policy unless the run was
    to stop by itself: then it holds those of the iteration ``kept``."""

    iterations: int
    """Those made, fewer than were set if the run stopped by itself."""
    tokens: int
    """Prompt and response tokens of all episodes."""
    metrics: Mapping[str, float]
    """Of the last iteration."""
    average_weights: Mapping[str, Tensor]
    """State dict of the exponential moving average of the policy's weights over all updates made, those after the one
    that was kept included: ``policy.load_state_dict`` takes it."""
    ptx_coef: float
    """As given, or as set by the ratio of the gradient norms."""
    kl_coef: float
    """The last one used."""
    diagnoses: tuple[str, ...]
    """Names of the bands that were left at any time, in order of first appearance."""
    stopped: str
    """The setting that ended the run, ``"max_kl"`` or ``"stop_by"``; empty if all iterations were made."""
    kept: int
    """Iterations behind the policy that was kept."""
