"""The three roles that everything is made of: someone writes, someone scores, someone prefers.

Each takes many prompts at once, because a model that answers, scores or judges one prompt at a time wastes the
machine. A role is a protocol: anything with the method plays it, and wrapping one role makes another (a Sampler and a
Scorer make best-of-n, which is a Sampler; a Scorer turned judge is a Judge).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from heed.errors import ConfigError
from heed.records import Completion, Prompt, Ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How to draw tokens. The same value and seed give the same completions, whatever the batch size."""

    max_new_tokens: int
    temperature: float = 1.0
    """0 takes the likeliest token."""
    top_k: int = 0
    """0 keeps all tokens."""
    top_p: float = 1.0
    min_new_tokens: int = 0
    """No end of sequence before so many tokens."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; they are not part of its text."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens is {self.max_new_tokens}, expected at least 1")
        if self.temperature < 0:
            raise ConfigError(f"temperature is {self.temperature}, expected 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}, expected more than 0 and at most 1")
        if self.top_k < 0 or not 0 <= self.min_new_tokens <= self.max_new_tokens:
            raise ConfigError(
                f"top_k is {self.top_k} and min_new_tokens is {self.min_new_tokens}, expected top_k >= 0 and "
                f"0 <= min_new_tokens <= max_new_tokens ({self.max_new_tokens})"
            )


class Sampler(Protocol):
    """Writes."""

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each prompt, in the order of the prompts."""
        ...


class Scorer(Protocol):
    """Scores."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        """One number for each completion of each prompt; higher is better."""
        ...


class Judge(Protocol):
    """Prefers."""

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        """One ranking for each prompt, ties allowed, over its completions in the order given."""
        ...
