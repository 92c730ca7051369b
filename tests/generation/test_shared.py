"""Prompts that are kept once for all their answers: the numbers are those of the model's own forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, PreTrainedModel, Qwen3Config
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from fakes import EOS_ID, VOCAB_SIZE
from heed.generation.engine import Engine, Generated
from heed.generation.shared import SharedCache
from heed.roles import Decoding

SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
MODELS = {"llama": LlamaConfig(**SIZES), "qwen3": Qwen3Config(**SIZES, head_dim=8)}
LENGTHS = (2, 17, 5, 40, 33, 3, 9, 64)


def build(name: str) -> PreTrainedModel:
    """A model whose answers often end."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(MODELS[name])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
        model.get_output_embeddings().weight[EOS_ID] *= 2.0
    return model.eval()  # type: ignore[no-any-return]


def prompts() -> list[list[int]]:
    chance = np.random.default_rng(1)
    return [chance.integers(5, VOCAB_SIZE, length).tolist() for length in LENGTHS]


def sample(model: PreTrainedModel, max_slots: int, n: int) -> list[list[Generated]]:
    return Engine(model, eos_id=EOS_ID, max_slots=max_slots).generate(prompts(), n, Decoding(max_new_tokens=20, seed=3))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("max_slots", [3, 10, 64])
def test_logprobs_are_those_of_a_plain_forward_pass(name: str, max_slots: int) -> None:
    """Fewer slots than answers to a prompt, more, and room for everyone."""
    model = build(name)
    found = sample(model, max_slots, 5)
    lengths = {len(answer.token_ids) for answers in found for answer in answers}
    assert len(lengths) > 5, "the test is of answers that leave at different times"
    for prompt, answers in zip(prompts(), found, strict=True):
        for answer in answers:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + answer.token_ids])).logits[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, torch.tensor(answer.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(answer.logprobs), expected, atol=1e-4, rtol=0)


def test_the_number_of_slots_and_of_answers_changes_no_answer() -> None:
    model = build("llama")
    expected = sample(model, 64, 5)
    for max_slots, n in ((4, 5), (13, 5), (64, 3)):
        for found, all_answers in zip(sample(model, max_slots, n), expected, strict=True):
            assert [a.token_ids for a in found] == [a.token_ids for a in all_answers[:n]]


def test_prompts_are_forgotten_with_their_last_answer() -> None:
    """Three prompts of two, one and three answers; the middle one's answer ends, and a new prompt comes."""
    cache = SharedCache(1, 8, 16, 3)
    states = torch.arange(3.0)[:, None, None, None].expand(3, 2, 4, 8)
    cache.begin_prefill(0, np.array([0, 0, 1, 2, 2, 2]), np.array([4, 3, 2]))
    cache.layers[0].update(states, states)
    cache.follow(np.array([5]), np.array([2]))
    cache.release(5)
    assert cache.lengths.tolist() == [4, 2]
    assert cache.prompt[:5].tolist() == [0, 0, 1, 1, 1]
    cache.begin_prefill(5, np.array([0]), np.array([6]))
    cache.layers[0].update(states[:1, :, :1].expand(1, 2, 6, 8) + 7, states[:1, :, :1].expand(1, 2, 6, 8))
    keys = cache.layers[0].keys
    assert keys is not None and keys.shape == (3, 2, 6, 8)
    assert keys[:, 0, 0, 0].tolist() == [0, 2, 7]
    assert keys[0, 0, :, 0].tolist() == [0] * 6 and cache.prompt[5] == 2


@pytest.mark.parametrize("lengths", [(4, 4), (4, 2)])
@pytest.mark.parametrize("prompt_of", [(0, 0, 1, 1), (1, 1, 0, 0), (0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1)])
def test_an_answer_sees_its_own_prompt_wherever_its_row_is(
    prompt_of: tuple[int, ...], lengths: tuple[int, int]
) -> None:
    """All places taken in order; in an order that is its own inverse; in another one; and one place empty."""
    torch.manual_seed(0)
    rows, cache = len(prompt_of), SharedCache(1, len(prompt_of), 8, 2)
    [layer] = cache.layers
    keys, values = torch.randn(2, 2, 1, 4, 3)
    cache.begin_prefill(0, np.array(prompt_of), np.array(lengths))
    layer.update(keys, values)
    cache.answers.begin_step(torch.arange(rows), torch.zeros(rows, dtype=torch.long), 1, torch.zeros(rows, 1, 1, 1))
    cache.begin_step(rows, rows)
    query, key, value = torch.randn(3, rows, 1, 3)
    found = layer.attend(query, key, value)
    for row, prompt in enumerate(prompt_of):
        seen = keys[prompt, 0, : lengths[prompt]], values[prompt, 0, : lengths[prompt]]
        all_keys, all_values = (torch.cat(pair) for pair in zip(seen, (key[row], value[row]), strict=True))
        expected = (all_keys @ query[row, 0]).softmax(0) @ all_values
        torch.testing.assert_close(found[row], expected)
