import torch
from hypothesis import given
from hypothesis import strategies as st

from heed.ops.filters import filtered_logits

PROBABILITIES = torch.tensor([[0.1, 0.4, 0.2, 0.3]])


def kept(**settings: float) -> list[int]:
    logits = filtered_logits(PROBABILITIES.log(), **settings)  # type: ignore[arg-type]
    return torch.isfinite(logits)[0].nonzero()[:, 0].tolist()


def test_filters_by_hand() -> None:
    assert kept() == [0, 1, 2, 3]
    assert kept(top_k=1) == [1]
    assert kept(top_k=2) == [1, 3]
    assert kept(top_k=9) == [0, 1, 2, 3]
    assert kept(top_p=0.3) == [1]
    assert kept(top_p=0.69) == [1, 3]
    assert kept(top_p=0.75) == [1, 2, 3]
    assert kept(top_k=2, top_p=0.5) == [1]  # of what top-k left, 4/7 is enough
    assert kept(top_p=1e-9) == [1]


def test_temperature_divides_the_logits() -> None:
    logits = torch.tensor([[0.0, 2.0, -4.0]])
    assert filtered_logits(logits, temperature=2.0).tolist() == [[0, 1, -2]]


def test_nothing_is_cut_by_default() -> None:
    logits = torch.randn(3, 9)
    assert filtered_logits(logits) is logits


@given(st.integers(0, 12), st.floats(0.01, 1), st.floats(0.1, 3), st.integers(0, 1000))
def test_equals_a_loop_over_the_sorted_tokens(top_k: int, top_p: float, temperature: float, seed: int) -> None:
    logits = torch.randn(1, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = filtered_logits(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    weights = (logits[0] / temperature).exp().tolist()
    order = sorted(range(10), key=lambda token: -weights[token])[: top_k or None]
    mass, expected = 0.0, set()
    for token in order:
        if not expected or mass < top_p * sum(weights[kept] for kept in order):
            expected.add(token)
        mass += weights[token]
    assert set(torch.isfinite(found)[0].nonzero()[:, 0].tolist()) == expected
    torch.testing.assert_close(found[torch.isfinite(found)], (logits / temperature)[torch.isfinite(found)])


def test_tokens_that_tie_with_the_k_th_are_kept() -> None:
    assert torch.isfinite(filtered_logits(torch.tensor([[1.0, 2.0, 1.0, 0.0]]), top_k=2)).tolist() == [
        [True, True, True, False]
    ]


def test_a_row_does_not_depend_on_the_others() -> None:
    logits = torch.randn(16, 50)
    together = filtered_logits(logits, top_k=20, top_p=0.9)
    for row in range(16):
        assert torch.equal(filtered_logits(logits[row : row + 1], top_k=20, top_p=0.9)[0], together[row])
