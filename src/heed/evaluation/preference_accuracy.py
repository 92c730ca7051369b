"""How often a scorer prefers what was preferred, where it errs, and what the labels' noise allows."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from heed.evaluation.win_rates import num_words
from heed.records import Completion, Prompt, Ranking
from heed.roles import Scorer
from heed.stats import (
    Array,
    Calibration,
    Estimate,
    NoiseBound,
    bootstrap_mean,
    calibration,
    fit_temperature,
    noise_bound,
    noise_floor,
    outcomes,
    pair_agreement,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPairs:
    """Every pair of answers in which one was preferred, with what a scorer thinks of it. C comparisons."""

    gaps: Array
    """(C,) score of the preferred answer less that of the other: positive where the scorer agrees."""
    length_gaps: Array
    """(C,) words of the preferred answer less those of the other."""
    prompts: tuple[str, ...]
    """C prompt ids, what the intervals are clustered by."""
    kinds: tuple[str, ...]
    """C categories of prompts."""
    labelers: tuple[str, ...]
    """C who preferred."""
    lower: Array
    """(C,) the lower of the two scores: both answers are at least as good in the scorer's eyes."""

    def __len__(self) -> int:
        return self.gaps.size


def score_pairs(scorer: Scorer, rankings: Sequence[Ranking]) -> ScoredPairs:
    """Score the answers of ``rankings`` and pair them; ties of the labeler are not pairs."""
    # what several labelers ranked is scored once
    distinct = {(one.prompt.id, tuple(map(id, one.completions))): one for one in rankings}
    found = scorer.score([one.prompt for one in distinct.values()], [one.completions for one in distinct.values()])
    known = dict(zip(distinct, found, strict=True))
    scores = [known[one.prompt.id, tuple(map(id, one.completions))] for one in rankings]
    gaps, lengths, prompts, kinds, labelers, lower = [], [], [], [], [], []
    for ranking, row in zip(rankings, scores, strict=True):
        value = {id(completion): score for completion, score in zip(ranking.completions, row, strict=True)}
        for pair in ranking.comparisons():
            gaps.append(value[id(pair.chosen)] - value[id(pair.rejected)])
            lower.append(min(value[id(pair.chosen)], value[id(pair.rejected)]))
            lengths.append(num_words(pair.chosen.text) - num_words(pair.rejected.text))
            prompts.append(ranking.prompt.id)
            kinds.append(ranking.prompt.category)
            labelers.append(ranking.labeler)
    return ScoredPairs(
        gaps=np.array(gaps, dtype=np.float64),
        length_gaps=np.array(lengths, dtype=np.float64),
        prompts=tuple(prompts),
        kinds=tuple(kinds),
        labelers=tuple(labelers),
        lower=np.array(lower, dtype=np.float64),
    )


def rank_by(scorer: Scorer, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
    """The rankings that follow from ``scorer``'s scores, rounded to nine decimals so that equal sums tie."""
    scores = scorer.score(prompts, completions)
    return [
        Ranking.from_scores(prompt, group, [round(score, 9) for score in row])
        for prompt, group, row in zip(prompts, completions, scores, strict=True)
    ]


def accuracy(pairs: ScoredPairs) -> Estimate:
    """Share of pairs the scorer orders as they were ordered; equal scores count half."""
    won = outcomes(pairs.gaps, np.zeros(len(pairs)))
    return bootstrap_mean(won, pairs.prompts, unit_interval=True)


def accuracy_where(pairs: ScoredPairs, chosen: npt.NDArray[np.bool_]) -> Estimate:
    """Accuracy over the pairs that the mask picks."""
    held = [prompt for prompt, kept in zip(pairs.prompts, chosen, strict=True) if kept]
    won = outcomes(pairs.gaps[chosen], np.zeros(int(chosen.sum())))
    return bootstrap_mean(won, held or None, unit_interval=True)


def accuracy_by_kind(pairs: ScoredPairs) -> dict[str, Estimate]:
    """Accuracy for each category of prompts, in alphabetical order."""
    kinds = np.array(pairs.kinds)
    return {str(kind): accuracy_where(pairs, kinds == kind) for kind in np.unique(kinds)}


def accuracy_by_labeler(pairs: ScoredPairs, least: int = 20, most: int = 50) -> dict[str, Estimate]:
    """Accuracy for each labeler, in alphabetical order. One whose interval lies apart from the others' prefers
    otherwise, or carelessly.

    Args:
        least: labelers with fewer pairs are left out: nothing could be said of them.
        most: so many labelers, those with most pairs.
    """
    counts = Counter(pairs.labelers)
    named = [labeler for labeler, n in counts.most_common(most) if n >= least]
    labelers = np.array(pairs.labelers)
    return {one: accuracy_where(pairs, labelers == one) for one in sorted(named)}


def accuracy_where_both_high(
    pairs: ScoredPairs, shares: Sequence[float] = (0.0, 0.25, 0.5, 0.75)
) -> list[tuple[float, Estimate]]:
    """(threshold, accuracy) over the pairs of which both answers score at least so high.

    It falls with the threshold where good answers are harder to tell apart, which is what fresh comparisons of a better
    policy's answers are for. Source: Bai et al. 2022, Figure 25.

    Args:
        shares: of all pairs, that are left out by each threshold: those whose lower score is lowest.
    """
    if not len(pairs):
        return []
    thresholds = np.quantile(pairs.lower, shares, method="nearest")
    return [(float(one), accuracy_where(pairs, pairs.lower >= one)) for one in thresholds]


def accuracy_by_gap(pairs: ScoredPairs, num_bins: int = 5) -> list[tuple[float, Estimate]]:
    """Accuracy against how sure the scorer is: (mean absolute gap, accuracy), bins of equal numbers of pairs."""
    size = np.abs(pairs.gaps)
    order = np.argsort(size, kind="stable")
    result = []
    for part in np.array_split(order, num_bins):
        if part.size:
            mask = np.zeros(size.size, dtype=bool)
            mask[part] = True
            result.append((float(size[part].mean()), accuracy_where(pairs, mask)))
    return result


def accuracy_by_length(pairs: ScoredPairs) -> dict[str, Estimate]:
    """Accuracy where the preferred answer is the longer, the shorter, or of equal length. A scorer that likes length
    is good at the first and bad at the second."""
    return {
        "preferred_longer": accuracy_where(pairs, pairs.length_gaps > 0),
        "preferred_shorter": accuracy_where(pairs, pairs.length_gaps < 0),
        "equal_length": accuracy_where(pairs, pairs.length_gaps == 0),
    }


def prefers_longer(pairs: ScoredPairs) -> Estimate:
    """How often the scorer prefers the longer of two answers that differ in length, whatever was preferred."""
    unequal = pairs.length_gaps != 0
    likes = outcomes(pairs.gaps[unequal] * np.sign(pairs.length_gaps[unequal]), np.zeros(int(unequal.sum())))
    held = [prompt for prompt, kept in zip(pairs.prompts, unequal, strict=True) if kept]
    return bootstrap_mean(likes, held or None, unit_interval=True)


def pair_calibration(pairs: ScoredPairs, temperature: float = 1.0) -> Calibration:
    """Is the preference the scorer is p sure of the right one with frequency p? p = sigmoid(|gap| / temperature)."""
    confidence = expit(np.abs(pairs.gaps) / temperature)
    return calibration(confidence, outcomes(pairs.gaps, np.zeros(len(pairs))), start=0.5)


def temperature_of(pairs: ScoredPairs) -> float:
    """The temperature at which sigmoid(gap / temperature) makes these preferences likeliest (Guo et al. 2017)."""
    options = [(gap / 2, -gap / 2) for gap in pairs.gaps]
    return fit_temperature(options, [0] * len(options)).value if options else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sureness:
    """Is a scorer as sure as it is right, as it is and after its temperature was fitted on other prompts?"""

    temperature: float
    """Fitted to all pairs."""
    before: Calibration
    """At temperature 1: is the share right 1 / (1 + exp(-gap))? (Bai et al. 2022, Figure 9)"""
    after: Calibration
    """Each half of the prompts at the temperature fitted to the other half."""
    floor_before: float
    floor_after: float
    """The mean ECE of a perfectly calibrated scorer of these confidences: errors of that size show nothing."""
    log_loss_before: float
    log_loss_after: float
    """Mean of -ln of the probability given to the preference that was stated, in nats; ln 2 is a coin's."""

    def as_json(self) -> dict[str, float]:
        """For ``results.json``, without the bins."""
        parts = {"before": self.before, "after": self.after}
        found = {f"{name}_{way}": getattr(one, name) for way, one in parts.items() for name in ("ece", "brier")}
        names = ("temperature", "floor_before", "floor_after", "log_loss_before", "log_loss_after")
        return found | {name: getattr(self, name) for name in names}


def sureness(pairs: ScoredPairs) -> Sureness:
    """Calibration before and after fitting a temperature, the latter never on the prompts it is judged by."""
    side = np.array([int(hashlib.sha256(one.encode()).hexdigest(), 16) % 2 for one in pairs.prompts], dtype=np.intp)
    scaled = pairs.gaps.copy()
    for half in (0, 1):
        other = _only(pairs, side != half)
        if len(other):
            scaled[side == half] /= temperature_of(other)
    found = []
    for gaps in (pairs.gaps, scaled):
        confidence, won = expit(np.abs(gaps)), outcomes(gaps, np.zeros(gaps.size))
        chart = calibration(confidence, won, start=0.5)
        loss = float(np.logaddexp(0, -gaps).mean()) if gaps.size else float("nan")
        found.append((chart, noise_floor(confidence, start=0.5, binning="width"), loss))
    (before, floor_before, loss_before), (after, floor_after, loss_after) = found
    return Sureness(
        temperature=temperature_of(pairs),
        before=before,
        after=after,
        floor_before=floor_before,
        floor_after=floor_after,
        log_loss_before=loss_before,
        log_loss_after=loss_after,
    )


def _only(pairs: ScoredPairs, chosen: npt.NDArray[np.bool_]) -> ScoredPairs:
    def held(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one, kept in zip(values, chosen, strict=True) if kept)

    return ScoredPairs(
        gaps=pairs.gaps[chosen],
        length_gaps=pairs.length_gaps[chosen],
        prompts=held(pairs.prompts),
        kinds=held(pairs.kinds),
        labelers=held(pairs.labelers),
        lower=pairs.lower[chosen],
    )


def labeler_agreement(rankings: Sequence[Ranking]) -> Estimate:
    """How often two labelers who ranked the same answers prefer the same one; pairs that either tied are left out."""
    shared: defaultdict[tuple[str, tuple[str, ...]], dict[str, list[int]]] = defaultdict(dict)
    for ranking in rankings:
        order = sorted(range(len(ranking.completions)), key=lambda index: ranking.completions[index].id)
        key = (ranking.prompt.id, tuple(ranking.completions[index].id for index in order))
        shared[key][ranking.labeler] = [ranking.tiers[index] for index in order]
    return pair_agreement([list(labelers.values()) for labelers in shared.values() if len(labelers) > 1])


def labels_noise_bound(rankings: Sequence[Ranking]) -> NoiseBound | None:
    """What the labelers' disagreement allows any scorer; None where no two labelers ranked the same answers."""
    agreement = labeler_agreement(rankings)
    return noise_bound(agreement) if agreement.n else None
