"""Whichever library multiplies, the numbers are those of PyTorch's own linear map."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from heed.ops.linear import linear, multiplier

SHAPES = [(5, 8, 3), (64, 256, 192), (1, 256, 192), (37, 192, 256), (0, 256, 192)]


@pytest.mark.parametrize(("rows", "size", "features"), SHAPES)
@pytest.mark.parametrize("with_bias", [False, True])
def test_values_and_gradients_are_those_of_pytorch(rows: int, size: int, features: int, with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight, bias = torch.randn(rows, size), torch.randn(features, size), torch.randn(features)
    outcome = torch.randn(rows, features)
    results = []
    for compute in (linear, F.linear):
        inputs = [one.clone().requires_grad_() for one in (x, weight, bias)]
        y = compute(inputs[0], inputs[1], inputs[2] if with_bias else None)
        (y * outcome).sum().backward()
        results.append([y.detach(), *(one.grad for one in inputs if one.grad is not None)])
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-4)


def test_without_gradients_the_values_are_the_same_to_the_bit() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(64, 256), torch.randn(192, 256, requires_grad=True)
    with torch.no_grad():
        quiet = linear(x, weight)
    assert torch.equal(quiet, linear(x, weight).detach())


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    x, weight = torch.randn(8, 256, requires_grad=True), torch.randn(192, 256)
    linear(x, weight).sum().backward()
    assert x.grad is not None and weight.grad is None


def test_narrow_numbers_and_autocast_keep_their_own_way() -> None:
    x, weight = torch.randn(8, 256), torch.randn(192, 256)
    assert linear(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16


@pytest.mark.parametrize(("rows", "size", "features"), SHAPES[:-1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_products_with_the_same_weights_are_those_of_one(
    rows: int, size: int, features: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    x, weight, other, bias = (
        torch.randn(shape, dtype=dtype) for shape in ((rows, size), (features, size), (7, size), (features,))
    )
    multiply = multiplier([weight.requires_grad_(), other], [bias, None])
    close = {"rtol": 1e-5, "atol": 1e-4} if dtype is torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    with torch.no_grad():
        for _ in range(2):
            expected = torch.cat((F.linear(x, weight, bias), F.linear(x, other)), dim=-1)
            torch.testing.assert_close(multiply(x), expected, **close)
