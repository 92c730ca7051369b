"""The losses of the loop. Each takes the denominator of its mean as an argument and returns sums for the metrics.

A minibatch that does not fit through the model at once is cut into microbatches. If each of them divides by the count
of the whole *minibatch*, their losses (and gradients) add up to the minibatch's; so the result does not depend on the
cut. Counts in the results are sums over the microbatch, ready to be added up.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from heed.ops.masks import masked_fill_zero, masked_sum


class RankingLoss(NamedTuple):
    """Scalars; the counts are sums over this microbatch."""

    loss: Tensor
    num_pairs: Tensor
    num_correct: Tensor
    """Pairs whose better answer has the higher score; equal scores count half."""


def ranking_loss(scores: Tensor, tiers: Tensor, group_index: Tensor, *, denominator: float | Tensor) -> RankingLoss:
    """All pairs of a prompt as one batch element: the reward-model loss of Ouyang et al. 2022, Equation 1.

    ``-(1 / pairs of the prompt) * sum log sigmoid(score_better - score_worse)``, summed over prompts and divided by
    ``denominator``. Ties are dropped, and the mean is over the pairs that are left; a prompt without any adds 0.

    Args:
        scores: (N,) raw scores of all answers.
        tiers: (N,) integers, lower is better; only compared within a group.
        group_index: (N,) which prompt each answer belongs to.
        denominator: number of prompts with a pair in the whole minibatch.
    """
    assert scores.dim() == 1 and scores.shape == tiers.shape == group_index.shape
    better, worse = _pairs(tiers, group_index)
    num_groups = int(group_index.max()) + 1 if len(group_index) else 0
    pairs_of_group = torch.bincount(group_index[better], minlength=num_groups)
    weights = 1.0 / pairs_of_group[group_index[better]].to(scores.dtype)
    margins = scores[better] - scores[worse]
    correct = (margins > 0).to(scores.dtype) + 0.5 * (margins == 0).to(scores.dtype)
    return RankingLoss(
        loss=(-F.logsigmoid(margins) * weights).sum() / denominator,
        num_pairs=torch.tensor(len(better), device=scores.device),
        num_correct=correct.sum(),
    )


def _pairs(tiers: Tensor, group_index: Tensor) -> tuple[Tensor, Tensor]:
    same_group = group_index[:, None] == group_index[None, :]
    better, worse = torch.nonzero(same_group & (tiers[:, None] < tiers[None, :]), as_tuple=True)
    return better, worse


class PolicyLoss(NamedTuple):
    """Scalars; all but ``loss`` and the extremes are sums over this microbatch's tokens, without gradient."""

    loss: Tensor
    clipped_sum: Tensor
    """Tokens at which the clipped term is the larger one, so that they give no gradient."""
    approx_kl_sum: Tensor
    """``0.5 * (log ratio)^2`` between the new and the old policy."""
    ratio_min: Tensor
    ratio_max: Tensor
    """Smallest and largest probability ratio of a token; 1 if there is no token."""


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_range: float,
    denominator: float | Tensor,
) -> PolicyLoss:
    """PPO's clipped surrogate (Schulman et al. 2017, Equation 7), as a loss.

    ``sum max(-A * ratio, -A * clip(ratio, 1 - clip_range, 1 + clip_range)) / denominator``.

    Args:
        logprobs: (N, R) of the response tokens, now, with gradient.
        old_logprobs: (N, R) when they were sampled.
        advantages: (N, R).
        mask: (N, R) True at response tokens.
        clip_range: epsilon, 0.2 in the paper.
        denominator: number of response tokens in the whole minibatch.
    """
    assert logprobs.shape == old_logprobs.shape == advantages.shape == mask.shape
    log_ratio = masked_fill_zero(logprobs - old_logprobs, mask)
    advantages = masked_fill_zero(advantages, mask)
    ratio = log_ratio.exp()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    with torch.no_grad():
        ratios = torch.where(mask, ratio, torch.ones_like(ratio))
    return PolicyLoss(
        loss=masked_sum(torch.maximum(plain, clipped), mask) / denominator,
        clipped_sum=(clipped > plain).logical_and(mask).sum(),
        approx_kl_sum=0.5 * masked_sum(log_ratio.detach() ** 2, mask),
        ratio_min=ratios.min(),
        ratio_max=ratios.max(),
    )


class ValueLoss(NamedTuple):
    """Scalars; all but ``loss`` are sums over this microbatch's tokens, without gradient."""

    loss: Tensor
    clipped_sum: Tensor
    squared_error_sum: Tensor
    """Of the values as they are, not clipped: for the explained variance."""


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    *,
    clip_range: float,
    denominator: float | Tensor,
) -> ValueLoss:
    """Squared error of the values, clipped around the old ones, as in the code of Ziegler et al. 2019.

    ``0.5 * sum max((V - ret)^2, (clip(V, V_old - clip_range, V_old + clip_range) - ret)^2) / denominator``.

    Args:
        values: (N, R) of the states before the response tokens, now, with gradient.
        old_values: (N, R) at the time of sampling.
        returns: (N, R) see :func:`heed.ops.advantages.generalized_advantages`.
        mask: (N, R) True at response tokens.
        clip_range: in units of the value, 0.2 in that code; ``math.inf`` for a plain squared error.
        denominator: number of response tokens in the whole minibatch.
    """
    assert values.shape == old_values.shape == returns.shape == mask.shape
    values, old_values = masked_fill_zero(values, mask), masked_fill_zero(old_values, mask)
    returns = masked_fill_zero(returns, mask)
    plain = (values - returns) ** 2
    clipped = (old_values + (values - old_values).clamp(-clip_range, clip_range) - returns) ** 2
    return ValueLoss(
        loss=0.5 * masked_sum(torch.maximum(plain, clipped), mask) / denominator,
        clipped_sum=(clipped > plain).logical_and(mask).sum(),
        squared_error_sum=plain.detach().sum(),
    )
