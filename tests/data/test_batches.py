"""Answer groups and sequence rows: worked by hand, against a slow reference, and as properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.data.batches import (
    EncodedGroup,
    Example,
    make_group_batch,
    make_row_batch,
    make_sequence_batch,
    microbatches,
)
from heed.errors import DataError

PAD = 0


def test_two_groups_by_hand():
    batch = make_group_batch(
        [
            EncodedGroup(prompt_ids=[11, 12], completion_ids=[[21, 22], [31]]),
            EncodedGroup(prompt_ids=[41], completion_ids=[[51, 52, 53]]),
        ],
        pad_id=PAD,
    )
    assert batch.input_ids.tolist() == [[11, 12, 21, 22, 31], [41, 51, 52, 53, PAD]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2], [0, 1, 2, 3, 0]]
    assert batch.group_index.tolist() == [0, 0, 1]
    assert batch.response_mask.tolist() == [[True, True, False], [True, False, False], [True, True, True]]
    assert batch.response_ids.tolist() == [[21, 22, PAD], [31, PAD, PAD], [51, 52, 53]]
    assert batch.response_index.tolist() == [[2, 3, 3], [4, 4, 4], [1, 2, 3]]
    assert batch.predict_index.tolist() == [[1, 2, 3], [1, 4, 4], [0, 1, 2]]
    assert batch.last_index.tolist() == [3, 4, 3]
    assert batch.attention_mask is not None
    assert batch.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],  # the second answer does not see the first
    ]
    assert (batch.num_groups, batch.num_answers) == (2, 3)


def test_one_answer_each_needs_no_mask():
    batch = make_group_batch([EncodedGroup(prompt_ids=[1, 2, 3], completion_ids=[[4]])], pad_id=PAD)
    assert batch.attention_mask is None
    assert batch.predict_index.tolist() == [[2]]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (EncodedGroup(prompt_ids=[], completion_ids=[[1]]), "group 1 of the batch: its prompt has no tokens"),
        (EncodedGroup(prompt_ids=[1], completion_ids=[]), "group 1 of the batch: its prompt has no answers"),
        (EncodedGroup(prompt_ids=[1], completion_ids=[[2], []]), "group 1 of the batch: one of its answers has no"),
    ],
)
def test_empty_parts_are_refused(group, message):
    fine = EncodedGroup(prompt_ids=[1], completion_ids=[[2], [3]])
    with pytest.raises(DataError, match=message):
        make_group_batch([fine, group], pad_id=PAD)
    with pytest.raises(DataError, match="at least one answer group"):
        make_group_batch([], pad_id=PAD)


tokens = st.lists(st.integers(1, 99), min_size=1, max_size=6)
encoded_groups = st.lists(
    st.builds(
        lambda p, c: EncodedGroup(prompt_ids=p, completion_ids=c), tokens, st.lists(tokens, min_size=1, max_size=4)
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(encoded_groups)
def test_every_answer_equals_its_own_row(groups):
    """A slow reference: follow the mask token by token, and each answer must see prompt + answer, in order."""
    batch = make_group_batch(groups, pad_id=PAD)
    answer = 0
    for row, group in enumerate(groups):
        for ids in group.completion_ids:
            length = len(ids)
            assert batch.group_index[answer] == row
            assert batch.response_mask[answer].sum() == length
            assert batch.response_ids[answer, :length].tolist() == list(ids)
            assert batch.input_ids[row, batch.response_index[answer, :length]].tolist() == list(ids)
            assert batch.last_index[answer] == batch.response_index[answer, length - 1]
            whole = [*group.prompt_ids, *ids]
            for step in range(length):
                place = int(batch.predict_index[answer, step])
                seen = (
                    batch.attention_mask[row, 0, place].nonzero()[:, 0]
                    if batch.attention_mask is not None
                    else torch.arange(place + 1)
                )
                known = len(group.prompt_ids) + step
                assert batch.input_ids[row, seen].tolist() == whole[:known]
                assert batch.position_ids[row, seen].tolist() == list(range(known))
            answer += 1
    assert answer == batch.num_answers
    if batch.attention_mask is not None:
        assert batch.attention_mask.any(-1).all(), "a row of the mask without True would make softmax NaN"


def test_packed_sequences_by_hand():
    examples = [
        Example(ids=[1, 2, 3], loss_mask=[False, True, True]),
        Example(ids=[4, 5], loss_mask=[True, True]),
        Example(ids=[6], loss_mask=[True]),
    ]
    batch = make_sequence_batch(examples, [[0, 1], [2]], pad_id=PAD)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5], [6, PAD, PAD, PAD, PAD]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1], [0, 0, 0, 0, 0]]
    assert batch.loss_mask.int().tolist() == [[0, 1, 1, 0, 1], [0, 0, 0, 0, 0]]
    assert batch.attention_mask is not None
    assert batch.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]
    assert make_sequence_batch(examples, [[0], [1]], pad_id=PAD).attention_mask is None
    with pytest.raises(DataError, match="3 ids and a loss mask of 2"):
        make_sequence_batch([Example(ids=[1, 2, 3], loss_mask=[True, True])], [[0]], pad_id=PAD)
    with pytest.raises(DataError, match="at least one row"):
        make_sequence_batch(examples, [[]], pad_id=PAD)


def test_rows_of_text_predict_all_but_their_first_token():
    batch = make_row_batch(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32))
    assert batch.input_ids.dtype == torch.int64
    assert batch.loss_mask.tolist() == [[False, True, True]] * 2
    assert batch.position_ids.tolist() == [[0, 1, 2]] * 2
    assert batch.to("cpu").attention_mask is None


@settings(deadline=None)
@given(encoded_groups, st.integers(1, 6))
def test_microbatches_hold_every_group_once(groups, size):
    lists = microbatches(groups, size)
    assert sorted(index for indices in lists for index in indices) == list(range(len(groups)))
    for indices in lists:
        assert len(indices) == 1 or sum(len(groups[index].completion_ids) for index in indices) <= size
