"""Drawing from a distribution: numbers by hand, a slow reference, edges, and the random numbers themselves."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heed.generation.sampling import draw, invert_cdf, row_keys, uniforms
from heed.roles import Decoding


def test_inversion_by_hand() -> None:
    probs = torch.tensor([[0.0, 0.5, 0.0, 0.25, 0.25, 0.0]]).expand(7, -1)
    numbers = torch.tensor([0.0, 0.49, 0.5, 0.7, 0.75, 0.9, 1 - 2.0**-53], dtype=torch.float64)
    assert invert_cdf(probs, numbers).tolist() == [1, 1, 3, 3, 4, 4, 4]


@given(
    weights=st.lists(st.sampled_from([0.0, 1e-9, 0.3, 1.0, 7.0]), min_size=1, max_size=300).filter(any),
    number=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=150, deadline=None)
def test_inversion_equals_a_running_sum(weights: list[float], number: float) -> None:
    probs = torch.tensor([weights]) / sum(weights)
    [token] = invert_cdf(probs, torch.tensor([number], dtype=torch.float64)).tolist()
    cumulative = np.cumsum(probs[0].double().numpy())
    assert probs[0, token] > 0
    below = cumulative[token - 1] if token else 0.0
    assert below - 1e-6 <= number * cumulative[-1] <= cumulative[token] + 1e-6


def test_greedy_takes_the_likeliest_token_and_reports_the_models_own_logprob() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 3.0]])
    drawn = draw(logits, Decoding(max_new_tokens=1, temperature=0), torch.zeros(2, dtype=torch.float64))
    assert drawn.token_ids.tolist() == [1, 0]
    expected = logits.log_softmax(-1)[[0, 1], [1, 0]]
    torch.testing.assert_close(drawn.logprobs, expected)


def test_random_numbers_are_uniform_and_independent() -> None:
    keys = row_keys(5, np.repeat(np.arange(40, dtype=np.uint64), 25), np.tile(np.arange(25, dtype=np.uint64), 40))
    numbers = np.stack([uniforms(keys, np.full(1000, step)) for step in range(50)], axis=1)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 0.01
    for first, second in (
        (numbers[:, :-1], numbers[:, 1:]),
        (numbers[:-1], numbers[1:]),
        (numbers[:-25], numbers[25:]),
    ):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
    cells = np.histogram2d(numbers[:, 0::2].ravel(), numbers[:, 1::2].ravel(), bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(cells.ravel()).pvalue > 0.01


def test_a_random_number_depends_on_seed_prompt_answer_and_step_alone() -> None:
    prompts, answers = np.array([3, 3, 4, 2**64 - 1], dtype=np.uint64), np.array([0, 1, 0, 0], dtype=np.uint64)
    keys = row_keys(1, prompts, answers)
    numbers = uniforms(keys, np.array([0, 0, 0, 0]))
    assert (
        len({*numbers, *uniforms(keys, np.array([1, 1, 1, 1])), *uniforms(row_keys(2, prompts, answers), np.zeros(4))})
        == 12
    )
    assert uniforms(keys[2:3], np.array([0])) == numbers[2]
