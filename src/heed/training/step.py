"""The optimizer step: the only place where weights move.

An update hands over its loss in pieces, one for each microbatch, each already divided by what the whole minibatch
counts. So their gradients add up to those of the minibatch, whatever the size of the microbatch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from heed.errors import NonFiniteError
from heed.models.recompute import recompute_activations
from heed.runtime.device import Runtime
from heed.training.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One model's part in a step."""

    name: str
    """For error messages, such as ``"policy"``."""
    optimizer: torch.optim.Optimizer
    losses: Iterable[Tensor]
    """Scalars that add up to the loss of the minibatch; a generator computes each when its turn comes, so that only
    one microbatch's activations exist at a time."""
    learning_rate: float
    max_grad_norm: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What one model's part came to."""

    loss: float
    grad_norm: float
    """Before clipping."""


class Tally:
    """Figures that come in pieces, one for each microbatch, put together by name."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def add(self, name: str, value: Tensor | float) -> None:
        """Add a piece."""
        self.figures[name] = self.figures.get(name, 0.0) + float(value)

    def least(self, name: str, value: Tensor | float) -> None:
        """Keep the smallest piece."""
        self.figures[name] = min(self.figures.get(name, math.inf), float(value))

    def most(self, name: str, value: Tensor | float) -> None:
        """Keep the largest piece."""
        self.figures[name] = max(self.figures.get(name, -math.inf), float(value))

    def __getitem__(self, name: str) -> float:
        return self.figures.get(name, 0.0)


def make_ready(runtime: Runtime, *models: nn.Module) -> None:
    """Dropout off, and activations kept or computed again as the runtime says.

    With dropout no log-probability can be reproduced: ratios differ from 1 and KL is noise. No learner uses it.
    """
    for model in models:
        model.eval()
        recompute_activations(runtime.activation_checkpointing, model)


def make_optimizer(weights: Weights) -> torch.optim.Optimizer:
    """Adam with InstructGPT's betas (.9, .95), no weight decay; the learning rate comes with each step.

    PyTorch adds ``eps`` to the bias-corrected root of the second moment, TensorFlow 1 to the raw root, so that
    the first updates of equal settings are larger here. ``eps`` is 1e-8 (LMHP: 1e-5 in TensorFlow's way); what the
    difference guards against, drastic first updates, PPO's warm-up of the learning rate guards against as well.
    """
    optimizer = torch.optim.Adam(weights.parameters(), lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)
    optimizer.register_step_post_hook(lambda *_: weights.publish())
    return optimizer


def take_step(where: str, *updates: Update) -> list[StepReport]:
    """Compute all gradients, check that all are finite, clip each model's, and only then move any weight.

    Args:
        where: for error messages, such as ``"SFT step 12"``.

    Raises:
        NonFiniteError: a loss or a gradient is NaN or infinite. No weight has moved; gradients are cleared.
    """
    reports = []
    for update in updates:
        loss = sum((_backward(piece) for piece in update.losses), start=0.0)
        grad_norm = float(nn.utils.clip_grad_norm_(_parameters(update.optimizer), update.max_grad_norm))
        reports.append(StepReport(loss=loss, grad_norm=grad_norm))
    bad = [
        f"the {update.name} loss is {report.loss:g} and its gradient norm {report.grad_norm:g}"
        for update, report in zip(updates, reports, strict=True)
        if not (math.isfinite(report.loss) and math.isfinite(report.grad_norm))
    ]
    if bad:
        for update in updates:
            update.optimizer.zero_grad(set_to_none=True)
        raise NonFiniteError(
            f"{where}: {' and '.join(bad)}; both must be finite. The weights were not changed by this step. A lower "
            "learning rate is the usual remedy; if this is the first step, look for broken inputs or weights."
        )
    for update in updates:
        for group in update.optimizer.param_groups:
            group["lr"] = update.learning_rate
        update.optimizer.step()
        update.optimizer.zero_grad(set_to_none=True)
    return reports


def gradient_norm(optimizer: torch.optim.Optimizer, losses: Iterable[Tensor]) -> float:
    """Norm of the gradient of the sum of ``losses``; nothing moves and the gradients are cleared."""
    for loss in losses:
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in _parameters(optimizer) if parameter.grad is not None]
    norm = float(nn.utils.get_total_norm(gradients))
    optimizer.zero_grad(set_to_none=True)
    return norm


def _backward(loss: Tensor) -> float:
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
