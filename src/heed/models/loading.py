"""Causal language models: small ones from a configuration, any Hugging Face one by path or hub name.

Dropout is off in all of them: with it log-probabilities cannot be reproduced, the first ratio of PPO is not 1 and the
KL divergence is noise (InstructGPT itself uses dropout 0.2 in supervised fine-tuning only).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from heed.config import ModelConfig
from heed.errors import ConfigError, ModelError

_DROPOUTS = (
    "attention_dropout",
    "attn_pdrop",
    "classifier_dropout",
    "dropout",
    "embd_pdrop",
    "embedding_dropout",
    "hidden_dropout",
    "resid_pdrop",
    "summary_first_dropout",
)


def build_causal_lm(config: ModelConfig, *, eos_id: int, pad_id: int, vocab_size: int, seed: int) -> PreTrainedModel:
    """A language model with random weights that depend on ``seed`` alone. Input and output embeddings are tied.

    Args:
        config: architecture and sizes; its ``vocab_size`` is what the tokenizer was asked for.
        eos_id: the end-of-sequence token.
        pad_id: the padding token, another one.
        vocab_size: what the tokenizer really has.
        seed: of the weights.

    Raises:
        ConfigError: the sizes do not fit together.
    """
    if config.hidden_size % config.num_heads or (config.hidden_size // config.num_heads) % 2:
        raise ConfigError(
            f"model.hidden_size is {config.hidden_size} and model.num_heads is {config.num_heads}, expected a multiple "
            f"of twice the number of heads, such as {config.num_heads * 16}"
        )
    if eos_id == pad_id:
        raise ModelError(
            f"end-of-sequence and padding are the same token ({eos_id}): the model would not learn to stop"
        )
    settings = _CONFIGS[config.architecture](config)
    settings |= {"vocab_size": vocab_size, "eos_token_id": eos_id, "bos_token_id": eos_id, "pad_token_id": pad_id}
    settings |= {"tie_word_embeddings": True}
    model_config = transformers.CONFIG_MAPPING[config.architecture](**settings)
    model_config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            model_config, dtype=torch.float32
        )
    return ready(model, "cpu")


def load_causal_lm(
    path_or_name: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    vocab_size: int | None = None,
    context: int | None = None,
) -> PreTrainedModel:
    """Load a causal language model from a directory or from the Hugging Face hub, dropout off.

    Args:
        path_or_name: a directory, or a name on the hub.
        dtype: of the weights.
        device: where they go.
        vocab_size: how many tokens its tokenizer has; a model with fewer is refused. None does not look.
        context: how long its sequences will be, in tokens; a model that takes fewer is refused. None does not look.

    Raises:
        ModelError: there is no such model, its files are incomplete or damaged, it is too small for the tokenizer or
            the context, or it computes something that answer groups cannot (sliding attention windows, logits changed
            after the output embedding).
    """
    model: PreTrainedModel = load_pretrained(AutoModelForCausalLM, path_or_name, dtype=dtype)
    _check_supported(model, path_or_name)
    _check_sizes(model, path_or_name, vocab_size, context)
    return ready(model, device)


def ready(model: PreTrainedModel, device: torch.device | str) -> PreTrainedModel:
    """``model`` on ``device``, in evaluation mode: the mode it stays in, for without dropout there is no other."""
    model.to(device)  # type: ignore[arg-type]
    model.train(False)
    return model


def load_pretrained(auto_class: Any, path_or_name: str | Path, *, dtype: torch.dtype, **overrides: Any) -> Any:
    """``auto_class.from_pretrained`` from safetensors, without dropout, progress bars or surprises.

    Raises:
        ModelError: the message says which file or weight is missing or damaged.
    """
    path = Path(path_or_name)
    if path.is_dir() and not (path / "config.json").is_file():
        raise ModelError(f"{path}: no config.json in it, so it is not a model directory in Hugging Face format")
    if not path.is_dir() and (path.is_absolute() or str(path_or_name).startswith((".", "~"))):
        raise ModelError(f"{path}: there is no such directory")
    try:
        config = AutoConfig.from_pretrained(path_or_name, **overrides)
        _disable_dropout(config)
        with quiet_transformers():
            model, report = auto_class.from_pretrained(
                path_or_name,
                config=config,
                dtype=dtype,
                attn_implementation="sdpa",
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(f"{path_or_name}: cannot load the model: {_first_line(error)}") from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise ModelError(
            f"{path_or_name}: the weights are damaged or cut short ({_first_line(error)}). Copy the directory again."
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(f"{path_or_name}: {len(missing)} weights are missing, such as {missing[0]!r}")
    return model


def _disable_dropout(config: PretrainedConfig) -> None:
    for name in _DROPOUTS:
        if isinstance(getattr(config, name, None), float):
            setattr(config, name, 0.0)


def _check_supported(model: PreTrainedModel, name: str | Path) -> None:
    saved_as = [kind for kind in model.config.architectures or [] if kind.endswith("Classification")]
    if saved_as:
        raise ModelError(f"{name}: holds a {saved_as[0]}, expected a causal language model")
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise ModelError(f"{name}: has layers of kind {', '.join(sorted(kinds))}; only full attention is supported")
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise ModelError(f"{name}: has no output embedding, so it is not a causal language model")
    ids = torch.arange(4)[None] % model.config.vocab_size
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
        logits = model(input_ids=ids, use_cache=False).logits
        if not torch.allclose(head(hidden).float(), logits.float(), rtol=1e-2, atol=1e-2):
            raise ModelError(f"{name}: changes its logits after the output embedding, which is not supported")


def _check_sizes(model: PreTrainedModel, name: str | Path, vocab_size: int | None, context: int | None) -> None:
    if vocab_size is not None and vocab_size > model.config.vocab_size:
        raise ModelError(
            f"{name}: the tokenizer has {vocab_size} tokens and the model embeddings for {model.config.vocab_size}; "
            "resize the model's embeddings, or take its own tokenizer"
        )
    longest = getattr(model.config, "max_position_embeddings", None)
    if context is not None and longest is not None and context > longest:
        raise ModelError(
            f"{name}: takes sequences of at most {longest} tokens and model.context is {context}; "
            f"try --set model.context={longest}"
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bar and no advice from transformers; its settings are put back."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _llama(config: ModelConfig) -> dict[str, Any]:
    return {
        "hidden_size": config.hidden_size,
        "intermediate_size": _gated_width(config.hidden_size),
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_heads,
        "head_dim": config.hidden_size // config.num_heads,
        "max_position_embeddings": config.context,
        "attention_dropout": 0.0,
    }


def _gpt2(config: ModelConfig) -> dict[str, Any]:
    return {
        "n_embd": config.hidden_size,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_positions": config.context,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }


def _gpt_neox(config: ModelConfig) -> dict[str, Any]:
    return {
        "hidden_size": config.hidden_size,
        "intermediate_size": 4 * config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "max_position_embeddings": config.context,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
    }


def _gated_width(hidden_size: int) -> int:
    """Width of a gated MLP with as many weights as an ungated one of four times the hidden size; a multiple of 16."""
    return -(-8 * hidden_size // 3 // 16) * 16


_CONFIGS: dict[str, Callable[[ModelConfig], dict[str, Any]]] = {
    "llama": _llama,
    "qwen3": _llama,
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
}
