"""Figures on InstructGPT's published samples: the comparison by hand, and the main figures pinned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from heed.errors import DataError
from heed.evaluation.published import (
    PublishedFigure,
    Sample,
    agreement,
    figure_of,
    kendall,
    measure_published,
    read_samples,
)
from heed.evaluation.published_causes import distance, drop_mix, mode_distances, toxicity_correlation, truth_agreement
from heed.evaluation.published_table import MODELS, TABLE_14, TITLES
from heed.evaluation.tasks.bleu import bleu, bleu_counts
from heed.evaluation.tasks.toxicity_scorers import WordListScorer
from heed.evaluation.tasks.truthfulqa_written import default_judge


def sample(model: str, prompt: str, score: float) -> Sample:
    return Sample(model=model, mode="", prompt=prompt, text="", references=(), scores={"s": score})


def test_the_table_is_whole() -> None:
    assert len(MODELS) == 12 and MODELS[0] == "gpt-xl" and MODELS[-1] == "ppo-ptx-175b"
    assert {len(row) for row in TABLE_14.values()} == {12}
    assert set(TITLES) == set(TABLE_14)
    assert all(0.0 < value < 1.0 for row in TABLE_14.values() for value in row)


def test_kendall_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 5, size=12).astype(float)
    values = rng.integers(0, 5, size=(20, 12)).astype(float)
    assert kendall(values, table) == pytest.approx([kendalltau(row, table).statistic for row in values])
    assert np.isnan(kendall(np.ones(12), table))


def test_an_order_is_compared_pair_by_pair() -> None:
    table = np.arange(12.0)
    sure = agreement(table, table + np.zeros((50, 12)), table)
    assert (sure.tau, sure.confirmed, sure.contradicted, sure.undecided) == (1.0, 66, 0, 0)
    assert sure.expected == (1.0, 1.0) and sure.verdict == "agrees"
    back = agreement(-table, -table + np.zeros((50, 12)), table)
    assert (back.tau, back.contradicted, back.verdict) == (-1.0, 66, "differs")
    noise = np.random.default_rng(0).normal(scale=100.0, size=(500, 12))
    vague = agreement(table, table + noise, table)
    assert vague.verdict == "undecided" and vague.undecided >= 60
    assert set(vague.tau_by_size) == {"xl", "6b", "175b"}


def test_a_prompt_that_one_answer_fails_on_is_left_out_for_all() -> None:
    key = "toxicity-basic"
    rows = [sample(model, prompt, index / 20) for index, model in enumerate(MODELS) for prompt in ("a", "b", "c")]
    whole = figure_of(key, "j", rows, lambda one: [one.scores["s"]])
    assert whole.models["gpt-6b"].value == pytest.approx(0.05) and whole.models["gpt-6b"].n == 3
    failed = rows[0]
    part = figure_of(key, "j", rows, lambda one: None if one is failed else [one.scores["s"]])
    assert {one.n for one in part.models.values()} == {2}
    with pytest.raises(DataError, match="no prompt has an answer of every model"):
        figure_of(key, "j", rows, lambda one: None)


def test_samples_without_a_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("model_type,context,sample\ngpt-xl,a,b\n")
    with pytest.raises(DataError, match=r"a.csv: no answers of gpt-175b, gpt-6b"):
        read_samples(path)


# --- the real samples


@pytest.fixture(scope="module")
def figures() -> dict[tuple[str, str], PublishedFigure]:
    return {}


def measured(
    figures: dict[tuple[str, str], PublishedFigure], public_data: Callable[[str], Path]
) -> dict[tuple[str, str], PublishedFigure]:
    """All figures, measured once for this file."""
    samples, truthfulqa = public_data("instructgpt-samples"), public_data("truthfulqa")
    if not figures:
        found = measure_published(samples, default_judge(truthfulqa))
        figures.update({(one.key, one.judge): one for one in found})
    return figures


@pytest.mark.parametrize(
    ("key", "judge", "tau", "verdict", "away"),
    [
        ("truthfulqa-qa-true", "published", 0.85, "agrees", 0.043),
        ("truthfulqa-qa-true-informative", "published", 0.84, "agrees", 0.037),
        ("truthfulqa-instruction-true", "published", 0.50, "differs", 0.162),
        ("truthfulqa-instruction-true", "published, rows exchanged", 0.94, "agrees", 0.039),
        ("truthfulqa-qa-instruction-true", "published", 0.52, "differs", 0.134),
        ("truthfulqa-qa-instruction-true", "published, rows exchanged", 0.93, "agrees", 0.057),
        ("truthfulqa-qa-true", "similarity", 0.83, "agrees", 0.068),
        ("toxicity-basic", "published", 0.41, "undecided", 0.020),
        ("toxicity-biased", "published", 0.78, "agrees", 0.035),
        ("toxicity-biased", "words", 0.78, "agrees", 0.186),
        ("drop", "F1", 0.79, "agrees", 0.099),
        ("squad", "F1", 0.76, "agrees", 0.028),
        ("fr-en", "BLEU", 0.82, "agrees", 0.019),
        ("tldr", "ROUGE-L", 0.20, "differs", 0.083),
    ],
)
def test_main_figures(
    figures: dict[tuple[str, str], PublishedFigure],
    public_data: Callable[[str], Path],
    key: str,
    judge: str,
    tau: float,
    verdict: str,
    away: float,
) -> None:
    found = measured(figures, public_data)[key, judge]
    assert found.agreement.tau == pytest.approx(tau, abs=0.005)
    assert found.agreement.verdict == verdict
    assert distance(found) == pytest.approx(away, abs=0.0005)
    assert all(one.low <= one.value <= one.high for one in found.models.values())


def test_two_modes_of_the_samples_fit_each_others_rows(public_data: Callable[[str], Path]) -> None:
    path = public_data("instructgpt-samples") / "truthful_qa_samples.csv.gz"
    samples = read_samples(path, prompt="question", text="answer", scores=("true", "info"))
    away = mode_distances(samples)
    nearest = {mode: min((away[mode, row], row) for _, row in away)[1] for mode, _ in away}
    assert nearest == {
        "QA prompt": "qa",
        "instruction prompt": "qa-instruction",
        "QA + instruction": "instruction",
    }
    judged = truth_agreement(samples, default_judge(public_data("truthfulqa")))
    assert judged["all"].share == pytest.approx(0.827, abs=0.001)
    assert judged["all"].kappa == pytest.approx(0.654, abs=0.002)
    assert judged["long"].kappa < 0.45 < judged["gpt"].kappa


def test_why_drop_and_toxicity_lie_where_they_do(public_data: Callable[[str], Path]) -> None:
    directory = public_data("instructgpt-samples")
    mix = drop_mix(read_samples(directory / "drop_samples.csv.gz"))
    assert mix.numbers == pytest.approx(0.303, abs=0.001)
    assert mix.distance == pytest.approx(0.017, abs=0.001)
    toxic = read_samples(directory / "real_toxicity_samples.csv.gz", scores=("toxicity",))
    correlation, missed = toxicity_correlation(toxic, WordListScorer())
    assert correlation == pytest.approx(0.754, abs=0.001) and missed == pytest.approx(0.319, abs=0.002)


def test_bleu_of_a_model_is_that_of_all_its_translations(
    figures: dict[tuple[str, str], PublishedFigure], public_data: Callable[[str], Path]
) -> None:
    rows = [
        one
        for one in read_samples(public_data("instructgpt-samples") / "fr_to_en_samples.csv.gz")
        if one.model == "gpt-175b"
    ]
    whole = bleu([bleu_counts(one.text, ["|".join(one.references)]) for one in rows])
    assert measured(figures, public_data)["fr-en", "BLEU"].models["gpt-175b"].value == pytest.approx(whole)
