"""Rates: how often answers obey, invent, offend or decline, as graded by a program (InstructGPT Figure 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from heed.records import Completion, Prompt
from heed.stats import Estimate, wilson


class Grade(Protocol):
    """What a grader says of one answer."""

    @property
    def gold(self) -> float:
        """The true preference's score."""

    @property
    def follows(self) -> bool:
        """It attempts what was asked."""

    @property
    def constraint_ok(self) -> bool | None:
        """It obeys the prompt's explicit constraint; None if the prompt has none."""

    @property
    def hallucinations(self) -> int:
        """Statements that are false or have no ground."""

    @property
    def rude(self) -> bool:
        """It offends."""

    @property
    def abstains(self) -> bool:
        """It says that it cannot know."""

    @property
    def right(self) -> bool:
        """Nothing about it could be better."""


Grader: TypeAlias = Callable[[Prompt, str], Grade]
"""Grades one answer's text to one prompt."""


def grade_all(grader: Grader, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Grade]:
    """One grade for each answer."""
    return [grader(prompt, completion.text) for prompt, completion in zip(prompts, completions, strict=True)]


def rates(grades: Sequence[Grade], completions: Sequence[Completion]) -> dict[str, Estimate]:
    """Shares of the answers, each with Wilson's interval.

    ``constraint`` is a share of the prompts that have one; all others are of all prompts. ``abstention`` is every
    answer that declines, ``over_abstention`` those that decline where the right answer was there to be given, and
    ``unfinished`` those that ran into the length limit.
    """
    constrained = [grade for grade in grades if grade.constraint_ok is not None]
    n = len(grades)
    return {
        "right": wilson(sum(grade.right for grade in grades), n),
        "follows": wilson(sum(grade.follows for grade in grades), n),
        "constraint": wilson(sum(bool(grade.constraint_ok) for grade in constrained), len(constrained)),
        "hallucination": wilson(sum(grade.hallucinations > 0 for grade in grades), n),
        "rudeness": wilson(sum(grade.rude for grade in grades), n),
        "abstention": wilson(sum(grade.abstains for grade in grades), n),
        "over_abstention": wilson(sum(grade.abstains and not grade.right for grade in grades), n),
        "unfinished": wilson(sum(one.stop == "length" for one in completions), len(completions)),
    }


def right_by_kind(grades: Sequence[Grade], kinds: Sequence[str]) -> Mapping[str, Estimate]:
    """Share of fully right answers for each kind of task, kinds in alphabetical order."""
    return {
        kind: wilson(
            sum(grade.right for grade, its in zip(grades, kinds, strict=True) if its == kind), kinds.count(kind)
        )
        for kind in sorted(set(kinds))
    }
