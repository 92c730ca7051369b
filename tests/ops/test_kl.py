import math

import pytest
import torch

from heed.ops.kl import adapted_kl_coef, kl_estimates


def test_the_three_estimators_by_hand() -> None:
    logprobs = torch.tensor([[math.log(0.5), math.log(0.2)]])
    ref_logprobs = torch.tensor([[math.log(0.25), math.log(0.4)]])  # ratios 1/2 and 2
    kl = kl_estimates(logprobs, ref_logprobs, torch.tensor([[True, True]]))
    log2 = math.log(2)
    torch.testing.assert_close(kl.k1, torch.tensor([[log2, -log2]]))
    torch.testing.assert_close(kl.k2, torch.tensor([[log2**2 / 2, log2**2 / 2]]))
    torch.testing.assert_close(kl.k3, torch.tensor([[-0.5 + log2, 1 - log2]]))


def test_masked_places_are_zero_whatever_stands_there() -> None:
    kl = kl_estimates(torch.tensor([[-1.0, torch.nan]]), torch.tensor([[-1.0, 5.0]]), torch.tensor([[True, False]]))
    assert all(estimate.tolist() == [[0, 0]] for estimate in kl)


def test_means_over_samples_approach_the_exact_divergence() -> None:
    generator = torch.Generator().manual_seed(0)
    policy, ref = torch.randn(2, 5, generator=generator, dtype=torch.float64).mul(0.3).log_softmax(dim=-1)
    exact = float((policy.exp() * (policy - ref)).sum())
    tokens = torch.multinomial(policy.exp(), 200_000, replacement=True, generator=generator)[None]
    kl = kl_estimates(policy[tokens[0]][None], ref[tokens[0]][None], torch.ones_like(tokens, dtype=torch.bool))
    assert float(kl.k1.mean()) == pytest.approx(exact, abs=5e-3)
    assert float(kl.k3.mean()) == pytest.approx(exact, abs=2e-3)
    assert kl.k3.min() >= 0


def test_controller_steers_towards_the_target_and_is_clipped() -> None:
    assert adapted_kl_coef(0.1, 6.0, 6.0, 64, 10_000) == pytest.approx(0.1)
    assert adapted_kl_coef(0.1, 60.0, 6.0, 100, 10_000) == pytest.approx(0.1 * 1.002)
    assert adapted_kl_coef(0.1, 0.0, 6.0, 100, 10_000) == pytest.approx(0.1 * 0.998)
    assert adapted_kl_coef(0.1, 6.6, 6.0, 1000, 10_000) == pytest.approx(0.1 * 1.01)
