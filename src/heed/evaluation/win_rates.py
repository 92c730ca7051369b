"""One model's answers against another's: plainly, and with what style alone could win taken away."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from heed.records import Completion, Prompt
from heed.roles import Scorer
from heed.stats import Array, Estimate, WinRate, bootstrap_mean, length_controlled_win_rate, outcomes, win_rate

Strip: TypeAlias = Callable[[Prompt, str], str]
"""Takes away from an answer what nobody asked for."""
Groups: TypeAlias = Mapping[str, Collection[str]]
"""Named sets of task kinds, such as the kinds in which demonstrators do not err."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One answer of one model to each of P prompts, in numbers."""

    scores: Array
    """(P,) of the judge of the comparison: gold, or a second reward model."""
    lengths: Array
    """(P,) words."""

    def at(self, chosen: Any) -> Measured:
        """The prompts that the mask or index ``chosen`` picks."""
        return Measured(scores=self.scores[chosen], lengths=self.lengths[chosen])


def measure(scorer: Scorer, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> Measured:
    """Score one answer for each prompt. Scores are rounded to nine decimals, so that equal sums of floats are ties, and
    there is no negative zero."""
    scores = scorer.score(prompts, [[completion] for completion in completions])
    return Measured(
        scores=np.array([round(one, 9) + 0.0 for (one,) in scores], dtype=np.float64),
        lengths=np.array([num_words(completion.text) for completion in completions], dtype=np.float64),
    )


def num_words(text: str) -> int:
    """Words between blanks."""
    return len(text.split())


def stripped(strip: Strip, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Completion]:
    """The answers less what nobody asked for. A text that changes loses its token ids."""
    result = []
    for prompt, completion in zip(prompts, completions, strict=True):
        text = strip(prompt, completion.text)
        changed = replace(completion, text=text, token_ids=(), logprobs=(), id="")
        result.append(completion if text == completion.text else changed)
    return result


def plain(ours: Measured, theirs: Measured, clusters: Sequence[str]) -> WinRate:
    """How often our answer scores higher, ties as half."""
    return win_rate(ours.scores, theirs.scores, clusters)


def length_controlled(ours: Measured, theirs: Measured, clusters: Sequence[str]) -> WinRate:
    """The same for answers of equal length, by regression."""
    return length_controlled_win_rate(ours.scores, theirs.scores, ours.lengths - theirs.lengths, clusters)


def by_kind(ours: Measured, theirs: Measured, kinds: Sequence[str], clusters: Sequence[str]) -> dict[str, WinRate]:
    """The win rate for each kind of task, in alphabetical order."""
    return {kind: _of_kinds(ours, theirs, kinds, clusters, {kind}) for kind in sorted(set(kinds))}


def by_group(
    ours: Measured, theirs: Measured, kinds: Sequence[str], clusters: Sequence[str], groups: Groups
) -> dict[str, WinRate]:
    """The win rate over each named set of kinds."""
    return {name: _of_kinds(ours, theirs, kinds, clusters, chosen) for name, chosen in groups.items()}


def difference(first: Measured, second: Measured, baseline: Measured, clusters: Sequence[str]) -> Estimate:
    """Win rate of ``first`` less that of ``second``, both against ``baseline``, paired by prompt."""
    gap = outcomes(first.scores, baseline.scores) - outcomes(second.scores, baseline.scores)
    return bootstrap_mean(gap, clusters)


def length_matched(ours: Measured, theirs: Sequence[Measured], clusters: Sequence[str]) -> WinRate:
    """The win rate against that one of several answers of theirs whose length is closest to ours (first of equals).

    It also takes away gains that are honest: where the right length is much of the right answer, an answer of our
    length is a rare good one of theirs.
    """
    gaps = np.abs(np.stack([one.lengths for one in theirs]) - ours.lengths)
    scores = np.stack([one.scores for one in theirs])
    closest = gaps.argmin(axis=0)
    return win_rate(ours.scores, scores[closest, np.arange(closest.size)], clusters)


def _of_kinds(
    ours: Measured, theirs: Measured, kinds: Sequence[str], clusters: Sequence[str], chosen: Collection[str]
) -> WinRate:
    mask = np.array([kind in chosen for kind in kinds], dtype=bool)
    held = [cluster for cluster, kept in zip(clusters, mask, strict=True) if kept]
    return plain(ours.at(mask), theirs.at(mask), held)
