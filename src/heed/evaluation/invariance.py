"""What must not change a score: the order of answers, their company, and what else is in the batch.

A reward model that scores an answer at the wrong place, or lets answers see each other or their padding, is wrong in a
way that no accuracy shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heed.records import Completion, Prompt, Ranking
from heed.roles import Scorer

TOLERANCE = 1e-3
"""In units of the score: rounding of another order of sums is a hundred times less in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariance:
    """One thing that must not change a score, and how much it did."""

    name: str
    what: str
    """What was done, in a few words."""
    largest: float
    """The largest change of any score; infinite if a score was not finite."""
    prompt: str
    """Id of the prompt of that answer."""
    answer: str
    """Its text."""
    changed_order: int
    """Pairs of answers to one prompt, untied before, whose order it changed."""
    n: int
    """Scores compared."""
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether no score changed by more than the tolerance."""
        return self.largest <= self.tolerance

    def as_json(self) -> dict[str, Any]:
        """For ``results.json``; the answer is named only where it matters."""
        found = {name: getattr(self, name) for name in ("what", "largest", "changed_order", "n", "tolerance", "holds")}
        return found if self.holds else {**found, "prompt": self.prompt, "answer": self.answer}


def check_invariance(
    scorer: Scorer, rankings: Sequence[Ranking], *, limit: int = 64, tolerance: float = TOLERANCE
) -> list[Invariance]:
    """Score the same answers in six other ways, and compare.

    Args:
        rankings: whose answers are scored; their judgements do not matter. The first ``limit`` prompts are taken.
        tolerance: largest change that counts as none. A scorer that computes in 16 bits needs a larger one.
    """
    groups = [(one.prompt, list(one.completions)) for one in rankings[:limit]]
    if not groups:
        return []
    before = _score(scorer, groups)
    longest_prompt = max(groups, key=lambda one: len(one[0].text))
    ways: list[tuple[str, str, Callable[[], list[list[float]]]]] = [
        ("again", "the same once more", lambda: _score(scorer, groups)),
        ("swapped", "answers in the opposite order", lambda: _swapped(scorer, groups)),
        ("alone", "every answer as a group of its own", lambda: _alone(scorer, groups)),
        ("one_prompt", "every prompt in a batch of its own", lambda: [_score(scorer, [one])[0] for one in groups]),
        ("company", "beside the prompt's longest answer once more", lambda: _in_company(scorer, groups)),
        (
            "padding",
            "each prompt in a batch with the longest one",
            lambda: [_score(scorer, [longest_prompt, one])[1] for one in groups],
        ),
    ]
    return [_compare(name, what, groups, before, score(), tolerance) for name, what, score in ways]


Groups = Sequence[tuple[Prompt, Sequence[Completion]]]


def _score(scorer: Scorer, groups: Groups) -> list[list[float]]:
    return scorer.score([prompt for prompt, _ in groups], [answers for _, answers in groups])


def _swapped(scorer: Scorer, groups: Groups) -> list[list[float]]:
    return [row[::-1] for row in _score(scorer, [(prompt, answers[::-1]) for prompt, answers in groups])]


def _alone(scorer: Scorer, groups: Groups) -> list[list[float]]:
    singles = iter(_score(scorer, [(prompt, [answer]) for prompt, answers in groups for answer in answers]))
    return [[next(singles)[0] for _ in answers] for _, answers in groups]


def _in_company(scorer: Scorer, groups: Groups) -> list[list[float]]:
    """Another answer's prompt may leave no room for it, so the company is one of the prompt's own."""
    longest = [max(answers, key=lambda one: len(one.text)) for _, answers in groups]
    more = [(prompt, [one, *answers]) for (prompt, answers), one in zip(groups, longest, strict=True)]
    return [row[1:] for row in _score(scorer, more)]


def _compare(
    name: str, what: str, groups: Groups, before: list[list[float]], after: list[list[float]], tolerance: float
) -> Invariance:
    largest, where, turned, count = 0.0, (groups[0][0].id, groups[0][1][0].text), 0, 0
    for (prompt, answers), old, new in zip(groups, before, after, strict=True):
        a, b = np.array(old), np.array(new)
        changes = np.where(np.isfinite(a) & np.isfinite(b), np.abs(np.nan_to_num(a) - np.nan_to_num(b)), np.inf)
        worst = int(changes.argmax())
        if changes[worst] > largest:
            largest, where = float(changes[worst]), (prompt.id, answers[worst].text)
        signs = [np.sign(one[:, None] - one[None, :]) for one in (a, b)]
        turned += int((signs[0] * signs[1] < 0).sum()) // 2
        count += a.size
    return Invariance(
        name=name,
        what=what,
        largest=largest,
        prompt=where[0],
        answer=where[1],
        changed_order=turned,
        n=count,
        tolerance=tolerance,
    )
