"""The engine against transformers' ``generate``, against the training forward, and against itself in other batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from fakes import ARCHITECTURES, EOS_ID, PAD_ID, VOCAB_SIZE, tiny_lm
from heed.generation.engine import Engine
from heed.roles import Decoding


def prompts(lengths: Sequence[int] = (7, 1, 3, 12, 3, 5, 20), seed: int = 1) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(2, VOCAB_SIZE, length).tolist() for length in lengths]


def logits_after(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """(len(answer), V): the training forward at each place that predicts a token of the answer."""
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([[*prompt, *answer]])).logits[0]
    return logits[len(prompt) - 1 : -1]


def greedy_by_transformers(model: PreTrainedModel, prompt: Sequence[int], max_new_tokens: int) -> list[int]:
    ids = torch.tensor([prompt])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
    )
    answer: list[int] = output[0, len(prompt) :].tolist()
    return answer


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_transformers_token_for_token(architecture: str) -> None:
    model = tiny_lm(architecture)
    asked = prompts()
    answers = Engine(model, eos_id=EOS_ID, max_slots=3).generate(asked, 1, Decoding(max_new_tokens=24, temperature=0))
    assert [a.token_ids for [a] in answers] == [greedy_by_transformers(model, prompt, 24) for prompt in asked]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logprobs_equal_the_training_forward(architecture: str) -> None:
    model = tiny_lm(architecture)
    asked = prompts()
    for temperature in (1.0, 0.0):
        decoding = Decoding(max_new_tokens=24, temperature=temperature, seed=5)
        for prompt, answers in zip(asked, Engine(model, eos_id=EOS_ID).generate(asked, 3, decoding), strict=True):
            for answer in answers:
                expected = logits_after(model, prompt, answer.token_ids).log_softmax(-1)
                chosen = expected.gather(1, torch.tensor(answer.token_ids)[:, None])[:, 0]
                torch.testing.assert_close(torch.tensor(answer.logprobs), chosen, atol=1e-4, rtol=0)
