"""The numbers PPO shows of each iteration. What is optimised and what is shown come from the same tensors and masks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from heed.errors import NonFiniteError
from heed.ops.kl import kl_estimates
from heed.ops.masks import masked_mean, masked_variance
from heed.roles import Scorer
from heed.training.diagnostics import sampler_gap
from heed.training.rollouts import Episodes, Round
from heed.training.step import StepReport, Tally
from heed.training.stopping import HELDOUT_SCORE


@torch.no_grad()
def round_figures(this: Round, kl_coef: float) -> dict[str, float]:
    """What the round was like, before any update: one number for each name.

    ``kl``, ``kl_k2`` and ``kl_k3`` are means over episodes of sums over tokens, in nats; ``kl_per_token`` and
    ``entropy`` are means over tokens, the entropy as what the tokens drawn say of it, the mean of -log p; ``objective``
    is the mean score less ``kl_coef`` times the KL.
    """
    episodes, opinions, targets = this.episodes, this.opinions, this.targets
    mask, lengths = episodes.mask, episodes.lengths.float()
    kl = kl_estimates(opinions.logprobs, opinions.ref_logprobs, mask)
    kl_nats = float(kl.k1.sum(dim=1).mean())
    raw = episodes.scores
    unexplained = masked_variance(targets.returns - opinions.values, mask)
    return {
        "score": float(raw.mean()),
        "score_std": float(raw.std(unbiased=False)),
        "objective": float(this.scores.mean()) - kl_coef * kl_nats,
        "kl": kl_nats,
        "kl_k2": float(kl.k2.sum(dim=1).mean()),
        "kl_k3": float(kl.k3.sum(dim=1).mean()),
        "kl_per_token": float(masked_mean(kl.k1, mask)),
        "kl_coef": kl_coef,
        "entropy": -float(masked_mean(opinions.logprobs, mask)),
        "length": float(lengths.mean()),
        "length_score_correlation": correlation(lengths, raw),
        "eos_rate": float(episodes.ended.float().mean()),
        "explained_variance": float(1 - unexplained / masked_variance(targets.returns, mask).clamp(min=1e-12)),
        "sampler_gap": sampler_gap(episodes, opinions),
        "tokens": float(episodes.num_tokens),
    }


def heldout_figures(heldout: Scorer | None, episodes: Episodes) -> dict[str, float]:
    """The mean score that a second reward model gives to the round's answers; nothing where there is none.

    Raises:
        NonFiniteError: the mean is NaN or infinite.
    """
    if heldout is None:
        return {}
    scores = heldout.score(episodes.prompts, [[completion] for completion in episodes.completions])
    mean = sum(score for [score] in scores) / len(scores)
    if not math.isfinite(mean):
        raise NonFiniteError(f"the second reward model's mean score of a round is {mean}, expected a finite number")
    return {HELDOUT_SCORE: mean}


def update_figures(tally: Tally, reports: list[list[StepReport]]) -> dict[str, float]:
    """What the updates of a round were like. Losses and gradient norms are means over its optimizer steps."""
    steps, tokens = len(reports), tally["tokens"]
    figures = {
        "policy_loss": tally["policy_loss"] / steps,
        "value_loss": tally["value_loss"] / steps,
        "clip_fraction": tally["clipped"] / tokens,
        "value_clip_fraction": tally["value_clipped"] / tokens,
        "approx_kl": tally["approx_kl"] / tokens,
        "ratio_min": tally["ratio_min"],
        "ratio_max": tally["ratio_max"],
        "grad_norm": sum(policy.grad_norm for policy, _ in reports) / steps,
        "value_grad_norm": sum(value.grad_norm for _, value in reports) / steps,
    }
    if "ptx_loss" in tally.figures:
        figures["ptx_loss"] = tally["ptx_loss"] / steps
    return figures


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, of two (N,) tensors; 0 if one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = float((a.square().sum() * b.square().sum()).sqrt())
    return float((a * b).sum()) / scale if scale > 1e-12 else 0.0
