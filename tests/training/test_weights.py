"""bfloat16 weights with float32 masters: nothing is rounded away, and nothing narrow is left behind."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from fakes import tiny_lm, tiny_reward_model
from heed.config import PretrainConfig
from heed.errors import NonFiniteError, WorkspaceError
from heed.models.precision import narrow, narrowable, narrowed
from heed.models.value_model import ValueModel
from heed.training.pretrain import pretrain
from heed.training.step import Update, gradient_norm, make_optimizer, take_step
from heed.training.weights import Weights
from training_fakes import make_run, random_rows

BF16 = torch.bfloat16


def make_linear(value: float) -> nn.Linear:
    model = nn.Linear(1, 2, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def test_a_thousand_updates_below_the_resolution_of_bfloat16_all_count() -> None:
    """Adam moves by the learning rate under a constant gradient: 1000 steps of 1e-4; bfloat16 has steps of 1/256."""
    model = make_linear(1.0)
    weights = Weights(model, BF16)
    optimizer = make_optimizer(weights)
    seen = set()
    with weights:
        assert model.weight.dtype == BF16
        alone = model.weight.detach().clone()
        for _ in range(1000):
            alone -= 1e-4
            take_step("a test", Update(name="m", optimizer=optimizer, losses=[model.weight.sum()], learning_rate=1e-4))
            seen.add(float(model.weight.detach()[0, 0]))
    assert float(alone[0, 0]) == 1.0, "without a master nothing would have moved"
    assert model.weight.dtype == torch.float32
    assert model.weight.detach()[:, 0].tolist() == pytest.approx([0.9, 0.9], abs=5e-5)
    assert len(seen) == 27, "1, and every number of bfloat16 from there to 230/256"


def test_gradients_are_summed_and_clipped_in_float32() -> None:
    """256 + 1 + 1 is 258; bfloat16 would stay at 256. The norm of the two is 258 sqrt(2)."""
    model = make_linear(0.0)
    weights = Weights(model, BF16)
    optimizer = make_optimizer(weights)
    pieces = [256.0, 1.0, 1.0]
    with weights:
        norm = gradient_norm(optimizer, [piece * model.weight.sum() for piece in pieces])
        assert norm == pytest.approx(258 * math.sqrt(2), rel=1e-7)
        assert model.weight.grad is None and all(master.grad is None for master in weights.parameters())
        for piece in pieces:
            (piece * model.weight.sum()).backward()  # type: ignore[no-untyped-call]
        [master] = weights.parameters()
        assert model.weight.grad is None and master.grad is not None
        assert master.grad.dtype == torch.float32 and master.grad[:, 0].tolist() == [258.0, 258.0]
        nn.utils.clip_grad_norm_([master], 1.0)
        assert master.grad[:, 0].tolist() == pytest.approx([math.sqrt(0.5)] * 2, rel=1e-5)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_number_that_is_not_finite_stops_before_masters_or_weights_move(broken: float) -> None:
    model = make_linear(2.0)
    weights = Weights(model, BF16)
    optimizer = make_optimizer(weights)
    with weights, pytest.raises(NonFiniteError, match="not changed"):
        losses = [model.weight.sum(), broken * model.weight.sum()]
        take_step("a test", Update(name="m", optimizer=optimizer, losses=losses, learning_rate=0.1))
    assert model.weight.detach()[:, 0].tolist() == [2.0, 2.0] and model.weight.grad is None
    assert all(master.grad is None for master in weights.parameters())


def test_an_exception_gives_the_float32_weights_back_and_takes_the_hooks_off() -> None:
    model = tiny_lm()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="stopped"), Weights(model, BF16):
        assert model.dtype == BF16
        raise RuntimeError("stopped")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.base_model(torch.arange(4)[None]).last_hidden_state.sum().backward()
    assert all(one.grad is not None for one in model.base_model.parameters()), "gradients go to the model again"


def test_what_is_saved_is_the_masters_and_loads_into_model_and_masters() -> None:
    """1 + 2^-10 is 1 in bfloat16. A state that is loaded reaches what the model computes with, tied weights too."""
    model = tiny_lm()
    weights = Weights(model, BF16)
    with weights:
        state = {name: torch.full_like(tensor, 1 + 2**-10) for name, tensor in weights.state_dict().items()}
        weights.load_state_dict(state)
        assert all((one.detach() == 1).all() and one.dtype == BF16 for one in model.parameters())
        assert all(torch.equal(tensor, state[name]) for name, tensor in weights.state_dict().items())
        assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert all((one.detach() == 1 + 2**-10).all() and one.dtype == torch.float32 for one in model.parameters())


def test_in_float32_the_weights_are_the_models_own() -> None:
    model = tiny_lm()
    weights = Weights(model, torch.float32)
    with weights:
        assert all(one is other for one, other in zip(weights.parameters(), model.parameters(), strict=True))


def test_rotary_frequencies_and_one_number_heads_stay_float32() -> None:
    value_model = ValueModel.from_reward_model(tiny_reward_model())
    frequencies = value_model.classifier.base_model.rotary_emb.inv_freq.clone()
    narrow(value_model, BF16)
    assert value_model.classifier.score.weight.dtype == torch.float32
    assert {one.dtype for one in narrowable(value_model)} == {BF16}
    assert torch.equal(value_model.classifier.base_model.rotary_emb.inv_freq, frequencies)
    assert frequencies.dtype == torch.float32


def test_a_narrowed_copy_leaves_the_model_alone() -> None:
    model = tiny_lm()
    copy = narrowed(model, BF16)
    assert model.dtype == torch.float32 and copy.dtype == BF16
    assert narrowed(copy, BF16) is copy and narrowed(model, torch.float32) is model


def test_a_learner_takes_and_gives_float32_and_learns_as_well(tmp_path: Path) -> None:
    config = PretrainConfig(tokens=16 * 4 * 60, minibatch=4, learning_rate=1e-2)
    losses = {}
    for dtype in (torch.float32, BF16):
        model = tiny_lm()
        result = pretrain(model, random_rows(count=8), config, make_run(tmp_path / str(dtype), dtype=dtype))
        assert model.dtype == torch.float32
        rounded = sum(float((one.detach() != one.detach().to(BF16)).float().mean()) for one in model.parameters())
        assert rounded > 1, "the weights have more digits than bfloat16"
        losses[dtype] = result.metrics["loss"]
    assert losses[BF16] == pytest.approx(losses[torch.float32], rel=0.05)


def test_a_run_is_not_continued_in_another_dtype(tmp_path: Path) -> None:
    config = PretrainConfig(tokens=16 * 4 * 4, minibatch=4)
    pretrain(tiny_lm(), random_rows(), config, make_run(tmp_path, dtype=BF16))
    with pytest.raises(WorkspaceError, match="or in another dtype"):
        pretrain(tiny_lm(), random_rows(), config, make_run(tmp_path))
