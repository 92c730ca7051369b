from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from heed.runtime.seeds import derive_seed, numpy_generator, torch_generator

names = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 99)), max_size=3)


@given(st.integers(0, 2**31), st.integers(0, 2**31), names, names)
def test_streams_are_equal_exactly_when_seed_and_names_are(
    a: int, b: int, p: list[str | int], q: list[str | int]
) -> None:
    assert (derive_seed(a, *p) == derive_seed(b, *q)) == ((a, p) == (b, q))
    assert 0 <= derive_seed(a, *p) < 2**63


def test_a_stream_is_the_same_in_every_process() -> None:
    assert derive_seed(0, "ppo", "minibatches", 3) == derive_seed(0, "ppo", "minibatches", 3)
    assert (
        numpy_generator(5, "x").integers(1000, size=3).tolist()
        == numpy_generator(5, "x").integers(1000, size=3).tolist()
    )
    one, two = (torch.rand(3, generator=torch_generator(5, "x")) for _ in range(2))
    assert torch.equal(one, two)
