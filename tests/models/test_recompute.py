"""Activation checkpointing: the same gradients from less that is kept, and dropout stays off."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from fakes import ARCHITECTURES, random_groups, tiny_lm, tiny_reward_model
from heed.data.batches import GroupBatch, make_group_batch, make_row_batch
from heed.models.forward import lm_loss_sum, response_logprobs
from heed.models.recompute import recompute_activations
from training_fakes import random_rows

LAYERS, WIDTH = 4, 32


def batch() -> GroupBatch:
    return make_group_batch(random_groups([(20, (15, 18)), (9, (12,))]), pad_id=1)


def build(architecture: str) -> PreTrainedModel:
    return tiny_lm(architecture, num_layers=LAYERS, hidden_size=WIDTH)


def gradients(model: PreTrainedModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def kept_bytes(model: PreTrainedModel) -> int:
    """What one forward pass keeps for the backward pass, weights aside, each storage once.

    What goes into a layer that is computed again is kept by the closure that does it, where the hooks do not look:
    that is counted by hand, one state for each token of the batch and each layer.
    """
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    found: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no place in memory is used twice while we count

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    groups = batch()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        response_logprobs(model, groups).sum()
    by_hand = LAYERS * groups.input_ids.numel() * WIDTH * 4
    return sum(found.values()) + (by_hand if getattr(model.base_model, "gradient_checkpointing", False) else 0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_gradients_are_the_same_to_the_bit(architecture: str) -> None:
    model, text = build(architecture), make_row_batch(random_rows(4))
    for loss in (
        lambda: response_logprobs(model, batch()).square().sum(),
        lambda: lm_loss_sum(model, text).nll,
    ):
        recompute_activations(False, model)
        plain = gradients(model, loss())
        recompute_activations(True, model)
        again = gradients(model, loss())
        assert set(again) == set(plain) and len(plain) > LAYERS
        assert all(torch.equal(again[name], plain[name]) for name in plain)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_much_less_is_kept(architecture: str) -> None:
    model = build(architecture)
    plain = kept_bytes(model)
    recompute_activations(True, model)
    assert kept_bytes(model) < 0.5 * plain
    recompute_activations(False, model)
    assert kept_bytes(model) == plain


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_model_stays_in_evaluation_mode(architecture: str) -> None:
    model = build(architecture)
    recompute_activations(True, model)
    response_logprobs(model, batch()).sum().backward()
    assert not any(module.training for module in model.modules())


def test_reward_models_can_too() -> None:
    reward_model = tiny_reward_model()
    plain = torch.autograd.grad(reward_model(batch()).sum(), list(reward_model.parameters()))
    recompute_activations(True, reward_model)
    assert reward_model.classifier.base_model.gradient_checkpointing
    again = torch.autograd.grad(reward_model(batch()).sum(), list(reward_model.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))
