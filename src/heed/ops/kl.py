"""Estimates of the KL divergence from samples, and the adaptive coefficient.

With ``x ~ policy`` and ``ratio = ref(x) / policy(x)``, each of the three estimators of Schulman's note "Approximating
KL divergence" (2020) is a number for each token whose mean estimates KL(policy || ref):

====  ==============================  ==========================================
name  value                           property
====  ==============================  ==========================================
k1    ``-ln ratio``                   unbiased, high variance, may be negative
k2    ``(ln ratio)^2 / 2``            biased, low variance
k3    ``(ratio - 1) - ln ratio``      unbiased, never negative
====  ==============================  ==========================================
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from heed.ops.masks import masked_fill_zero


class KLEstimates(NamedTuple):
    """In nats, one for each token, 0 where masked."""

    k1: Tensor
    k2: Tensor
    k3: Tensor


def kl_estimates(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor) -> KLEstimates:
    """The three estimators of KL(policy || ref) at each token.

    Args:
        logprobs: (N, R) log-probabilities of the sampled tokens under the policy that sampled them.
        ref_logprobs: (N, R) the same tokens under the reference.
        mask: (N, R) True at response tokens.
    """
    assert logprobs.shape == ref_logprobs.shape == mask.shape
    log_ratio = masked_fill_zero(ref_logprobs - logprobs, mask)
    return KLEstimates(k1=-log_ratio, k2=0.5 * log_ratio**2, k3=torch.expm1(log_ratio) - log_ratio)


def adapted_kl_coef(kl_coef: float, kl_nats: float, target_nats: float, num_episodes: int, horizon: int) -> float:
    """The next coefficient of a proportional controller that steers the KL divergence to a target.

    ``coef * (1 + clip(kl / target - 1, -0.2, 0.2) * num_episodes / horizon)``, Ziegler et al. 2019, section 2.2.

    Args:
        kl_coef: the coefficient in use.
        kl_nats: mean over episodes of the KL summed over tokens.
        target_nats: where to steer it.
        num_episodes: episodes seen since the last adjustment.
        horizon: episodes over which the error acts once; 10,000 in the paper.
    """
    error = min(max(kl_nats / target_nats - 1.0, -0.2), 0.2)
    return kl_coef * (1.0 + error * num_episodes / horizon)
