"""What a model's work comes to in operations, bytes and kernels. A multiplication and an addition are two operations.

Per token a forward pass multiplies every weight once, 2 N operations, and a backward pass twice as much (Kaplan et al.
2020, section 2.1); attention adds 4 * heads * head size for each pair of a query and a key. The output embedding is
counted on its own, because Heed computes it for target tokens only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from heed.models.flat import ROWS
from heed.planning.shapes import ModelShape

Head = Literal["logprobs", "values", "scores", "cache"]
"""What the trunk is computed for: log-probabilities of targets, in training a loss made of them, which has its gradient
ready (:func:`heed.ops.logprobs.logprob_loss`); a number at each target; a number for each answer; or keys and values
alone."""

FORWARD_LAUNCHES = (16, 34, 4.5)
"""Kernels of a forward pass: for the pass, for each layer, and for each bucket of segments in each layer. Counted with
a dispatch mode on :func:`heed.models.flat.flat_states`; :data:`TRAIN_LAUNCHES` with the backward pass."""
TRAIN_LAUNCHES = (60, 95, 17.0)
DECODE_LAUNCHES = (53, 38)
"""Kernels of one step of the engine: for the step, drawing included, and for each layer."""
STEP_LAUNCHES = 5
"""Kernels of an optimizer step for each parameter: clipping, Adam, clearing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One microbatch, as it goes through a model."""

    tokens: int
    pairs: int
    """Queries times keys that attention computes: the lower half of a causal table, all of one with a mask."""
    targets: int
    """Tokens whose logits are needed."""
    buckets: int = 0
    """Groups of segments of like length; 0 where all are equally long."""
    segments: int = 0
    """Sequences that attend to themselves alone, in the sense of :mod:`heed.data.layout`."""
    answers: int = 0
    """Sequences, or the answers among them, which have a score each."""
    queries: int = 0
    """Tokens that attention sees, with the padding of its buckets; 0 where there is none."""
    keys: int = 0
    """The same of what they look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Something to compute."""

    kind: Literal["train", "forward", "decode", "update"]
    linear_flops: float = 0.0
    """In matrices of the trunk."""
    attention_flops: float = 0.0
    attended: float = 0.0
    """Tables that attention is computed for: one for each segment, head and layer. Short ones cost more than their
    operations."""
    head_flops: float = 0.0
    bytes: float = 0.0
    """Read and written beside the operations: weights and moments of an update, weights and cache of a step."""
    launches: float = 0.0
    tokens: float = 0.0

    @property
    def flops(self) -> float:
        """All operations."""
        return self.linear_flops + self.attention_flops + self.head_flops


def linear_flops(shape: ModelShape, tokens: float, needed: float) -> float:
    """Operations of a forward pass in matrices of the trunk (norms, rotations, activations, a percent or so, left out).

        After its attention the last layer computes only the tokens whose output is ``needed``.

        >>> from heed.config import ModelConfig
        >>> from heed.models.flat import ROWS
    from heed.planning.shapes import shape_of
        >>> shape = shape_of(ModelConfig(hidden_size=64, num_layers=2, num_heads=4))
        >>> linear_flops(shape, tokens=1, needed=1) == 2 * 2 * (4 * 64 * 64 + 3 * 64 * 176)
        True
    """
    spared = (shape.layer_matrices - shape.before_attention) * (tokens - needed)
    return 2.0 * (shape.layers * shape.layer_matrices * tokens - spared)


def attention_flops(shape: ModelShape, pairs: float) -> float:
    """Operations of a forward pass in attention: two products for each pair of a query and a key."""
    return shape.layers * 4.0 * shape.heads * shape.head_size * pairs


def head_flops(shape: ModelShape, targets: float) -> float:
    """Operations of the output embedding at ``targets`` tokens: 2 V D each."""
    return 2.0 * shape.embedding * targets


def needed_tokens(one: Pass, head: Head) -> int:
    """Tokens whose output something is read from."""
    return {"scores": one.answers, "cache": 0}.get(head, one.targets)


def _computed(shape: ModelShape, one: Pass, head: Head) -> tuple[int, int]:
    """Tokens, and tokens needed, as they are multiplied: rounded up by the families that Heed computes itself."""
    each = ROWS if shape.gated else 1
    tokens, needed = -(-one.tokens // each) * each, -(-needed_tokens(one, head) // each) * each
    return tokens, min(tokens, needed)


def train_work(shape: ModelShape, one: Pass, head: Head, checkpointing: bool = False, frozen: bool = False) -> Work:
    """Forward and backward pass of a microbatch.

    The backward pass takes twice the forward's operations, once for the gradient of what goes in and once for that of
    the weights; attention's takes five products for the forward's two. Activation checkpointing computes the trunk's
    forward pass once more.

    Args:
        frozen: the weights get no gradient (adapters do, which are small), so the backward pass takes once the forward.
    """
    linear = linear_flops(shape, *_computed(shape, one, head))
    attention = attention_flops(shape, one.pairs)
    linear_done, attention_done = linear * (2 if frozen else 3), attention * 3.5
    each, per_layer, per_bucket = TRAIN_LAUNCHES
    launches = each + shape.layers * (per_layer + per_bucket * one.buckets)
    if checkpointing:
        linear_done, attention_done = linear_done + linear, attention_done + attention
        launches += shape.layers * (FORWARD_LAUNCHES[1] + FORWARD_LAUNCHES[2] * one.buckets)
    of_head = head_flops(shape, one.targets) if head == "logprobs" else 0.0
    return Work(
        kind="train",
        linear_flops=linear_done,
        attention_flops=attention_done,
        attended=float(one.segments * shape.heads * shape.layers),
        head_flops=of_head * (2 if frozen else 3),
        launches=launches,
        tokens=one.tokens,
    )


def forward_work(shape: ModelShape, one: Pass, head: Head) -> Work:
    """Forward pass of a microbatch, no gradient."""
    each, per_layer, per_bucket = FORWARD_LAUNCHES
    return Work(
        kind="forward",
        linear_flops=linear_flops(shape, *_computed(shape, one, head)),
        attention_flops=attention_flops(shape, one.pairs),
        attended=float(one.segments * shape.heads * shape.layers),
        head_flops=head_flops(shape, one.targets) if head == "logprobs" else 0.0,
        launches=each + shape.layers * (per_layer + per_bucket * one.buckets),
        tokens=one.tokens,
    )


def update_work(shape: ModelShape, parameters: float) -> Work:
    """One step of Adam with clipping: gradients are read for their norm, scaled, and read again; weights and two
    moments are read and written. Ten float32 numbers move for each weight."""
    return Work(kind="update", bytes=40.0 * parameters, launches=STEP_LAUNCHES * shape.tensors)


def decode_work(shape: ModelShape, rows: float, width: float, weight_bytes: int = 4) -> Work:
    """One step of the sampling engine: one token more for each of ``rows`` answers under way, ``width`` columns of
    whose cache are attended to. All weights and the cache are read once."""
    cache = rows * width * cache_bytes(shape, weight_bytes)
    return Work(
        kind="decode",
        linear_flops=linear_flops(shape, rows, rows),
        attention_flops=attention_flops(shape, rows * width),
        head_flops=head_flops(shape, rows),
        bytes=cache + weight_bytes * (shape.layers * shape.layer_matrices + shape.embedding),
        launches=DECODE_LAUNCHES[0] + DECODE_LAUNCHES[1] * shape.layers,
        tokens=rows,
    )


def cache_bytes(shape: ModelShape, number_bytes: int = 4) -> int:
    """Bytes of keys and values for one token, in all layers."""
    return 2 * shape.layers * shape.kv_heads * shape.head_size * number_bytes


def total_flops(works: Iterable[Work]) -> float:
    """Operations of several works."""
    return sum(work.flops for work in works)
