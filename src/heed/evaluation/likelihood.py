"""What a model makes of text it did not write: the alignment tax, and the likelihood of another model's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from heed.data.batches import make_group_batch, make_row_batch, microbatches
from heed.data.chat import Codec
from heed.models.forward import hidden_states, response_logprobs
from heed.models.types import CausalLM
from heed.ops.logprobs import token_logprobs
from heed.records import Completion, Prompt
from heed.stats import Array, bootstrap_mean


@torch.no_grad()
def row_losses(model: CausalLM, rows: npt.NDArray[np.integer[Any]], *, microbatch: int = 64) -> Array:
    """(rows,) mean negative log-likelihood of each row of held-out pretraining text, nats per token.

    Args:
        model: a causal language model.
        rows: (rows, T) token ids of packed text that no stage trained on.
        microbatch: rows that go through the model at once.
    """
    model.eval()  # type: ignore[no-untyped-call]
    head, losses = model.get_output_embeddings(), []  # type: ignore[no-untyped-call]
    for start in range(0, len(rows), microbatch):
        batch = make_row_batch(rows[start : start + microbatch]).to(model.device)
        states, targets = hidden_states(model, batch)[:, :-1], batch.input_ids[:, 1:]
        found = token_logprobs(states.flatten(0, 1), head.weight, targets.flatten(), bias=head.bias)
        losses.append(-found.view(targets.shape).double().mean(dim=1).cpu().numpy())
    return np.concatenate(losses).astype(np.float64)


def pretraining_loss(losses: Mapping[str, Array], baseline: str = "sft") -> dict[str, Any]:
    """The sections ``pretraining_loss`` and ``pretraining_loss_change`` of ``results.json``, and ``intervals``.

    Args:
        losses: for each model its :func:`row_losses` on the same rows.
        baseline: the change is from this model, paired by row: the alignment tax.
    """
    intervals = {name: bootstrap_mean(rows).as_json() for name, rows in losses.items()}
    result: dict[str, Any] = {
        "pretraining_loss": {name: one["value"] for name, one in intervals.items()},
        "intervals": {"pretraining_loss": intervals},
    }
    if baseline in losses:
        result["pretraining_loss_change"] = {
            name: bootstrap_mean(rows - losses[baseline]).as_json() for name, rows in losses.items() if name != baseline
        }
    return result


def reference_logprobs(
    model: CausalLM, codec: Codec, *, microbatch: int = 64, temperature: float = 1.0
) -> Callable[[Sequence[Prompt], Sequence[Completion]], list[float]]:
    """A function that gives the log-probability, in nats, of whole answers under ``model`` at a temperature."""

    @torch.no_grad()
    def logprobs(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
        model.eval()  # type: ignore[no-untyped-call]
        groups = codec.encode_groups(prompts, [[completion] for completion in completions])
        found = [0.0] * len(groups)
        for indices in microbatches(groups, microbatch):
            batch = make_group_batch([groups[index] for index in indices], codec.pad_id).to(model.device)
            sums = response_logprobs(model, batch, temperature=temperature).double().sum(dim=1).tolist()
            for index, total in zip(indices, sums, strict=True):
                found[index] = total
        return found

    return logprobs
