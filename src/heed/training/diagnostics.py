"""PPO that says when it is wrong: checks before the first update, and healthy bands while it runs.

Before the first update some things are not approximately but exactly true. If one of them is not, something is broken
(dropout, padding, a wrong reference, a sampler that draws from another distribution), and no amount of training will
tell what; so PPO refuses to start and says which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from heed.errors import ExactnessError
from heed.models.forward import response_logprobs
from heed.models.types import CausalLM
from heed.ops.rewards import last_true
from heed.roles import Scorer
from heed.runtime.device import Runtime
from heed.training.rollouts import Episodes, Opinions, Round, slices

_SCORED_ALONE = 8


class Tolerances(NamedTuple):
    """What rounding explains, and nothing else. docs/speed.md has what was measured; these are a few times that."""

    sampler: float
    """Largest gap, in nats, between a token's log-probability in sampler and trainer."""
    sampler_mean: float
    """The mean of these gaps."""
    score: float
    """Difference of an answer's score alone and in company, relative above 1."""


_FLOAT32 = Tolerances(sampler=1e-3, sampler_mean=1e-4, score=1e-3)
_BFLOAT16 = Tolerances(sampler=0.5, sampler_mean=0.02, score=0.1)


def check_exactness(
    policy: CausalLM, scorer: Scorer, this: Round, kl_coef: float, temperature: float, pad_id: int, runtime: Runtime
) -> None:
    """What must hold in the first round, before any update, when the policy still is the reference.

    Raises:
        ExactnessError: names the check, what was found and where to look.
    """
    check_ratio(policy, this.episodes, this.opinions, temperature, pad_id, runtime)
    check_reference(this.episodes, this.opinions)
    check_sampler(this.episodes, this.opinions, tolerances(runtime.dtype))
    check_rewards(this.episodes, this.opinions, this.rewards, this.scores, kl_coef)
    check_scorer(scorer, this.episodes, tolerances(runtime.dtype))


def check_ratio(
    policy: CausalLM, episodes: Episodes, opinions: Opinions, temperature: float, pad_id: int, runtime: Runtime
) -> None:
    """A second forward pass, this time with gradients, gives the same log-probabilities: every ratio is exactly 1."""
    for part in slices(episodes, range(len(episodes.groups)), pad_id, runtime):
        again = response_logprobs(policy, part.batch, temperature=temperature).detach()
        ratio = (again - part.of(opinions.logprobs)).exp()[part.batch.response_mask]
        if not bool((ratio == 1).all()):
            worst = float((ratio - 1).abs().max())
            raise ExactnessError(
                f"exactness check 'ratio': before the first update a token's probability ratio differs from 1 by "
                f"{worst:.3g}, expected exactly 0. The policy gives other numbers for the same tokens a second time; "
                "look for dropout, or for an operation that is not deterministic."
            )


def check_reference(episodes: Episodes, opinions: Opinions) -> None:
    """Policy and reference give the same log-probabilities: the KL divergence is exactly 0."""
    gap = (opinions.logprobs - opinions.ref_logprobs)[episodes.mask].abs().max()
    if not float(gap) == 0:
        raise ExactnessError(
            f"exactness check 'reference KL': before the first update a token's log-probabilities under policy and "
            f"reference differ by {float(gap):.3g} nats, expected exactly 0. PPO starts from its reference: both have "
            "to be the same model with the same weights, dtype and device."
        )


def check_sampler(episodes: Episodes, opinions: Opinions, allowed: Tolerances) -> None:
    """The sampler drew the tokens from the distribution that the trainer computes."""
    gaps = (episodes.sampler_logprobs - opinions.logprobs)[episodes.mask].abs()
    gap, mean = float(gaps.max()), float(gaps.mean())
    if not (gap <= allowed.sampler and mean <= allowed.sampler_mean):
        raise ExactnessError(
            f"exactness check 'sampler': the log-probability of a token differs by {gap:.3g} nats between sampler and "
            f"trainer, and by {mean:.3g} on average, expected at most {allowed.sampler:g} and "
            f"{allowed.sampler_mean:g}. Look for a temperature, top-k, top-p or minimum length that only one of them "
            "knows of, or for other weights or positions in the sampler."
        )


def check_rewards(episodes: Episodes, opinions: Opinions, rewards: Tensor, scores: Tensor, kl_coef: float) -> None:
    """The score stands on the last real token, the end of sequence if there is one, and nowhere else."""
    penalty = -kl_coef * (opinions.logprobs - opinions.ref_logprobs)
    from_score = torch.where(episodes.mask, rewards - penalty, rewards)
    expected = torch.zeros_like(rewards)
    expected[torch.arange(len(scores), device=scores.device), last_true(episodes.mask)] = scores
    gap = float((from_score - expected).abs().max())
    if not gap <= 1e-5:
        raise ExactnessError(
            f"exactness check 'reward on the last token': rewards differ by {gap:.3g} from the answer's score at its "
            "last real token and 0 elsewhere. Look at padding and at the mask of the response."
        )
    for completion, group in zip(episodes.completions, episodes.groups, strict=True):
        if tuple(group.completion_ids[0]) != completion.token_ids:
            raise ExactnessError(
                f"exactness check 'reward on the last token': the tokens trained on are not those sampled for "
                f"{completion.text!r}."
            )


def check_scorer(scorer: Scorer, episodes: Episodes, allowed: Tolerances) -> None:
    """An answer's score is the same alone as in company: it depends on neither padding nor batch."""
    by_length = torch.argsort(episodes.lengths, stable=True).tolist()
    chosen = sorted({*by_length[: _SCORED_ALONE // 2], *by_length[-_SCORED_ALONE // 2 :]})
    for i in chosen:
        [[alone]] = scorer.score([episodes.prompts[i]], [[episodes.completions[i]]])
        together = float(episodes.scores[i])
        if not abs(alone - together) <= allowed.score * max(1.0, abs(together)):
            raise ExactnessError(
                f"exactness check 'score': the same answer scores {together:.6g} among {len(episodes.prompts)} answers "
                f"and {alone:.6g} alone, expected the same number. The Scorer depends on padding, on its batch or on "
                f"chance. The answer: {episodes.completions[i].text!r}."
            )


def tolerances(dtype: torch.dtype) -> Tolerances:
    """For models that compute in ``dtype``."""
    return _FLOAT32 if dtype == torch.float32 else _BFLOAT16


def sampler_gap(episodes: Episodes, opinions: Opinions) -> float:
    """Largest difference between sampler's and trainer's log-probability of a token, in nats."""
    return float((episodes.sampler_logprobs - opinions.logprobs)[episodes.mask].abs().max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A band that was left, in words."""

    name: str
    metric: str
    value: float
    low: float
    high: float
    meaning: str

    def __str__(self) -> str:
        if self.low == float("-inf"):
            band = f"at most {self.high:.3g}"
        elif self.high == float("inf"):
            band = f"at least {self.low:.3g}"
        else:
            band = f"{self.low:.3g} to {self.high:.3g}"
        return f"{self.name}: {self.metric} is {self.value:.3g}, healthy is {band}. {self.meaning}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Where a figure should stay."""

    name: str
    """The diagnosis when it does not."""
    metric: str
    low: float = float("-inf")
    high: float = float("inf")
    relative: bool = False
    """The bounds are multiples of the figure's value in the first iteration."""
    only_if: Callable[[Mapping[str, float]], bool] = lambda metrics: True
    """A second condition that has to hold for the diagnosis."""
    patience: int = 3
    """Iterations in a row outside before it is said."""
    after: int = 0
    """Not looked at in the first so many iterations."""
    meaning: str
    """What it usually is, and what to do."""


def healthy_bands(dtype: torch.dtype) -> tuple[Band, ...]:
    """Where PPO's figures stay while all is well, for models that compute in ``dtype``."""
    return (
        Band(
            name="policy runs away from the reference",
            metric="kl_per_token",
            high=0.4,
            meaning="The reward model is being over-optimised: its score rises and quality falls. Raise ppo.kl_coef.",
        ),
        Band(
            name="negative KL",
            metric="kl_per_token",
            low=-0.02,
            meaning="A KL divergence cannot be negative: sampler and trainer do not compute the same distribution.",
        ),
        Band(
            name="sampler and trainer disagree",
            metric="sampler_gap",
            high=tolerances(dtype).sampler,
            patience=1,
            meaning="Tokens are drawn from another distribution than the one trained. Look at temperature and dtype.",
        ),
        Band(
            name="entropy collapses",
            metric="entropy",
            low=0.25,
            relative=True,
            meaning="The policy says the same again and again and has stopped to explore. Raise ppo.kl_coef or lower "
            "ppo.learning_rate.",
        ),
        Band(
            name="entropy explodes",
            metric="entropy",
            high=2.0,
            relative=True,
            meaning="The policy turns into noise. Lower ppo.learning_rate.",
        ),
        Band(
            name="updates too large",
            metric="clip_fraction",
            high=0.3,
            meaning="Many tokens leave the clip range in one round. Lower ppo.learning_rate or ppo.epochs.",
        ),
        Band(
            name="drastic ratio",
            metric="ratio_max",
            high=10.0,
            meaning="Some token became many times as likely within one round. Lower ppo.learning_rate.",
        ),
        Band(
            name="value model does not predict",
            metric="explained_variance",
            low=0.0,
            patience=10,
            after=10,
            meaning="Its error is larger than a constant's, so advantages are noise. Change ppo.value_learning_rate.",
        ),
        Band(
            name="length is being rewarded",
            metric="length",
            high=1.5,
            relative=True,
            only_if=lambda metrics: metrics["length_score_correlation"] > 0.2,
            meaning="Answers grow and the longer ones score higher. Compare lengths of better and worse answers in the "
            "rankings; raise ppo.kl_coef.",
        ),
        Band(
            name="answers grow",
            metric="length",
            high=1.5,
            relative=True,
            only_if=lambda metrics: metrics["length_score_correlation"] <= 0.2,
            meaning="Answers grow although length is not what scores. Look at the samples, and at eos_rate.",
        ),
        Band(
            name="brevity is being rewarded",
            metric="length",
            low=0.5,
            relative=True,
            meaning="Answers have halved. Look at the samples: is something left out?",
        ),
        Band(
            name="answers do not end",
            metric="eos_rate",
            low=0.8,
            relative=True,
            meaning="Fewer answers end by themselves. Raise ppo.missing_eos_penalty or ppo.max_new_tokens.",
        ),
        Band(
            name="nothing to learn from",
            metric="score_std",
            low=1e-6,
            meaning="All answers score the same, so the advantages are only noise. Look at the Scorer.",
        ),
    )


class Watch:
    """Looks at each iteration's figures and says, once each time, which band was left."""

    def __init__(self, bands: Sequence[Band]) -> None:
        self._bands = bands
        self._baseline: dict[str, float] = {}
        self._outside = dict.fromkeys((band.name for band in bands), 0)
        self.seen: list[str] = []
        """Names of all diagnoses so far, in order of first appearance."""

    def look(self, iteration: int, metrics: Mapping[str, float]) -> list[Diagnosis]:
        """The diagnoses that are new in this iteration (counted from 0)."""
        if not self._baseline:
            self._baseline = dict(metrics)
        found = []
        for band in self._bands:
            scale = abs(self._baseline[band.metric]) if band.relative else 1.0
            low, high, value = band.low * scale, band.high * scale, metrics[band.metric]
            left = iteration >= band.after and not low <= value <= high and band.only_if(metrics)
            self._outside[band.name] = self._outside[band.name] + 1 if left else 0
            if self._outside[band.name] == band.patience:
                found.append(
                    Diagnosis(name=band.name, metric=band.metric, value=value, low=low, high=high, meaning=band.meaning)
                )
        self.seen += [diagnosis.name for diagnosis in found if diagnosis.name not in self.seen]
        return found

    @property
    def active(self) -> list[str]:
        """Names of the diagnoses that hold now."""
        return [band.name for band in self._bands if self._outside[band.name] >= band.patience]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"baseline": self._baseline, "outside": self._outside, "seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._baseline, self._outside, self.seen = state["baseline"], state["outside"], state["seen"]
