"""From one score for each answer to one reward for each token (InstructGPT Equation 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from heed.ops.masks import masked_fill_zero


def token_rewards(
    scores: Tensor, logprobs: Tensor, ref_logprobs: Tensor, response_mask: Tensor, kl_coef: float
) -> Tensor:
    """Rewards of single tokens: the KL penalty at every token, the answer's score added at the last real one.

    ``r_t = -kl_coef * (log policy(a_t|s_t) - log ref(a_t|s_t)) + [t is last] * score``, Ouyang et al. 2022, Equation 2;
    the log-ratio of the sampled token (k1), so that single terms may be negative.

    Args:
        scores: (N,) one for each answer.
        logprobs: (N, R) under the policy that sampled the tokens.
        ref_logprobs: (N, R) under the reference.
        response_mask: (N, R) True at response tokens; at least one in each row.
        kl_coef: beta.

    Returns:
        (N, R) rewards, 0 where masked.
    """
    assert scores.shape == logprobs.shape[:1] and logprobs.shape == ref_logprobs.shape == response_mask.shape
    rewards = masked_fill_zero(-kl_coef * (logprobs - ref_logprobs), response_mask)
    return rewards.scatter_add(1, last_true(response_mask)[:, None], scores.to(rewards.dtype)[:, None])


def last_true(mask: Tensor) -> Tensor:
    """(N,) column of the last True of each row of a (N, R) mask. Every row has to have one."""
    assert mask.dim() == 2 and mask.dtype == torch.bool
    columns = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, columns, -1).amax(dim=1)


def penalized_scores(scores: Tensor, ended: Tensor, penalty: float) -> Tensor:
    """(N,) scores less ``penalty`` for the answers that did not end by themselves (no end-of-sequence token).

    Subtracting keeps the order among unfinished answers; Ziegler et al. 2019 replace the score instead.

    Args:
        scores: (N,).
        ended: (N,) True where the answer has its end-of-sequence token.
        penalty: 0 or more.
    """
    assert scores.shape == ended.shape and ended.dtype == torch.bool
    return torch.where(ended, scores, scores - penalty)
