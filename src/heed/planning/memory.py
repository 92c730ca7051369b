"""What a stage holds at most: weights, gradients, moments, activations, caches, chunks of logits, checkpoints.

Bytes of activations are counted on Heed's own trunk, per token and layer, in the way of Korthikanti et al. 2022
(section 4.1), whose 34 bytes per hidden unit are of another block (dropout masks, an ungated MLP, 16 bits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heed.planning.costs import Head, Pass, cache_bytes, needed_tokens
from heed.planning.shapes import ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How numbers are held."""

    narrow: bool
    """Models compute in 16 bits, with 16-bit weights beside the float32 masters."""

    @property
    def number(self) -> int:
        """Bytes of an activation, and of a weight that only reads."""
        return 2 if self.narrow else 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model that learns."""

    parameters: float
    moving: float
    """Of these, those with gradient and moments: all, or an adapter's."""


def trained_bytes(model: Trained, precision: Precision) -> float:
    """Weights and Adam's two moments; in 16 bits a narrow copy as well (of what does not move there is only that)."""
    copy = 2.0 * model.moving if precision.narrow else 0.0
    frozen = (model.parameters - model.moving) * precision.number
    return 4.0 * model.moving + copy + frozen + 8.0 * model.moving


def gradient_bytes(model: Trained) -> float:
    """Summed in float32."""
    return 4.0 * model.moving


def layer_bytes(shape: ModelShape, one: Pass, number: int) -> float:
    """What a layer keeps of a microbatch for its backward pass.

    The residual and its norm twice, what goes into the output projection and one more, seven widths in all (two more
    vectors of other families' norms and biases are left out); of attention what its buckets see: queries, keys, values
    and result; of a gated MLP both branches, the activation and the product (of another one two).
    """
    wide = (4 if shape.gated else 2) * shape.mlp
    width = shape.heads * shape.head_size
    kept = one.tokens * (6.0 * shape.hidden + wide)
    queries, keys = one.queries or one.tokens, one.keys or one.tokens
    seen = width * (2.0 * queries) + 2.0 * keys * shape.kv_heads * shape.head_size
    return number * (kept + seen) + 4.0 * shape.heads * queries


def activation_bytes(shape: ModelShape, one: Pass, head: Head, number: int, checkpointing: bool = False) -> float:
    """What a microbatch keeps for its backward pass, the gradients under way in one layer included.

    With activation checkpointing a layer keeps what goes into it, and one layer at a time all of it.
    """
    layer = layer_bytes(shape, one, number)
    stream = number * one.tokens * shape.hidden
    under_way = number * one.tokens * (2.0 * shape.mlp + 4.0 * shape.hidden)
    layers = shape.layers * stream + layer if checkpointing else shape.layers * layer
    ends = 3.0 * number * needed_tokens(one, head) * shape.hidden
    return layers + under_way + ends


def logits_bytes(shape: ModelShape, targets: int, chunk_numbers: int, trains: bool) -> float:
    """Three tables of a chunk of logits; and, where the embedding learns, its gradient as it grows."""
    rows = min(targets, max(32, chunk_numbers // shape.vocab))
    return 12.0 * rows * shape.vocab + (4.0 * shape.embedding if trains else 0.0)


def forward_bytes(shape: ModelShape, one: Pass, number: int) -> float:
    """Of a pass that keeps nothing: one layer's tables at a time."""
    return number * one.tokens * (3.0 * shape.mlp + 8.0 * shape.hidden)


def slots_bytes(shape: ModelShape, slots: int, capacity: int, number: int) -> float:
    """The engine's cache, and the logits of all slots while tokens are drawn (probabilities and sums in float64)."""
    return slots * (capacity * float(cache_bytes(shape, number)) + 24.0 * shape.vocab)


def largest(passes: Sequence[Pass]) -> Pass:
    """The microbatch that holds most."""
    return max(passes, key=lambda one: one.tokens + one.queries + one.keys)
