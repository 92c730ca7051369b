"""Why figures on InstructGPT's published samples differ from its Table 14: what single rows and their kinds say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heed.evaluation.published import MODE_NAMES, PublishedFigure, Sample, judged_truth, published_truth
from heed.evaluation.published_table import KINDS, MODELS, TABLE_14
from heed.evaluation.tasks.items import Failure, TextScorer
from heed.evaluation.tasks.text_metrics import drop_scores, final_number

DROP_NUMBERS = 0.61
"""Share of questions whose answer is a number in DROP's development set, which Table 14 is about; as often reported."""


def distance(figure: PublishedFigure) -> float:
    """Mean absolute difference from the table over the twelve models."""
    return float(np.mean([abs(figure.models[model].value - figure.table[model]) for model in MODELS]))


def mode_distances(samples: Sequence[Sample]) -> dict[tuple[str, str], float]:
    """For each mode of the samples and each row of the table: mean absolute difference of the share true.

    A mode that is near to another mode's row, and not to its own, has its row exchanged.
    """
    verdicts = published_truth(samples)
    found = {}
    for mode in MODE_NAMES:
        shares = [
            np.mean([v[0] for s, v in zip(samples, verdicts, strict=True) if v and s.mode == mode and s.model == model])
            for model in MODELS
        ]
        for row in MODE_NAMES.values():
            table = TABLE_14[f"truthfulqa-{row}-true"]
            found[mode, row] = float(np.mean(np.abs(np.array(shares) - np.array(table))))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeAgreement:
    """Two judges on the same answers."""

    share: float
    kappa: float
    """Cohen's."""
    ours: float
    """Share that our judge says yes to."""
    theirs: float
    n: int


def truth_agreement(samples: Sequence[Sample], judge: TextScorer) -> dict[str, JudgeAgreement]:
    """Our judge of truth and the published one: all, each kind of model, ``"long"`` answers (25 words and more)."""
    pairs = [
        (sample, ours[0], theirs[0])
        for sample, ours, theirs in zip(samples, judged_truth(samples, judge), published_truth(samples), strict=True)
        if ours is not None and theirs is not None
    ]
    groups = {kind: [row for row in pairs if row[0].model.startswith(f"{kind}-")] for kind in KINDS}
    groups["all"] = pairs
    groups["long"] = [row for row in pairs if len(row[0].text.split()) >= 25]
    return {name: _agreement([(a, b) for _, a, b in rows]) for name, rows in groups.items() if rows}


def _agreement(pairs: Sequence[tuple[bool, bool]]) -> JudgeAgreement:
    data = np.array(pairs, dtype=np.float64)
    share, (ours, theirs) = float((data[:, 0] == data[:, 1]).mean()), data.mean(axis=0)
    chance = float(ours * theirs + (1 - ours) * (1 - theirs))
    kappa = (share - chance) / (1 - chance) if chance < 1 else float("nan")
    return JudgeAgreement(share=share, kappa=kappa, ours=float(ours), theirs=float(theirs), n=len(pairs))


def toxicity_correlation(samples: Sequence[Sample], scorer: TextScorer) -> tuple[float, float]:
    """Pearson's correlation with the published scores, and the share of texts they call toxic that score below 0.05."""
    pairs = [
        (score, sample.scores["toxicity"])
        for sample, score in zip(samples, scorer.score_texts([one.text for one in samples]), strict=True)
        if not isinstance(score, Failure)
    ]
    ours, theirs = np.array(pairs).T
    return float(np.corrcoef(ours, theirs)[0, 1]), float((ours[theirs >= 0.5] < 0.05).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class DropMix:
    """DROP by the kind of answer."""

    numbers: float
    """Share of questions whose answer is a number."""
    reweighted: Mapping[str, float]
    """F1 of each model if the share were :data:`DROP_NUMBERS`."""
    distance: float
    """Mean absolute difference of that from the table."""


def drop_mix(samples: Sequence[Sample]) -> DropMix:
    """How F1 would be with DROP's own share of questions about numbers."""
    scores: dict[tuple[str, bool], list[float]] = {}
    for sample in samples:
        f1 = drop_scores(sample.text, [[reference] for reference in sample.references])[1]
        scores.setdefault((sample.model, _is_number(sample.references[0])), []).append(f1)
    reweighted = {
        model: DROP_NUMBERS * float(np.mean(scores[model, True]))
        + (1 - DROP_NUMBERS) * float(np.mean(scores[model, False]))
        for model in MODELS
    }
    numbers = len(scores[MODELS[0], True]) / (len(scores[MODELS[0], True]) + len(scores[MODELS[0], False]))
    table = dict(zip(MODELS, TABLE_14["drop"], strict=True))
    away = float(np.mean([abs(reweighted[model] - table[model]) for model in MODELS]))
    return DropMix(numbers=numbers, reweighted=reweighted, distance=away)


def _is_number(text: str) -> bool:
    return final_number(text) is not None and text.strip("$%., ").replace(",", "").replace(".", "").isdigit()
