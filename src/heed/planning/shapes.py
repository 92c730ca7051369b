"""The sizes of a language model: all that planning has to know of it, without loading a weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heed.config import ModelConfig
from heed.errors import ConfigError
from heed.files import read_json

_GATED = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Families with a gated MLP, RMS norms and rotary positions; the others have two matrices and layer norms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A decoder: ``layers`` times attention and an MLP, between an embedding and an output embedding."""

    family: str
    """``model_type`` of transformers."""
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    """Heads of keys and values, fewer than ``heads`` where some share them."""
    head_size: int
    mlp: int
    """Width inside the MLP."""
    gated: bool
    """Three matrices in the MLP instead of two."""
    vocab: int
    positions: int
    """Learned position embeddings; 0 where positions are rotary."""
    context: int
    """Longest sequence."""
    tied: bool
    """Input and output embedding are one."""

    @property
    def layer_matrices(self) -> int:
        """Weights of one layer that every token is multiplied with."""
        attention = self.hidden * self.head_size * (2 * self.heads + 2 * self.kv_heads)
        return attention + (3 if self.gated else 2) * self.hidden * self.mlp

    @property
    def before_attention(self) -> int:
        """Those of them that make queries, keys and values."""
        return self.hidden * self.head_size * (self.heads + 2 * self.kv_heads)

    @property
    def layer_vectors(self) -> int:
        """Norms and biases of one layer."""
        if self.family == "qwen3":
            return 2 * self.hidden + 2 * self.head_size
        if self.family == "qwen2":
            return 2 * self.hidden + self.head_size * (self.heads + 2 * self.kv_heads)
        if self.gated:
            return 2 * self.hidden
        biases = self.head_size * (self.heads + 2 * self.kv_heads) + self.hidden + self.mlp + self.hidden
        return 4 * self.hidden + biases

    @property
    def embedding(self) -> int:
        """Weights of the output embedding, V times D."""
        return self.vocab * self.hidden

    @property
    def trunk_parameters(self) -> int:
        """Everything but an output embedding of its own: what reward and value models have, besides their one row."""
        final_norm = self.hidden if self.gated else 2 * self.hidden
        inside = self.layers * (self.layer_matrices + self.layer_vectors)
        return self.embedding + self.positions * self.hidden + inside + final_norm

    @property
    def parameters(self) -> int:
        """Of the language model."""
        return self.trunk_parameters + (0 if self.tied else self.embedding)

    @property
    def tensors(self) -> int:
        """Parameters as an optimizer counts them: roughly nine to a layer."""
        return 2 + 9 * self.layers


def shape_of(config: ModelConfig, vocab: int | None = None) -> ModelShape:
    """The shape of a model that is built from nothing.

    Args:
        config: its sizes.
        vocab: what the tokenizer really has; what it was asked for when None.
    """
    gated = config.architecture in _GATED
    head_size = config.hidden_size // config.num_heads
    return ModelShape(
        family=config.architecture,
        hidden=config.hidden_size,
        layers=config.num_layers,
        heads=config.num_heads,
        kv_heads=config.num_heads,
        head_size=head_size,
        mlp=-(-8 * config.hidden_size // 3 // 16) * 16 if gated else 4 * config.hidden_size,
        gated=gated,
        vocab=config.vocab_size if vocab is None else vocab,
        positions=config.context if config.architecture == "gpt2" else 0,
        context=config.context,
        tied=True,
    )


def read_shape(base: str) -> ModelShape:
    """The shape of the checkpoint in the directory ``base``, from its ``config.json``.

    Raises:
        ConfigError: it is not a directory with one, or the file does not say the sizes.
    """
    path = Path(base) / "config.json"
    if not path.is_file():
        raise ConfigError(
            f"base={base}: there is no {path}; heed plan reads the sizes of a model from its config.json, so a model "
            "of the hub has to be downloaded first (huggingface-cli download NAME --local-dir DIR)"
        )
    found = read_json(path)
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path}: expected a JSON object")
    return _from_settings(found, path)


def _from_settings(found: Mapping[str, Any], path: Path) -> ModelShape:
    family = str(found.get("model_type", ""))

    def size(*names: str, default: int | None = None) -> int:
        for name in names:
            if isinstance(found.get(name), int):
                return int(found[name])
        if default is None:
            raise ConfigError(f"{path}: says no {' or '.join(names)}, which heed plan needs; it can plan for decoders")
        return default

    hidden, heads = size("hidden_size", "n_embd"), size("num_attention_heads", "n_head")
    context = size("max_position_embeddings", "n_positions")
    return ModelShape(
        family=family,
        hidden=hidden,
        layers=size("num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=size("num_key_value_heads", default=heads),
        head_size=size("head_dim", default=hidden // heads),
        mlp=size("intermediate_size", "n_inner", default=4 * hidden),
        gated=family in _GATED,
        vocab=size("vocab_size"),
        positions=context if family == "gpt2" else 0,
        context=context,
        tied=bool(found.get("tie_word_embeddings", family in ("gpt2",))),
    )
