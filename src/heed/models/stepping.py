"""The trunk as a sampler needs it: prompts once, then one more token in each of many rows, over and over.

The same computation as :mod:`heed.models.flat`, arranged for weights that stay as they are, and for few rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from heed.models.flat import ROWS, attended, by_row, is_plain, normed, rotated, rotation_of, rounded_up
from heed.ops.linear import multiplier


class Stepper:
    """A model made ready for many steps, between which its weights stay as they are.

    On CPUs it holds a copy of the weights in the order in which they are read, in which products of few rows are up to
    one and a half times as fast. Linear maps of the same input are one product.

    Args:
        model: one that :func:`heed.models.flat.is_known`.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        trunk: Any = model.base_model
        self.trunk, self.layers = trunk, [_Layer(layer) for layer in trunk.layers]
        self.head = _side_by_side(model.get_output_embeddings())  # type: ignore[no-untyped-call]

    def read(self, ids: Tensor, positions: Tensor, cache: Any) -> None:
        """Compute keys and values of prompts, and nothing that only what follows them would need.

        That leaves out the output embedding, and of the last layer what comes after its keys and values.

        Args:
            ids: (rows, width) tokens; padding is on the right, where causal attention never sees it.
            positions: (1 or rows, width).
            cache: its layers' ``update`` stores keys and values, (rows, heads, width, size).
        """
        rows, real = len(ids), ids.numel()
        idle = -real % ROWS
        x = F.pad(self.trunk.embed_tokens(ids).flatten(0, 1), (0, 0, 0, idle))
        rotation = rotation_of(self.trunk, x, rounded_up(positions.expand_as(ids).flatten()))
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            query, key, value = (by_row(one[:real], rows) for one in layer.projected(x, rotation))
            kept.update(key, value)
            if layer is self.layers[-1]:
                return
            seen = attended(query, key, value, None, layer.scaling).transpose(1, 2).flatten(0, 1).flatten(1)
            x = layer.after_attention(x, F.pad(seen, (0, 0, 0, idle)))

    def logits(self, ids: Tensor, positions: Tensor, cache: Any) -> Tensor:
        """(rows, V): what follows one more token in each of some rows.

        Args:
            ids: (rows,) the tokens.
            positions: (rows,) the position of each in its row.
            cache: its layers' ``attend`` keeps keys and values, (rows, heads, size), and gives back what the queries,
                scaled, see of their rows, (rows, heads * size).
        """
        x = self.trunk.embed_tokens(ids)
        rotation = rotation_of(self.trunk, x, positions)
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            query, key, value = layer.projected(x, rotation)
            x = layer.after_attention(x, kept.attend(query * layer.scaling, key, value))
        return self.head(normed(self.trunk.norm, x))


class _Layer:
    """One block, in its two halves."""

    def __init__(self, layer: Any) -> None:
        self.layer, self.attention, self.mlp = layer, layer.self_attn, layer.mlp
        self.scaling: float = self.attention.scaling
        self.shared: int = self.attention.v_proj.out_features // self.attention.head_dim
        """Heads of keys and of values; several heads of queries may share one."""
        self.project = _side_by_side(self.attention.q_proj, self.attention.k_proj, self.attention.v_proj)
        self.out = _side_by_side(self.attention.o_proj)
        self.gate_and_up = _side_by_side(self.mlp.gate_proj, self.mlp.up_proj)
        self.down = _side_by_side(self.mlp.down_proj)

    def projected(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (rows, heads, size), the first two rotated; in the dtype of attention."""
        heads = self.project(normed(self.layer.input_layernorm, x)).view(len(x), -1, self.attention.head_dim)
        turning, value = heads[:, : -self.shared], heads[:, -self.shared :]
        if hasattr(self.attention, "q_norm"):
            query, key = turning[:, : -self.shared], turning[:, -self.shared :]
            turning = torch.cat((normed(self.attention.q_norm, query), normed(self.attention.k_norm, key)), dim=1)
        turned = rotated(turning, rotation)
        return turned[:, : -self.shared], turned[:, -self.shared :], value.to(turned.dtype)

    def after_attention(self, x: Tensor, seen: Tensor) -> Tensor:
        """The states (rows, D) after the block, of tokens that have ``seen`` (rows, heads * size) of the others."""
        x = x + self.out(seen.to(x.dtype))
        gate_and_up = self.gate_and_up(normed(self.layer.post_attention_layernorm, x))
        width = gate_and_up.shape[1] // 2
        return x + self.down(self.mlp.act_fn(gate_and_up[:, :width]) * gate_and_up[:, width:])


def _side_by_side(*modules: Any) -> Callable[[Tensor], Tensor]:
    """What some linear maps make of the same states, side by side. Maps that are not plain (adapters) are called."""
    if all(is_plain(module) for module in modules):
        return multiplier([module.weight for module in modules], [module.bias for module in modules])
    return lambda x: torch.cat([module(x) for module in modules], dim=-1)
