"""Heed's measures against the InstructGPT paper, on the answers of its own twelve models.

OpenAI published samples of GPT-3, SFT, PPO and PPO-ptx at three sizes (``following-instructions-human-feedback``,
``automatic-eval-samples``), some with the scores of the judges of that time. Here they are marked by Heed's measures,
set beside Table 14 of the paper (Ouyang et al. 2022), and it is asked whether the models come out in the same order,
and how far so few samples could show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from heed.errors import DataError
from heed.evaluation.published_table import KINDS, MODELS, SIZES, TABLE_14
from heed.evaluation.tasks.bleu import bleu, bleu_counts
from heed.evaluation.tasks.items import Failure, TextScorer
from heed.evaluation.tasks.reading import find_file, read_rows
from heed.evaluation.tasks.text_metrics import best_rouge_l, drop_scores, token_f1
from heed.evaluation.tasks.toxicity_scorers import WordListScorer
from heed.evaluation.tasks.truth_judges import THRESHOLD, judge_text
from heed.stats import Estimate, bootstrap_mean, resample_weights

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One published answer."""

    model: str
    mode: str
    prompt: str
    text: str
    references: tuple[str, ...]
    scores: Mapping[str, float]
    """By the judges of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How the order of the models by one figure compares with that of Table 14."""

    tau: float
    """Kendall's tau-b over the twelve models."""
    spearman: float
    expected: tuple[float, float]
    """Where tau would lie, with 95 %, if Table 14 were the truth and only these prompts had been drawn."""
    tau_by_size: Mapping[str, float]
    """Kendall's tau-b over the four kinds at each size."""
    confirmed: int
    """Pairs of models that differ here (the 95 % interval of the difference leaves out 0) and as in the table."""
    contradicted: int
    """Pairs that differ here, and the other way round than in the table."""
    undecided: int

    @property
    def verdict(self) -> str:
        """``agrees`` as well as so few prompts allow; ``differs``; ``undecided`` where they allow any order."""
        if self.expected[0] <= 0:
            return "undecided"
        return "agrees" if self.tau >= self.expected[0] else "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One row of Table 14, measured on the published samples."""

    key: str
    """Of :data:`TABLE_14`."""
    judge: str
    """Who scored: ``published`` for scores that came with the samples, else which of Heed's measures."""
    models: Mapping[str, Estimate]
    table: Mapping[str, float]
    agreement: Agreement


def read_samples(
    path: Path, *, prompt: str = "context", text: str = "sample", scores: Sequence[str] = ()
) -> list[Sample]:
    """One file of published samples.

    Args:
        path: a CSV, plain or gzip.
        prompt: the column of the prompt.
        text: the column of the answer.
        scores: columns of scores.

    Raises:
        DataError: the file is damaged, or lacks answers of some model; with line and column.
    """
    fields: dict[str, type | tuple[type, ...]] = {"model_type": str, prompt: str, text: str}
    found = [
        Sample(
            model=row["model_type"],
            mode=str(row.get("prompt_type", "")),
            prompt=row[prompt],
            text=row[text],
            references=tuple(str(row.get("ref_text", "")).split("|")),
            scores={name: float(row[name]) for name in scores},
        )
        for _, row in read_rows(path, {**fields, **dict.fromkeys(scores, float)}, "csv")
    ]
    missing = set(MODELS) - {one.model for one in found}
    if missing:
        raise DataError(f"{path}: no answers of {', '.join(sorted(missing))}")
    return found


# --- one figure


def figure_of(
    key: str,
    judge: str,
    samples: Sequence[Sample],
    measure: Callable[[Sample], Sequence[float] | None],
    cluster: Callable[[Sample], str] = lambda sample: sample.prompt,
    pooled: Callable[[Array], Array] | None = None,
    seed: int = 0,
) -> PublishedFigure:
    """Measure every sample, and compare the models.

    Args:
        key: of the row in Table 14.
        judge: who scores.
        samples: of one benchmark and mode; every model has answered the same prompts.
        measure: what one sample adds; None where it cannot be judged, and its prompt is then left out for all models.
        cluster: what is resampled whole, such as the passage.
        pooled: from sums of what samples add, (..., numbers), to the figure, (...); the mean by default.
        seed: of the resampling.
    """
    prompts, added = _table(samples, measure)
    labels = {one.prompt: cluster(one) for one in samples}
    clusters = [labels[prompt] for prompt in prompts]
    draws = _draws(added, clusters, pooled, seed)
    models = {}
    for index, model in enumerate(MODELS):
        if pooled is None:
            models[model] = bootstrap_mean(added[index, :, 0], clusters, unit_interval=True, seed=seed)
        else:
            low, high = np.percentile(draws[:, index], [2.5, 97.5])
            value = float(pooled(added[index].sum(axis=0)))
            models[model] = Estimate(value=value, low=float(low), high=float(high), n=len(prompts))
    values = np.array([models[model].value for model in MODELS])
    return PublishedFigure(
        key=key,
        judge=judge,
        models=models,
        table=dict(zip(MODELS, TABLE_14[key], strict=True)),
        agreement=agreement(values, draws, np.array(TABLE_14[key])),
    )


def _table(samples: Sequence[Sample], measure: Callable[[Sample], Sequence[float] | None]) -> tuple[list[str], Array]:
    """The prompts all models were measured on, and (models, prompts, numbers)."""
    rows: dict[str, dict[str, Sequence[float]]] = {}
    for sample in samples:
        if (numbers := measure(sample)) is not None:
            rows.setdefault(sample.prompt, {})[sample.model] = numbers
    prompts = [prompt for prompt, by_model in rows.items() if len(by_model) == len(MODELS)]
    if not prompts:
        raise DataError("no prompt has an answer of every model that could be judged")
    added = np.array([[rows[prompt][model] for prompt in prompts] for model in MODELS], dtype=np.float64)
    return prompts, added


def _draws(added: Array, clusters: Sequence[str], pooled: Callable[[Array], Array] | None, seed: int) -> Array:
    """(resamples, models): the figures of all models on the same resampled clusters."""
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    member = (index == np.arange(len(names))[:, None]).astype(np.float64)
    weights = resample_weights(len(names), seed)
    totals = np.einsum("rp,mpn->rmn", weights @ member, added)
    if pooled is not None:
        return pooled(totals)
    result: Array = totals[:, :, 0] / (weights @ member.sum(axis=1))[:, None]
    return result


def agreement(values: Array, draws: Array, table: Array) -> Agreement:
    """Compare the order of the models with that of the table.

    Args:
        values: (12,) in the order of ``MODELS``.
        draws: (resamples, 12), the same figures on resampled prompts.
        table: (12,) as printed.
    """
    noise = draws - draws.mean(axis=0)
    expected = np.nanpercentile(kendall(table + noise, table), [2.5, 97.5])
    upper = [(a, b) for a in range(len(MODELS)) for b in range(a)]
    signs = []
    for a, b in upper:
        low, high = np.percentile(draws[:, a] - draws[:, b], [2.5, 97.5])
        here = 1 if low > 0 else -1 if high < 0 else 0
        signs.append(here * int(np.sign(table[a] - table[b])))
    return Agreement(
        tau=float(kendall(values, table)),
        spearman=float(spearmanr(values, table).statistic),
        expected=(float(expected[0]), float(expected[1])),
        tau_by_size={
            size: float(
                kendall(*(each[[MODELS.index(f"{kind}-{size}") for kind in KINDS]] for each in (values, table)))
            )
            for size in SIZES
        },
        confirmed=signs.count(1),
        contradicted=signs.count(-1),
        undecided=signs.count(0),
    )


def kendall(values: Array, table: Array) -> Array:
    """Kendall's tau-b of each row of (..., n) with (n,); NaN where all of one side are equal."""
    first, second = np.triu_indices(table.size, 1)
    ours, theirs = np.sign(values[..., first] - values[..., second]), np.sign(table[first] - table[second])
    untied = np.sqrt((ours**2).sum(axis=-1) * (theirs**2).sum())
    with np.errstate(invalid="ignore"):
        result: Array = np.asarray((ours * theirs).sum(axis=-1) / untied)
    return result


# --- the benchmarks


MODE_NAMES = {"QA prompt": "qa", "instruction prompt": "instruction", "QA + instruction": "qa-instruction"}
"""Of the samples, and of Table 14."""
EXCHANGED = {"qa": "qa", "instruction": "qa-instruction", "qa-instruction": "instruction"}


def truthfulness(
    samples: Sequence[Sample], judge: TextScorer | None = None, seed: int = 0, *, exchanged: bool = False
) -> list[PublishedFigure]:
    """TruthfulQA: share true, and share true and informative, in each mode.

    Args:
        samples: of ``truthful_qa_samples.csv``.
        judge: who judges; the published scores by default.
        seed: of the resampling.
        exchanged: hold the mode "instruction" against the table's row "QA + instruction" and the other way round.
    """
    verdicts = published_truth(samples) if judge is None else judged_truth(samples, judge)
    by_sample = {id(sample): verdict for sample, verdict in zip(samples, verdicts, strict=True)}
    name = ("published" if judge is None else judge.name) + (", rows exchanged" if exchanged else "")
    found = []
    for mode, row in MODE_NAMES.items():
        some = [sample for sample in samples if sample.mode == mode]
        row = EXCHANGED[row] if exchanged else row
        for figure, both in (("true", False), ("true-informative", True)):
            measure = partial(_number, by_sample, both)
            found.append(figure_of(f"truthfulqa-{row}-{figure}", name, some, measure, seed=seed))
    return found


def _number(verdicts: Mapping[int, tuple[bool, bool] | None], both: bool, sample: Sample) -> Sequence[float] | None:
    """Of a verdict (true, informative): whether it is true, or both."""
    verdict = verdicts[id(sample)]
    return None if verdict is None else [float(verdict[0] and (verdict[1] or not both))]


def published_truth(samples: Sequence[Sample]) -> list[tuple[bool, bool] | None]:
    """True and informative by the scores that came with the samples."""
    return [(one.scores["true"] > THRESHOLD, one.scores["info"] > THRESHOLD) for one in samples]


def judged_truth(samples: Sequence[Sample], judge: TextScorer) -> list[tuple[bool, bool] | None]:
    """True and informative by a judge; None where it fails."""
    true = judge.score_texts([judge_text(one.prompt, one.text, "True") for one in samples])
    helpful = judge.score_texts([judge_text(one.prompt, one.text, "Helpful") for one in samples])
    return [
        None if isinstance(a, Failure) or isinstance(b, Failure) else (a > THRESHOLD, b > THRESHOLD)
        for a, b in zip(true, helpful, strict=True)
    ]


def toxicity(samples: Sequence[Sample], scorer: TextScorer | None = None, seed: int = 0) -> list[PublishedFigure]:
    """Mean toxicity in each mode, by the published Perspective scores or by a scorer."""
    scores: list[float | Failure] = (
        [one.scores["toxicity"] for one in samples] if scorer is None else scorer.score_texts([s.text for s in samples])
    )
    by_sample = {id(sample): score for sample, score in zip(samples, scores, strict=True)}

    def measure(sample: Sample) -> Sequence[float] | None:
        score = by_sample[id(sample)]
        return None if isinstance(score, Failure) else [score]

    return [
        figure_of(
            f"toxicity-{mode}",
            "published" if scorer is None else scorer.name,
            [sample for sample in samples if sample.mode == f"{mode} prompt"],
            measure,
            seed=seed,
        )
        for mode in ("basic", "respectful", "biased")
    ]


def reading(samples: Sequence[Sample], key: str, seed: int = 0) -> PublishedFigure:
    """F1 of ``"drop"`` or ``"squad"`` from the texts; questions on one passage are one cluster."""
    if key == "drop":
        return figure_of(
            "drop",
            "F1",
            samples,
            lambda one: [drop_scores(one.text, [[reference] for reference in one.references])[1]],
            lambda one: one.prompt.partition("\nQuestion:")[0],
            seed=seed,
        )
    return figure_of(
        "squad",
        "F1",
        samples,
        lambda one: [token_f1(one.text, one.references)],
        lambda one: one.prompt.partition("\n\nQ:")[0],
        seed=seed,
    )


def summaries(samples: Sequence[Sample], seed: int = 0) -> PublishedFigure:
    """ROUGE-L of the TL;DR summaries. A ``|`` is part of a summary."""
    return figure_of(
        "tldr", "ROUGE-L", samples, lambda one: [best_rouge_l(one.text, ["|".join(one.references)])], seed=seed
    )


def translations(samples: Sequence[Sample], seed: int = 0) -> PublishedFigure:
    """BLEU of the translations from French."""

    def pooled(sums: Array) -> Array:
        flat = sums.reshape(-1, sums.shape[-1])
        values = np.array([bleu([[int(number) for number in row]]) for row in flat])
        return values.reshape(sums.shape[:-1])

    return figure_of(
        "fr-en",
        "BLEU",
        samples,
        lambda one: list(bleu_counts(one.text, ["|".join(one.references)])),
        pooled=pooled,
        seed=seed,
    )


def measure_published(directory: Path, judge: TextScorer, seed: int = 0) -> list[PublishedFigure]:
    """All figures of the published samples that Table 14 has a row for.

    Args:
        directory: with the files ``*_samples.csv``, plain or gzip.
        judge: of truthfulness, beside the published scores.
        seed: of the resampling.

    Raises:
        DataError: a file is missing or damaged.
    """

    def read(name: str, **columns: Any) -> list[Sample]:
        return read_samples(find_file(directory, f"{name}_samples.csv"), **columns)

    truthful = read("truthful_qa", prompt="question", text="answer", scores=("true", "info"))
    toxic = read("real_toxicity", scores=("toxicity",))
    return [
        *truthfulness(truthful, None, seed),
        *truthfulness(truthful, None, seed, exchanged=True)[2:],
        *truthfulness(truthful, judge, seed),
        *truthfulness(truthful, judge, seed, exchanged=True)[2:],
        *toxicity(toxic, None, seed),
        *toxicity(toxic, WordListScorer(), seed),
        reading(read("drop"), "drop", seed),
        reading(read("squadv2"), "squad", seed),
        translations(read("fr_to_en"), seed),
        summaries(read("tldr"), seed),
    ]
