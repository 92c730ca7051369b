"""One more token in each of many rows, over and over: the trunk as a sampler needs it.

The same computation as :mod:`heed.models.flat`, arranged for a handful of rows and weights that stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from heed.models.flat import is_plain, normed, rotated, rotation_of
from heed.ops.linear import multiplier

Products = Callable[[Tensor], Sequence[Tensor]]


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
            x = layer(x, rotation, kept)
        [logits] = self.head(normed(self.trunk.norm, x))
        return logits


class _Layer:
    """One block."""

    def __init__(self, layer: Any) -> None:
        self.layer, self.attention, self.mlp = layer, layer.self_attn, layer.mlp
        self.project = _side_by_side(self.attention.q_proj, self.attention.k_proj, self.attention.v_proj)
        self.out = _side_by_side(self.attention.o_proj)
        self.gate_and_up = _side_by_side(self.mlp.gate_proj, self.mlp.up_proj)
        self.down = _side_by_side(self.mlp.down_proj)

    def __call__(self, x: Tensor, rotation: tuple[Tensor, Tensor], kept: Any) -> Tensor:
        """(rows, D) -> (rows, D)."""
        shape = (len(x), -1, self.attention.head_dim)
        query, key, value = (one.view(shape) for one in self.project(normed(self.layer.input_layernorm, x)))
        if hasattr(self.attention, "q_norm"):
            query, key = normed(self.attention.q_norm, query), normed(self.attention.k_norm, key)
        query = rotated(query, rotation) * self.attention.scaling
        seen = kept.attend(query, rotated(key, rotation), value.to(query.dtype))
        [change] = self.out(seen.to(x.dtype))
        x = x + change
        gate, up = self.gate_and_up(normed(self.layer.post_attention_layernorm, x))
        [change] = self.down(self.mlp.act_fn(gate) * up)
        return x + change


def _side_by_side(*modules: Any) -> Products:
    """What each of some linear maps makes of the same states. Maps that are not plain (adapters) are called."""
    if all(is_plain(module) for module in modules):
        return multiplier([module.weight for module in modules], [module.bias for module in modules])
    return lambda x: [module(x) for module in modules]
