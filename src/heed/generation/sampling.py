"""From logits to tokens by inverse CDF, with random numbers that depend on what is sampled alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heed.ops.filters import filtered_logits
from heed.roles import Decoding

BLOCK = 64
"""Tokens in a block of :func:`invert_cdf`."""
_STEP = np.uint64(0x9E3779B97F4A7C15)


class Drawn(NamedTuple):
    """One token for each row."""

    token_ids: Tensor
    """(rows,) int64."""
    logprobs: Tensor
    """(rows,) float32, in nats, under the distribution that was sampled from."""


def draw(logits: Tensor, decoding: Decoding, uniforms: Tensor) -> Drawn:
    """Draw one token from each row of ``logits``, (rows, V) float32, by inverting the cumulative distribution.

    The distribution is the softmax of the filtered logits (:func:`heed.ops.filters.filtered_logits`).
    ``uniforms`` is (rows,) float64 in [0, 1): equal uniforms and logits give equal tokens. At temperature 0 the
    likeliest token is taken, and its log-probability is that of the model itself, since a sure choice has nothing to
    report.
    """
    if decoding.temperature == 0:
        token_ids = logits.argmax(-1)
        return Drawn(token_ids, logits.gather(1, token_ids[:, None])[:, 0] - logits.logsumexp(-1))
    logits = filtered_logits(logits, temperature=decoding.temperature, top_k=decoding.top_k, top_p=decoding.top_p)
    probs = logits.softmax(-1)
    token_ids = invert_cdf(probs, uniforms)
    return Drawn(token_ids, probs.gather(1, token_ids[:, None])[:, 0].log())


def invert_cdf(probs: Tensor, uniforms: Tensor) -> Tensor:
    """The first token of each row at which the cumulative probability exceeds ``uniforms``: (rows,) int64.

    In two levels, blocks of 64 tokens and tokens of a block, so that the long running sum is over V / 64 numbers: it is
    then affordable in float64, without which rounding at each of the V boundaries would now and then change a token
    from one batch to another. ``probs`` is (rows, V), ``uniforms`` (rows,) float64 in [0, 1). Of a row with NaN in it,
    any token may be returned.
    """
    num_blocks = -(-probs.shape[1] // BLOCK)
    missing = num_blocks * BLOCK - probs.shape[1]
    padded = torch.nn.functional.pad(probs, (0, missing)) if missing else probs  # padding by nothing would copy
    blocks = padded.view(len(probs), num_blocks, BLOCK)
    sums = blocks.sum(-1)
    cumulative = sums.cumsum(1, dtype=torch.float64)
    # Rounding must not carry a threshold outside of its row or block, where all that is left has probability 0.
    threshold = uniforms[:, None].clamp_max(1 - 1e-12) * cumulative[:, -1:]
    block = torch.searchsorted(cumulative, threshold, right=True).clamp_max_(num_blocks - 1)
    rest = threshold - (cumulative.gather(1, block) - sums.gather(1, block))
    within = blocks.take_along_dim(block[:, :, None], 1)[:, 0].cumsum(1, dtype=torch.float64)
    rest = torch.minimum(rest.clamp_min(0), within[:, -1:] * (1 - 1e-12))
    token_ids = block * BLOCK + torch.searchsorted(within, rest, right=True)
    return token_ids[:, 0].clamp_max_(probs.shape[1] - 1)


def row_keys(seed: int, prompt_keys: npt.NDArray[np.uint64], answers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The start of a stream of random numbers for each answer, from the seed, its prompt's key and its index."""
    start = _mix(np.array([seed % 2**64], dtype=np.uint64))
    return _mix(_mix(start ^ prompt_keys) + answers * _STEP)


def uniforms(keys: npt.NDArray[np.uint64], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Element ``steps[i]`` of the stream ``keys[i]``: a uniform number in [0, 1) with 53 random bits.

    A counter-based generator (SplitMix64, Steele et al. 2014): no state, so that a number does not depend on what else
    is sampled, or in which order.
    """
    bits = _mix(keys + (steps.astype(np.uint64) + np.uint64(1)) * _STEP)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64: every bit of the result depends on every bit of ``x``."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
