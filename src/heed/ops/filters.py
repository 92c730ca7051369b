"""Drawing tokens: temperature, top-k, top-p, and sampling by inverse CDF from one uniform number for each row.

One uniform number decides one token, so a row's tokens depend on its own numbers alone: not on the batch it is in.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Drawn(NamedTuple):
    """One token for each row."""

    token_ids: Tensor
    """(S,) int64."""
    logprobs: Tensor
    """(S,) float32: log-probability of the token under the distribution it was drawn from."""


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


def draw(logits: Tensor, uniforms: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Drawn:
    """Draw one token for each row by inverse CDF.

    Args:
        logits: (S, V).
        uniforms: (S,) numbers in [0, 1).
        temperature: 0 takes the likeliest token, the lowest id among equals; its log-probability is then that of the
            model's own distribution (temperature 1, nothing cut), since a sure choice has nothing to report.
        top_k: see :func:`filtered_logits`.
        top_p: see :func:`filtered_logits`.
    """
    assert logits.dim() == 2 and uniforms.shape == logits.shape[:1]
    logits = logits.float()
    if temperature == 0:
        token_ids = logits.argmax(dim=-1)
    else:
        logits = filtered_logits(logits, temperature=temperature, top_k=top_k, top_p=top_p)
        token_ids = inverse_cdf(logits.softmax(dim=-1), uniforms)
    chosen = logits.gather(1, token_ids[:, None])[:, 0]
    return Drawn(token_ids=token_ids, logprobs=chosen - logits.logsumexp(dim=-1))


def inverse_cdf(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """(S,) the first token at which the running sum of the probabilities exceeds the uniform number.

    A token of probability 0 is never drawn, at whichever end of the vocabulary, also when the sums are rounded.

    Args:
        probabilities: (S, V), 0 or more, need not add up to 1.
        uniforms: (S,) numbers in [0, 1).
    """
    cdf = probabilities.cumsum(dim=-1)
    total = cdf[:, -1:]
    below_total = torch.nextafter(total, torch.zeros_like(total))
    points = torch.minimum(uniforms[:, None].to(cdf.dtype) * total, below_total)
    return torch.searchsorted(cdf, points, right=True)[:, 0]
