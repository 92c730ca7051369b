"""The norm and its gradients, against the definition and PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from heed.ops.norms import rms_norm


def test_two_numbers_by_hand() -> None:
    """The root of the mean of 3**2 and 4**2 is 5 / sqrt(2)."""
    x = torch.tensor([3.0, 4.0], requires_grad=True)
    y = rms_norm(x, torch.tensor([1.0, 2.0]), 0.0)
    assert y.tolist() == pytest.approx([3 * 2**0.5 / 5, 8 * 2**0.5 / 5])


@pytest.mark.parametrize("shape", [(7, 16), (5, 3, 8), (1, 4), (0, 8)])
def test_gradients_are_those_of_the_definition(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(shape).requires_grad_(), torch.randn(shape[-1]).requires_grad_()
    outcome = torch.randn(shape)
    results = []
    for compute in (
        lambda: rms_norm(x, weight, 1e-2),
        lambda: weight * x / (x.square().mean(-1, keepdim=True) + 1e-2).sqrt(),
    ):
        y = compute()
        results.append((y, *torch.autograd.grad((y * outcome).sum(), (x, weight))))
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_without_gradients_the_values_are_the_same_to_the_bit() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(9, 32).requires_grad_(), torch.randn(32)
    with torch.no_grad():
        quiet = rms_norm(x, weight, 1e-6)
    assert torch.equal(quiet, rms_norm(x, weight, 1e-6).detach())


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    x, weight = torch.randn(8, 16), torch.randn(16, requires_grad=True)
    rms_norm(x, weight, 1e-6).sum().backward()
    assert x.grad is None and weight.grad is not None
    x, weight = torch.randn(8, 16, requires_grad=True), torch.randn(16)
    rms_norm(x, weight, 1e-6).sum().backward()
    assert x.grad is not None and weight.grad is None


def test_narrow_numbers_are_normed_in_wide_ones() -> None:
    torch.manual_seed(0)
    x = (100 * torch.randn(6, 64)).bfloat16().requires_grad_()
    weight, outcome = torch.randn(64).bfloat16().requires_grad_(), torch.randn(6, 64).bfloat16()
    y = rms_norm(x, weight, 1e-6)
    assert y.dtype == torch.bfloat16
    wide = F.rms_norm(x.float(), (64,), weight.float(), 1e-6)
    torch.testing.assert_close(y, wide.bfloat16())
    mine = torch.autograd.grad(y, (x, weight), outcome)
    other = torch.autograd.grad(wide, (x, weight), outcome.float())
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two.to(one.dtype), rtol=1e-2, atol=1e-4)
