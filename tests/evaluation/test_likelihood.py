"""Likelihoods against transformers' own loss, and the alignment tax by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fakes import VOCAB_SIZE, tiny_codec, tiny_lm
from heed.evaluation.likelihood import pretraining_loss, reference_logprobs, row_losses
from heed.records import Completion, Prompt


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_row_losses_equal_the_models_own_loss(architecture: str) -> None:
    model = tiny_lm(architecture)
    rows = np.random.default_rng(0).integers(2, VOCAB_SIZE, (5, 24))
    with torch.no_grad():
        expected = [float(model(torch.tensor(row[None]), labels=torch.tensor(row[None])).loss) for row in rows]
    np.testing.assert_allclose(row_losses(model, rows), expected, rtol=1e-5)
    np.testing.assert_allclose(row_losses(model, rows, microbatch=2), expected, rtol=1e-5)


def test_reference_logprobs_equal_a_plain_forward_pass() -> None:
    model, codec = tiny_lm(), tiny_codec()
    prompts = [Prompt.from_text("Where is the cup?"), Prompt.from_text("Name two animals.")]
    answers = [Completion(text="", token_ids=(7, 9, 0)), Completion(text="A cat.")]
    found = reference_logprobs(model, codec, microbatch=1)(prompts, answers)
    for prompt, answer, value in zip(prompts, answers, found, strict=True):
        before, after = codec.encode_prompt(prompt), codec.completion_ids(answer)
        with torch.no_grad():
            logits = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        expected = sum(float(logits[len(before) + i - 1, token]) for i, token in enumerate(after))
        assert value == pytest.approx(expected, rel=1e-5)


def test_the_tax_is_paired_by_row() -> None:
    """Rows differ by far more than models do: the change is known exactly, the losses are not."""
    sft = np.array([1.0, 2.0, 3.0, 4.0])
    found = pretraining_loss({"sft": sft, "ppo": sft + 0.05})
    assert found["pretraining_loss"] == {"sft": 2.5, "ppo": pytest.approx(2.55)}
    change = found["pretraining_loss_change"]["ppo"]
    assert change["low"] == pytest.approx(0.05) == change["high"]
    interval = found["intervals"]["pretraining_loss"]["sft"]
    assert interval["low"] < 2 and interval["high"] > 3
    assert "pretraining_loss_change" not in pretraining_loss({"base": sft})
