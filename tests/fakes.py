"""Small real things for tests: models of a few thousand weights and a tokenizer of a few hundred tokens."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from heed.config import ModelConfig
from heed.data.batches import EncodedGroup
from heed.data.chat import Codec
from heed.data.tokenizer import train_tokenizer
from heed.models.loading import build_causal_lm
from heed.models.reward_model import RewardModel

ARCHITECTURES = ("llama", "qwen3", "gpt2", "gpt_neox")
SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 96,
}
FAMILIES = {
    "llama": LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "llama with stretched positions": LlamaConfig(
        **SIZES, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    ),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
}
EOS_ID, PAD_ID, VOCAB_SIZE, CONTEXT = 0, 1, 300, 64
"""Of the tiny tokenizer and of the tiny models, which go together."""

_TEXT = (
    "Tom put the cup at the park. Where is the cup? The cup is at the park.",
    "Name two animals. A cat and a dog.",
    "What colour is the sky? The sky is blue. I do not know.",
)


@functools.cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of :data:`VOCAB_SIZE` tokens."""
    return train_tokenizer(_TEXT * 4, VOCAB_SIZE)


def tiny_codec(context: int = CONTEXT) -> Codec:
    """The codec of the tiny tokenizer: the prompt, a newline, the answer, EOS."""
    return Codec(tiny_tokenizer(), context)


def tiny_lm(
    architecture: str = "llama",
    *,
    hidden_size: int = 16,
    num_layers: int = 2,
    num_heads: int = 2,
    context: int = CONTEXT,
    vocab_size: int = VOCAB_SIZE,
    seed: int = 0,
    spread: float = 0.3,
) -> PreTrainedModel:
    """A random language model whose token probabilities really differ: all its matrices have deviation ``spread``."""
    config = ModelConfig(
        architecture=architecture,  # type: ignore[arg-type]
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        context=context,
        vocab_size=vocab_size,
    )
    model = build_causal_lm(config, eos_id=EOS_ID, pad_id=PAD_ID, vocab_size=vocab_size, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
    return model


def scattered_lm(family: str) -> PreTrainedModel:
    """A model of a family that :mod:`heed.models.flat` knows, with weights so large that every part of it matters."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family], attn_implementation="sdpa")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()  # type: ignore[no-any-return]


def tiny_reward_model(architecture: str = "llama", *, seed: int = 0) -> RewardModel:
    """A random reward model on a tiny language model."""
    return RewardModel.from_causal_lm(tiny_lm(architecture, seed=seed), seed=seed)


def random_groups(
    shapes: Sequence[tuple[int, Sequence[int]]] = ((5, (3, 7, 1)), (2, (4,)), (9, (2, 2, 6, 5))),
    *,
    vocab_size: int = VOCAB_SIZE,
    seed: int = 0,
) -> list[EncodedGroup]:
    """Answer groups of random tokens, each answer ended by EOS; ``shapes`` are (prompt length, answer lengths)."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(length: int) -> list[int]:
        ids: list[int] = torch.randint(2, vocab_size, (length,), generator=generator).tolist()
        return ids

    return [
        EncodedGroup(prompt_ids=tokens(prompt), completion_ids=[[*tokens(answer - 1), EOS_ID] for answer in answers])
        for prompt, answers in shapes
    ]
