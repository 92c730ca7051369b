"""The pretraining mix of PPO-ptx: the gradient of plain text added to every policy update (InstructGPT C.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor

from heed.models.types import CausalLM
from heed.runtime.device import Runtime
from heed.training.lm import Rows, RowStream, lm_losses, row_batches
from heed.training.step import Tally, gradient_norm

_EPISODES_PER_ROW = 16
"""So many episodes in a minibatch bring one row of pretraining text with them."""


class PretrainingMix:
    """Draws the text that goes with each update and weighs its loss.

    The weight is given (27.8 in InstructGPT), or set once, before the first update, so that the gradients of PPO and of
    the text have equal norms: what a number like 27.8 means depends on the scale of the losses, this does not.
    """

    def __init__(
        self, rows: Rows | None, coef: float | Literal["auto"], minibatch: int, seed: int, runtime: Runtime
    ) -> None:
        """Without rows, or with a weight of 0, there is no mix: plain PPO."""
        self._text = RowStream(rows, seed) if rows is not None and coef != 0 else None
        self._rows_per_update = -(-minibatch // _EPISODES_PER_ROW)
        self._coef = coef
        self._runtime = runtime

    @property
    def coef(self) -> float:
        """The weight; 0 while it has not been set yet."""
        return 0.0 if self._text is None or self._coef == "auto" else self._coef

    def balance(self, policy: CausalLM, optimizer: torch.optim.Optimizer, policy_losses: Iterable[Tensor]) -> None:
        """Set the weight by the ratio of the gradient norms, unless it is set already."""
        if self._text is None or self._coef != "auto":
            return
        self._coef = 1.0
        text_norm = gradient_norm(optimizer, self.losses(policy, 0, Tally()))
        self._coef = gradient_norm(optimizer, policy_losses) / text_norm

    def losses(self, policy: CausalLM, update: int, tally: Tally) -> Iterator[Tensor]:
        """The weighted loss of the text that goes with an update (counted from 0), in pieces."""
        if self._text is None:
            return
        text = self._text.draw(update * self._rows_per_update, self._rows_per_update)
        batches = row_batches(text, self._runtime.microbatch)
        yield from lm_losses(policy, batches, self._runtime, tally, "ptx_loss", self.coef)

    def state_dict(self) -> dict[str, float | str]:
        """What a checkpoint keeps."""
        return {"coef": self._coef}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self._coef = state["coef"]
