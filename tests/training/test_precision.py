"""The dtype that is measured to be faster."""

from __future__ import annotations

import time

import pytest
import torch

from fakes import tiny_lm
from heed.runtime.device import Runtime
from heed.training.precision import choose, fastest_dtype, time_in_turn

CPU = torch.device("cpu")


def test_bfloat16_is_chosen_only_where_the_whole_is_clearly_faster() -> None:
    """Training 8 to 4 seconds and sampling 2 to 4: 10 to 8 in all. Then 10 to 9.5; and rounds that were disturbed."""
    faster = choose([(8.0, 2.0, 4.0, 4.0)])
    assert (faster.dtype, faster.ratio, faster.training_ratio, faster.sampling_ratio) == ("bfloat16", 1.25, 2.0, 0.5)
    assert str(faster).startswith("dtype is bfloat16: bfloat16 was measured to be 1.25 times as fast as float32 here")
    assert choose([(8.0, 2.0, 7.5, 2.0)]).dtype == "float32"
    assert choose([(8.0, 2.0, 40.0, 4.0), (80.0, 9.0, 4.0, 7.0)]).ratio == 1.25, "of each the least counts"
    assert choose([(1.0, 1.0, 30.0, 30.0)]).dtype == "float32", "a processor that does not know it"


def test_works_take_turns_and_the_first_round_is_not_counted() -> None:
    order: list[str] = []

    def busy() -> None:
        order.append("b")
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass

    rounds = time_in_turn([lambda: order.append("a"), busy], CPU)
    assert order == ["a", "b"] * 6 and len(rounds) == 5
    assert all(second >= 0.01 for _, second in rounds)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_measuring_leaves_the_model_as_it_was(architecture: str) -> None:
    model = tiny_lm(architecture)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    choice = fastest_dtype(model, Runtime(device=CPU))
    assert choice.dtype in ("float32", "bfloat16") and choice.ratio > 0
    assert (choice.ratio >= 1.1) == (choice.dtype == "bfloat16")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(one.grad is None and one.dtype == torch.float32 for one in model.parameters())
