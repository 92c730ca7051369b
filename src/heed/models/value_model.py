"""The value model: how much reward is still to come, at each token of an answer. A network of its own."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from heed.data.batches import GroupBatch
from heed.models.forward import response_states, spread
from heed.models.reward_model import RewardModel, read_scores


class ValueModel(nn.Module):
    """Starts as a copy of the reward model (InstructGPT section C.4) and reads a value at every response token."""

    def __init__(self, classifier: PreTrainedModel, *, zero_point: float = 0.0) -> None:
        super().__init__()
        self.classifier = classifier
        self.zero_point = zero_point

    @classmethod
    def from_reward_model(cls, reward_model: RewardModel) -> ValueModel:
        """A copy, backbone and head; the reward model is left as it is."""
        return cls(copy.deepcopy(reward_model.classifier), zero_point=reward_model.zero_point)

    @property
    def config(self) -> PretrainedConfig:
        """The Hugging Face configuration."""
        return self.classifier.config

    def forward(self, batch: GroupBatch) -> Tensor:
        """(N, R) float32 values, 0 where masked, in the units of the normalised reward (zero point taken off).

        The value at response token t is that of the state *before* the token: it is read at the place that predicts it.
        """
        values = read_scores(self.classifier, response_states(self.classifier, batch))
        return spread(values - self.zero_point, batch.response_mask)
