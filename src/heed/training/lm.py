"""Next-token losses of plain text: pretraining itself, and the share of it mixed into SFT and PPO (PPO-ptx)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from heed.data.batches import SequenceBatch, make_row_batch
from heed.data.mixtures import Order
from heed.models.forward import lm_loss_sum
from heed.models.types import CausalLM
from heed.runtime.device import Runtime
from heed.training.step import Tally

Rows = npt.NDArray[np.integer]
"""(num_rows, T) token ids of plain text, packed without waste."""


class RowStream:
    """Rows of text in a shuffled order without end: every row once, then all again in another order.

    What it draws depends only on the position, which is the number of rows drawn so far; nothing has to be saved.
    """

    def __init__(self, rows: Rows, seed: int) -> None:
        self._rows = rows
        self._order = Order(len(rows), seed)

    def draw(self, position: int, count: int) -> Rows:
        """(count, T) token ids: the rows at ``position`` and after it."""
        return self._rows[self._order.take(position, count)]


def row_batches(rows: Rows, microbatch: int) -> list[SequenceBatch]:
    """Rows of text as batches of at most ``microbatch`` rows."""
    return [make_row_batch(rows[start : start + microbatch]) for start in range(0, len(rows), microbatch)]


def lm_losses(
    model: CausalLM,
    batches: Sequence[SequenceBatch],
    runtime: Runtime,
    tally: Tally,
    name: str = "loss",
    coef: float = 1.0,
) -> Iterator[Tensor]:
    """The mean next-token loss over all targets of ``batches``, times ``coef``, in pieces: one for each batch.

    The pieces add up to the whole, whatever the cut into batches. ``tally`` gets the mean itself under ``name``.
    """
    targets = max(1, sum(int(batch.loss_mask.sum()) for batch in batches))
    for batch in batches:
        loss = lm_loss_sum(model, batch.to(runtime.device)).nll / targets
        tally.add(name, loss.detach())
        yield coef * loss
