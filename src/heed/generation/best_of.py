"""Best-of-n: of n samples, the one a Scorer likes best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from heed.errors import ConfigError
from heed.records import Completion, Prompt
from heed.roles import Decoding, Sampler, Scorer


@dataclass(frozen=True, slots=True)
class BestOfN:
    """Plays ``Sampler``: draws ``n`` completions for each one it returns, and keeps the one with the highest score.

    Its KL from the sampler it draws from is ln n - (n - 1) / n nats (Stiennon et al. 2020, appendix G.3), whatever the
    Scorer. Of equal scores the first drawn wins.
    """

    sampler: Sampler
    scorer: Scorer
    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigError(f"best of n: n is {self.n}, expected at least 1")

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each prompt, each the best of ``self.n`` of its own; ``meta`` says of how many, and
        the score.
        """
        drawn = self.sampler.sample(prompts, n * self.n, decoding)
        scores = self.scorer.score(prompts, drawn)
        return [
            [
                self._best(completions[start : start + self.n], numbers[start : start + self.n])
                for start in range(0, n * self.n, self.n)
            ]
            for completions, numbers in zip(drawn, scores, strict=True)
        ]

    def _best(self, completions: Sequence[Completion], scores: Sequence[float]) -> Completion:
        best = max(range(self.n), key=lambda index: scores[index])
        completion = completions[best]
        return replace(completion, meta={**completion.meta, "best_of": self.n, "score": float(scores[best])})
