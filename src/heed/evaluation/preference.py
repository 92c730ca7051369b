"""Which models are preferred, by whatever judge: win rates against a baseline with all that belongs to them.

After InstructGPT (Ouyang et al. 2022, section 3.6): the share of prompts on which a model's answer is preferred to that
of one baseline. Ties count half. Verdicts in both orders are averaged first, so that a liking for a place cancels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from heed.errors import DataError, nearest
from heed.evaluation.judged_items import Item, from_side, items_of, order_bias_of, rate_of, reasons
from heed.evaluation.verdicts import Decide, Matchup, Undecided, Verdict, Verdicts
from heed.evaluation.win_rates import num_words
from heed.records import Completion, Prompt, Ranking
from heed.stats import Estimate, WinRate, bootstrap_mean, length_controlled_win_rate
from heed.stats.power import comparisons_needed
from heed.stats.preference import OrderBias, logistic_length_controlled
from heed.stats.ratings import strengths
from heed.stats.tests import PairedDifference, compare_families

# --- who meets whom


def matchups(
    prompts: Sequence[Prompt],
    answers: Mapping[str, Sequence[Completion]],
    baseline: str | None = None,
) -> list[Matchup]:
    """Every model's answer against the baseline's, or, without a baseline, every two models' answers.

    Args:
        prompts: what was answered.
        answers: of each model, one for each prompt.
        baseline: one of the models.

    Raises:
        DataError: the baseline is not among the models, or a model did not answer all prompts.
    """
    names = list(answers)
    if baseline is not None and baseline not in names:
        raise DataError(f"the baseline {baseline!r} is not among {', '.join(names)}.{nearest(baseline, names)}")
    for name in names:
        if len(answers[name]) != len(prompts):
            raise DataError(f"{name} has {len(answers[name])} answers to {len(prompts)} prompts, expected one for each")
    pairs = (
        list(combinations(names, 2)) if baseline is None else [(name, baseline) for name in names if name != baseline]
    )
    return [
        Matchup(prompt=prompt, first=answers[a][place], second=answers[b][place], names=(a, b))
        for a, b in pairs
        for place, prompt in enumerate(prompts)
    ]


def compare_models(
    prompts: Sequence[Prompt],
    answers: Mapping[str, Sequence[Completion]],
    decide: Decide,
    baseline: str | None = None,
) -> Verdicts:
    """Someone's verdicts on every model against the baseline, or on all pairs of models."""
    return decide(matchups(prompts, answers, baseline))


def verdicts_of_rankings(
    rankings: Iterable[Ranking], models: Sequence[str] | None = None, *, what: str = ""
) -> Verdicts:
    """What people's rankings, or anyone's, say about models: a verdict for each two answers by different models.

    An answer's model is its ``policy``; what people wrote has none and is called ``"people"``. Only ``models`` count,
    or all. The order in which the answers were shown is not known.
    """
    verdicts: list[Verdict] = []
    for ranking in rankings:
        for i, j in combinations(range(len(ranking.completions)), 2):
            first, second = ranking.completions[i], ranking.completions[j]
            names = author(first), author(second)
            if names[0] == names[1] or (models is not None and not set(names) <= set(models)):
                continue
            tiers = ranking.tiers[i], ranking.tiers[j]
            verdict = Verdict(
                prompt_id=ranking.prompt.id,
                first=names[0],
                second=names[1],
                outcome=0.5 if tiers[0] == tiers[1] else float(tiers[0] < tiers[1]),
                words=(num_words(first.text), num_words(second.text)),
                judge=ranking.labeler,
                item=len(verdicts),
            )
            verdicts.append(verdict)
    return Verdicts(verdicts=tuple(verdicts), what=what or "The people who ranked the answers.")


def author(completion: Completion) -> str:
    """The model that wrote an answer; ``"people"`` for one without."""
    return completion.policy or "people"


# --- what it comes to


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One model against the baseline."""

    win_rate: WinRate
    """Each item counts the mean of its two orders; ``better`` and ``worse`` are the shares above and below one half."""
    length_controlled: WinRate
    """By logistic regression on the log ratio of lengths, read at equal length (Stiennon et al. 2020, appendix F)."""
    length_controlled_linear: WinRate
    """By linear regression on the difference in words."""
    verdict_ties: float
    """Share of single verdicts that are ties; an item whose two orders contradict each other is no tie here."""
    needed: int | None
    """Items that show a difference from one half of this size with a power of 80 %; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Models compared by one judge or one group of people."""

    baseline: str
    judge: str
    what: str
    standings: Mapping[str, Standing]
    """Of every model that met the baseline."""
    head_to_head: Mapping[tuple[str, str], WinRate]
    """Every two models that met, from the first one's side."""
    elo: Mapping[str, Estimate]
    """Bradley-Terry strengths as Elo points over the baseline, from all meetings; of those connected with it."""
    differences: tuple[PairedDifference, ...]
    """Of win rates against the baseline, by prompt; the baseline's own is one half. Adjusted over all of them."""
    order_bias: OrderBias | None
    """None where nothing was judged in both orders. Seen from whichever model is named first in a matchup."""
    words: Mapping[str, Estimate]
    prompts: int
    failures: tuple[Undecided, ...] = field(default=())
    unpaired: int = 0
    """Items of which one order has no verdict; they are left out."""

    def as_json(self) -> dict[str, Any]:
        """The part ``preference`` of a comparison, with some more figures."""
        standings = self.standings.items()
        shown = self.order_bias
        return {
            "judge": self.judge,
            "what": self.what,
            "baseline": self.baseline,
            "num_prompts": self.prompts,
            "win_rates": {name: one.win_rate.as_json() for name, one in standings},
            "length_controlled": {name: one.length_controlled.as_json() for name, one in standings},
            "length_controlled_linear": {name: one.length_controlled_linear.as_json() for name, one in standings},
            "verdict_ties": {name: one.verdict_ties for name, one in standings},
            "needed": {name: one.needed for name, one in standings},
            "elo": {name: one.as_json() for name, one in self.elo.items()},
            "head_to_head": [{"a": a, "b": b, **rate.as_json()} for (a, b), rate in self.head_to_head.items()],
            "differences": [one.as_json() for one in self.differences],
            "order_bias": None
            if shown is None
            else {"first_share": shown.first.as_json(), "consistency": shown.consistency.as_json()},
            "words": {name: one.as_json() for name, one in self.words.items()},
            "failures": len(self.failures),
            "failure_reasons": reasons(self.failures),
            "unpaired": self.unpaired,
        }


def summarize(verdicts: Verdicts, baseline: str, *, seed: int = 0) -> Preference:
    """Everything about models from verdicts on their answers, by one judge or by many.

    Intervals are at 95 % and resample prompts. Several verdicts on a prompt, such as of several labelers, count each.

    Raises:
        DataError: there are no verdicts, or the baseline is in none.
    """
    items, unpaired = items_of(verdicts.verdicts, verdicts.failures)
    names = list(dict.fromkeys(name for item in items for name in (item.a, item.b)))
    if not items:
        why = f"; the first failure: {verdicts.failures[0].reason}" if verdicts.failures else ""
        raise DataError(f"there are no verdicts to summarize{why}")
    if baseline not in names:
        raise DataError(
            f"no verdict is about the baseline {baseline!r}, only {', '.join(names)}.{nearest(baseline, names)}"
        )
    met = [(a, b) for a, b in dict.fromkeys((item.a, item.b) for item in items)]
    sides = {frozenset(pair): pair for pair in reversed(met)}
    against = {
        name: [from_side(item, name) for item in items if {item.a, item.b} == {name, baseline}]
        for name in names
        if name != baseline
    }
    standings = {name: _standing(held, seed) for name, held in against.items() if held}
    judges = list(dict.fromkeys(one.judge for one in verdicts.verdicts if one.judge))
    return Preference(
        baseline=baseline,
        judge=judges[0] if len(judges) == 1 else f"{len(judges)} judges" if judges else "",
        what=verdicts.what,
        standings=standings,
        head_to_head={
            pair: rate_of([from_side(item, pair[0]) for item in items if {item.a, item.b} == set(pair)], seed)
            for pair in sides.values()
        },
        elo=_elo(items, names, baseline, seed),
        differences=_differences({name: against[name] for name in standings}, baseline, seed),
        order_bias=order_bias_of(items, seed),
        words=_words(items, names, seed),
        prompts=len({item.prompt_id for item in items}),
        failures=verdicts.failures,
        unpaired=unpaired,
    )


def _standing(items: Sequence[Item], seed: int) -> Standing:
    rate = rate_of(items, seed)
    won = np.array([item.outcome for item in items])
    prompts = [item.prompt_id for item in items]
    ours, theirs = np.array([item.words for item in items], dtype=np.float64).T
    ratios = np.log(np.maximum(ours, 1.0)) - np.log(np.maximum(theirs, 1.0))
    # The line takes outcomes of 1, 1/2 and 0: each item as often as it was judged, which leaves the fit as it is.
    single = [(out, gap, prompt) for item, gap, prompt in zip(items, ours - theirs, prompts, strict=True)
              for out in item.outcomes]  # fmt: skip
    outs = np.array([out for out, _, _ in single])
    linear = length_controlled_win_rate(
        outs, np.full_like(outs, 0.5), [gap for _, gap, _ in single], [prompt for *_, prompt in single], seed=seed
    )
    logistic = logistic_length_controlled(won, ratios, prompts, seed=seed)
    return Standing(
        win_rate=rate,
        length_controlled=_with_shares(logistic, rate),
        length_controlled_linear=_with_shares(linear, rate),
        verdict_ties=float((outs == 0.5).mean()),
        needed=_needed(rate),
    )


def _with_shares(controlled: WinRate, plain: WinRate) -> WinRate:
    """A controlled rate with the number of items, and the shares of better and worse, of the plain one."""
    return replace(controlled, n=plain.n, better=plain.better, worse=plain.worse)


def _needed(rate: WinRate) -> int | None:
    gap = abs(rate.value - 0.5)
    return None if gap < 1e-9 else comparisons_needed(gap, ties=min(rate.ties, 1.0 - 2.0 * gap))


def _elo(items: Sequence[Item], names: Sequence[str], baseline: str, seed: int) -> dict[str, Estimate]:
    """Elo over the baseline of every model that is connected with it by meetings."""
    reached, grown = {baseline}, True
    while grown:
        more = {name for item in items if {item.a, item.b} & reached for name in (item.a, item.b)} - reached
        grown, reached = bool(more), reached | more
    held = [name for name in names if name in reached]
    place = {name: index for index, name in enumerate(held)}
    games = [(place[item.a], place[item.b], item.outcome, item.prompt_id) for item in items if item.a in reached]
    found = strengths(games, len(held), baseline=place[baseline], scale="elo", names=held, seed=seed)
    return dict(zip(held, found, strict=True))


def _differences(against: Mapping[str, Sequence[Item]], baseline: str, seed: int) -> tuple[PairedDifference, ...]:
    """Every two models' win rates against the baseline on the prompts of both, and each against one half."""
    by_prompt: dict[str, dict[str, float]] = {}
    for name, items in against.items():
        held: defaultdict[str, list[float]] = defaultdict(list)
        for item in items:
            held[item.prompt_id].append(item.outcome)
        by_prompt[name] = {prompt: float(np.mean(outcomes)) for prompt, outcomes in held.items()}
    figures: dict[str, dict[str, list[float]]] = {}
    for a, b in combinations(by_prompt, 2):
        shared = [prompt for prompt in by_prompt[a] if prompt in by_prompt[b]]
        if shared:
            figures[f"{a} and {b}"] = {name: [by_prompt[name][prompt] for prompt in shared] for name in (a, b)}
    for name, values in by_prompt.items():
        figures[f"{name} and {baseline}"] = {name: list(values.values()), baseline: [0.5] * len(values)}
    found = compare_families(figures, unit_interval=tuple(figures), seed=seed)
    return tuple(replace(one, figure="") for one in found)


def _words(items: Sequence[Item], names: Sequence[str], seed: int) -> dict[str, Estimate]:
    """Mean words of each model's answers, one for each prompt and answer."""
    held: dict[str, dict[tuple[str, int], None]] = {name: {} for name in names}
    for item in items:
        held[item.a][item.prompt_id, item.words[0]] = None
        held[item.b][item.prompt_id, item.words[1]] = None
    return {
        name: bootstrap_mean([words for _, words in seen], [prompt for prompt, _ in seen], seed=seed)
        for name, seen in held.items()
    }
