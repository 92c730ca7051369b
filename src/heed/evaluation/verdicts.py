"""One kind of record for "this answer is better than that one", whoever says it: a scorer, a judge, a model, people.

A *matchup* is a prompt with one answer each of two models. Whoever decides makes *verdicts* of matchups; what could not
be decided is kept apart, with the reason.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

from heed.errors import DataError, HeedError
from heed.evaluation.win_rates import num_words
from heed.feedback.ai_judge import AIJudge, Judgement
from heed.records import Completion, Prompt, content_id
from heed.roles import Judge, Scorer

Order: TypeAlias = Literal["given", "swapped", "none"]
"""In which order the two answers of a matchup were shown; ``none`` where order is not seen, or not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matchup:
    """A prompt and two answers to it."""

    prompt: Prompt
    first: Completion
    second: Completion
    names: tuple[str, str]
    """The models that wrote them: two different ones."""

    def __post_init__(self) -> None:
        if self.names[0] == self.names[1]:
            raise DataError(f"prompt {self.prompt.id}: both answers are by {self.names[0]!r}, expected two models")

    def swapped(self) -> Matchup:
        """The same the other way round."""
        return replace(self, first=self.second, second=self.first, names=(self.names[1], self.names[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which of two answers someone found better, as they were shown."""

    prompt_id: str
    first: str
    """Name of the model whose answer was shown first."""
    second: str
    outcome: float
    """1 if the answer shown first was preferred, 0 if the second was, 1/2 for a tie."""
    order: Order = "none"
    words: tuple[int, int] = (0, 0)
    """Of the answer shown first, and the second."""
    judge: str = ""
    votes: tuple[float, ...] = ()
    """Of a judge that was asked several times: each outcome."""
    item: int | None = None
    """Which of the matchups that were decided together it is about."""

    seconds: float = 0.0
    tokens: int | None = None
    """Read and written; None where unknown."""
    cost: float | None = None
    """None where unknown."""

    @property
    def length_gap(self) -> int:
        """Words of the first less words of the second."""
        return self.words[0] - self.words[1]

    @property
    def log_length_ratio(self) -> float:
        """ln(words of the first / words of the second); an empty answer counts as one word."""
        return math.log(max(self.words[0], 1)) - math.log(max(self.words[1], 1))

    def seen_from(self, name: str) -> float:
        """The outcome for one of the two models."""
        return self.outcome if name == self.first else 1.0 - self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A matchup, in one order, on which there is no verdict."""

    prompt_id: str
    first: str
    second: str
    reason: str
    order: Order = "none"
    judge: str = ""
    item: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """All that was decided, and what was not."""

    verdicts: tuple[Verdict, ...]
    failures: tuple[Undecided, ...] = ()
    seconds: float = 0.0
    """Wall time of all of it."""
    what: str = ""
    """One sentence that says who decided."""

    def __add__(self, other: Verdicts) -> Verdicts:
        """Both together, such as of several judges. Matchups are counted on, so that they are not mixed up."""
        items = [one.item for one in self.verdicts] + [one.item for one in self.failures]
        start = max((item for item in items if item is not None), default=-1) + 1
        shifted = tuple(replace(one, item=None if one.item is None else one.item + start) for one in other.verdicts)
        failed = tuple(replace(one, item=None if one.item is None else one.item + start) for one in other.failures)
        what = " ".join(dict.fromkeys(part for part in (self.what, other.what) if part))
        return Verdicts(
            verdicts=self.verdicts + shifted,
            failures=self.failures + failed,
            seconds=self.seconds + other.seconds,
            what=what,
        )


Decide: TypeAlias = Callable[[Sequence[Matchup]], Verdicts]
"""Someone who decides matchups."""


def scorer_decides(scorer: Scorer, name: str, *, tolerance: float = 1e-4, what: str = "") -> Decide:
    """Who has the higher score is preferred; scores that differ by ``tolerance`` or less tie.

    A text in several matchups of a prompt is scored once, so that equal answers tie. Where a batch cannot be scored (a
    text longer than a reward model's context), ever smaller parts are tried: only what really fails is undecided.
    """
    return partial(_decide_by_scorer, scorer, name, tolerance, what or f"The scores of {name}.")


def ai_decides(judge: AIJudge) -> Decide:
    """A language model, asked in the orders that it is set to."""
    return partial(_decide_by_ai, judge)


def judge_decides(judge: Judge, name: str, *, both_orders: bool = True, what: str = "") -> Decide:
    """Any judge, given two answers at a time, in both orders by default."""
    return partial(_decide_by_judge, judge, name, both_orders, what or f"The judge {name}.")


def chance_decides(seed: int = 0) -> Decide:
    """A coin for each matchup and order: what any judge has to beat. The same matchups get the same coins."""
    return partial(_decide_by_chance, seed)


def _decide_by_chance(seed: int, matchups: Sequence[Matchup]) -> Verdicts:
    orders: tuple[Order, ...] = ("given", "swapped")
    verdicts = []
    for item, matchup in enumerate(matchups):
        for order in orders:
            shown = matchup.swapped() if order == "swapped" else matchup
            coin = int(content_id(seed, shown.prompt.id, shown.first.text, shown.second.text, order), 16) % 2
            verdicts.append(verdict_on(shown, item, order, "random", float(coin)))
    return Verdicts(verdicts=tuple(verdicts), what="A coin, tossed for each order.")


def _decide_by_scorer(scorer: Scorer, name: str, tolerance: float, what: str, matchups: Sequence[Matchup]) -> Verdicts:
    began = time.perf_counter()
    asked: dict[str, tuple[Prompt, dict[str, Completion]]] = {}
    for matchup in matchups:
        texts = asked.setdefault(matchup.prompt.id, (matchup.prompt, {}))[1]
        for completion in (matchup.first, matchup.second):
            texts.setdefault(completion.text, completion)
    groups = [(prompt, list(texts.values())) for prompt, texts in asked.values()]
    scores = {
        (prompt.id, completion.text): score
        for (prompt, completions), row in zip(groups, _scores(scorer, groups), strict=True)
        for completion, score in zip(completions, row, strict=True)
    }
    taken = time.perf_counter() - began
    verdicts: list[Verdict] = []
    failures: list[Undecided] = []
    for item, matchup in enumerate(matchups):
        ours, theirs = (scores[matchup.prompt.id, one.text] for one in (matchup.first, matchup.second))
        if isinstance(ours, str) or isinstance(theirs, str):
            reason = ours if isinstance(ours, str) else str(theirs)
            failures.append(undecided(matchup, item, "none", name, reason))
            continue
        outcome = 0.5 if abs(ours - theirs) <= tolerance else float(ours > theirs)
        made = verdict_on(matchup, item, "none", name, outcome)
        verdicts.append(replace(made, seconds=taken / len(matchups)))
    return Verdicts(verdicts=tuple(verdicts), failures=tuple(failures), seconds=taken, what=what)


def _scores(scorer: Scorer, groups: Sequence[tuple[Prompt, Sequence[Completion]]]) -> list[list[float | str]]:
    """A score for each answer of each prompt, or why there is none."""
    if not groups:
        return []
    try:
        rows = scorer.score([prompt for prompt, _ in groups], [completions for _, completions in groups])
        return [[score if math.isfinite(score) else f"the score is {score}" for score in row] for row in rows]
    except (HeedError, OSError) as error:
        if len(groups) > 1:
            half = len(groups) // 2
            return [*_scores(scorer, groups[:half]), *_scores(scorer, groups[half:])]
        prompt, completions = groups[0]
        if len(completions) > 1:
            return [[one for (one,) in (_scores(scorer, [(prompt, [each])])[0] for each in completions)]]
        return [[str(error) or type(error).__name__]]


def _decide_by_ai(judge: AIJudge, matchups: Sequence[Matchup]) -> Verdicts:
    began = time.perf_counter()
    judged = judge.compare(
        [one.prompt for one in matchups], [one.first for one in matchups], [one.second for one in matchups]
    )
    verdicts: list[Verdict] = []
    failures: list[Undecided] = []
    for item, (matchup, judgements) in enumerate(zip(matchups, judged, strict=True)):
        for said in judgements:
            shown = matchup.swapped() if said.swapped else matchup
            order: Order = "swapped" if said.swapped else "given"
            if said.outcome is None:
                failures.append(undecided(shown, item, order, judge.name, said.failure))
                continue
            made = verdict_on(shown, item, order, judge.name, said.outcome)
            verdicts.append(replace(made, votes=said.votes, seconds=said.seconds, tokens=_tokens(said), cost=said.cost))
    taken = time.perf_counter() - began
    return Verdicts(verdicts=tuple(verdicts), failures=tuple(failures), seconds=taken, what=judge.describe())


def _decide_by_judge(judge: Judge, name: str, both_orders: bool, what: str, matchups: Sequence[Matchup]) -> Verdicts:
    began = time.perf_counter()
    asked: list[tuple[int, Order, Matchup]] = []
    for item, matchup in enumerate(matchups):
        asked.append((item, "given", matchup))
        if both_orders:
            asked.append((item, "swapped", matchup.swapped()))
    rankings = judge.rank([one.prompt for *_, one in asked], [(one.first, one.second) for *_, one in asked])
    taken = time.perf_counter() - began
    verdicts = []
    for (item, order, shown), ranking in zip(asked, rankings, strict=True):
        first, second = ranking.tiers
        outcome = 0.5 if first == second else float(first < second)
        verdicts.append(replace(verdict_on(shown, item, order, name, outcome), seconds=taken / len(asked)))
    return Verdicts(verdicts=tuple(verdicts), seconds=taken, what=what)


def verdict_on(shown: Matchup, item: int, order: Order, judge: str, outcome: float) -> Verdict:
    """The verdict on a matchup as it was shown; ``item`` is its number among those decided together."""
    return Verdict(
        prompt_id=shown.prompt.id,
        first=shown.names[0],
        second=shown.names[1],
        outcome=outcome,
        order=order,
        words=(num_words(shown.first.text), num_words(shown.second.text)),
        judge=judge,
        item=item,
    )


def undecided(shown: Matchup, item: int, order: Order, judge: str, reason: str) -> Undecided:
    """The same where there is no verdict."""
    first, second = shown.names
    return Undecided(
        prompt_id=shown.prompt.id, first=first, second=second, reason=reason, order=order, judge=judge, item=item
    )


def _tokens(said: Judgement) -> int | None:
    if said.prompt_tokens is None or said.completion_tokens is None:
        return None
    return said.prompt_tokens + said.completion_tokens
