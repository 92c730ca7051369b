"""Without padding the numbers are transformers' own, forward and backward, for every family that is known."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig

from fakes import ARCHITECTURES, FAMILIES, PAD_ID, SIZES, random_groups, scattered_lm, tiny_lm
from heed.data.batches import GroupBatch, make_group_batch
from heed.models.flat import ROWS, flat_states, is_known
from heed.models.forward import hidden_states, token_states


def batches() -> list[GroupBatch]:
    return [
        make_group_batch(random_groups(), PAD_ID),
        make_group_batch(random_groups([(5, (3,)), (9, (12,)), (2, (1,)), (30, (20,))]), PAD_ID),
        make_group_batch(random_groups([(4, (4,)), (4, (4,))]), PAD_ID),
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_states_and_gradients_are_those_of_transformers(name: str) -> None:
    model = scattered_lm(name)
    assert is_known(model)
    for batch in batches():
        gradients = []
        for compute in (token_states, lambda m, b: hidden_states(m, b).flatten(0, 1).index_select(0, b.flat_index)):
            model.zero_grad()
            states = compute(model, batch)
            weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
            (states * weights).sum().backward()
            gradients.append([states.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
        for mine, other in zip(*gradients, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_recomputing_in_the_backward_pass_changes_nothing() -> None:
    model, batch = scattered_lm("qwen3").train(), batches()[0]
    plain = torch.autograd.grad(token_states(model, batch).square().sum(), list(model.base_model.parameters()))
    model.gradient_checkpointing_enable()
    again = torch.autograd.grad(token_states(model, batch).square().sum(), list(model.base_model.parameters()))
    for mine, other in zip(plain, again, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_unknown_families_and_windows_go_through_transformers() -> None:
    known = {name for name in ARCHITECTURES if is_known(tiny_lm(name))}
    assert known == {"llama", "qwen3"}
    torch.manual_seed(0)
    windowed = AutoModelForCausalLM.from_config(MistralConfig(**SIZES, sliding_window=8), attn_implementation="sdpa")
    eager = AutoModelForCausalLM.from_config(FAMILIES["llama"], attn_implementation="eager")
    assert not is_known(windowed) and not is_known(eager)


def test_bfloat16_is_as_near_as_transformers() -> None:
    """Both against float32: the same order of error."""
    model, batch = scattered_lm("llama"), batches()[0]
    with torch.no_grad():
        exact = token_states(model, batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mine = token_states(model, batch)
            other = hidden_states(model, batch).flatten(0, 1).index_select(0, batch.flat_index)
    assert (mine - exact).abs().mean() <= 1.5 * (other - exact).abs().mean()


def test_only_the_tokens_that_are_needed_are_computed() -> None:
    model, batch = scattered_lm("llama"), batches()[1]
    ids = batch.input_ids.flatten()[batch.flat_index]
    positions = batch.position_ids.flatten()[batch.flat_index]
    rows: list[int] = []
    hooks = [
        layer.mlp.down_proj.register_forward_hook(lambda _, inputs, __: rows.append(inputs[0].shape[0]))
        for layer in model.base_model.layers
    ]
    flat_states(model, ids, positions, batch.layout, batch.last_flat)
    for hook in hooks:
        hook.remove()
    assert rows == [-(-count // ROWS) * ROWS for count in (batch.layout.num_tokens, len(batch.last_flat))]
    assert len(batch.last_flat) < batch.layout.num_tokens < batch.input_ids.numel()


@pytest.mark.parametrize("recompute", [False, True])
def test_states_of_some_tokens_are_those_among_all(recompute: bool) -> None:
    model = scattered_lm("qwen3").train(recompute)
    if recompute:
        model.gradient_checkpointing_enable()
    for batch in batches():
        wanted = batch.predict_flat
        found = []
        for states in (token_states(model, batch, wanted), token_states(model, batch).index_select(0, wanted)):
            model.zero_grad()
            states.square().sum().backward()
            found.append([states.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
        for mine, other in zip(*found, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
