import torch
from hypothesis import given
from hypothesis import strategies as st

from heed.ops.masks import masked_fill_zero, masked_mean, masked_sum, masked_variance

VALUES = torch.tensor([1.0, 2.0, 3.0, 4.0])
MASK = torch.tensor([False, True, True, False])


def test_numbers_by_hand() -> None:
    assert masked_sum(VALUES, MASK) == 5
    assert masked_mean(VALUES, MASK) == 2.5
    assert masked_variance(VALUES, MASK) == 0.25
    assert masked_mean(VALUES, MASK, denominator=10) == 0.5


def test_nothing_that_counts_gives_zero() -> None:
    assert masked_mean(VALUES, torch.zeros(4, dtype=torch.bool)) == 0


def test_nan_at_masked_places_reaches_neither_value_nor_gradient() -> None:
    values = torch.tensor([torch.nan, 2.0, torch.inf], requires_grad=True)
    masked_mean(values, torch.tensor([False, True, False])).backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 0]
    assert masked_fill_zero(values, torch.tensor([False, True, False])).tolist() == [0, 2, 0]


@given(st.lists(st.tuples(st.floats(-10, 10), st.booleans()), min_size=1, max_size=20), st.integers(0, 20))
def test_parts_with_the_denominator_of_the_whole_add_up(entries: list[tuple[float, bool]], cut: int) -> None:
    values = torch.tensor([value for value, _ in entries], dtype=torch.float64)
    mask = torch.tensor([counts for _, counts in entries])
    total = max(1, int(mask.sum()))
    parts = masked_mean(values[:cut], mask[:cut], total) + masked_mean(values[cut:], mask[cut:], total)
    torch.testing.assert_close(parts, masked_mean(values, mask))
