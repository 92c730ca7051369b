"""What the engine has to know of a model, and which models it cannot sample from."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from heed.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Of one model."""

    num_layers: int
    context: int | None
    """Longest sequence, prompt and answer together; None if nothing bounds it."""
    window: int | None
    """How many tokens a layer with a sliding window sees, its own included; None if every layer sees all."""
    mixed: bool
    """Some layers have the window and others see all."""

    def masks(self, positions: Tensor, width: int, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
        """What the token at ``positions[i]`` of row i may attend to in its row's first ``width`` columns.

        Additive, so that every attention of transformers takes it: 0, or minus infinity for columns after the token
        (or before the window); (rows, 1, 1, width), one for each kind of layer if they differ.
        """
        columns = torch.arange(width, device=positions.device)
        visible = columns <= positions[:, None]
        if self.window is None or self.window >= width:
            return _additive(visible, dtype)
        near = _additive(visible & (columns > positions[:, None] - self.window), dtype)
        return {"full_attention": _additive(visible, dtype), "sliding_attention": near} if self.mixed else near


def traits_of(model: PreTrainedModel, context: int | None = None) -> Traits:
    """Look at a model's configuration and signature.

    Args:
        model: a causal language model.
        context: longest sequence wanted; the model's own limit counts too.

    Raises:
        ModelError: answers of different lengths cannot share a batch in this model.
    """
    config = model.config.get_text_config()
    name = type(model).__name__
    attention = getattr(config, "_attn_implementation", "sdpa")
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    elsewhere = "Serve it with an OpenAI-compatible server, and sample from that."
    if attention not in ("sdpa", "eager"):
        raise ModelError(f"{name} is loaded with attention {attention!r}, expected attn_implementation='sdpa'")
    if kinds - {"full_attention", "sliding_attention"} or "local" in getattr(config, "attention_layers", ()):
        raise ModelError(f"{name} has layers of a kind that the local engine cannot sample from. {elsewhere}")
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise ModelError(f"{name} takes no position_ids, so its answers cannot be sampled side by side. {elsewhere}")
    limits = [limit for limit in (context, getattr(config, "max_position_embeddings", None)) if limit]
    return Traits(
        num_layers=config.num_hidden_layers,
        context=min(limits, default=None),
        window=None if kinds == {"full_attention"} else window,
        mixed=len(kinds) == 2,
    )


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """(rows, width) True where seen -> (rows, 1, 1, width) 0 there, minus infinity elsewhere."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, -torch.inf)
    return mask[:, None, None, :]
