import pytest
import torch

from fakes import PAD_ID, random_groups, tiny_codec, tiny_reward_model
from heed.data.batches import EncodedGroup, make_group_batch
from heed.models.scorer import RewardScorer, encode_groups, score_groups
from heed.records import Completion, Prompt
from heed.roles import Scorer

PROMPTS = [Prompt.from_text("Where is the cup?"), Prompt.from_text("Name two animals.")]
COMPLETIONS = [
    [Completion(text="The cup is at the park."), Completion(text="I do not know.")],
    [Completion(text="A cat.", token_ids=(9, 8, 7)), Completion(text="A cat and a dog."), Completion(text="A dog.")],
]


def slow_score(prompt_ids: list[int], answer_ids: list[int], zero_point: float) -> float:
    batch = make_group_batch([EncodedGroup(prompt_ids=prompt_ids, completion_ids=[answer_ids])], PAD_ID)
    return tiny_reward_model()(batch)[0].item() - zero_point


@pytest.mark.parametrize("microbatch", [1, 2, 4, 64])
def test_scores_are_normalised_in_order_and_independent_of_the_microbatch(microbatch: int) -> None:
    reward_model, codec = tiny_reward_model(), tiny_codec()
    reward_model.zero_point = 0.5
    scorer: Scorer = RewardScorer(reward_model, codec, microbatch=microbatch)
    scores = scorer.score(PROMPTS, COMPLETIONS)
    for prompt, answers, row in zip(PROMPTS, COMPLETIONS, scores, strict=True):
        expected = [slow_score(codec.encode_prompt(prompt), codec.completion_ids(answer), 0.5) for answer in answers]
        assert row == pytest.approx(expected, abs=1e-5)


def test_sampled_tokens_are_used_as_they_are() -> None:
    groups = encode_groups(tiny_codec(), PROMPTS, COMPLETIONS)
    assert list(groups[1].completion_ids[0]) == [9, 8, 7]
    assert groups[0].completion_ids[0][-1] == tiny_codec().eos_id


def test_blind_scores_do_not_depend_on_the_prompt() -> None:
    codec = tiny_codec()
    groups = encode_groups(codec, PROMPTS, COMPLETIONS, blind=True)
    assert [list(group.prompt_ids) for group in groups] == [[codec.eos_id]] * 2
    blind = RewardScorer(tiny_reward_model(), codec, blind=True)
    first = blind.score(PROMPTS, COMPLETIONS)
    second = blind.score(PROMPTS[::-1], COMPLETIONS)
    assert [*first[0], *first[1]] == pytest.approx([*second[0], *second[1]], abs=1e-5)


def test_no_prompts_and_prompts_without_answers() -> None:
    assert RewardScorer(tiny_reward_model(), tiny_codec()).score([], []) == []
    assert RewardScorer(tiny_reward_model(), tiny_codec()).score(PROMPTS[:1], [[]]) == [[]]


def test_a_group_larger_than_the_microbatch_is_cut() -> None:
    reward_model, groups = tiny_reward_model(), random_groups([(5, [3] * 11), (3, [2, 9])])
    whole = score_groups(reward_model, groups, pad_id=PAD_ID, microbatch=64)
    cut = score_groups(reward_model, groups, pad_id=PAD_ID, microbatch=4)
    assert [len(row) for row in cut] == [11, 2]
    torch.testing.assert_close(torch.tensor(cut[0]), torch.tensor(whole[0]), rtol=0, atol=1e-5)
