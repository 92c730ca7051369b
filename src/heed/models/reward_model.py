"""The reward model: a language model whose output embedding is replaced by one linear map to a number.

It is a Hugging Face sequence classifier with one label inside, so a saved one opens everywhere with
``AutoModelForSequenceClassification`` and gives the same raw scores.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from heed.data.batches import GroupBatch
from heed.errors import ModelError
from heed.models.forward import last_states
from heed.models.loading import ready


class RewardModel(nn.Module):
    """Scores answers at their last real token.

    The zero point is the raw score that counts as 0 (demonstrations average to it, InstructGPT section 3.5), and the
    temperature is fitted so that ``sigmoid((a - b) / temperature)`` is the probability that a is preferred to b. Both
    are kept in the checkpoint's config.json.
    """

    def __init__(self, classifier: PreTrainedModel, *, zero_point: float = 0.0, temperature: float = 1.0) -> None:
        super().__init__()
        self.classifier = classifier
        self.zero_point = zero_point
        self.temperature = temperature

    @classmethod
    def from_causal_lm(cls, lm: PreTrainedModel, *, seed: int, pad_id: int | None = None) -> RewardModel:
        """Copy the backbone of ``lm``; the head starts at N(0, 1/(d+1)), d being the hidden size (Ziegler et al. 2019).

        Args:
            lm: a causal language model; it is left as it is.
            seed: of the head.
            pad_id: the padding token, if the model's configuration does not name it.

        Raises:
            ModelError: there is no padding token, or it is the end-of-sequence token: others who open the checkpoint
                find the last real token by looking for padding.
        """
        classifier = scalar_classifier(lm, pad_id)
        head = score_head(classifier)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            start = torch.randn(head.weight.shape, generator=generator) / math.sqrt(head.in_features + 1)
            head.weight.copy_(start)
        return cls(classifier)

    @property
    def config(self) -> PretrainedConfig:
        """The Hugging Face configuration."""
        return self.classifier.config

    def forward(self, batch: GroupBatch) -> Tensor:
        """(N,) float32 raw scores, one for each answer."""
        return read_scores(self.classifier, last_states(self.classifier, batch))

    def normalized(self, batch: GroupBatch) -> Tensor:
        """(N,) scores of which demonstrations average 0: the reward that PPO sees."""
        return self(batch) - self.zero_point  # type: ignore[no-any-return]


def scalar_classifier(lm: PreTrainedModel, pad_id: int | None) -> PreTrainedModel:
    """A sequence classifier with one label, with a copy of the backbone of ``lm`` and an unset head."""
    pad_id = lm.config.pad_token_id if pad_id is None else pad_id
    if pad_id is None or pad_id == lm.config.eos_token_id:
        raise ModelError(
            f"a reward model needs a padding token of its own, and the model's is {pad_id} (end of sequence: "
            f"{lm.config.eos_token_id}). Give pad_id another token."
        )
    settings: dict[str, Any] = lm.config.to_dict()
    settings |= {"num_labels": 1, "pad_token_id": pad_id}
    for name in ("architectures", "id2label", "label2id"):
        settings.pop(name, None)
    config = type(lm.config).from_dict(settings)
    config._attn_implementation = lm.config._attn_implementation
    with torch.random.fork_rng(devices=[]):
        classifier: PreTrainedModel = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
            config, dtype=lm.dtype
        )
    classifier.base_model.load_state_dict(lm.base_model.state_dict())
    return ready(classifier, lm.device)


def read_scores(classifier: PreTrainedModel, states: Tensor) -> Tensor:
    """(M,) float32 outputs of the head at (M, D) states; in float32 also where the backbone computes in 16 bits."""
    with torch.autocast(states.device.type, enabled=False):
        return F.linear(states.float(), score_head(classifier).weight.float())[:, 0]


def score_head(classifier: PreTrainedModel) -> nn.Linear:
    """The linear map from hidden size to one number."""
    head = getattr(classifier, "score", None)
    if not isinstance(head, nn.Linear) or head.out_features != 1:
        raise ModelError(f"{type(classifier).__name__} has no head named 'score' with one output")
    return head
