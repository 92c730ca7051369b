"""The product of matrices that everything else is made of, by the faster of the two libraries that PyTorch has.

On x86 processors PyTorch multiplies float32 matrices with MKL, which leaves a tenth to a half of the speed unused on
processors of other makers than its own, the more the fewer the rows. oneDNN, which PyTorch uses for convolutions and
for 16 bits, does not. Which of them it is depends on shapes and platform alone, so that a run can be repeated.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_ONEDNN: Any = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and platform.machine().lower() in ("x86_64", "amd64")
    else None
)
_WORTH_IT = 2**15
"""Numbers in the smallest weight matrix that oneDNN is faster with: a call of it costs a few microseconds more."""

_ROWS_PACKED = 64
"""Rows of a product that packed weights are laid out for; they serve any number."""


def _comes_again(rows: int) -> bool:
    """oneDNN compiles a kernel for each number of rows, and keeps it: about a millisecond and half a mebibyte. So it is
    for numbers that callers round up to: a few slots of a sampler, or many tokens (:data:`heed.models.flat.ROWS`)."""
    return rows % 64 == 0 or (rows % 8 == 0 and rows <= 256)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``, as :func:`torch.nn.functional.linear` computes it but for the last bits.

    Args:
        x: (M, D).
        weight: (F, D).
        bias: (F,).
    """
    if not _for_onednn(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        product: Tensor = _Linear.apply(x, weight)  # type: ignore[no-untyped-call]
        return product if bias is None else product + bias
    return _multiplied(x, weight, bias)


def multiplier(weights: Sequence[Tensor], biases: Sequence[Tensor | None] | None = None) -> Callable[[Tensor], Tensor]:
    """``x -> `` each ``linear(x, weight, bias)`` side by side, for many ``x`` without gradients, while weights stay.

    Where that is of use, it holds a copy of the weights, one under the other, in the order in which they are read: then
    it is one product.

    Args:
        weights: each (F_i, D).
        biases: each (F_i,) or None; none at all when None.

    Returns:
        a function from (M, D) to (M, sum of the F_i).
    """
    biases = biases or [None] * len(weights)
    if not _is_packed(weights):
        return lambda x: torch.cat([linear(x, *one) for one in zip(weights, biases, strict=True)], dim=-1)
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(torch.cat([one.detach() for one in weights]), _ROWS_PACKED)
    if any(bias is not None for bias in biases):
        bias = torch.cat([one.new_zeros(len(one)) if b is None else b for one, b in zip(weights, biases, strict=True)])
    else:
        bias = None
    return lambda x: _multiplied(x, packed, bias)


def _is_packed(weights: Sequence[Tensor]) -> bool:
    return (
        _ONEDNN is not None
        and all(one.device.type == "cpu" and one.dtype in (torch.float32, torch.bfloat16) for one in weights)
        and sum(one.numel() for one in weights) >= _WORTH_IT
        and not torch.is_autocast_enabled("cpu")
    )


def _for_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        _ONEDNN is not None
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and x.dim() == 2
        and len(x) > 0
        and _comes_again(len(x))
        and weight.numel() >= _WORTH_IT
        and not torch.is_autocast_enabled("cpu")
    )


def _multiplied(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product: Tensor = _ONEDNN(x, weight, bias, "none", [], "")
    return product


class _Linear(torch.autograd.Function):
    """Forward and the gradient of ``x`` by oneDNN. MKL is the better one at the gradient of the weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiplied(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous()
        return (
            _multiplied(grad, weight.T) if ctx.needs_input_grad[0] else None,
            grad.T @ x if ctx.needs_input_grad[1] else None,
        )
