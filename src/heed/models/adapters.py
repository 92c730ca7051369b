"""Low-rank adapters (LoRA, Hu et al. 2021) by peft: a model is trained through few weights, and the others stay.

A linear layer W becomes W + (alpha / rank) B A, with A (rank, in) random and B (out, rank) zero, so that the model
starts as it was, to the bit. Gradients, moments and averages exist for A and B alone. With the adapter off the model is
the one it started from, whatever was learned: PPO's policy and its reference are one trunk. All linear layers of the
trunk get one; norms and embeddings stay; the head of a reward or value model, a single row, is trained whole.

peft puts its layers into the model's own, so everything that computes with a model goes on as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from heed.config import LoraConfig
from heed.errors import ConfigError, ModelError
from heed.models.precision import narrowed
from heed.records import Json

ADAPTER_DIR = "adapter"
"""In a model's directory: what was learned, as peft keeps it. The model beside it has it merged in."""
_NAME = "default"


class Adapter(NamedTuple):
    """An adapter apart from its model."""

    settings: Any
    """peft's ``LoraConfig``."""
    weights: Mapping[str, Tensor]
    """By the names that peft's ``PeftModel`` knows them by."""


def add_adapter(model: PreTrainedModel, settings: LoraConfig, seed: int) -> None:
    """Put a new adapter into ``model`` and freeze the weights that were there; with rank 0 do nothing.

    Args:
        model: a causal language model, or the ``classifier`` of a reward or value model.
        settings: rank and scale.
        seed: of the adapter's random half.

    Raises:
        ConfigError: peft is not installed.
        ModelError: there is an adapter already, or no linear layer to put one on.
    """
    if not settings.rank:
        return
    peft = _peft(settings.rank)
    if has_adapter(model):
        raise ModelError(f"{type(model).__name__} has an adapter already; merge it before it gets another")
    trunk: Any = model.base_model
    as_table = any(type(module).__name__ == "Conv1D" for module in trunk.modules())  # GPT-2 keeps its matrices turned
    lora = peft.LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear", fan_in_fan_out=as_table
    )
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            peft.inject_adapter_in_model(lora, trunk, adapter_name=_NAME)
    except ValueError as error:
        raise ModelError(f"{type(model).__name__}: cannot put an adapter on it: {error}") from error
    if head is not None:
        head.requires_grad_(False)


def has_adapter(model: nn.Module) -> bool:
    """Whether any layer of ``model`` has one."""
    return any(True for _ in _adapted(model))


def as_reference(reference: PreTrainedModel, policy: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """``reference`` with weights of ``dtype``, a copy if they are not; ``policy`` itself if it is its own.

    It can only be its own with an adapter, which :func:`adapter_off` then switches off.

    Raises:
        ModelError: it has none, so that the divergence from the reference would be 0 whatever it learns.
    """
    if reference is policy and not has_adapter(policy):
        raise ModelError(
            "the reference is the policy itself, which has no adapter, so it would move with it; give a second copy, "
            "or put an adapter on the policy first (heed.models.adapters.add_adapter)"
        )
    return reference if reference is policy else narrowed(reference, dtype)


@contextmanager
def adapter_off(model: nn.Module) -> Iterator[None]:
    """``model`` as it was before it got its adapter, if it has one; for forward passes without gradient."""
    layers = [layer for _, layer in _adapted(model)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


@torch.no_grad()
def merge_adapter(model: PreTrainedModel) -> Adapter | None:
    """Add what the adapter learned to the weights it stands beside, take it out, and free all weights again.

    Returns:
        The adapter; None if there was none.
    """
    found = list(_adapted(model))
    if not found:
        return None
    adapter = _taken(model, [name for name, _ in found])
    for name, layer in found:
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, layer.get_base_layer())
    model.requires_grad_(True)
    return adapter


def save_adapter(path: Path, adapter: Adapter, base: Json) -> None:
    """Write an adapter as peft does, into the new directory ``path``.

    Args:
        base: name of the model it goes with, if known.
    """
    from safetensors.torch import save_file

    path.mkdir()
    adapter.settings.base_model_name_or_path = base
    adapter.settings.save_pretrained(path)
    save_file(
        {name: tensor.contiguous() for name, tensor in adapter.weights.items()}, path / "adapter_model.safetensors"
    )


def _adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Names and layers that have an adapter, without asking peft, which takes seconds to import."""
    return ((name, module) for name, module in model.named_modules() if hasattr(module, "lora_A"))


def _taken(model: PreTrainedModel, names: Iterable[str]) -> Adapter:
    trunk: Any = model.base_model
    settings = trunk.peft_config.pop(_NAME)
    settings.target_modules = sorted({name.rpartition(".")[2] for name in names})  # else by layer, in chance order
    weights = {
        f"base_model.model.{name.replace(f'.{_NAME}.', '.')}": tensor.detach().clone()
        for name, tensor in model.state_dict().items()
        if ".lora_" in name
    }
    return Adapter(settings=settings, weights=weights)


def _peft(rank: int) -> Any:
    try:
        import peft
    except ImportError as error:
        raise ConfigError(f"lora.rank is {rank}, and adapters need peft; run: pip install 'heed[lora]'") from error
    return peft
