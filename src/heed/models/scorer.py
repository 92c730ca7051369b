"""The reward model as a Scorer, and how prompts and completions become answer groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from heed.data.batches import EncodedGroup, make_group_batch, microbatches
from heed.data.chat import Codec
from heed.models.reward_model import RewardModel
from heed.records import Completion, Prompt


def encode_groups(
    codec: Codec, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]], *, blind: bool = False
) -> list[EncodedGroup]:
    """One answer group for each prompt. A sampled completion keeps its own tokens; a written one is encoded.

    Args:
        codec: the tokenizer with its chat template.
        prompts: any number.
        completions: those of each prompt, at least one.
        blind: put one end-of-sequence token in the prompt's place, the same for all prompts: the control that shows how
            much of a reward model's accuracy needs no prompt.
    """
    groups = codec.encode_groups(prompts, completions)
    if not blind:
        return groups
    return [EncodedGroup(prompt_ids=[codec.eos_id], completion_ids=group.completion_ids) for group in groups]


class RewardScorer:
    """Plays Scorer with a reward model: scores of which demonstrations average 0.

    Args:
        reward_model: it is used where it is, on its device.
        codec: of the tokenizer the reward model was trained with.
        microbatch: answers that go through the model at once; it does not change a score.
        blind: hide the prompt, for a reward model that was trained so.
    """

    def __init__(self, reward_model: RewardModel, codec: Codec, *, microbatch: int = 64, blind: bool = False) -> None:
        self._reward_model = reward_model
        self._codec = codec
        self._microbatch = microbatch
        self._blind = blind

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        """One number for each completion of each prompt; higher is better."""
        groups = encode_groups(self._codec, prompts, completions, blind=self._blind)
        return score_groups(self._reward_model, groups, pad_id=self._codec.pad_id, microbatch=self._microbatch)


@torch.no_grad()
def score_groups(
    reward_model: RewardModel, groups: Sequence[EncodedGroup], *, pad_id: int, microbatch: int = 64
) -> list[list[float]]:
    """Normalised scores of already encoded answer groups, in their order, whatever the lengths and the microbatch."""
    device = reward_model.classifier.device
    pieces = [
        (
            row,
            start,
            EncodedGroup(prompt_ids=group.prompt_ids, completion_ids=group.completion_ids[start:][:microbatch]),
        )
        for row, group in enumerate(groups)
        for start in range(0, len(group.completion_ids), microbatch)
    ]
    scores = [[0.0] * len(group.completion_ids) for group in groups]
    for indices in microbatches([piece for _, _, piece in pieces], microbatch):
        chosen = [pieces[index] for index in indices]
        batch = make_group_batch([piece for _, _, piece in chosen], pad_id).to(device)
        found = iter(reward_model.normalized(batch).tolist())
        for row, start, piece in chosen:
            for column in range(len(piece.completion_ids)):
                scores[row][start + column] = next(found)
    return scores
