"""A Scorer turned Judge: whoever can put a number on an answer can rank answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from heed.errors import ConfigError
from heed.records import Completion, Labeler, Prompt, Ranking
from heed.roles import Scorer


class ScorerJudge:
    """Ranks answers by their scores, highest first."""

    def __init__(self, scorer: Scorer, labeler: Labeler, tie_margin: float = 0.0) -> None:
        """``labeler`` signs the rankings. Neighbours whose scores differ by at most ``tie_margin`` are tied."""
        if tie_margin < 0:
            raise ConfigError(f"tie_margin is {tie_margin}, expected 0 or more")
        self.labeler = labeler
        self._scorer = scorer
        self._tie_margin = tie_margin

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        """One ranking for each prompt, over its completions in the order given."""
        return [
            Ranking(
                prompt=prompt,
                completions=tuple(answers),
                tiers=tiers_of(scores, self._tie_margin),
                labeler=self.labeler.id,
            )
            for prompt, answers, scores in zip(
                prompts, completions, self._scorer.score(prompts, completions), strict=True
            )
        ]


def tiers_of(scores: Sequence[float], tie_margin: float = 0.0) -> tuple[int, ...]:
    """Tiers of scores, 0 for the highest; a tier ends where the next score is more than ``tie_margin`` lower.

    >>> tiers_of([0.1, 0.9, 0.85, 0.1], tie_margin=0.1)
    (1, 0, 0, 1)
    """
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    tiers = [0] * len(scores)
    for before, index in pairwise(order):
        tiers[index] = tiers[before] + (scores[before] - scores[index] > tie_margin)
    return tuple(tiers)
