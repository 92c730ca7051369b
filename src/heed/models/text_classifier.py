"""Classifiers of single texts, such as of toxicity, by path or hub name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from heed.errors import ModelError
from heed.models.loading import load_pretrained, ready

_CLEAN = ("non", "not", "neutral", "clean", "none", "safe", "normal")


class TextClassifier:
    """A Hugging Face sequence classifier that says how likely one of its labels is for a text.

    Args:
        path_or_name: a directory, or a name on the hub.
        label: whose probability is asked for. Left out: the only logit, or the one label that names toxicity.
        device: where the model goes.
        batch: texts that go through the model at once; changes no probability beyond rounding.

    Raises:
        ModelError: no such model or tokenizer, no such label, or several that may be meant.
    """

    def __init__(
        self,
        path_or_name: str | Path,
        label: str | None = None,
        *,
        device: torch.device | str = "cpu",
        batch: int = 32,
    ) -> None:
        self.model: Any = ready(
            load_pretrained(AutoModelForSequenceClassification, path_or_name, dtype=torch.float32), device
        )
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(str(path_or_name))
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{path_or_name}: no tokenizer can be loaded from here ({error})") from error
        self.batch = batch
        config: Any = self.model.config
        labels = {str(config.id2label[index]): index for index in range(config.num_labels)}
        self.label, self._index = _wanted(str(path_or_name), labels, label)
        alone = config.problem_type == "multi_label_classification" or config.num_labels == 1
        self._activation = torch.sigmoid if alone else lambda logits: logits.softmax(dim=-1)
        longest = getattr(config, "max_position_embeddings", None) or 512
        # RoBERTa counts positions from padding_idx + 1 on, so that two of them hold no token
        self._longest = min(longest - 2, self.tokenizer.model_max_length)
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
            config.pad_token_id = self.tokenizer.pad_token_id

    @torch.no_grad()
    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """The probability of the label for each text; what does not fit into the model is cut off at the end."""
        found = [0.0] * len(texts)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # less padding
        for start in range(0, len(order), self.batch):
            chosen = order[start : start + self.batch]
            encoded = self.tokenizer(
                [texts[index] for index in chosen],
                padding=True,
                truncation=True,
                max_length=self._longest,
                return_tensors="pt",
            ).to(self.model.device)
            logits = self.model(**encoded).logits.double()
            for index, value in zip(chosen, self._activation(logits)[:, self._index].tolist(), strict=True):
                found[index] = value
        return found


def _wanted(name: str, labels: dict[str, int], label: str | None) -> tuple[str, int]:
    if label is not None:
        if label not in labels:
            raise ModelError(f"{name}: has no label {label!r}; its labels are {', '.join(labels)}")
        return label, labels[label]
    if len(labels) == 1:
        return next(iter(labels.items()))
    exact = [one for one in labels if one.lower() in ("toxic", "toxicity")]
    named = exact or [one for one in labels if "tox" in one.lower() and not one.lower().startswith(_CLEAN)]
    if len(named) != 1:
        raise ModelError(f"{name}: which of its labels is meant? They are {', '.join(labels)}; give one as label")
    return named[0], labels[named[0]]
