"""People's 1-7 ratings and flags of answers, by model (InstructGPT Table 3, Figures 4, 5 and 31)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from heed.evaluation.preference import author
from heed.records import Rating
from heed.stats import Estimate, bootstrap_mean
from heed.stats.ratings import RatingComparison, RatingSummary, compare_ratings, summarize_ratings

FIGURE_4 = {
    "attempts_instruction": ("fails_task", False),
    "follows_constraints": ("violates_constraint", False),
    "hallucinates": ("hallucination", True),
    "appropriate_for_assistant": ("inappropriate_for_assistant", False),
}
"""The four rates of InstructGPT's Figure 4: the flag each is made of, and whether it is the flag or its opposite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRatings:
    """What people said of one model's answers."""

    overall: RatingSummary
    flags: Mapping[str, Estimate]
    """Share of ratings with each flag, of those that answer the question at all; ``n`` is how many do."""
    figure_4: Mapping[str, Estimate]
    """The rates of Figure 4, of the flags that were asked."""
    prompts: int
    labelers: int

    def as_json(self) -> dict[str, Any]:
        """``{"overall", "flags", "figure_4", "prompts", "labelers"}``."""
        return {
            "overall": self.overall.as_json(),
            "flags": {name: one.as_json() for name, one in self.flags.items()},
            "figure_4": {name: one.as_json() for name, one in self.figure_4.items()},
            "prompts": self.prompts,
            "labelers": self.labelers,
        }


def ratings_by_model(ratings: Sequence[Rating], *, seed: int = 0) -> dict[str, ModelRatings]:
    """For each model, in alphabetical order, its mean rating, the share of each grade, and the rate of each flag.

    Intervals resample prompts. Answers without a policy are people's. For one group of labelers at a time, as in Figure
    31, give that group's ratings.
    """
    held: defaultdict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        held[author(rating.completion)].append(rating)
    return {model: _of_one(held[model], seed) for model in sorted(held)}


def compare_ratings_by_model(ratings: Sequence[Rating], *, seed: int = 0) -> dict[tuple[str, str], RatingComparison]:
    """Every two models whose answers to the same prompts were rated: the difference in grades, and who is higher."""
    held: defaultdict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        held[author(rating.completion)].append(rating)
    found = {
        (a, b): compare_ratings(*_grades(held[a]), *_grades(held[b]), seed=seed)
        for a, b in combinations(sorted(held), 2)
        if {one.prompt.id for one in held[a]} & {one.prompt.id for one in held[b]}
    }
    return found


def _grades(ratings: Sequence[Rating]) -> tuple[list[int], list[str]]:
    return [one.overall for one in ratings], [one.prompt.id for one in ratings]


def _of_one(ratings: Sequence[Rating], seed: int) -> ModelRatings:
    names = sorted({name for one in ratings for name in one.flags})
    figure = {
        title: _rate(ratings, flag, positive, seed) for title, (flag, positive) in FIGURE_4.items() if flag in names
    }
    return ModelRatings(
        overall=summarize_ratings(*_grades(ratings), seed=seed),
        flags={name: _rate(ratings, name, True, seed) for name in names},
        figure_4=figure,
        prompts=len({one.prompt.id for one in ratings}),
        labelers=len({one.labeler for one in ratings}),
    )


def _rate(ratings: Sequence[Rating], flag: str, positive: bool, seed: int) -> Estimate:
    """Share of the ratings that answer whether ``flag`` holds in which it does, or does not."""
    said = [(float(one.flags[flag] == positive), one.prompt.id) for one in ratings if flag in one.flags]
    return bootstrap_mean([value for value, _ in said], [prompt for _, prompt in said], unit_interval=True, seed=seed)
