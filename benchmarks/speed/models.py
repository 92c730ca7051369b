"""Models with random weights whose answers have a known law of length, for every system that loads the files.

The chance that a sampled token ends the answer is planted in the weights: one channel of the residual stream is the
same at every position, and it alone feeds the logit of the end-of-sequence token.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig, PreTrainedModel

from heed.data.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

NEVER = -40.0
"""The logit of a token that is not to be sampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A Llama: width, layers, heads, width of the MLP, vocabulary."""

    hidden: int
    layers: int
    heads: int
    mlp: int
    vocab: int

    @property
    def body(self) -> int:
        """Weights of the layers, without the embeddings."""
        return self.layers * (4 * self.hidden**2 + 3 * self.hidden * self.mlp)

    @property
    def head(self) -> int:
        """Weights of the output embedding; the input embedding has as many."""
        return self.hidden * self.vocab


SIZES = {
    "nano": Size(hidden=32, layers=2, heads=2, mlp=64, vocab=512),
    "tiny": Size(hidden=128, layers=4, heads=2, mlp=352, vocab=4096),
    "small": Size(hidden=256, layers=8, heads=4, mlp=704, vocab=8192),
    "medium": Size(hidden=512, layers=12, heads=8, mlp=1408, vocab=8192),
}
"""``nano`` is for the tests; ``tiny`` has 1.85, ``small`` 10.6 and ``medium`` 46.9 million weights."""


def prepare_models(directory: Path, name: str, p_eos: float, vocab: int | None = None) -> dict[str, str]:
    """Directories of ``policy``, ``classifier`` and ``tokenizer``, made if they are not there.

    Args:
        name: one of :data:`SIZES`.
        p_eos: the chance that an answer ends with its next token; 0 for never.
        vocab: another vocabulary than that of the size.
    """
    size = SIZES[name] if vocab is None else replace(SIZES[name], vocab=vocab)
    place = directory / f"{name}-v{size.vocab}-eos{p_eos:g}"
    paths = {part: str(place / part) for part in ("policy", "classifier", "tokenizer")}
    ready = place / "ready.json"
    if ready.exists() and json.loads(ready.read_text(encoding="utf-8")) == asdict(size):
        return paths
    tokenizer = train_tokenizer(_corpus(size.vocab), min(size.vocab, 16384))
    tokenizer.padding_side = "left"
    save_tokenizer(tokenizer, paths["tokenizer"])
    eos_id, pad_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    policy = AutoModelForCausalLM.from_config(_config(size, eos_id, pad_id), dtype=torch.float32)
    _random_weights(policy, seed=0)
    plant_eos(policy, p_eos, eos_id=eos_id, pad_id=pad_id)
    policy.save_pretrained(paths["policy"])
    classifier = AutoModelForSequenceClassification.from_config(
        _config(size, eos_id, pad_id, num_labels=1), dtype=torch.float32
    )
    _random_weights(classifier, seed=1)
    classifier.save_pretrained(paths["classifier"])
    for part in ("policy", "classifier"):
        save_tokenizer(load_tokenizer(paths["tokenizer"]), paths[part])
    ready.write_text(json.dumps(asdict(size)), encoding="utf-8")
    return paths


@torch.no_grad()
def plant_eos(model: PreTrainedModel, p_eos: float, *, eos_id: int, pad_id: int) -> None:
    """Make every sampled token the end of the answer with chance ``p_eos``, up to a few per cent of it.

    The first channel of every token's embedding is 1, far above the others, so it is nearly the same in every state.
    Only the rows of the two special tokens read it.
    """
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    embedding[:, 0] = 1.0
    head[:, 0] = 0.0
    head[[eos_id, pad_id]] = 0.0
    ids = torch.randint(5, len(embedding), (8, 64), generator=torch.Generator().manual_seed(2))
    states = model.base_model(ids, use_cache=False).last_hidden_state
    channel = float(states[..., 0].mean())
    logits = states @ head.T
    logits[..., [eos_id, pad_id]] = -torch.inf
    rest = float(logits.logsumexp(-1).mean())
    head[eos_id, 0] = (NEVER if p_eos == 0 else rest + math.log(p_eos / (1 - p_eos))) / channel
    head[pad_id, 0] = NEVER / channel


def random_words(count: int, seed: int = 7) -> list[str]:
    """Made-up words of one to four syllables."""
    chance = random.Random(seed)
    return [
        "".join(chance.choice("bcdfghjklmnprstvwz") + chance.choice("aeiou") for _ in range(chance.randint(1, 4)))
        for _ in range(count)
    ]


def _corpus(vocab: int) -> list[str]:
    words = random_words(2 * vocab)
    return [" ".join(words[start : start + 50]) for start in range(0, len(words), 50)]


def _config(size: Size, eos_id: int, pad_id: int, **further: int) -> LlamaConfig:
    config = LlamaConfig(
        vocab_size=size.vocab,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.mlp,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        eos_token_id=eos_id,
        bos_token_id=eos_id,
        pad_token_id=pad_id,
        **further,
    )
    config._attn_implementation = "sdpa"
    return config


@torch.no_grad()
def _random_weights(model: PreTrainedModel, seed: int) -> None:
    """N(0, 0.02) for every matrix, whatever the version of transformers would start with."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
