import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heed.ops.filters import draw, filtered_logits, inverse_cdf

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


def test_one_uniform_number_decides_by_the_running_sum() -> None:
    uniforms = torch.tensor([0.0, 0.05, 0.1, 0.45, 0.51, 0.65, 0.71, 0.999])
    rows = PROBABILITIES.double().expand(8, -1)
    assert inverse_cdf(rows, uniforms.double() + 1e-6).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@given(
    st.lists(st.sampled_from([0.0, 1e-30, 0.1, 0.25, 1.0]), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True)
)
def test_a_token_of_probability_zero_is_never_drawn(probabilities: list[float], uniform: float) -> None:
    if not any(probabilities):
        probabilities = [*probabilities, 1.0]
    token = int(inverse_cdf(torch.tensor([probabilities]), torch.tensor([uniform])))
    assert probabilities[token] > 0


def test_the_largest_float_below_one_stays_inside_the_vocabulary() -> None:
    probabilities = torch.full((1, 1000), 1e-3)
    probabilities[0, 900:] = 0
    uniform = torch.nextafter(torch.tensor([1.0]), torch.tensor([0.0]))
    assert int(inverse_cdf(probabilities, uniform)) == 899


def test_drawn_logprobs_are_those_of_the_filtered_distribution() -> None:
    logits = torch.randn(500, 7, generator=torch.Generator().manual_seed(0))
    uniforms = torch.rand(500, generator=torch.Generator().manual_seed(1))
    drawn = draw(logits, uniforms, temperature=0.7, top_k=3)
    expected = filtered_logits(logits, temperature=0.7, top_k=3).log_softmax(dim=-1)
    torch.testing.assert_close(drawn.logprobs, expected.gather(1, drawn.token_ids[:, None])[:, 0])
    assert torch.isfinite(drawn.logprobs).all()


def test_frequencies_are_the_probabilities() -> None:
    logits = PROBABILITIES.log().expand(20_000, -1)
    drawn = draw(logits, torch.rand(20_000, generator=torch.Generator().manual_seed(2)))
    shares = torch.bincount(drawn.token_ids, minlength=4) / 20_000
    assert shares.tolist() == pytest.approx(PROBABILITIES[0].tolist(), abs=0.012)


def test_greedy_takes_the_first_of_the_likeliest_and_reports_the_models_own_logprob() -> None:
    drawn = draw(torch.tensor([[1.0, 3.0, 3.0]]), torch.tensor([0.99]), temperature=0.0)
    assert drawn.token_ids.tolist() == [1]
    torch.testing.assert_close(drawn.logprobs, torch.tensor([[1.0, 3.0, 3.0]]).log_softmax(dim=-1)[:, 1])


def test_a_row_does_not_depend_on_the_others() -> None:
    logits, uniforms = torch.randn(16, 50), torch.rand(16)
    together = draw(logits, uniforms, top_p=0.9)
    for row in range(16):
        alone = draw(logits[row : row + 1], uniforms[row : row + 1], top_p=0.9)
        assert alone.token_ids.item() == together.token_ids[row].item()
