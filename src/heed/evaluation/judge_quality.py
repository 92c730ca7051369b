"""How good a judge is: does it say what people say, whatever the order, the length and the sample; and what it costs.

Sources: Zheng et al. 2023, Judging LLM-as-a-Judge (agreement with people beside people's own, position and verbosity
bias); Dubois et al. 2023, AlpacaFarm (agreement with single annotators); Zeng et al. 2023, LLMBar (adversarial pairs);
Stiennon et al. 2020, section 4.3 (where the better one is the shorter).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from heed.errors import DataError
from heed.evaluation.judged_items import Item, items_of, order_bias_of, reasons
from heed.evaluation.judged_pairs import JudgedPair, Label
from heed.evaluation.verdicts import Decide, Undecided, Verdict, Verdicts
from heed.evaluation.win_rates import num_words
from heed.stats import Estimate, NoiseBound, bootstrap_mean, noise_bound
from heed.stats.preference import OrderBias
from heed.stats.tests import PairedDifference, compare_families

_OUTCOME: Mapping[Label, float] = {1: 1.0, 2: 0.0, 0: 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeQuality:
    """A judge held against labels. Every figure is a share with its interval; prompts are what is resampled.

    A verdict in both orders counts as the mean of the two, and half a verdict is half right: a judge that always takes
    the first answer is right half of the time.
    """

    what: str
    accuracy: Estimate
    """It prefers what most annotators prefer, over pairs on which most prefer one; its ties are half right."""
    accuracy_by_subset: Mapping[str, Estimate]
    exact: Estimate
    """Its verdict is the majority's, first, second or tie, over pairs with a majority; all orders must say so."""
    agreement: Estimate
    """It agrees with one annotator, over every annotator's preferences; labels that are ties are left out."""
    people_agreement: Estimate | None
    """Two annotators agree, over pairs of them neither of whom tied; None where no pair has two annotators."""
    bound: NoiseBound | None
    """What the annotators' disagreement allows ``agreement`` to be at most."""
    people_exact: Estimate | None
    """One annotator says what the majority of the others says, first, second or tie; of those with two others."""
    order_bias: OrderBias | None
    """None for a judge that is not shown an order."""
    prefers_longer: Estimate
    """It prefers the longer of two answers that differ in words, whatever the labels; ties as half."""
    people_prefer_longer: Estimate
    """The annotators do, likewise."""
    accuracy_longer_better: Estimate
    """Over pairs whose longer answer is the better one."""
    accuracy_longer_worse: Estimate
    accuracy_equal_length: Estimate
    self_consistency: Estimate | None
    """Two samples of the same judgement give the same verdict; None where it was asked once each."""
    ties: Estimate
    """Single verdicts that are ties."""
    pairs: int
    judged: int
    """Pairs with a verdict in every order that was asked."""
    failures: tuple[Undecided, ...]
    seconds_per_1000: float
    """Wall time of a thousand verdicts."""
    tokens_per_1000: float | None
    cost_per_1000: float | None
    """None without a price."""

    def as_json(self) -> dict[str, Any]:
        """All of it, under the names of the fields; ``failures`` is their number, and a figure of nothing is None."""
        single = (
            "accuracy exact agreement people_agreement people_exact prefers_longer people_prefer_longer "
            "accuracy_longer_better accuracy_longer_worse accuracy_equal_length self_consistency ties"
        )
        figures = {name: getattr(self, name) for name in single.split()}
        return {
            "what": self.what,
            **{name: one.as_json() if one is not None and one.n else None for name, one in figures.items()},
            "accuracy_by_subset": {name: one.as_json() for name, one in self.accuracy_by_subset.items()},
            "noise_bound": None if self.bound is None else [self.bound.floor, self.bound.ceiling],
            "order_bias": None if self.order_bias is None else self.order_bias.as_json(),
            "pairs": self.pairs,
            "judged": self.judged,
            "failures": len(self.failures),
            "failure_reasons": reasons(self.failures),
            "seconds_per_1000": self.seconds_per_1000,
            "tokens_per_1000": self.tokens_per_1000,
            "cost_per_1000": self.cost_per_1000,
        }


def judge_quality(decide: Decide, pairs: Sequence[JudgedPair], *, seed: int = 0) -> JudgeQuality:
    """Let someone decide judged pairs and hold that against the labels.

    Raises:
        DataError: there are no pairs, or none of them got a verdict.
    """
    if not pairs:
        raise DataError("there are no judged pairs to test a judge on")
    return quality_of(decide([pair.matchup() for pair in pairs]), pairs, seed=seed)


def quality_of(verdicts: Verdicts, pairs: Sequence[JudgedPair], *, seed: int = 0) -> JudgeQuality:
    """The same from verdicts that were made before, whose ``item`` says which of the pairs they are about."""
    judged = _judged(verdicts, pairs)
    if not judged:
        why = f"; the first failure: {verdicts.failures[0].reason}" if verdicts.failures else ""
        raise DataError(f"not one of {len(pairs)} pairs got a verdict{why}")
    clear = [one for one in judged if one.majority not in (None, 0)]
    people = _people_agreement(pairs, seed)
    made = len(verdicts.verdicts)
    longer, shorter, equal = (
        [one for one in clear if np.sign(one.gap) * one.better == sign] for sign in (1, -1, 0)
    )  # of the pairs whose better answer is the longer, the shorter, as long
    return JudgeQuality(
        what=verdicts.what,
        accuracy=_share([(one.right, one.cluster) for one in clear], seed),
        accuracy_by_subset=_by_subset(clear, seed),
        exact=_share([(one.exact, one.cluster) for one in judged if one.majority is not None], seed),
        agreement=_share(
            [(one.agrees_with(label), one.cluster) for one in judged for label in one.pair.labels if label != 0], seed
        ),
        people_agreement=people,
        bound=noise_bound(people) if people is not None else None,
        people_exact=_people_exact(pairs, seed),
        order_bias=order_bias_of([one.item for one in judged], seed),
        prefers_longer=_share([(one.takes_longer, one.cluster) for one in judged if one.gap != 0], seed),
        people_prefer_longer=_share(
            [
                (_OUTCOME[label] if one.gap > 0 else 1.0 - _OUTCOME[label], one.cluster)
                for one in judged
                if one.gap != 0
                for label in one.pair.labels
            ],
            seed,
        ),
        accuracy_longer_better=_share([(one.right, one.cluster) for one in longer], seed),
        accuracy_longer_worse=_share([(one.right, one.cluster) for one in shorter], seed),
        accuracy_equal_length=_share([(one.right, one.cluster) for one in equal], seed),
        self_consistency=_self_consistency(verdicts.verdicts, seed),
        ties=_share([(float(one.outcome == 0.5), one.prompt_id) for one in verdicts.verdicts], seed),
        pairs=len(pairs),
        judged=len(judged),
        failures=verdicts.failures,
        seconds_per_1000=1000.0 * verdicts.seconds / max(made + len(verdicts.failures), 1),
        tokens_per_1000=_per_1000([one.tokens for one in verdicts.verdicts]),
        cost_per_1000=_per_1000([one.cost for one in verdicts.verdicts]),
    )


def compare_judges(
    said: Mapping[str, Verdicts], pairs: Sequence[JudgedPair], *, seed: int = 0
) -> list[PairedDifference]:
    """Which judges are right more often: the difference in ``accuracy`` of every two, on the pairs that both judged.

    Args:
        said: each judge's verdicts on the pairs.
        pairs: the pairs, in the order in which they were decided.
        seed: of intervals and tests.

    Intervals and p-values cluster by prompt; p-values are adjusted over all pairs of judges.
    """
    right = {
        name: {one.number: one for one in _judged(verdicts, pairs) if one.majority not in (None, 0)}
        for name, verdicts in said.items()
    }
    figures: dict[str, dict[str, list[float]]] = {}
    clusters: dict[str, list[str] | None] = {}
    for a, b in combinations(right, 2):
        shared = [number for number in right[a] if number in right[b]]
        if shared:
            figure = f"{a} and {b}"
            figures[figure] = {name: [right[name][number].right for number in shared] for name in (a, b)}
            clusters[figure] = [right[a][number].cluster for number in shared]
    found = compare_families(figures, clusters, unit_interval=tuple(figures), seed=seed)
    return [replace(one, figure="") for one in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A pair with what the judge said of it."""

    number: int
    """Of the pair."""
    pair: JudgedPair
    item: Item
    """Seen from the pair's first answer."""
    gap: int
    """Words of the first answer less words of the second."""

    @property
    def cluster(self) -> str:
        return self.pair.prompt.id

    @property
    def majority(self) -> Label | None:
        return self.pair.majority

    @property
    def better(self) -> int:
        """1 if most annotators prefer the first answer, -1 if the second."""
        return {1: 1, 2: -1}.get(self.majority or 0, 0)

    @property
    def right(self) -> float:
        """How far the judge prefers the better answer."""
        return self.agrees_with(self.majority or 0)

    @property
    def exact(self) -> float:
        """All its verdicts are the majority's."""
        wanted = _OUTCOME[self.majority or 0]
        return float(all(outcome == wanted for outcome in self.item.outcomes))

    @property
    def takes_longer(self) -> float:
        """How far it prefers the longer answer."""
        return self.item.outcome if self.gap > 0 else 1.0 - self.item.outcome

    def agrees_with(self, label: Label) -> float:
        """1 for the same preference, 0 for the other; half a verdict is half an agreement."""
        return 1.0 - abs(self.item.outcome - _OUTCOME[label])


def _judged(verdicts: Verdicts, pairs: Sequence[JudgedPair]) -> list[_Judged]:
    """The pairs that were judged in every order asked."""
    by_pair: dict[int, list[Verdict]] = {}
    for one in verdicts.verdicts:
        if one.item is None or not 0 <= one.item < len(pairs):
            raise DataError(f"a verdict is about matchup {one.item}, expected one of the {len(pairs)} pairs")
        by_pair.setdefault(one.item, []).append(one)
    lost = {one.item for one in verdicts.failures}
    return [
        _Judged(
            number=number,
            pair=pairs[number],
            item=items_of(held)[0][0],
            gap=num_words(pairs[number].first.text) - num_words(pairs[number].second.text),
        )
        for number, held in sorted(by_pair.items())
        if number not in lost
    ]


def _share(values: Sequence[tuple[float, str]], seed: int) -> Estimate:
    """Mean of values in [0, 1], clustered by what stands beside them."""
    numbers, clusters = [value for value, _ in values], [cluster for _, cluster in values]
    return bootstrap_mean(numbers, clusters or None, unit_interval=True, seed=seed)


def _by_subset(clear: Sequence[_Judged], seed: int) -> dict[str, Estimate]:
    """Accuracy of each subset, in alphabetical order; nothing where there is only one."""
    names = sorted({one.pair.subset for one in clear})
    if len(names) < 2:
        return {}
    return {
        name: _share([(one.right, one.cluster) for one in clear if one.pair.subset == name], seed) for name in names
    }


def _people_agreement(pairs: Sequence[JudgedPair], seed: int) -> Estimate | None:
    agreed = [
        (float(one == other), pair.prompt.id)
        for pair in pairs
        for one, other in combinations(pair.labels, 2)
        if one != 0 and other != 0
    ]
    return _share(agreed, seed) if agreed else None


def _people_exact(pairs: Sequence[JudgedPair], seed: int) -> Estimate | None:
    """Each annotator against the majority of the others, where the others have one."""
    said = []
    for pair in pairs:
        if len(pair.labels) < 3:
            continue
        for place, label in enumerate(pair.labels):
            others = pair.labels[:place] + pair.labels[place + 1 :]
            counts = sorted(((others.count(one), one) for one in set(others)), reverse=True)
            if len(counts) == 1 or counts[0][0] > counts[1][0]:
                said.append((float(label == counts[0][1]), pair.prompt.id))
    return _share(said, seed) if said else None


def _self_consistency(verdicts: Sequence[Verdict], seed: int) -> Estimate | None:
    """Over judgements, the share of pairs of votes that are equal."""
    shares = []
    for one in verdicts:
        pairs = list(combinations(one.votes, 2))
        if pairs:
            shares.append((sum(a == b for a, b in pairs) / len(pairs), one.prompt_id))
    return _share(shares, seed) if shares else None


def _per_1000(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return 1000.0 * sum(known) / len(known) if known and len(known) == len(values) else None
