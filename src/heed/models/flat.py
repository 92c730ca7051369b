"""The trunk of a language model over real tokens only: no padding, no mask as large as a row, no step in vain.

The weights, the rotary embedding and the linear maps are the model's own modules, so what trains or adapts them works
as ever; only the order of computation is ours. Linear layers see the batch's flat tokens, (M, D); attention sees
buckets of segments of about the same length (:mod:`heed.data.layout`). For families of models that are not known here,
:mod:`heed.models.forward` goes through transformers.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from heed.data.layout import Bucket, Layout
from heed.ops.linear import linear
from heed.ops.norms import rms_norm

FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Pre-norm decoders with RMS norms, rotary positions and a gated MLP; Qwen3 also norms queries and keys."""

ROWS = 64
"""Tokens that are computed at once are rounded up to a multiple of this. oneDNN compiles a kernel for each new shape of
matrices, which takes it as long as multiplying a hundred rows; so shapes have to come again."""


def is_known(model: PreTrainedModel) -> bool:
    """Whether :func:`flat_states` can compute this model: its family, and full attention in every layer."""
    config = model.config
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    return (
        config.model_type in FAMILIES
        and getattr(config, "_attn_implementation", "sdpa") == "sdpa"
        and not windows
        and (getattr(config, "layer_types", None) is not None or getattr(config, "sliding_window", None) is None)
    )


def flat_states(
    model: PreTrainedModel, ids: Tensor, positions: Tensor, layout: Layout, wanted: Tensor | None = None
) -> Tensor:
    """(M, D) states after the last norm, or (W, D) of the tokens ``wanted``.

    Args:
        model: one that :func:`is_known`.
        ids: (M,) the flat tokens.
        positions: (M,) the position of each in its sequence.
        layout: how they attend to each other.
        wanted: (W,) which of the M tokens; the last layer then computes of the others what attention needs of them.
    """
    trunk: Any = model.base_model
    count = len(ids) if wanted is None else len(wanted)
    ids, positions = rounded_up(ids), rounded_up(positions)
    attend = _Attention(layout, len(ids), ids.device)
    x = trunk.embed_tokens(ids)
    rotation = rotation_of(trunk, x, positions)
    last = None if wanted is None else rounded_up(wanted)
    recompute = trunk.training and trunk.gradient_checkpointing and torch.is_grad_enabled()
    for layer in trunk.layers:
        rows = last if layer is trunk.layers[-1] else None
        if recompute:
            x = checkpoint(_layer, layer, x, rotation, attend, rows, use_reentrant=False)
        else:
            x = _layer(layer, x, rotation, attend, rows)
    return normed(trunk.norm, x)[:count]


def attention_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """What a model that computes in ``dtype`` attends in. PyTorch's attention for CPUs is faster in float32 than in
    bfloat16, its backward pass twice as fast."""
    return torch.float32 if device.type == "cpu" else dtype


def rotation_of(trunk: Any, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (M, 1, size), for tokens at the positions (M,); see :func:`rotated`."""
    like = x[:1, None].to(attention_dtype(x.dtype, x.device))  # says where and in which dtype, and nothing else
    cos, sin = trunk.rotary_emb(like, positions[None])
    first, second = sin[0, :, None].chunk(2, dim=-1)
    return cos[0, :, None], torch.cat((-first, second), dim=-1)


def normed(norm: Any, x: Tensor) -> Tensor:
    """What transformers' norm computes."""
    return rms_norm(x, norm.weight, norm.variance_epsilon)


def rotated(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (..., heads, size) turned by their positions; the halves of a head are its coordinates."""
    cos, sin = rotation
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def projected(attention: Any, x: Tensor, rotation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, each (..., heads, size), the first two rotated; in the dtype that attention is in."""
    shape = (*x.shape[:-1], -1, attention.head_dim)
    query, key, value = (
        applied(project, x).view(shape) for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    if hasattr(attention, "q_norm"):
        query, key = normed(attention.q_norm, query), normed(attention.k_norm, key)
    return rotated(query, rotation), rotated(key, rotation), value.to(rotation[0].dtype)


def is_plain(module: nn.Module) -> bool:
    """Whether a linear map is its weight and its bias, so that it may be computed in other ways than by calling it."""
    return type(module) is nn.Linear and not (module._forward_hooks or module._forward_pre_hooks)


def applied(module: Any, x: Tensor) -> Tensor:
    """``module(x)``; a plain linear map by :func:`heed.ops.linear.linear`, anything else (an adapter) by itself."""
    result: Tensor = linear(x, module.weight, module.bias) if is_plain(module) else module(x)
    return result


def _layer(layer: Any, x: Tensor, rotation: tuple[Tensor, Tensor], attend: _Attention, rows: Tensor | None) -> Tensor:
    """One block, (M, D) -> (M, D), or (len(rows), D): attention needs all tokens, what comes after it only ``rows``."""
    query, key, value = projected(layer.self_attn, normed(layer.input_layernorm, x), rotation)
    seen = attend(query, key, value, layer.self_attn.scaling)
    if rows is not None:
        x, seen = x.index_select(0, rows), seen.index_select(0, rows)
    return _after_attention(layer, x, seen)


def _after_attention(layer: Any, x: Tensor, seen: Tensor) -> Tensor:
    """The rest of a block, for tokens that have ``seen`` (M, heads * size) of the others."""
    x = x + applied(layer.self_attn.o_proj, seen.to(x.dtype))
    mlp, inner = layer.mlp, normed(layer.post_attention_layernorm, x)
    return x + applied(mlp.down_proj, mlp.act_fn(applied(mlp.gate_proj, inner)) * applied(mlp.up_proj, inner))


class _Attention:
    """Attention of one batch, the same for every layer."""

    def __init__(self, layout: Layout, total: int, device: torch.device) -> None:
        """``total`` tokens, of which those after the layout's are there to round up, and see and are seen by none."""
        self.rows = len(layout.lengths) if layout.is_rectangle else 0
        self.real, self.idle = layout.num_tokens, total - layout.num_tokens
        if not self.rows:
            buckets, places = layout.plan
            self.buckets = [_moved(bucket, device) for bucket in buckets]
            self.places = F.pad(places, (0, self.idle)).to(device)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """(M, heads * size) from queries, keys and values (M, heads, size)."""
        if self.rows:
            q, k, v = (by_row(one[: self.real], self.rows) for one in (query, key, value))
            seen = attended(q, k, v, None, scale).transpose(1, 2).flatten(0, 1).flatten(1)
            return F.pad(seen, (0, 0, 0, self.idle)) if self.idle else seen
        found = []
        for bucket in self.buckets:
            n = bucket.shape[0]
            q = by_row(query.index_select(0, bucket.queries), n)
            k = by_row(key.index_select(0, bucket.keys), n)
            v = by_row(value.index_select(0, bucket.keys), n)
            found.append(attended(q, k, v, bucket.mask, scale).transpose(1, 2).flatten(0, 1).flatten(1))
        return torch.cat(found).index_select(0, self.places)


def rounded_up(flat: Tensor) -> Tensor:
    """(M,) filled up with zeros to a multiple of :data:`ROWS`."""
    return F.pad(flat, (0, -len(flat) % ROWS))


def by_row(flat: Tensor, rows: int) -> Tensor:
    """(rows * length, heads, size) as (rows, heads, length, size)."""
    return flat.view(rows, -1, *flat.shape[1:]).transpose(1, 2)


def attended(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """(n, heads, q, size). Fewer heads of keys than of queries are shared among them."""
    grouped = query.shape[1] != key.shape[1]
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
    )


def seen_by_one(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """(rows, heads * size): attention of one query in each row, by products that read keys and values as they lie.

    On a CPU that is up to twice as fast as ``scaled_dot_product_attention`` in float32, and four times in bfloat16.

    Args:
        query: (rows, heads, size), scaled.
        keys: (rows, kv heads, width, size); several heads of queries may share one.
        values: (rows, kv heads, size, width).
        mask: (rows, 1, 1, width) additive.
    """
    rows, shared, size = len(query), keys.shape[1], query.shape[2]
    queries = query.view(rows, shared, -1, size).transpose(2, 3)
    scores = (keys @ queries).transpose(2, 3)
    weights = (scores + mask).softmax(dim=-1)
    return (values @ weights.transpose(2, 3)).transpose(2, 3).flatten(1)


def _moved(bucket: Bucket, device: torch.device) -> Bucket:
    mask = None if bucket.mask is None else bucket.mask.to(device)
    return Bucket(bucket.queries.to(device), bucket.keys.to(device), bucket.shape, mask)
