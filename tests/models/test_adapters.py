"""Low-rank adapters: where they begin, what they leave alone, and what is saved."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from fakes import ARCHITECTURES, random_groups, tiny_lm, tiny_reward_model
from heed.config import LoraConfig
from heed.data.batches import GroupBatch, make_group_batch
from heed.errors import ConfigError, ModelError
from heed.models.adapters import (
    ADAPTER_DIR,
    adapter_off,
    add_adapter,
    as_reference,
    has_adapter,
    merge_adapter,
)
from heed.models.checkpoints import load_policy, load_reward_model, save_model
from heed.models.forward import response_logprobs
from heed.models.value_model import ValueModel

peft = pytest.importorskip("peft", reason="peft is not installed: pip install 'heed[lora]'")
LORA = LoraConfig(rank=4, alpha=8)


def batch() -> GroupBatch:
    return make_group_batch(random_groups(), pad_id=1)


def logprobs(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return response_logprobs(model, batch())


def learned(model: PreTrainedModel) -> PreTrainedModel:
    """``model`` with an adapter whose weights are nowhere zero."""
    add_adapter(model, LORA, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_new_adapter_changes_no_bit_and_off_it_is_not_there(architecture: str) -> None:
    plain = logprobs(tiny_lm(architecture))
    model = tiny_lm(architecture)
    add_adapter(model, LORA, seed=1)
    assert torch.equal(logprobs(model), plain)
    model = learned(tiny_lm(architecture))
    assert not torch.allclose(logprobs(model), plain, atol=1e-2)
    with adapter_off(model):
        assert torch.equal(logprobs(model), plain)
    assert not torch.allclose(logprobs(model), plain, atol=1e-2)


def test_a_layer_computes_what_the_paper_says() -> None:
    """W x + (alpha / rank) B A x."""
    model = learned(tiny_lm())
    layer = model.base_model.layers[0].self_attn.q_proj
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert a.shape == (4, 16) and b.shape == (16, 4)
    torch.testing.assert_close(layer(x), x @ layer.base_layer.weight.T + 2.0 * x @ a.T @ b.T)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_adapters_get_gradients(architecture: str) -> None:
    model = learned(tiny_lm(architecture))
    moving = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moving and all("lora_" in name for name in moving)
    response_logprobs(model, batch()).sum().backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == moving
    linear = 7 if architecture in ("llama", "qwen3") else 4  # in each of two layers, each with an A and a B
    assert len(moving) == 2 * 2 * linear


def test_after_off_and_on_again_the_same_weights_are_trained() -> None:
    model = learned(tiny_lm())
    before = [one.requires_grad for one in model.parameters()]
    with adapter_off(model):
        pass
    assert [one.requires_grad for one in model.parameters()] == before


def test_a_head_of_one_row_is_trained_whole() -> None:
    value_model = ValueModel.from_reward_model(tiny_reward_model())
    add_adapter(value_model.classifier, LORA, seed=0)
    moving = {name for name, parameter in value_model.named_parameters() if parameter.requires_grad}
    assert "classifier.score.weight" in moving and len(moving) == 2 * 2 * 7 + 1


def test_the_seed_alone_decides_where_it_begins() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    weights = []
    for seed in (1, 1, 2):
        model = tiny_lm()
        add_adapter(model, LORA, seed=seed)
        weights.append(torch.cat([p.flatten() for n, p in model.named_parameters() if "lora_A" in n]).detach())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_merged_the_model_is_a_plain_one_that_says_the_same(architecture: str) -> None:
    model = learned(tiny_lm(architecture))
    expected = logprobs(model)
    assert merge_adapter(model) is not None
    assert not has_adapter(model) and merge_adapter(model) is None
    assert set(model.state_dict()) == set(tiny_lm(architecture).state_dict())
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(logprobs(model), expected, rtol=1e-4, atol=1e-4)


def test_saved_it_opens_everywhere_and_the_adapter_lies_beside_it(tmp_path: Path) -> None:
    tiny_lm().save_pretrained(tmp_path / "base")
    model = learned(tiny_lm())
    expected = logprobs(model)
    save_model(tmp_path / "policy", model, None, {"parent": "base"})
    torch.testing.assert_close(logprobs(load_policy(tmp_path / "policy")), expected, rtol=1e-4, atol=1e-4)
    anywhere = AutoModelForCausalLM.from_pretrained(tmp_path / "policy").eval()
    torch.testing.assert_close(logprobs(anywhere), expected, rtol=1e-4, atol=1e-4)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base").eval()
    there = peft.PeftModel.from_pretrained(base, tmp_path / "policy" / ADAPTER_DIR)
    torch.testing.assert_close(logprobs(there.get_base_model()), expected, rtol=1e-5, atol=1e-5)
    assert there.peft_config["default"].base_model_name_or_path == "base"


def test_a_reward_model_is_saved_merged(tmp_path: Path) -> None:
    reward_model = tiny_reward_model()
    learned(reward_model.classifier)
    expected = reward_model(batch()).detach()
    save_model(tmp_path / "reward", reward_model, None, {})
    torch.testing.assert_close(load_reward_model(tmp_path / "reward")(batch()), expected, rtol=1e-4, atol=1e-4)
    assert not (tmp_path / "reward" / ADAPTER_DIR).exists()


def test_rank_zero_is_no_adapter() -> None:
    model = tiny_lm()
    add_adapter(model, LoraConfig(), seed=0)
    assert not has_adapter(model) and all(parameter.requires_grad for parameter in model.parameters())


def test_mistakes_are_named() -> None:
    model = tiny_lm()
    with pytest.raises(ModelError, match="reference is the policy itself, which has no adapter"):
        as_reference(model, model, torch.float32)
    other = tiny_lm()
    assert as_reference(other, model, torch.float32) is other
    add_adapter(model, LORA, seed=0)
    assert as_reference(model, model, torch.bfloat16) is model
    with pytest.raises(ModelError, match="has an adapter already"):
        add_adapter(model, LORA, seed=0)


def test_without_peft_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    monkeypatch.setitem(sys.modules, "peft", None)  # how Python notes that a package cannot be imported
    with pytest.raises(ConfigError, match=r"lora.rank is 4, and adapters need peft; run: pip install 'heed\[lora\]'"):
        add_adapter(tiny_lm(), LORA, seed=0)
