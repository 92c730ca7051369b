"""What the models under comparison answer: the same prompts, once at random and once greedily."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from heed.records import Completion, Prompt
from heed.roles import Decoding, Sampler
from heed.runtime.seeds import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One model's answers, one for each prompt in the order of the prompts."""

    sampled: tuple[Completion, ...]
    """Drawn at the temperature of the comparison, with a seed that no other model shares."""
    greedy: tuple[Completion, ...]
    """The likeliest token at each step."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A Sampler that rewrites every prompt before it answers: a base model shown worked examples first."""

    sampler: Sampler
    rewrite: Callable[[Prompt], Prompt]

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each rewritten prompt."""
        return self.sampler.sample([self.rewrite(prompt) for prompt in prompts], n, decoding)


def collect_answers(name: str, sampler: Sampler, prompts: Sequence[Prompt], decoding: Decoding) -> Answers:
    """Answer every prompt twice: at random, from the stream called ``name`` of ``decoding.seed``, and greedily.

    The name makes the samples of two models independent, and those of one model the same whatever else is compared.
    """
    drawn = sampler.sample(prompts, 1, replace(decoding, seed=derive_seed(decoding.seed, "evaluation", name)))
    greedy = sampler.sample(prompts, 1, replace(decoding, temperature=0.0))
    return Answers(sampled=tuple(one for (one,) in drawn), greedy=tuple(one for (one,) in greedy))


def collect_baseline(sampler: Sampler, prompts: Sequence[Prompt], decoding: Decoding) -> tuple[Completion, ...]:
    """The answers that everyone is compared with at random: a draw of its own, so that the baseline too, compared
    with itself, wins about half the time."""
    drawn = sampler.sample(prompts, 1, replace(decoding, seed=derive_seed(decoding.seed, "evaluation baseline")))
    return tuple(one for (one,) in drawn)


def collect_pool(sampler: Sampler, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
    """``n`` answers of the baseline to each prompt, for best-of-n and for matching lengths."""
    return sampler.sample(prompts, n, replace(decoding, seed=derive_seed(decoding.seed, "evaluation pool")))
