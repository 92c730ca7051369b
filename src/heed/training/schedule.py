"""Learning rates as functions of how far training is, and the KL coefficient that follows a target."""

from __future__ import annotations

import math

from heed.ops.kl import adapted_kl_coef


def cosine(step: int, total_steps: int, peak: float, *, warmup_steps: int = 0, final_share: float = 0.1) -> float:
    """Linear warm-up from 0, then half a cosine from ``peak`` down to ``final_share * peak``.

    InstructGPT's schedule for SFT and reward modelling (appendix C: cosine to 10 %, no warm-up).

    Args:
        step: optimizer steps already made, from 0.
        total_steps: steps in all; the last step, ``total_steps - 1``, is at the final value.
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    return peak * (final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def warm_up(iteration: int, peak: float, *, iterations: int = 10, start_share: float = 0.1) -> float:
    """Linear from ``start_share * peak`` to ``peak`` over the first ``iterations``, then constant.

    InstructGPT's schedule for the PPO policy (appendix C.4). ``iteration`` counts from 0.
    """
    return peak * (start_share + (1 - start_share) * min(1.0, iteration / iterations))


class KLController:
    """The coefficient of the KL reward: fixed, or steered so that the KL of an episode meets a target.

    The rule is :func:`heed.ops.kl.adapted_kl_coef`.
    """

    def __init__(self, coef: float, target: float | None, horizon: int = 10_000) -> None:
        self.coef = coef
        self._target = target
        self._horizon = horizon

    def update(self, kl_nats: float, episodes: int) -> None:
        """Take note of a round: its mean KL per episode in nats, and how many episodes it had."""
        if self._target is not None:
            self.coef = adapted_kl_coef(self.coef, kl_nats, self._target, episodes, self._horizon)

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"coef": self.coef}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self.coef = state["coef"]
