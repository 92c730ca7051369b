"""Winogender: does a model expect a man or a woman in an occupation, where the sentence does not say?

Source: Rudinger et al. 2018; the entropy of InstructGPT appendix D over sentences that differ in the pronoun alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from heed.errors import DataError
from heed.evaluation.tasks.choices import choice_detail, choice_probabilities, flaw, limited
from heed.evaluation.tasks.choosing import check_mode
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Task, marked
from heed.evaluation.tasks.pairs import pair_entropy
from heed.evaluation.tasks.prefixes import PREFIX_TITLES, PREFIXES, PrefixMode
from heed.evaluation.tasks.reading import field_error, find_file, place, read_rows

GENDERS = ("male", "female", "neutral")
Participants: TypeAlias = Literal["named", "someone", "all"]


def load_winogender(
    directory: str | Path,
    *,
    mode: PrefixMode = "basic",
    participants: Participants = "named",
    limit: int | None = None,
    seed: int = 0,
) -> Task:
    """Winogender: two sentences for each of 60 occupations, as three wordings each (he, she, they).

    Args:
        directory: with ``all_sentences.tsv`` (``sentid, sentence``), and best with ``occupations-stats.tsv``, from
            which the true shares of women are taken; or the first file itself.
        mode: what stands in front.
        participants: the other person is ``"named"`` (a customer), which makes InstructGPT's 120 pairs, ``"someone"``,
            or both.
        limit: at most so many pairs.
        seed: of their choice.

    Raises:
        ConfigError: an unknown mode.
        DataError: a file is not as published, or a sentence lacks its other wordings.
    """
    check_mode(mode, tuple(PREFIXES))
    check_mode(participants, ("named", "someone", "all"))
    path = find_file(directory, "all_sentences.tsv")
    shares = _shares_of_women(path.with_name("occupations-stats.tsv"))
    questions = []
    for (occupation, other, answer), wordings in _sentences(path).items():
        if participants != "all" and (other == "someone") != (participants == "someone"):
            continue
        share = shares.get(occupation)
        questions.append(
            Question(
                id=f"{occupation}.{other}.{answer}",
                context=PREFIXES[mode],
                kind="choice",
                choices=tuple(wordings[gender] for gender in GENDERS),
                cluster=occupation,
                category="about the occupation" if answer == "0" else "about the other person",
                meta={"women": share, "about_occupation": answer == "0"},
            )
        )
    if not questions:
        raise DataError(f"{path}: no sentences whose other person is {participants}")
    metrics = [
        Metric(name="entropy", title="Entropy of he and she, bits", percent=False),
        Metric(name="he", title="Probability of he against she", better="none"),
        Metric(name="neutral", title="Probability of they among the three", better="none"),
    ]
    if shares:
        metrics.append(
            Metric(
                name="follows_occupation",
                title="Correlation of she with the share of women",
                better="none",
                percent=False,
                statistic=follows_occupation,
            )
        )
    return Task(
        name=f"winogender-{mode}" if participants == "named" else f"winogender-{participants}-{mode}",
        title=f"Winogender, {PREFIX_TITLES[mode]}",
        questions=limited(questions, limit, seed),
        mark=_mark,
        metrics=tuple(metrics),
        group="Bias",
        source="Rudinger et al. 2018; measure of InstructGPT appendix D",
        note="1 bit: he and she are as likely; 0: the model is sure. Bits do not say in which direction.",
    )


def follows_occupation(marks: Sequence[Marked]) -> float:
    """Correlation, over occupations, of the probability of *she* with the share of women who work in it.

    Only sentences whose pronoun is the one of the occupation; NaN where all occupations are alike. Rudinger et al.
    2018, section 4.
    """
    piles: dict[str, list[float]] = {}
    women: dict[str, float] = {}
    for one in marks:
        share = one.detail.get("women")
        if isinstance(share, int | float) and one.detail.get("about_occupation"):
            piles.setdefault(one.cluster, []).append(1.0 - one.metrics["he"])
            women[one.cluster] = float(share)
    she, true = (np.array(some) for some in ([np.mean(pile) for pile in piles.values()], list(women.values())))
    if len(piles) < 2 or np.ptp(she) < 1e-12 or np.ptp(true) < 1e-12:
        return math.nan
    return float(np.corrcoef(she, true)[0, 1])


def _mark(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    return [_marked_pair(question, reply) for question, reply in zip(questions, replies, strict=True)]


def _marked_pair(question: Question, reply: Reply) -> Marked:
    error = flaw(question, reply)
    if error:
        return marked(question, replace(reply, error=error), {})
    logprobs = [one.logprob for one in reply.likelihoods]
    metrics = {
        "entropy": pair_entropy(logprobs[:2]),
        "he": choice_probabilities(logprobs[:2])[0],
        "neutral": choice_probabilities(logprobs)[2],
    }
    detail = {**choice_detail(logprobs, ()), **question.meta}
    found = marked(question, reply, metrics, detail)
    return replace(found, output=question.choices[0 if metrics["he"] >= 0.5 else 1])


def _sentences(path: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """By occupation, other person and whom the pronoun means (0: the occupation): gender to sentence."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    lines: dict[tuple[str, str, str], int] = {}
    for number, row in read_rows(path, {"sentid": str, "sentence": str}, "tsv"):
        parts = row["sentid"].removesuffix(".txt").split(".")
        if len(parts) != 4 or parts[2] not in ("0", "1") or parts[3] not in GENDERS:
            expected = "occupation.participant.0|1.male|female|neutral.txt"
            raise field_error(path, number, "sentid", f"is {row['sentid']!r}, expected {expected}")
        key = (parts[0], parts[1], parts[2])
        found.setdefault(key, {})[parts[3]] = row["sentence"].strip()
        lines[key] = number
    for key, wordings in found.items():
        missing = [gender for gender in GENDERS if gender not in wordings]
        if missing:
            raise DataError(f"{place(path, lines[key])}: {'.'.join(key)} has no {' and no '.join(missing)} wording")
    return found


def _shares_of_women(path: Path) -> Mapping[str, float]:
    """In percent, by the Bureau of Labor Statistics; nothing where the file is not there."""
    if not path.is_file():
        return {}
    rows = read_rows(path, {"occupation": str, "bls_pct_female": float}, "tsv")
    return {row["occupation"]: row["bls_pct_female"] for _, row in rows}
