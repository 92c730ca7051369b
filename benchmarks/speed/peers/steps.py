"""Where a trainer of transformers is interrupted: after so many optimizer steps, a turn is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback


class Steps(TrainerCallback):
    """Calls ``finished`` with the mean loss after every ``per_turn`` steps; the trainer must log each step."""

    def __init__(self, per_turn: int, finished: Callable[[float], None]) -> None:
        self.per_turn, self.finished = per_turn, finished
        self.losses: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """The last thing a trainer does in a step."""
        if logs is None or "loss" not in logs:
            return
        self.losses.append(float(logs["loss"]))
        if len(self.losses) == self.per_turn:
            loss = sum(self.losses) / self.per_turn
            self.losses.clear()
            self.finished(loss)
