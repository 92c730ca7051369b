"""Packing: rows by hand, nothing lost, little wasted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.data.batches import Example
from heed.data.packing import pack_examples, pack_rows
from heed.errors import DataError

EOS = 9


def test_documents_become_one_stream():
    rows = pack_rows([[1, 2], [], [3, 4, EOS], [5, 6]], length=3, eos_id=EOS)
    assert rows.tolist() == [[1, 2, EOS], [3, 4, EOS], [5, 6, EOS]]
    assert pack_rows([[1, 2, 3, 4]], length=2, eos_id=EOS).tolist() == [[1, 2], [3, 4]]  # the last EOS fills no row
    with pytest.raises(DataError, match="the text has 3 tokens, expected at least one row of 4"):
        pack_rows([[1, 2]], length=4, eos_id=EOS)


def sized(*lengths):
    return [Example(ids=[1] * length, loss_mask=[True] * length) for length in lengths]


def test_best_fit_by_hand():
    # 6 | 5+3 would leave 3 for 2: longest first 6, 5, 4, 3, 2 into rows of 8: [6 2] [5 3] [4]
    assert pack_examples(sized(4, 6, 3, 5, 2), length=8) == [[1, 4], [3, 2], [0]]
    with pytest.raises(DataError, match="example 1 has 9 tokens, expected at most 8"):
        pack_examples(sized(1, 9), length=8)


@given(st.lists(st.integers(1, 16), max_size=60))
def test_every_example_once_and_no_two_rows_would_fit_in_one(lengths):
    examples = sized(*lengths)
    bins = pack_examples(examples, length=16)
    assert sorted(index for row in bins for index in row) == list(range(len(lengths)))
    totals = sorted(sum(lengths[index] for index in row) for row in bins)
    assert all(total <= 16 for total in totals)
    assert len(totals) < 2 or totals[0] + totals[1] > 16
