"""Activation checkpointing: a layer's insides are computed again in the backward pass instead of being kept (Chen et
al. 2016). One state per token and layer is kept; the price is one more forward pass; the gradients are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from heed.errors import ModelError

_checkpoint = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)  # nothing is drawn: dropout is off


def recompute_activations(wanted: bool, model: nn.Module) -> None:
    """Whether from now on the backward pass computes the layers of ``model`` again.

    Args:
        model: a language model, a reward model or a value model.

    Raises:
        ModelError: its family cannot.
    """
    for network in (one for one in model.modules() if isinstance(one, PreTrainedModel)):
        if wanted and not network.supports_gradient_checkpointing:
            raise ModelError(
                f"{type(network).__name__} cannot compute its layers again; leave activation_checkpointing off"
            )
        for module in network.modules():
            if hasattr(module, "gradient_checkpointing"):
                vars(module).update(gradient_checkpointing=wanted, _gradient_checkpointing_func=_checkpoint)


@contextmanager
def recomputing(model: PreTrainedModel) -> Iterator[None]:
    """Around a forward pass: transformers heeds the flag in training mode alone.

    Heed's models are never in it, for it would also switch dropout on. So only the layers themselves are, and nothing
    inside them.
    """
    trunk: Any = model.base_model
    layers = []
    if torch.is_grad_enabled() and not trunk.training and getattr(trunk, "gradient_checkpointing", False):
        layers = [one for one in trunk.modules() if getattr(one, "gradient_checkpointing", False)]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False
