import copy

import pytest
import torch

from fakes import ARCHITECTURES, PAD_ID, VOCAB_SIZE, random_groups, tiny_lm, tiny_reward_model
from heed.data.batches import EncodedGroup, make_group_batch
from heed.errors import ModelError
from heed.models.reward_model import RewardModel
from heed.models.value_model import ValueModel


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_backbone_is_copied_and_the_language_model_left_alone(architecture: str) -> None:
    lm = tiny_lm(architecture)
    before = copy.deepcopy(lm.state_dict())
    reward_model = RewardModel.from_causal_lm(lm, seed=0)
    for name, weight in reward_model.classifier.base_model.state_dict().items():
        assert torch.equal(weight, lm.base_model.state_dict()[name])
        assert weight.data_ptr() != lm.base_model.state_dict()[name].data_ptr()
    assert all(torch.equal(before[name], weight) for name, weight in lm.state_dict().items())


def test_head_starts_with_deviation_one_over_root_of_size_plus_one() -> None:
    lm = tiny_lm(hidden_size=1024, num_layers=1, vocab_size=10)
    head = RewardModel.from_causal_lm(lm, seed=0).classifier.score
    assert head.bias is None and head.weight.shape == (1, 1024)
    assert head.weight.std().item() == pytest.approx(1025**-0.5, rel=0.08)
    assert torch.equal(head.weight, RewardModel.from_causal_lm(lm, seed=0).classifier.score.weight)
    assert not torch.equal(head.weight, RewardModel.from_causal_lm(lm, seed=1).classifier.score.weight)


def test_score_is_read_at_the_last_real_token() -> None:
    """Changing the last token changes the score; so does changing the first one, which the last attends to."""
    reward_model = tiny_reward_model()

    def score(prompt: list[int], answer: list[int]) -> float:
        longer = EncodedGroup(prompt_ids=[3] * 20, completion_ids=[[4] * 20])  # makes the batch pad the other row
        group = EncodedGroup(prompt_ids=prompt, completion_ids=[answer])
        return reward_model(make_group_batch([group, longer], PAD_ID))[0].item()

    base = score([5, 6], [7, 8])
    assert base != score([5, 6], [7, 9]) and base != score([4, 6], [7, 8])
    assert base != score([5, 6], [7, 8, 9])
    assert base == score([5, 6], [7, 8])


def test_a_padding_token_of_its_own_is_asked_for() -> None:
    lm = tiny_lm()
    lm.config.pad_token_id = None
    with pytest.raises(ModelError, match="padding token of its own, and the model's is None"):
        RewardModel.from_causal_lm(lm, seed=0)
    with pytest.raises(ModelError, match="padding token of its own, and the model's is 0"):
        RewardModel.from_causal_lm(lm, seed=0, pad_id=0)
    assert RewardModel.from_causal_lm(lm, seed=0, pad_id=PAD_ID).config.pad_token_id == PAD_ID


def test_value_model_starts_as_a_copy() -> None:
    reward_model = tiny_reward_model()
    reward_model.zero_point = 2.0
    value_model = ValueModel.from_reward_model(reward_model)
    assert value_model.zero_point == 2.0
    with torch.no_grad():
        value_model.classifier.score.weight.zero_()
    batch = make_group_batch(random_groups(), PAD_ID)
    assert (value_model(batch)[batch.response_mask] == -2.0).all()
    assert (reward_model(batch) != 0).all()


def test_values_pass_gradient_to_backbone_and_head() -> None:
    value_model = ValueModel.from_reward_model(tiny_reward_model())
    value_model(make_group_batch(random_groups(), PAD_ID)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in value_model.parameters())


def test_reward_model_trains_to_prefer_a_token() -> None:
    """A few steps of the ranking loss: answers with token 5 beat answers with token 6."""
    from heed.ops.losses import ranking_loss

    reward_model = tiny_reward_model()
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(7, VOCAB_SIZE, (8, 4), generator=generator).tolist()
    groups = [EncodedGroup(prompt_ids=prompt, completion_ids=[[5, 0], [6, 0]]) for prompt in prompts]
    batch = make_group_batch(groups, PAD_ID)
    tiers = torch.tensor([0, 1] * 8)
    optimizer = torch.optim.Adam(reward_model.parameters(), lr=3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        result = ranking_loss(reward_model(batch), tiers, batch.group_index, denominator=8)
        result.loss.backward()
        optimizer.step()
    assert int(result.num_correct) == 8 and result.loss.item() < 0.1
