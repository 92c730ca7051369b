import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heed.ops.losses import policy_loss, ranking_loss, value_loss

GROUPS = st.lists(
    st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 3)), min_size=1, max_size=5), min_size=1, max_size=5
)


def explicit_ranking_loss(groups: list[list[tuple[float, int]]]) -> float:
    """Pair by pair, straight from the definition."""
    means = []
    for group in groups:
        losses = [
            math.log1p(math.exp(-(a[0] - b[0]) if a[1] < b[1] else -(b[0] - a[0])))
            for a, b in itertools.combinations(group, 2)
            if a[1] != b[1]
        ]
        if losses:
            means.append(sum(losses) / len(losses))
    return sum(means) / max(1, len(means))


def num_ranked(groups: list[list[tuple[float, int]]]) -> int:
    """Groups with a pair that is not a tie."""
    return max(1, sum(len({tier for _, tier in group}) > 1 for group in groups))


def flat(groups: list[list[tuple[float, int]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    scores = torch.tensor([score for group in groups for score, _ in group], dtype=torch.float64)
    tiers = torch.tensor([tier for group in groups for _, tier in group])
    index = torch.tensor([row for row, group in enumerate(groups) for _ in group])
    return scores, tiers, index


def test_one_pair_by_hand() -> None:
    scores, tiers, index = torch.tensor([1.0, 3.0]), torch.tensor([1, 0]), torch.tensor([0, 0])
    result = ranking_loss(scores, tiers, index, denominator=1)
    assert float(result.loss) == pytest.approx(math.log(1 + math.exp(-2)))
    assert (int(result.num_pairs), float(result.num_correct)) == (1, 1)


@given(GROUPS)
def test_equals_the_mean_of_explicit_pairs(groups: list[list[tuple[float, int]]]) -> None:
    scores, tiers, index = flat(groups)
    result = ranking_loss(scores, tiers, index, denominator=num_ranked(groups))
    assert float(result.loss) == pytest.approx(explicit_ranking_loss(groups), abs=1e-9)


def test_ties_are_dropped_and_give_no_gradient() -> None:
    scores = torch.tensor([1.0, 2.0, 0.5, 9.0], requires_grad=True)
    tiers, index = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 1, 1])
    result = ranking_loss(scores, tiers, index, denominator=1)
    result.loss.backward()
    assert int(result.num_pairs) == 1
    assert scores.grad is not None and scores.grad[2:].tolist() == [0, 0]


def test_only_ties_give_a_loss_of_zero_that_can_still_be_differentiated() -> None:
    scores = torch.tensor([1.0, 2.0], requires_grad=True)
    ranking_loss(scores, torch.tensor([0, 0]), torch.tensor([0, 0]), denominator=1).loss.backward()
    assert scores.grad is not None and scores.grad.tolist() == [0, 0]


def test_adding_a_constant_to_a_group_changes_nothing() -> None:
    scores, tiers, index = flat([[(0.3, 0), (0.1, 1), (0.9, 2)], [(0.2, 1), (0.8, 0)]])
    shifted = scores + 7.0 * index
    first, second = (ranking_loss(values, tiers, index, denominator=2).loss for values in (scores, shifted))
    torch.testing.assert_close(first, second)


def test_prompts_weigh_the_same_however_many_answers_they_have() -> None:
    """Scores all equal: every pair costs ln 2, and so does every prompt."""
    scores, tiers, index = flat([[(0.0, k) for k in range(9)], [(0.0, 0), (0.0, 1)]])
    result = ranking_loss(scores, tiers, index, denominator=2)
    assert float(result.loss) == pytest.approx(math.log(2))
    assert float(result.num_correct) == 37 / 2


def test_ranking_microbatches_add_up_to_the_minibatch() -> None:
    groups = [[(0.3, 0), (0.1, 1), (0.9, 2)], [(0.5, 0), (0.4, 0)], [(0.2, 1), (0.8, 0)]]
    scores, tiers, index = flat(groups)
    denominator = num_ranked(groups)
    whole = ranking_loss(scores, tiers, index, denominator=denominator)
    parts = [ranking_loss(*flat([group]), denominator=denominator) for group in groups]
    torch.testing.assert_close(sum(part.loss for part in parts), whole.loss)
    assert sum(int(part.num_pairs) for part in parts) == int(whole.num_pairs) == 4


def one_token(log_ratio: float, advantage: float, clip_range: float = 0.2) -> tuple[float, float, int]:
    logprobs = torch.tensor([[-1.0 + log_ratio]], requires_grad=True)
    result = policy_loss(
        logprobs,
        torch.tensor([[-1.0]]),
        torch.tensor([[advantage]]),
        torch.tensor([[True]]),
        clip_range=clip_range,
        denominator=1,
    )
    result.loss.backward()
    assert logprobs.grad is not None
    return result.loss.item(), logprobs.grad.item(), int(result.clipped_sum)


def test_policy_loss_by_hand() -> None:
    assert one_token(0.0, 2.0) == (-2.0, -2.0, 0)  # ratio 1: the gradient is minus the advantage
    assert one_token(math.log(1.5), 1.0) == pytest.approx((-1.2, 0.0, 1))  # already likelier than clip: no gradient
    assert one_token(math.log(0.5), 1.0) == pytest.approx((-0.5, -0.5, 0))  # good but less likely: pull back
    assert one_token(math.log(0.5), -1.0) == pytest.approx((0.8, 0.0, 1))  # already unlikelier than clip
    assert one_token(math.log(1.5), -1.0) == pytest.approx((1.5, 1.5, 0))  # bad and likelier: push down


def test_policy_loss_figures_and_masked_nan() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, torch.nan]], requires_grad=True)
    old = torch.tensor([[-1.5, -2.0, 0.0]])
    result = policy_loss(
        logprobs,
        old,
        torch.tensor([[1.0, 1.0, torch.inf]]),
        torch.tensor([[True, True, False]]),
        clip_range=0.2,
        denominator=2,
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-1.1)
    assert result.approx_kl_sum.item() == pytest.approx(0.125)
    assert (result.ratio_min.item(), result.ratio_max.item()) == pytest.approx((1.0, math.exp(0.5)))
    assert logprobs.grad is not None and logprobs.grad.tolist() == [[0, -0.5, 0]]


def test_first_pass_of_ppo_is_exact() -> None:
    """Before any update: ratio 1, nothing clipped, and with whitened advantages a loss of zero."""
    logprobs = -torch.rand(3, 4)
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [True] * 3 + [False]])
    advantages = torch.randn(3, 4).double()
    advantages -= advantages[mask].mean()
    result = policy_loss(logprobs, logprobs, advantages, mask, clip_range=0.2, denominator=int(mask.sum()))
    assert abs(result.loss.item()) < 1e-12
    assert (result.ratio_min.item(), result.ratio_max.item(), int(result.clipped_sum)) == (1, 1, 0)
    assert result.approx_kl_sum.item() == 0


def test_value_loss_by_hand() -> None:
    def one(value: float, old: float, target: float, clip_range: float = 0.2) -> float:
        arguments = (torch.tensor([[number]]) for number in (value, old, target))
        return value_loss(*arguments, torch.tensor([[True]]), clip_range=clip_range, denominator=1).loss.item()

    assert one(1.0, 1.0, 3.0) == pytest.approx(2.0)
    assert one(2.0, 1.0, 3.0) == pytest.approx(0.5 * 1.8**2)  # moved too far towards the return: clipped at 1.2
    assert one(0.0, 1.0, 3.0) == pytest.approx(0.5 * 3.0**2)  # moved away: the worse of the two, not clipped
    assert one(2.0, 1.0, 3.0, math.inf) == pytest.approx(0.5)


def test_value_loss_counts_and_masked_nan() -> None:
    values = torch.tensor([[2.0, torch.nan]], requires_grad=True)
    result = value_loss(
        values,
        torch.tensor([[1.0, torch.nan]]),
        torch.tensor([[3.0, torch.inf]]),
        torch.tensor([[True, False]]),
        clip_range=0.2,
        denominator=4,
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(0.5 * 1.8**2 / 4)
    assert (int(result.clipped_sum), result.squared_error_sum.item()) == (1, 1.0)
    assert values.grad is not None and values.grad.tolist() == [[0, 0]]


def test_microbatches_add_up_to_the_minibatch() -> None:
    generator = torch.Generator().manual_seed(3)
    new, old, target = torch.randn(3, 6, 5, generator=generator, dtype=torch.float64)
    mask = torch.rand(6, 5, generator=generator) < 0.7
    total = int(mask.sum())

    def both(rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        arguments = (new[rows], old[rows], target[rows], mask[rows])
        return (
            policy_loss(*arguments, clip_range=0.2, denominator=total).loss,
            value_loss(*arguments, clip_range=0.2, denominator=total).loss,
        )

    whole, parts = both(slice(None)), [both(slice(start, start + 2)) for start in (0, 2, 4)]
    for k in range(2):
        torch.testing.assert_close(sum(part[k] for part in parts), whole[k])
