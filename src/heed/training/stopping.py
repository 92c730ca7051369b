"""When PPO has gone far enough: at a KL, or when a reward model it does not climb has stopped liking what it does.

Climbed far enough, a reward model is fooled. What it stands for cannot be asked in the middle of training, and must not
be: a true preference that chooses the policy can no longer judge it. Two things can be asked: how far the policy has
gone (a KL bound acts as the penalty does, Gao et al. 2022, section 3.6), and a second reward model, trained on other
comparisons (Bai et al. 2022, section 4.2), whose score falls soon after the first one is fooled alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np

from heed.config import PPOConfig
from heed.training.diagnostics import Diagnosis
from heed.training.state import BestWeights, Part

HELDOUT_SCORE = "heldout_score"
"""What the second reward model's mean score of a round's answers is called in the metrics."""
_KL_MEANING = "The run ends here, as ppo.max_kl says. A larger ppo.kl_coef holds the policy back instead."
_HELDOUT_MEANING = (
    "The second reward model no longer likes what the first one does: from here on it may be fooled. The run ends, and "
    "the policy is the one that the second model liked best."
)


class Stopping:
    """Looks at each round before its updates, keeps the weights worth keeping, and says when to stop.

    The second model's score is averaged over ``patience`` rounds, since each round has other prompts. A policy is the
    best if the average that ends with its round is; the run ends when the best is ``patience`` rounds old.
    """

    def __init__(self, config: PPOConfig) -> None:
        self._config = config
        self._best = BestWeights()
        self._scores: list[float] = []
        self.reason = ""
        """Name of the setting that ended the run; empty as long as it goes on."""

    def look(self, iteration: int, figures: Mapping[str, float], policy: Part) -> list[Diagnosis]:
        """The diagnosis with which the run ends; none as long as it goes on.

        Args:
            iteration: made so far, which is how many updates this round's policy has behind it.
            figures: of the round: ``kl``, and ``heldout_score`` where there is a second reward model.
            policy: the one that answered in this round.
        """
        if HELDOUT_SCORE in figures:
            self._consider(iteration, figures[HELDOUT_SCORE], policy)
        if self._config.max_kl is not None and figures["kl"] > self._config.max_kl:
            self.reason = "max_kl"
            if self._best.at < 0:  # nobody has chosen another yet
                self._best.consider(0.0, iteration, policy)
            bound: dict[str, Any] = {"metric": "kl", "value": figures["kl"], "low": -inf, "high": self._config.max_kl}
            return [Diagnosis(name="stopped at the KL bound", **bound, meaning=_KL_MEANING)]
        if self._best.at >= 0 and iteration - self._best.at >= self._config.patience:
            self.reason = "stop_by"
            bound = {"metric": HELDOUT_SCORE, "value": self._average(), "low": self._best.score, "high": inf}
            return [Diagnosis(name="stopped by the held-out reward model", **bound, meaning=_HELDOUT_MEANING)]
        return []

    def kept(self, made: int) -> int:
        """Iterations behind the policy that is kept, of a run that made so many."""
        return self._best.at if self._best.at >= 0 else made

    def put_back(self, policy: Part) -> None:
        """Give ``policy`` the weights that are kept; those it has if there are no others."""
        self._best.put_into(policy)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self._best.state_dict(), "scores": self._scores, "reason": self.reason}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._best.load_state_dict(state["best"])
        self._scores, self.reason = list(state["scores"]), state["reason"]

    def _consider(self, iteration: int, score: float, policy: Part) -> None:
        self._scores = [*self._scores, score][-self._config.patience :]
        if len(self._scores) == self._config.patience:
            self._best.consider(self._average(), iteration, policy)

    def _average(self) -> float:
        return float(np.mean(self._scores))
