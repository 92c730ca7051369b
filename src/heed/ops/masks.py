"""Sums, means and variances over the places that count. A mask is True where it counts; anything may stand elsewhere.

Masked places never reach a result, not even as ``0 * nan``: values there are replaced, not multiplied.
"""

from __future__ import annotations

import torch
from torch import Tensor


def masked_fill_zero(values: Tensor, mask: Tensor) -> Tensor:
    """``values`` with 0 where ``mask`` is False. Gradients there are exactly 0, whatever stands there, NaN included."""
    assert values.shape == mask.shape, f"values {tuple(values.shape)} and mask {tuple(mask.shape)} differ in shape"
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))


def masked_sum(values: Tensor, mask: Tensor) -> Tensor:
    """Sum of the values that count: a scalar."""
    return masked_fill_zero(values, mask).sum()


def masked_mean(values: Tensor, mask: Tensor, denominator: float | Tensor | None = None) -> Tensor:
    """Mean of the values that count: a scalar; 0 if none does.

    Args:
        values: any shape.
        mask: bool, same shape.
        denominator: what to divide by instead of the number of True places. A microbatch passes the count of its
            whole minibatch, so that the sum of the microbatches' results is the mean over the minibatch.
    """
    if denominator is None:
        denominator = mask.sum().clamp(min=1)
    return masked_sum(values, mask) / denominator


def masked_variance(values: Tensor, mask: Tensor) -> Tensor:
    """Population variance (divided by the count, not the count less one) of the values that count: a scalar."""
    return masked_mean((values - masked_mean(values, mask)) ** 2, mask)
