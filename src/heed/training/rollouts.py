"""A round of episodes: answers sampled by the policy, their scores, and what the models thought of them at the time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from heed.data.batches import EncodedGroup, GroupBatch, make_group_batch, microbatches
from heed.data.chat import Codec
from heed.errors import NonFiniteError
from heed.generation.engine import Engine, Generated
from heed.models.adapters import adapter_off
from heed.models.forward import response_logprobs
from heed.models.types import CausalLM
from heed.models.value_model import ValueModel
from heed.ops.advantages import Advantages
from heed.records import Completion, Json, Prompt
from heed.roles import Decoding, Scorer
from heed.runtime.device import Runtime

_CHECKED_EVERY = 16
"""One episode in so many has its log-probabilities computed although the sampler's serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episodes:
    """One answer to each of N prompts."""

    prompts: Sequence[Prompt]
    completions: Sequence[Completion]
    groups: Sequence[EncodedGroup]
    """The same as token ids."""
    scores: Tensor
    """(N,) from the Scorer."""
    ended: Tensor
    """(N,) bool, True where the answer has its end-of-sequence token."""
    mask: Tensor
    """(N, R) True at response tokens."""
    sampler_logprobs: Tensor
    """(N, R) as the sampler saw them."""

    @property
    def lengths(self) -> Tensor:
        """(N,) response tokens."""
        return self.mask.sum(dim=1)

    @property
    def num_tokens(self) -> int:
        """Prompt and response tokens of all episodes."""
        return sum(group.num_tokens for group in self.groups)

    def samples(self, count: int) -> list[dict[str, Json]]:
        """The first few answers as text."""
        return [
            {"prompt": self.prompts[i].text, "completion": self.completions[i].text, "score": float(self.scores[i])}
            for i in range(min(count, len(self.prompts)))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """What the models said of the episodes before any of them was updated. All (N, R), 0 where masked."""

    logprobs: Tensor
    """The policy's: from the forward pass that training uses, or from the sampler where they are the same."""
    ref_logprobs: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What the updates of one iteration learn from."""

    episodes: Episodes
    opinions: Opinions
    scores: Tensor
    """(N,) the Scorer's, less the penalty for a missing end."""
    rewards: Tensor
    """(N, R)"""
    targets: Advantages
    """Whitened advantages, and returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the episodes, as they go through a model."""

    rows: Tensor
    """(n,) which episodes."""
    batch: GroupBatch

    def of(self, values: Tensor) -> Tensor:
        """(n, r) the part of an (N, R) tensor that belongs to this slice."""
        return values[self.rows, : self.batch.response_mask.shape[1]]


def sample_episodes(
    engine: Engine,
    prompts: Sequence[Prompt],
    prompt_ids: Sequence[Sequence[int]],
    codec: Codec,
    decoding: Decoding,
    scorer: Scorer,
    runtime: Runtime,
) -> Episodes:
    """Answer each prompt once and have the answers scored.

    Only the tokens sampled are ever used; the text is for the Scorer to read.

    Args:
        prompt_ids: the prompts as tokens.

    Raises:
        NonFiniteError: a score is NaN or infinite.
    """
    answers = [generated[0] for generated in engine.generate(prompt_ids, 1, decoding)]
    texts = codec.decode_many([answer.token_ids for answer in answers])
    completions = [
        Completion(
            text=text,
            token_ids=tuple(answer.token_ids),
            logprobs=tuple(answer.logprobs),
            stop=answer.stop,
            policy="policy",
            id=str(index),  # these completions never leave the round
        )
        for index, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]
    scores = [score for [score] in scorer.score(prompts, [[completion] for completion in completions])]
    for completion, score in zip(completions, scores, strict=True):
        if not math.isfinite(score):
            raise NonFiniteError(f"the Scorer gave {score} to the answer {completion.text!r}, expected a finite number")
    mask = _mask(answers)
    sampler_logprobs = torch.zeros(mask.shape)
    sampler_logprobs[mask] = torch.tensor([value for answer in answers for value in answer.logprobs])
    return Episodes(
        prompts=prompts,
        completions=completions,
        groups=[
            EncodedGroup(prompt_ids=ids, completion_ids=[answer.token_ids])
            for ids, answer in zip(prompt_ids, answers, strict=True)
        ],
        scores=torch.tensor(scores, dtype=torch.float32, device=runtime.device),
        ended=torch.tensor([answer.stop == "eos" for answer in answers], device=runtime.device),
        mask=mask.to(runtime.device),
        sampler_logprobs=sampler_logprobs.to(runtime.device),
    )


@torch.no_grad()
def ask(
    policy: CausalLM,
    ref_policy: CausalLM,
    value_model: ValueModel,
    episodes: Episodes,
    temperature: float,
    pad_id: int,
    runtime: Runtime,
    *,
    check_all: bool = True,
) -> Opinions:
    """The policy's and the reference's log-probabilities and the values at every response token.

    In float32 the sampler's log-probabilities of the policy are the trainer's, but for the last bits, and serve.

    Args:
        check_all: have the trainer compute all of them nevertheless; otherwise, in float32, it does for one episode in
            sixteen, to see that the two still agree.
    """
    trusted = not check_all and runtime.dtype == torch.float32
    everyone = range(len(episodes.groups))
    logprobs = episodes.sampler_logprobs.clone()
    ref_logprobs, values = torch.zeros_like(logprobs), torch.zeros_like(logprobs)
    for part in slices(episodes, everyone[::_CHECKED_EVERY] if trusted else everyone, pad_id, runtime):
        width = part.batch.response_mask.shape[1]
        logprobs[part.rows, :width] = response_logprobs(policy, part.batch, temperature=temperature)
    for part in slices(episodes, everyone, pad_id, runtime):
        width = part.batch.response_mask.shape[1]
        with adapter_off(ref_policy):
            ref_logprobs[part.rows, :width] = response_logprobs(ref_policy, part.batch, temperature=temperature)
        values[part.rows, :width] = value_model(part.batch)
    return Opinions(logprobs=logprobs, ref_logprobs=ref_logprobs, values=values)


def slices(episodes: Episodes, rows: Sequence[int], pad_id: int, runtime: Runtime) -> Iterator[Slice]:
    """The episodes ``rows`` in microbatches, those of like length together."""
    chosen = [episodes.groups[row] for row in rows]
    for indices in microbatches(chosen, runtime.microbatch):
        yield Slice(
            rows=torch.tensor([rows[i] for i in indices], device=runtime.device),
            batch=make_group_batch([chosen[i] for i in indices], pad_id).to(runtime.device),
        )


def _mask(answers: Sequence[Generated]) -> Tensor:
    """(N, R) True at response tokens."""
    lengths = torch.tensor([len(answer.token_ids) for answer in answers])
    return torch.arange(int(lengths.max())) < lengths[:, None]
