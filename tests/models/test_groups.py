"""Answer groups give the same numbers as one answer at a time through transformers' own forward."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from fakes import ARCHITECTURES, EOS_ID, PAD_ID, random_groups, tiny_lm, tiny_reward_model
from heed.data.batches import EncodedGroup, Example, GroupBatch, make_group_batch, make_row_batch, make_sequence_batch
from heed.data.packing import pack_examples
from heed.models.forward import hidden_states, lm_loss_sum, response_logprobs, response_loss
from heed.models.value_model import ValueModel

TOLERANCE = {"rtol": 0.0, "atol": 1e-5}


def answers(groups: list[EncodedGroup]) -> Iterator[tuple[list[int], list[int]]]:
    for group in groups:
        for ids in group.completion_ids:
            yield list(group.prompt_ids), list(ids)


def slow_logprobs(model: PreTrainedModel, prompt: list[int], answer: list[int], temperature: float = 1.0) -> Tensor:
    """One sequence, transformers' own forward, dense logits."""
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1] / temperature
    return logits.log_softmax(dim=-1).gather(1, torch.tensor(answer)[:, None])[:, 0]


def one_by_one(groups: list[EncodedGroup]) -> Iterator[GroupBatch]:
    for prompt, answer in answers(groups):
        yield make_group_batch([EncodedGroup(prompt_ids=prompt, completion_ids=[answer])], PAD_ID)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logprobs_equal_one_by_one(architecture: str, temperature: float) -> None:
    model, groups = tiny_lm(architecture), random_groups()
    batch = make_group_batch(groups, PAD_ID)
    with torch.no_grad():
        found = response_logprobs(model, batch, temperature=temperature)
        for row, (prompt, answer) in enumerate(answers(groups)):
            expected = slow_logprobs(model, prompt, answer, temperature)
            torch.testing.assert_close(found[row, : len(answer)], expected, **TOLERANCE)
    assert found.min() < -5  # the test would be empty if all tokens were about as likely
    assert (found[~batch.response_mask] == 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_loss_of_response_tokens_is_that_of_their_logprobs(architecture: str) -> None:
    model, batch = tiny_lm(architecture), make_group_batch(random_groups(), PAD_ID)
    mask = batch.response_mask
    factors = torch.linspace(-1.0, 2.0, int(mask.sum()))

    def loss(logprobs: Tensor, rows: slice) -> Tensor:
        return (factors[rows] * logprobs.square()).sum()

    expected = loss(response_logprobs(model, batch, temperature=0.7)[mask], slice(0, len(factors)))
    found = response_loss(model, batch, loss, temperature=0.7)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)
    weights = list(model.parameters())
    for gradient, reference in zip(
        torch.autograd.grad(found, weights), torch.autograd.grad(expected, weights), strict=True
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_and_values_equal_one_by_one(architecture: str) -> None:
    reward_model, groups = tiny_reward_model(architecture), random_groups()
    reward_model.zero_point = 0.5
    value_model = ValueModel.from_reward_model(reward_model)
    batch = make_group_batch(groups, PAD_ID)
    with torch.no_grad():
        scores, values = reward_model(batch), value_model(batch)
        assert scores.std() > 0.1
        for row, (prompt, answer) in enumerate(answers(groups)):
            ids = torch.tensor([prompt + answer])
            every_place = reward_model.classifier.score(reward_model.classifier.base_model(ids).last_hidden_state)[
                0, :, 0
            ]
            torch.testing.assert_close(scores[row], every_place[-1], **TOLERANCE)
            before_each = every_place[len(prompt) - 1 : -1] - 0.5
            torch.testing.assert_close(values[row, : len(answer)], before_each, **TOLERANCE)
    torch.testing.assert_close(reward_model.normalized(batch), reward_model(batch) - 0.5)
    assert (values[~batch.response_mask] == 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_equal_one_by_one(architecture: str) -> None:
    model, groups = tiny_lm(architecture), random_groups()
    response_logprobs(model, make_group_batch(groups, PAD_ID)).sum().backward()
    grouped = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    for prompt, answer in answers(groups):
        slow_logprobs(model, prompt, answer).sum().backward()
    expected = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for found, reference in zip(grouped, expected, strict=True):
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_single_answers_need_no_mask_and_do_not_see_the_padding(architecture: str) -> None:
    """Restarting positions in the padding must not be taken for packed documents."""
    model = tiny_lm(architecture)
    groups = random_groups([(5, (3,)), (9, (12,)), (2, (1,))])
    batch = make_group_batch(groups, PAD_ID)
    assert batch.attention_mask is None
    together = response_logprobs(model, batch)
    for row, (prompt, answer) in enumerate(answers(groups)):
        torch.testing.assert_close(together[row, : len(answer)], slow_logprobs(model, prompt, answer), **TOLERANCE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_neither_padding_nor_the_rest_of_the_batch_changes_a_number(architecture: str) -> None:
    reward_model, groups = tiny_reward_model(architecture), random_groups()
    everything = reward_model(make_group_batch(groups, PAD_ID))
    other_padding = reward_model(make_group_batch(groups, pad_id=7))
    reversed_order = reward_model(make_group_batch(groups[::-1], PAD_ID))
    alone = torch.cat([reward_model(batch) for batch in one_by_one(groups)])
    sizes = [len(group.completion_ids) for group in groups]
    torch.testing.assert_close(everything, other_padding, **TOLERANCE)
    torch.testing.assert_close(everything, torch.cat(reversed_order.split(sizes[::-1])[::-1]), **TOLERANCE)
    torch.testing.assert_close(everything, alone, **TOLERANCE)


def test_an_answer_does_not_see_its_neighbours() -> None:
    model, group = tiny_lm(), random_groups([(4, (5, 5))])[0]
    changed = EncodedGroup(prompt_ids=group.prompt_ids, completion_ids=[[9, 9, 9, 9, EOS_ID], group.completion_ids[1]])
    first, second = (response_logprobs(model, make_group_batch([each], PAD_ID))[1] for each in (group, changed))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lm_loss_of_plain_rows_is_transformers_own(architecture: str) -> None:
    model = tiny_lm(architecture)
    rows = torch.randint(0, 300, (3, 20), generator=torch.Generator().manual_seed(0)).numpy()
    result = lm_loss_sum(model, make_row_batch(rows))
    ids = torch.from_numpy(rows)
    expected = model(input_ids=ids, labels=ids).loss
    assert result.num_tokens == 3 * 19
    torch.testing.assert_close(result.nll / result.num_tokens, expected, rtol=1e-5, atol=1e-5)
    mine = torch.autograd.grad(result.nll / result.num_tokens, list(model.parameters()))
    for found, reference in zip(mine, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lm_loss_of_packed_examples_is_the_sum_of_the_examples(architecture: str) -> None:
    model = tiny_lm(architecture)
    examples = [
        Example(ids=[*prompt, *answer], loss_mask=[False] * len(prompt) + [True] * len(answer))
        for prompt, answer in answers(random_groups())
    ]
    bins = pack_examples(examples, 24)
    assert max(map(len, bins)) > 1
    with torch.no_grad():
        packed = lm_loss_sum(model, make_sequence_batch(examples, bins, PAD_ID))
        padded = lm_loss_sum(model, make_sequence_batch(examples, [[index] for index in range(8)], PAD_ID))
        expected = -sum(slow_logprobs(model, prompt, answer).sum() for prompt, answer in answers(random_groups()))
    assert packed.num_tokens == padded.num_tokens == sum(sum(example.loss_mask) for example in examples)
    torch.testing.assert_close(packed.nll, expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(padded.nll, expected, rtol=1e-5, atol=1e-4)


def test_transformers_reads_restarted_positions_without_a_mask_as_packed_documents() -> None:
    """Why hidden_states gives no positions when there is no mask. If this fails, transformers has changed: simplify."""
    model = tiny_lm()
    ids, positions = torch.randint(2, 300, (1, 8)), torch.tensor([[0, 1, 2, 3, 4, 0, 0, 0]])
    restarted = model.base_model(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
    plain = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    torch.testing.assert_close(restarted[:, :5], plain[:, :5])
    assert not torch.allclose(restarted[:, 5:], plain[:, 5:])
    batch = make_group_batch(
        [EncodedGroup(prompt_ids=ids[0, :3].tolist(), completion_ids=[ids[0, 3:].tolist()])], PAD_ID
    )
    torch.testing.assert_close(hidden_states(model, batch), plain, rtol=0, atol=0)
