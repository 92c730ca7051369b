"""The norm of states between layers, with a backward pass that reads them as seldom as it can."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """``weight * x / sqrt(mean(x**2) + eps)`` over the last dimension (Zhang and Sennrich 2019, equation 4).

    What :func:`torch.nn.functional.rms_norm` computes but for the last bits. On CPUs PyTorch derives its backward pass
    operation by operation, which takes two to four times as long as this one. In float32 inside, whatever ``x`` is in.

    Args:
        x: (..., D).
        weight: (D,), of the dtype of ``x``.
        eps: keeps the root from zero.
    """
    if x.device.type != "cpu":
        return F.rms_norm(x, (x.shape[-1],), weight, eps)
    if not torch.is_grad_enabled():
        return _normed(x, weight, eps)[0]
    normed: Tensor = _RmsNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return normed


def _normed(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The result, and one over the root, (..., 1) float32."""
    wide = x.float()
    norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    inverse = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    return (wide * inverse).mul_(weight).to(x.dtype), inverse


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        normed, inverse = _normed(x, weight, eps)
        ctx.save_for_backward(x, weight, inverse)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """With r = 1 / rms: dx = r (g w - x r^2 mean(g w x)), dw = sum over all rows of r g x."""
        x, weight, inverse = (one.float() for one in ctx.saved_tensors)
        grad = grads[0].float()
        size = x.shape[-1]
        product = (grad * x).view(-1, size)
        by_row = inverse.view(-1, 1)
        dweight = (by_row.T @ product)[0].to(grads[0].dtype) if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[0]:
            return None, dweight, None
        mean = (product @ weight)[:, None].mul_(by_row.square()).div_(size).view_as(inverse)
        return (grad * weight).addcmul_(x, mean, value=-1).mul_(inverse).to(grads[0].dtype), dweight, None
