"""Generalised advantage estimation over response tokens, and whitening."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from heed.ops.masks import masked_fill_zero, masked_mean, masked_variance


class Advantages(NamedTuple):
    """Both (N, R), 0 where masked, without gradient."""

    advantages: Tensor
    returns: Tensor
    """What the value model learns to predict: advantages plus the old values."""


@torch.no_grad()
def generalized_advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, discount: float = 1.0, gae_lambda: float = 0.95
) -> Advantages:
    """Advantages by GAE (Schulman et al. 2016, Equation 16).

    ``delta_t = r_t + discount * V_{t+1} - V_t`` and ``A_t = delta_t + discount * gae_lambda * A_{t+1}``, where t+1 is
    the next token that counts and V is 0 after the last one: the episode ends there. Masked places inside a row
    (another speaker's turn, say) are stepped over.

    Args:
        rewards: (N, R) one for each token.
        values: (N, R) value of the state before each token.
        mask: (N, R) True at response tokens.
        discount: 1 in the paper: no discount.
        gae_lambda: 0 gives one-step errors, 1 the sum of future rewards less the value.
    """
    assert rewards.shape == values.shape == mask.shape and rewards.dim() == 2
    rewards, values = masked_fill_zero(rewards, mask), masked_fill_zero(values, mask)
    advantages = torch.zeros_like(rewards)
    next_value = torch.zeros_like(rewards[:, 0])
    next_advantage = torch.zeros_like(rewards[:, 0])
    for t in range(rewards.shape[1] - 1, -1, -1):
        delta = rewards[:, t] + discount * next_value - values[:, t]
        advantage = delta + discount * gae_lambda * next_advantage
        next_advantage = torch.where(mask[:, t], advantage, next_advantage)
        next_value = torch.where(mask[:, t], values[:, t], next_value)
        advantages[:, t] = next_advantage
    advantages = masked_fill_zero(advantages, mask)
    return Advantages(advantages=advantages, returns=advantages + values)


@torch.no_grad()
def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """Scale to unit variance over the places that count, and to mean 0 unless ``shift_mean`` is False.

    The variance is the population one plus 1e-8, as in Ziegler et al. 2019's code. 0 where masked.

    Args:
        values: (N, R).
        mask: (N, R) True where it counts.
        shift_mean: False keeps the mean: whitening of rewards, whose sign has a meaning.
    """
    mean = masked_mean(values, mask)
    whitened = (values - mean) * torch.rsqrt(masked_variance(values, mask) + 1e-8)
    if not shift_mean:
        whitened = whitened + mean
    return masked_fill_zero(whitened, mask)
