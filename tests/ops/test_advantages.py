import pytest
import torch
from torch import Tensor

from heed.ops.advantages import generalized_advantages, whiten


def slow_advantages(
    rewards: list[float], values: list[float], discount: float, gae_lambda: float
) -> tuple[list[float], list[float]]:
    """One row without padding, from the definition: A_t = sum over l of (discount * lambda)^l * delta_{t+l}."""
    padded = [*values, 0.0]
    deltas = [rewards[t] + discount * padded[t + 1] - padded[t] for t in range(len(rewards))]
    advantages = [
        sum((discount * gae_lambda) ** step * delta for step, delta in enumerate(deltas[t:]))
        for t in range(len(deltas))
    ]
    return advantages, [a + v for a, v in zip(advantages, values, strict=True)]


def rows() -> tuple[Tensor, Tensor, Tensor]:
    rewards = torch.tensor([[0.0, 0.0, 1.0], [2.0, torch.nan, 9.0]])
    values = torch.tensor([[0.5, 0.25, 0.75], [1.5, 3.0, torch.nan]])
    return rewards, values, torch.tensor([[True, True, True], [True, False, False]])


def test_lambda_0_is_the_one_step_error() -> None:
    result = generalized_advantages(*rows(), gae_lambda=0.0)
    torch.testing.assert_close(result.advantages, torch.tensor([[-0.25, 0.5, 0.25], [0.5, 0.0, 0.0]]))
    torch.testing.assert_close(result.returns, torch.tensor([[0.25, 0.75, 1.0], [2.0, 0.0, 0.0]]))


def test_lambda_1_is_the_sum_of_future_rewards_less_the_value() -> None:
    result = generalized_advantages(*rows(), gae_lambda=1.0)
    torch.testing.assert_close(result.advantages, torch.tensor([[0.5, 0.75, 0.25], [0.5, 0.0, 0.0]]))
    torch.testing.assert_close(result.returns, torch.tensor([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0]]))


@pytest.mark.parametrize(("discount", "gae_lambda"), [(1.0, 0.95), (0.9, 0.5), (0.99, 1.0)])
def test_equals_the_definition_with_padding_and_gaps(discount: float, gae_lambda: float) -> None:
    generator = torch.Generator().manual_seed(1)
    rewards, values = torch.randn(2, 5, 9, generator=generator, dtype=torch.float64)
    mask = torch.rand(5, 9, generator=generator) < 0.6  # gaps at the start, inside and at the end
    result = generalized_advantages(rewards, values, mask, discount=discount, gae_lambda=gae_lambda)
    for row in range(5):
        places = mask[row]
        expected, returns = slow_advantages(
            rewards[row][places].tolist(), values[row][places].tolist(), discount, gae_lambda
        )
        torch.testing.assert_close(result.advantages[row][places], torch.tensor(expected, dtype=torch.float64))
        torch.testing.assert_close(result.returns[row][places], torch.tensor(returns, dtype=torch.float64))
    assert (result.advantages[~mask] == 0).all() and (result.returns[~mask] == 0).all()


def test_no_gradient_flows_into_advantages() -> None:
    rewards, values, mask = rows()
    assert not generalized_advantages(rewards, values.requires_grad_(), mask).returns.requires_grad


def test_whitening_by_hand() -> None:
    values, mask = torch.tensor([[1.0, 2.0, 4.0, torch.nan]]), torch.tensor([[False, True, True, False]])
    torch.testing.assert_close(whiten(values, mask), torch.tensor([[0.0, -1.0, 1.0, 0.0]]))
    torch.testing.assert_close(whiten(values, mask, shift_mean=False), torch.tensor([[0.0, 2.0, 4.0, 0.0]]))


def test_whitened_values_have_mean_0_and_variance_1_and_constants_stay_finite() -> None:
    generator = torch.Generator().manual_seed(2)
    values, mask = torch.randn(7, 11, generator=generator) * 3 + 5, torch.rand(7, 11, generator=generator) < 0.5
    whitened = whiten(values, mask)[mask]
    assert float(whitened.mean()) == pytest.approx(0, abs=1e-5)
    assert float(whitened.var(unbiased=False)) == pytest.approx(1, abs=1e-4)
    assert whiten(torch.full((2, 3), 4.0), torch.ones(2, 3, dtype=torch.bool)).abs().max() < 1e-3
