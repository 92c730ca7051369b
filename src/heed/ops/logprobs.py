"""Log-probabilities of given tokens from hidden states, never holding all logits at once.

The logits of a batch, (tokens, V), are by far the largest tensor of a language model. They are made a few hundred rows
at a time, small enough to stay in a processor's cache, and thrown away; the backward pass makes them again, or, for a
loss that is a sum over tokens, has its gradient ready from the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from heed.ops.linear import linear

_CHUNK_NUMBERS = 2**19
"""Logits held at a time on a CPU, 2 MiB in float32: what a processor's cache holds."""
_FULL_SPEED_ROWS, _MOST_NUMBERS = 128, 2**21
"""So many rows make a product of matrices at full speed, and are taken as long as they are no more logits than that."""

TokenLoss = Callable[[Tensor, slice], Tensor]
"""From the log-probabilities of some rows, (m,), and which rows these are, to what they add to a loss, a scalar."""


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """(M,) float32: ``log softmax((hidden @ weight.T + bias) / temperature)`` at the targets.

    Args:
        hidden: (M, D) the state that predicts each target.
        weight: (V, D) output embedding.
        targets: (M,) token ids.
        bias: (V,) of the output embedding, if it has one.
        temperature: what sampling divides the logits by; the log-probabilities have to know it.
    """
    assert hidden.dim() == 2 and weight.dim() == 2 and targets.shape == hidden.shape[:1]
    logprobs: Tensor = _TokenLogprobs.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, temperature
    )
    return logprobs


def logprob_loss(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    loss: TokenLoss,
    *,
    bias: Tensor | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """A loss that is a sum over tokens of something of each one's log-probability: a float32 scalar.

    The same number as ``loss(token_logprobs(...), slice(0, M))``, and faster to train on: since what a token adds
    depends on no other token, the forward pass makes the gradient while it has the logits.

    Args:
        hidden: (M, D) the state that predicts each target.
        weight: (V, D) output embedding.
        targets: (M,) token ids.
        loss: called with some of the log-probabilities, (m,), and which rows these are; gives what they add, a scalar.
        bias: (V,) of the output embedding, if it has one.
        temperature: what sampling divides the logits by.
    """
    assert hidden.dim() == 2 and weight.dim() == 2 and targets.shape == hidden.shape[:1]
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        total: Tensor = _LogprobLoss.apply(  # type: ignore[no-untyped-call]
            hidden, weight, bias, targets, temperature, loss
        )
        return total
    logprobs = token_logprobs(hidden, weight, targets, bias=bias, temperature=temperature)
    return loss(logprobs, slice(0, len(targets)))


def nll_sum(hidden: Tensor, weight: Tensor, targets: Tensor, *, bias: Tensor | None = None) -> Tensor:
    """Sum of the negative log-probabilities of the targets: a float32 scalar. See :func:`logprob_loss`."""
    return logprob_loss(hidden, weight, targets, lambda logprobs, _: -logprobs.sum(), bias=bias)


@torch.no_grad()
def are_likeliest(hidden: Tensor, weight: Tensor, targets: Tensor, *, bias: Tensor | None = None) -> Tensor:
    """(M,) bool: whether each target is the likeliest token. The arguments are those of :func:`token_logprobs`."""
    found = torch.empty(targets.shape, dtype=torch.bool, device=targets.device)
    size = _rows_at_a_time(hidden, len(weight))
    for rows in (slice(start, start + size) for start in range(0, len(targets), size)):
        found[rows] = _product(hidden[rows], weight, bias, size).argmax(dim=-1) == targets[rows]
    return found


def _rows_at_a_time(hidden: Tensor, vocab_size: int) -> int:
    if hidden.device.type != "cpu":
        return max(64, 512 * _CHUNK_NUMBERS // vocab_size // 64 * 64)
    return max(64, min(_FULL_SPEED_ROWS, _MOST_NUMBERS // vocab_size), _CHUNK_NUMBERS // vocab_size) // 64 * 64


def _product(states: Tensor, weight: Tensor, bias: Tensor | None, size: int) -> Tensor:
    """``linear`` for a full chunk of ``size`` rows. The last one, of another size each time, goes the plain way."""
    return linear(states, weight, bias) if len(states) == size else F.linear(states, weight, bias)


def _logits(states: Tensor, weight: Tensor, bias: Tensor | None, size: int, temperature: float) -> Tensor:
    """(m, V) float32 of one chunk, over the temperature."""
    logits = _product(states, weight, bias, size).float()
    return logits if temperature == 1.0 else logits.div_(temperature)


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        temperature: float,
    ) -> Tensor:
        dtype = _compute_dtype(hidden)
        head, head_bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        logprobs = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        size = _rows_at_a_time(hidden, len(weight))
        for rows in (slice(start, start + size) for start in range(0, len(targets), size)):
            logits = _logits(hidden[rows].to(dtype), head, head_bias, size, temperature)
            logprobs[rows] = logits.log_softmax(dim=-1).gather(1, targets[rows, None])[:, 0]
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.temperature, ctx.dtype = temperature, dtype
        return logprobs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        head, head_bias = weight.to(ctx.dtype), None if bias is None else bias.to(ctx.dtype)
        slope = grads[0] / ctx.temperature
        grad_hidden = torch.empty_like(hidden) if needs_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias else None
        size = _rows_at_a_time(hidden, len(weight))
        for rows in (slice(start, start + size) for start in range(0, len(targets), size)):
            states = hidden[rows].to(ctx.dtype)
            logits = _logits(states, head, head_bias, size, ctx.temperature)
            likely = logits.softmax(dim=-1)
            _accumulate(
                likely, targets[rows], slope[rows], states, head, rows, size, grad_hidden, grad_weight, grad_bias
            )
        return (
            grad_hidden,
            None if grad_weight is None else grad_weight.to(weight.dtype),
            None if grad_bias is None else grad_bias.to(bias.dtype),
            None,
            None,
        )


class _LogprobLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        temperature: float,
        loss: TokenLoss,
    ) -> Tensor:
        dtype = _compute_dtype(hidden)
        head, head_bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        grad_bias = (
            torch.zeros_like(bias, dtype=torch.float32) if bias is not None and ctx.needs_input_grad[2] else None
        )
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        size = _rows_at_a_time(hidden, len(weight))
        for rows in (slice(start, start + size) for start in range(0, len(targets), size)):
            states, chosen = hidden[rows].to(dtype), targets[rows]
            logits = _logits(states, head, head_bias, size, temperature)
            margin = logits.gather(1, chosen[:, None])[:, 0] - logits.amax(dim=-1)
            likely = logits.softmax(dim=-1)
            logprobs = margin + likely.amax(dim=-1).log()  # the largest probability is 1 / sum exp(logit - top)
            added, slope = _with_slope(loss, logprobs, rows)
            total += added
            slope = slope / temperature
            _accumulate(likely, chosen, slope, states, head, rows, size, grad_hidden, grad_weight, grad_bias)
        ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        ctx.dtypes = (weight.dtype, None if bias is None else bias.dtype)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight, grad_bias = ctx.saved_tensors
        scale = grads[0]
        return (
            None if grad_hidden is None else grad_hidden * scale.to(grad_hidden.dtype),
            None if grad_weight is None else (grad_weight * scale).to(ctx.dtypes[0]),
            None if grad_bias is None else (grad_bias * scale).to(ctx.dtypes[1]),
            None,
            None,
            None,
        )


def _with_slope(loss: TokenLoss, logprobs: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    """What these rows add to the loss, and its derivative with respect to each log-probability, (m,)."""
    with torch.enable_grad():
        leaf = logprobs.detach().requires_grad_()
        added = loss(leaf, rows)
    [slope] = torch.autograd.grad(added, leaf)
    return added.detach(), slope


def _accumulate(
    likely: Tensor,
    chosen: Tensor,
    slope: Tensor,
    states: Tensor,
    head: Tensor,
    rows: slice,
    size: int,
    grad_hidden: Tensor | None,
    grad_weight: Tensor | None,
    grad_bias: Tensor | None,
) -> None:
    """Push one chunk's gradient through ``log softmax(states @ head.T + bias)`` at the tokens ``chosen``.

    With respect to the logits it is ``slope * (one-hot of the chosen - probabilities)``. The slopes, one for each row,
    go to what is D wide rather than V.

    Args:
        likely: (m, V) the probabilities; changed in place.
        chosen: (m,) token ids.
        slope: (m,) derivative of the loss with respect to each log-probability, over the temperature.
    """
    surplus = likely.scatter_add_(1, chosen[:, None], torch.full_like(likely[:, :1], -1.0)).to(head.dtype)
    down = -slope[:, None]
    if grad_hidden is not None:
        grad_hidden[rows] = _product(surplus, head.T, None, size) * down
    if grad_weight is not None:
        scaled = (states * down).to(states.dtype)
        if surplus.dtype == grad_weight.dtype:
            grad_weight.T.addmm_(scaled.T, surplus)
        else:
            grad_weight += surplus.T @ scaled
    if grad_bias is not None:
        grad_bias += down[:, 0] @ likely
