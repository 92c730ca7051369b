"""Cutting a distribution before a token is drawn from it: temperature, top-k, top-p."""

from __future__ import annotations

import torch
from torch import Tensor


def filtered_logits(logits: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """(S, V) logits of the distribution that is really sampled from: tempered, cut tokens at minus infinity.

    Args:
        logits: (S, V), as the model gives them.
        temperature: more than 0; logits are divided by it first.
        top_k: keep the k likeliest tokens, and those that tie with the k-th; 0 keeps all.
        top_p: then keep the smallest set of likeliest tokens whose probability, of what top-k left, reaches top_p
            (Holtzman et al. 2020); the likeliest is always kept.
    """
    assert logits.dim() == 2 and temperature > 0
    if temperature != 1.0:
        logits = logits / temperature
    if 0 < top_k < logits.shape[1]:
        threshold = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < threshold, -torch.inf)
    if top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(dim=-1)
        before = probabilities.cumsum(dim=-1) - probabilities  # what the likelier tokens add up to
        cut = before >= top_p
        cut[:, 0] = False
        logits = logits.masked_fill(cut.scatter(1, order, cut), -torch.inf)
    return logits
