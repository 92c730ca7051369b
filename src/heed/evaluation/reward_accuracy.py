"""Everything about one reward model: how often it is right, when, how sure it should be, and how right it could be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from heed.evaluation.invariance import check_invariance
from heed.evaluation.preference_accuracy import (
    ScoredPairs,
    accuracy,
    accuracy_by_gap,
    accuracy_by_kind,
    accuracy_by_labeler,
    accuracy_by_length,
    accuracy_where_both_high,
    labels_noise_bound,
    pair_calibration,
    prefers_longer,
    rank_by,
    score_pairs,
    sureness,
)
from heed.records import Ranking
from heed.roles import Scorer

HOW_GOLD = (
    "The accuracy that the true preference itself reaches on the same held-out labels, its ties counted half: what is "
    "left to 1 is the labelers' noise and private taste."
)
HOW_AGREEMENT = (
    "From how often two labelers agree on the same pair, a: the best scorer is right on a share of single labels that "
    "lies between a and (1 + sqrt(2a - 1)) / 2. The upper end is given."
)


def evaluate_reward_model(
    scorer: Scorer,
    *,
    labels: Sequence[Ranking],
    heldout_labels: Sequence[Ranking] = (),
    overlap: Sequence[Ranking] = (),
    gold: Scorer | None = None,
    temperature: float = 1.0,
) -> dict[str, Any]:
    """The section ``reward_model`` of ``results.json``, with its own ``intervals``.

    Args:
        scorer: the reward model.
        labels: rankings by training labelers on prompts the model never saw.
        heldout_labels: rankings by held-out labelers, likewise. Leave out where there are none.
        overlap: rankings of the same answers by several labelers, for the agreement rate; ``labels`` and
            ``heldout_labels`` are searched for such too.
        gold: the true preference; the accuracy on it is over the answers of ``labels``, without gold's ties.
        temperature: fitted to the model; scores are divided by it before they become probabilities.
    """
    on_labels = score_pairs(scorer, labels)
    intervals: dict[str, Any] = {"accuracy_labels": accuracy(on_labels).as_json()}
    by_labeler: dict[str, Any] = {"training": _by_labeler(on_labels)}
    if heldout_labels:
        on_heldout = score_pairs(scorer, heldout_labels)
        intervals["accuracy_heldout_labelers"] = accuracy(on_heldout).as_json()
        by_labeler["heldout"] = _by_labeler(on_heldout)
    reference, reference_name = on_labels, "labels"
    if gold is not None:
        ranked = rank_by(gold, [one.prompt for one in labels], [one.completions for one in labels])
        reference, reference_name = score_pairs(scorer, ranked), "gold"
        intervals["accuracy_gold"] = accuracy(reference).as_json()
    calibrated = pair_calibration(on_labels, temperature)
    result: dict[str, Any] = {name: one["value"] for name, one in intervals.items()}
    result |= {"ece": calibrated.ece, "brier": calibrated.brier, "temperature": temperature}
    result["reliability"] = [asdict(one) for one in calibrated.bins]
    result |= _noise([*labels, *heldout_labels, *overlap], labels, gold)
    result |= {"detail_on": reference_name, **_detail(reference)}
    result |= {"by_labeler": by_labeler, "sureness": sureness(on_labels).as_json()}
    result["invariance"] = {one.name: one.as_json() for one in check_invariance(scorer, labels)}
    result["intervals"] = intervals
    return result


def compare_scorers(scorers: dict[str, Scorer], labels: Sequence[Ranking]) -> dict[str, Any]:
    """Accuracy of several scorers on the same labels: a reward model beside its baselines."""
    return {name: accuracy(score_pairs(scorer, labels)).as_json() for name, scorer in scorers.items()}


def _detail(pairs: ScoredPairs) -> dict[str, Any]:
    return {
        "by_kind": {kind: one.as_json() for kind, one in accuracy_by_kind(pairs).items()},
        "by_gap": [{"gap": gap, **one.as_json()} for gap, one in accuracy_by_gap(pairs)],
        "by_length": {name: one.as_json() for name, one in accuracy_by_length(pairs).items()},
        "prefers_longer": prefers_longer(pairs).as_json(),
        "both_high": [{"score": at, **one.as_json()} for at, one in accuracy_where_both_high(pairs)],
    }


def _by_labeler(pairs: ScoredPairs) -> dict[str, Any]:
    return {labeler: one.as_json() for labeler, one in accuracy_by_labeler(pairs).items()}


def _noise(everything: Sequence[Ranking], labels: Sequence[Ranking], gold: Scorer | None) -> dict[str, Any]:
    """The bound, and what it was computed from."""
    result: dict[str, Any] = {}
    bound = labels_noise_bound(everything)
    if bound is not None:
        result["agreement"] = {**bound.agreement.as_json(), "best_scorer": [bound.floor, bound.ceiling]}
        result |= {"noise_bound": bound.ceiling, "noise_bound_how": HOW_AGREEMENT}
    if gold is not None:
        reached = accuracy(score_pairs(gold, labels)).as_json()
        result |= {"noise_bound": reached["value"], "noise_bound_how": HOW_GOLD, "gold_on_labels": reached}
    return result
