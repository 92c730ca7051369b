"""Orders and mixtures: passes, shares, and going on from a position."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.data.mixtures import Mixture, Order, largest_remainder
from heed.errors import ConfigError


def test_a_pass_reads_everything_once_and_the_next_in_another_order():
    order = Order(n=50, seed=1)
    first, second = order.take(0, 50), order.take(50, 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert list(first) != list(second)
    assert list(first) != list(Order(n=50, seed=2).take(0, 50))


@given(st.integers(1, 20), st.integers(0, 70), st.integers(0, 40))
def test_resuming_at_a_position_reads_what_would_have_come(n, position, count):
    whole = Order(n=n, seed=3).take(0, position + count)
    assert Order(n=n, seed=3).take(position, count).tolist() == whole[position:].tolist()


@given(st.integers(0, 120), st.integers(0, 60))
def test_a_mixture_resumes_at_a_position(position, count):
    def mixture():
        return Mixture(sizes=[7, 30], weights=[1, 3], seed=5, block=20)

    whole = mixture().take(0, 200)
    part = mixture().take(position, count)
    assert part.sources.tolist() == whole.sources[position : position + count].tolist()
    assert part.indices.tolist() == whole.indices[position : position + count].tolist()


def test_a_mixture_keeps_its_shares_and_reads_each_source_in_passes():
    draw = Mixture(sizes=[5, 100], weights=[0.25, 0.75], seed=0, block=20).take(0, 80)
    assert np.bincount(draw.sources).tolist() == [20, 60]
    few = draw.indices[draw.sources == 0]
    assert all(sorted(few[start : start + 5]) == list(range(5)) for start in range(0, 20, 5))
    assert len(set(draw.indices[draw.sources == 1])) == 60


def test_whole_numbers_in_proportion():
    assert largest_remainder([1, 1, 1], 10).tolist() == [4, 3, 3]
    assert largest_remainder([0, 2], 3).tolist() == [0, 3]
    assert largest_remainder([0.16, 0.84], 10).tolist() == [2, 8]


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ConfigError, match="at least 1 item"):
        Order(n=0, seed=0)
    with pytest.raises(ConfigError, match=r"as many weights >= 0, got \[1, -1\]"):
        Mixture(sizes=[1, 2], weights=[1, -1], seed=0)
