import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from heed.ops import logprobs
from heed.ops.logprobs import logprob_loss, nll_sum, token_logprobs

VOCAB, HIDDEN, TOKENS = 37, 8, 150


@pytest.fixture(autouse=True)
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 rows, so that the 150 tokens are several, the last one incomplete."""
    monkeypatch.setattr(logprobs, "_CHUNK_NUMBERS", 1)
    monkeypatch.setattr(logprobs, "_FULL_SPEED_ROWS", 1)


def tensors(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, HIDDEN, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(VOCAB, HIDDEN, generator=generator, dtype=dtype, requires_grad=True)
    bias = torch.randn(VOCAB, generator=generator, dtype=dtype, requires_grad=True)
    return hidden, weight, bias, torch.randint(VOCAB, (TOKENS,), generator=generator)


def dense(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, temperature: float = 1.0) -> Tensor:
    logits = F.linear(hidden, weight, bias) / temperature
    return logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_equals_dense_forward_and_backward(with_bias: bool, temperature: float) -> None:
    hidden, weight, bias, targets = tensors(torch.float32)
    leaves = [hidden, weight, bias] if with_bias else [hidden, weight]
    upstream = torch.randn(TOKENS, generator=torch.Generator().manual_seed(1))
    expected = dense(hidden, weight, bias if with_bias else None, targets, temperature)
    found = token_logprobs(hidden, weight, targets, bias=bias if with_bias else None, temperature=temperature)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for gradient, reference in zip(
        torch.autograd.grad(found, leaves, upstream), torch.autograd.grad(expected, leaves, upstream), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("with_bias", [False, True])
def test_nll_sum_equals_cross_entropy_forward_and_backward(with_bias: bool) -> None:
    hidden, weight, bias, targets = tensors(torch.float32)
    leaves = [hidden, weight, bias] if with_bias else [hidden, weight]
    used = bias if with_bias else None
    expected = F.cross_entropy(F.linear(hidden, weight, used), targets, reduction="sum") / 7
    found = nll_sum(hidden, weight, targets, bias=used) / 7
    torch.testing.assert_close(found, expected)
    for gradient, reference in zip(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(nll_sum(hidden, weight, targets, bias=used) / 7, expected)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_loss_of_each_token_is_that_of_all_of_them_forward_and_backward(with_bias: bool, temperature: float) -> None:
    """Curved, with a kink, and another one for each row: what PPO's clipped surrogate is."""
    hidden, weight, bias, targets = tensors(torch.float32)
    leaves = [hidden, weight, bias] if with_bias else [hidden, weight]
    used = bias if with_bias else None
    factors = torch.randn(TOKENS, generator=torch.Generator().manual_seed(1))
    seen: list[slice] = []

    def loss(logprobs: Tensor, rows: slice) -> Tensor:
        seen.append(rows)
        return (factors[rows] * (logprobs + 3.0).exp().clamp(max=2.0)).sum()

    expected = loss(dense(hidden, weight, used, targets, temperature), slice(0, TOKENS))
    found = logprob_loss(hidden, weight, targets, loss, bias=used, temperature=temperature) * 0.5
    torch.testing.assert_close(found, expected * 0.5, rtol=1e-4, atol=1e-4)
    assert [(rows.start, rows.stop) for rows in seen[1:]] == [(0, 64), (64, 128), (128, 192)]
    for gradient, reference in zip(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected * 0.5, leaves), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        again = logprob_loss(hidden, weight, targets, loss, bias=used, temperature=temperature)
        torch.testing.assert_close(again, expected, rtol=1e-4, atol=1e-4)


def test_a_head_of_zeros_is_uniform() -> None:
    hidden, weight, _, targets = tensors(torch.float32)
    found = token_logprobs(hidden, torch.zeros_like(weight), targets)
    torch.testing.assert_close(found.detach(), torch.full((TOKENS,), -float(torch.tensor(VOCAB).log())))


def test_a_frozen_head_or_a_frozen_body_gets_no_gradient() -> None:
    hidden, weight, _, targets = tensors(torch.float32)
    nll_sum(hidden, weight.detach(), targets).backward()
    assert hidden.grad is not None and weight.grad is None
    token_logprobs(hidden.detach(), weight, targets).sum().backward()
    assert weight.grad is not None


def test_large_logits_stay_finite() -> None:
    hidden, weight, _, targets = tensors(torch.float32)
    assert torch.isfinite(nll_sum(hidden * 1e3, weight, targets))
    assert torch.isfinite(token_logprobs(hidden * 1e3, weight, targets)).all()


def test_no_tokens_at_all() -> None:
    hidden, weight, _, targets = tensors(torch.float32)
    assert nll_sum(hidden[:0], weight, targets[:0]).item() == 0
    assert token_logprobs(hidden[:0], weight, targets[:0]).shape == (0,)


def test_half_precision_gives_float32_results_close_to_the_exact_ones() -> None:
    hidden, weight, _, targets = tensors(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nll_sum(hidden, weight, targets)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(-dense(hidden, weight, None, targets).sum().item(), rel=0.02)


def test_chunks_are_as_many_rows_as_a_cache_holds_and_a_product_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    rows = {vocab: logprobs._rows_at_a_time(torch.zeros(1), vocab) for vocab in (1024, 8192, 32768, 150_000)}
    assert rows == {1024: 512, 8192: 128, 32768: 64, 150_000: 64}
