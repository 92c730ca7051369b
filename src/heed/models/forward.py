"""Running a causal language model on answer groups and packed sequences.

The hidden states are computed once for the whole batch; only the states that predict a token of interest go through the
output embedding, so the logits of a prompt are never made.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from heed.data.batches import GroupBatch, SequenceBatch
from heed.models.flat import flat_states, is_known
from heed.models.recompute import recomputing
from heed.ops.logprobs import TokenLoss, logprob_loss, nll_sum, token_logprobs


class NLLSum(NamedTuple):
    """What a mean over a whole minibatch is made from."""

    nll: Tensor
    """Scalar: sum over the targets, in nats."""
    num_tokens: int


def hidden_states(model: PreTrainedModel, batch: GroupBatch | SequenceBatch) -> Tensor:
    """(B, T, D) states after the last layer norm, before any head.

    Without a mask the rows are plain causal sequences, positions 0, 1, 2, ...: transformers is then given no positions
    either, for it would read positions that restart (in the padding, say) as several documents packed in a row. And it
    is given embeddings, for it would warn that a mask for the padding is missing.
    """
    if batch.attention_mask is None:
        embeddings = model.get_input_embeddings()(batch.input_ids)
        inputs = {"inputs_embeds": embeddings}
    else:
        inputs = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "position_ids": batch.position_ids,
        }
    with recomputing(model):
        output = model.base_model(**inputs, use_cache=False)
    states: Tensor = output.last_hidden_state
    return states


def token_states(model: PreTrainedModel, batch: GroupBatch | SequenceBatch, wanted: Tensor | None = None) -> Tensor:
    """(M, D) states of the real tokens of a batch, row after row; or (W, D) of those ``wanted`` of them.

    Families of models that :mod:`heed.models.flat` knows are computed without padding; others by transformers.
    """
    if not is_known(model):
        states = hidden_states(model, batch).flatten(0, 1).index_select(0, batch.flat_index)
        return states if wanted is None else states.index_select(0, wanted)
    ids, positions = (
        table.flatten().index_select(0, batch.flat_index) for table in (batch.input_ids, batch.position_ids)
    )
    with recomputing(model):
        return flat_states(model, ids, positions, batch.layout, wanted)


def response_logprobs(model: PreTrainedModel, batch: GroupBatch, *, temperature: float = 1.0) -> Tensor:
    """(N, R) float32 log-probabilities of all response tokens, each given the prompt and the response before it.

    Args:
        model: a causal language model.
        batch: answer groups.
        temperature: what the sampler divided the logits by.

    Returns:
        0 where ``batch.response_mask`` is False.
    """
    states, head, targets = _predictions(model, batch)
    logprobs = token_logprobs(states, head.weight, targets, bias=head.bias, temperature=temperature)
    return spread(logprobs, batch.response_mask)


def response_loss(model: PreTrainedModel, batch: GroupBatch, loss: TokenLoss, *, temperature: float = 1.0) -> Tensor:
    """A loss that is a sum over response tokens, in which each log-probability stands by itself: a float32 scalar.

    Args:
        model: a causal language model.
        batch: answer groups of M response tokens.
        loss: see :func:`heed.ops.logprobs.logprob_loss`; rows are of the M tokens in the order of
            ``tensor[batch.response_mask]``.
        temperature: what the sampler divided the logits by.
    """
    states, head, targets = _predictions(model, batch)
    return logprob_loss(states, head.weight, targets, loss, bias=head.bias, temperature=temperature)


def _predictions(model: PreTrainedModel, batch: GroupBatch) -> tuple[Tensor, Any, Tensor]:
    """The states that predict the M response tokens, (M, D), the output embedding, and the tokens, (M,)."""
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return response_states(model, batch), head, batch.response_ids[batch.response_mask]


def response_states(model: PreTrainedModel, batch: GroupBatch) -> Tensor:
    """(M, D) states that predict the M response tokens, in the row order of ``batch.response_mask``."""
    return token_states(model, batch, batch.predict_flat)


def last_states(model: PreTrainedModel, batch: GroupBatch) -> Tensor:
    """(N, D) states of the last real token of each answer."""
    return token_states(model, batch, batch.last_flat)


def spread(values: Tensor, mask: Tensor) -> Tensor:
    """(N, R) with the M ``values`` at the True places of ``mask``, in row order, and 0 elsewhere."""
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(mask, values)


def lm_loss_sum(model: PreTrainedModel, batch: SequenceBatch) -> NLLSum:
    """Sum of the negative log-likelihood of all targets of the batch, and their number."""
    ids, is_target = (table.flatten().index_select(0, batch.flat_index) for table in (batch.input_ids, batch.loss_mask))
    places = is_target.nonzero()[:, 0]
    states = token_states(model, batch, places - 1)  # a target is never the first of its sequence
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    nll = nll_sum(states, head.weight, ids.index_select(0, places), bias=head.bias)
    return NLLSum(nll=nll, num_tokens=len(places))
