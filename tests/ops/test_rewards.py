import torch

from heed.ops.rewards import last_true, penalized_scores, token_rewards

MASK = torch.tensor([[True, True, True], [True, False, False]])


def test_kl_at_every_token_and_score_at_the_last_real_one() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, -3.0], [-1.0, torch.nan, 7.0]])
    ref_logprobs = torch.tensor([[-2.0, -2.0, -1.0], [-1.5, 0.0, torch.inf]])
    rewards = token_rewards(torch.tensor([10.0, 20.0]), logprobs, ref_logprobs, MASK, kl_coef=0.5)
    torch.testing.assert_close(rewards, torch.tensor([[-0.5, 0.0, 11.0], [19.75, 0.0, 0.0]]))


def test_rewards_add_up_to_score_less_kl() -> None:
    generator = torch.Generator().manual_seed(0)
    logprobs, ref_logprobs = torch.randn(2, 4, 6, generator=generator)
    mask = torch.arange(6) < torch.tensor([1, 3, 6, 2])[:, None]
    scores = torch.randn(4, generator=generator)
    rewards = token_rewards(scores, logprobs, ref_logprobs, mask, kl_coef=0.2)
    expected = scores - 0.2 * ((logprobs - ref_logprobs) * mask).sum(dim=1)
    torch.testing.assert_close(rewards.sum(dim=1), expected)


def test_last_true_with_gaps() -> None:
    assert last_true(torch.tensor([[True, False, True, False], [True, False, False, False]])).tolist() == [2, 0]


def test_an_answer_that_does_not_end_loses_the_penalty() -> None:
    scores = penalized_scores(torch.tensor([2.0, 3.0]), torch.tensor([True, False]), penalty=1.0)
    assert scores.tolist() == [2, 2]
