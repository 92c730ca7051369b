"""A sampler's steps give the logits of transformers' plain forward pass, for every family that is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fakes import FAMILIES, scattered_lm
from heed.models.stepping import Stepper
from heed.ops import linear


class Layer:
    """Keys and values of each row as lists, and attention by its definition."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths
        self.rows: list[tuple[Tensor, Tensor]] = []

    def update(self, keys: Tensor, values: Tensor) -> None:
        self.rows = [(keys[i, :, :n], values[i, :, :n]) for i, n in enumerate(self.lengths)]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        seen = []
        for i, (keys, values) in enumerate(self.rows):
            keys = torch.cat((keys, key[i, :, None]), dim=1)
            values = torch.cat((values, value[i, :, None]), dim=1)
            self.rows[i] = keys, values
            shared = query.shape[1] // len(keys)
            heads = [
                (keys[h // shared] @ query[i, h]).softmax(dim=0) @ values[h // shared] for h in range(query.shape[1])
            ]
            seen.append(torch.cat(heads))
        return torch.stack(seen)


class Cache:
    def __init__(self, layers: int, lengths: list[int]) -> None:
        self.layers = [Layer(lengths) for _ in range(layers)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_transformers(name: str, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if packed and linear._ONEDNN is None:
        pytest.skip("weights are packed by oneDNN on x86 only")
    monkeypatch.setattr(linear, "_WORTH_IT", 1 if packed else 2**62)
    model = scattered_lm(name)
    texts = torch.randint(3, 300, (3, 9), generator=torch.Generator().manual_seed(2))
    lengths = [2, 5, 4]
    cache, stepper = Cache(2, lengths), Stepper(model)
    with torch.no_grad():
        stepper.read(texts[:, :5], torch.arange(5)[None], cache)
        for step in range(4):
            at = torch.tensor([n + step for n in lengths])
            logits = stepper.logits(texts.gather(1, at[:, None])[:, 0], at, cache)
            for row, position in enumerate(at.tolist()):
                expected = model(input_ids=texts[row : row + 1, : position + 1]).logits[0, -1]
                torch.testing.assert_close(logits[row], expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
