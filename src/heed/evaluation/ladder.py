"""The ladder: base, prompted base, SFT, PPO, PPO-ptx and their controls, each against the SFT model.

The shape of the result is that of ``results.json`` (``docs/results.md``). Whoever judges, the gold score of a sandbox
or a second reward model on real data, judges here only: nothing in this package trains, selects or stops anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from heed.errors import ConfigError
from heed.evaluation.answers import Answers, collect_answers, collect_baseline, collect_pool
from heed.evaluation.overoptimization import best_of_n_climb, best_of_n_points, best_of_n_win_rate
from heed.evaluation.overoptimization_fits import study
from heed.evaluation.rates import Grader, grade_all, rates, right_by_kind
from heed.evaluation.samples import choose_samples
from heed.evaluation.win_rates import (
    Groups,
    Measured,
    Strip,
    by_group,
    by_kind,
    difference,
    length_controlled,
    length_matched,
    measure,
    plain,
    stripped,
)
from heed.records import Completion, Prompt
from heed.roles import Decoding, Sampler, Scorer
from heed.runtime.progress import Progress, SilentProgress
from heed.stats import Array, bootstrap_mean, bradley_terry, outcomes

Results: TypeAlias = dict[str, Any]
"""Plain data, ready for JSON."""
LogProbs: TypeAlias = Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float]]
"""Log-probability of each answer under the starting policy."""

DUELS = (
    ("prompted", "base"),
    ("sft", "prompted"),
    ("ppo_ptx", "sft"),
    ("ppo_ptx", "ppo"),
    ("ppo_ptx", "blind"),
    ("ppo_ptx", "ppo_ptx_round_1"),
    ("ppo_ptx", "ppo_ptx_static"),
)
"""Pairs of models compared directly where both are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One model's answers, measured in the three ways they are compared."""

    answers: Answers
    sampled: Measured
    greedy: Measured
    controlled: Measured
    """The greedy answers less what nobody asked for."""


def evaluate_ladder(
    *,
    samplers: Mapping[str, Sampler],
    prompts: Sequence[Prompt],
    gold: Scorer,
    decoding: Decoding,
    baseline: str = "sft",
    grade: Grader | None = None,
    strip: Strip | None = None,
    reward_scorer: Scorer | None = None,
    reference_logprobs: LogProbs | None = None,
    pool: int = 0,
    best_of: int = 8,
    pool_prompts: int = 250,
    groups: Groups | None = None,
    duels: Sequence[tuple[str, str]] = DUELS,
    samples_per_kind: int = 4,
    judged_by: str = "gold",
    progress: Progress | None = None,
) -> Results:
    """Sample every model and compare them all with ``baseline``.

    Args:
        samplers: the models by name, in the order to show them; ``baseline`` is one of them. The report knows base,
            prompted, sft, ppo, ppo_ptx, blind (PPO against a reward model that never saw the prompt) and kl_free.
        prompts: read for no other choice.
        gold: the true preference, or a second reward model where there is none.
        decoding: how the random answers are drawn; the greedy ones take its ``max_new_tokens`` and stops.
        grade: says what an answer gets right and wrong. Without it there are no rates.
        strip: takes away what nobody asked for, before the controlled comparison.
        reward_scorer: the reward model that PPO climbed. Without it there is no best-of-n.
        reference_logprobs: of an answer under the baseline. With it ``kl`` is measured.
        pool: answers of the baseline per prompt for best-of-n and length matching; 0 leaves both out.
        best_of: n of the ladder's ``best_of_n``.
        pool_prompts: how many of the prompts get a pool.
        groups: named sets of categories to give win rates for.

    Returns:
        The sections ``win_rate``, ``win_rate_greedy``, ``win_rate_controlled``, ``rates``, ``rates_greedy``, ``kinds``,
        ``scores``, ``kl``, ``elo``, ``duels``, ``overoptimization`` (best-of-n), ``samples``, ``intervals`` and
        ``evaluation`` of ``results.json``.

    Raises:
        ConfigError: there is no model called ``baseline``, or no prompt.
    """
    if baseline not in samplers or not prompts:
        raise ConfigError(f"the ladder has {len(prompts)} prompts and models {sorted(samplers)}, without {baseline!r}")
    with (progress or SilentProgress()).track(len(samplers) + 1 + (pool > 0), "models") as tracker:
        answers: dict[str, Answers] = {}
        for name, sampler in samplers.items():
            answers[name] = collect_answers(name, sampler, prompts, decoding)
            tracker.advance(1, figure=name)
        reference = collect_baseline(samplers[baseline], prompts, decoding)
        tracker.advance(1, figure=f"{baseline} again")
        some = prompts[:pool_prompts]
        pooled = collect_pool(samplers[baseline], some, pool, decoding) if pool else []
        if pool:
            tracker.advance(1, figure=f"{pool} answers of {baseline} to each of {len(some)} prompts")
    results = compare_answers(
        answers,
        prompts,
        reference=reference,
        gold=gold,
        baseline=baseline,
        grade=grade,
        strip=strip,
        reward_scorer=reward_scorer,
        reference_logprobs=reference_logprobs,
        groups=groups,
        duels=duels,
        samples_per_kind=samples_per_kind,
    )
    if pooled and reward_scorer is not None:
        _add_best_of(results, some, pooled, reference, answers, gold, reward_scorer, best_of)
    results["evaluation"] = {
        "baseline": baseline,
        "judged_by": judged_by,
        "num_prompts": len(prompts),
        "temperature": decoding.temperature,
        "stripped": strip is not None,
        "models": list(samplers),
        "pool": pool,
    }
    return results


def compare_answers(
    answers: Mapping[str, Answers],
    prompts: Sequence[Prompt],
    *,
    reference: Sequence[Completion],
    gold: Scorer,
    baseline: str = "sft",
    grade: Grader | None = None,
    strip: Strip | None = None,
    reward_scorer: Scorer | None = None,
    reference_logprobs: LogProbs | None = None,
    groups: Groups | None = None,
    duels: Sequence[tuple[str, str]] = DUELS,
    samples_per_kind: int = 4,
) -> Results:
    """The same from answers that were collected elsewhere; ``reference`` is :func:`answers.collect_baseline`."""
    kinds, clusters = [prompt.category for prompt in prompts], [prompt.id for prompt in prompts]
    sides = {name: _side(both, prompts, gold, strip) for name, both in answers.items()}
    base, drawn = sides[baseline], measure(gold, prompts, reference)
    against = {"win_rate": drawn, "win_rate_greedy": base.greedy, "win_rate_controlled": base.controlled}
    results: Results = {
        section: {
            name: _entry(section, _of(side, section), theirs, kinds, clusters, groups or {})
            for name, side in sides.items()
        }
        for section, theirs in against.items()
    }
    for name, side in sides.items():
        over_greedy = plain(side.sampled, base.greedy, clusters)
        results["win_rate"][name]["over_greedy_baseline"] = over_greedy.as_json()
    intervals: Results = {}
    if grade is not None:
        results.update(_graded(answers, prompts, kinds, grade, intervals))
    results["scores"] = _scores(sides, prompts, clusters, reward_scorer)
    if reference_logprobs is not None:
        intervals["kl"] = _kl(answers, prompts, reference_logprobs, clusters)
        results["kl"] = {name: one["value"] for name, one in intervals["kl"].items()}
    results["elo"] = _elo({name: side.sampled.scores for name, side in sides.items()}, baseline)
    results["duels"] = [
        _duel(first, second, sides, against, clusters) for first, second in duels if {first, second} <= sides.keys()
    ]
    scores = {name: side.greedy.scores for name, side in sides.items()}
    texts = {name: both.greedy for name, both in answers.items()}
    results["samples"] = choose_samples(prompts, texts, scores, baseline, samples_per_kind)
    results["intervals"] = intervals
    return results


def _side(answers: Answers, prompts: Sequence[Prompt], gold: Scorer, strip: Strip | None) -> _Side:
    greedy = measure(gold, prompts, answers.greedy)
    return _Side(
        answers=answers,
        sampled=measure(gold, prompts, answers.sampled),
        greedy=greedy,
        controlled=greedy if strip is None else measure(gold, prompts, stripped(strip, prompts, answers.greedy)),
    )


def _of(side: _Side, section: str) -> Measured:
    ways = {"win_rate": side.sampled, "win_rate_greedy": side.greedy, "win_rate_controlled": side.controlled}
    return ways[section]


def _entry(
    section: str, ours: Measured, theirs: Measured, kinds: Sequence[str], clusters: Sequence[str], groups: Groups
) -> Results:
    """One model's figures in one section; the controlled one has length regressed out, and says what each step does."""
    simple, controlled = plain(ours, theirs, clusters), length_controlled(ours, theirs, clusters)
    entry: Results = (controlled if section == "win_rate_controlled" else simple).as_json()
    if section == "win_rate_controlled":
        entry["stripped"] = simple.as_json()
    else:
        entry["length_regressed"] = controlled.as_json()
    entry["kinds"] = {kind: one.as_json() for kind, one in by_kind(ours, theirs, kinds, clusters).items()}
    entry["groups"] = {name: one.as_json() for name, one in by_group(ours, theirs, kinds, clusters, groups).items()}
    return entry


def _graded(
    answers: Mapping[str, Answers], prompts: Sequence[Prompt], kinds: Sequence[str], grade: Grader, intervals: Results
) -> Results:
    results: Results = {"rates": {}, "rates_greedy": {}, "kinds": {}}
    for name, both in answers.items():
        results["kinds"][name] = {}
        for section, completions in (("rates", both.sampled), ("rates_greedy", both.greedy)):
            grades = grade_all(grade, prompts, completions)
            found = {rate: one.as_json() for rate, one in rates(grades, completions).items()}
            intervals.setdefault(section, {})[name] = found
            results[section][name] = {rate: one["value"] for rate, one in found.items()}
            field = "right" if section == "rates" else "right_greedy"
            for kind, share in right_by_kind(grades, kinds).items():
                results["kinds"][name].setdefault(kind, {})[field] = share.as_json()
    return results


def _scores(
    sides: Mapping[str, _Side], prompts: Sequence[Prompt], clusters: Sequence[str], reward_scorer: Scorer | None
) -> Results:
    """Mean gold, words and reward-model score of each model, at random and greedily."""
    table: Results = {}
    for name, side in sides.items():
        row = {
            "gold": side.sampled.scores,
            "gold_greedy": side.greedy.scores,
            "words": side.sampled.lengths,
            "words_greedy": side.greedy.lengths,
        }
        if reward_scorer is not None:
            row["reward"] = measure(reward_scorer, prompts, side.answers.sampled).scores
            row["reward_greedy"] = measure(reward_scorer, prompts, side.answers.greedy).scores
        table[name] = {field: bootstrap_mean(values, clusters).as_json() for field, values in row.items()}
    return table


def _kl(
    answers: Mapping[str, Answers], prompts: Sequence[Prompt], reference_logprobs: LogProbs, clusters: Sequence[str]
) -> Results:
    """KL of each model from the baseline, nats per answer: the mean over samples of log pi(y) - log pi_ref(y)."""
    table: Results = {}
    for name, both in answers.items():
        if all(one.logprobs for one in both.sampled):
            reference = np.asarray(reference_logprobs(prompts, both.sampled), dtype=np.float64)
            own = np.array([sum(one.logprobs) for one in both.sampled], dtype=np.float64)
            table[name] = bootstrap_mean(own - reference, clusters).as_json()
    return table


def _elo(scores: Mapping[str, Array], baseline: str, resamples: int = 200) -> Results:
    """Elo points above the baseline from all pairs of models on the same prompts, prompts resampled."""
    names = list(scores)
    won = np.array([[outcomes(scores[a], scores[b]) for b in names] for a in names])  # (M, M, P)
    num_prompts = won.shape[2]
    rng = np.random.default_rng(0)
    draws = [np.ones(num_prompts), *rng.multinomial(num_prompts, np.full(num_prompts, 1 / num_prompts), resamples)]
    points = []
    for weights in draws:
        strengths = bradley_terry((won @ weights) * (1 - np.eye(len(names))), prior=0.01) * 400 / np.log(10)
        points.append(strengths - strengths[names.index(baseline)])
    low, high = np.percentile(points[1:], [2.5, 97.5], axis=0)
    return {
        name: {"value": float(points[0][i]), "low": float(low[i]), "high": float(high[i]), "n": num_prompts}
        for i, name in enumerate(names)
    }


def _duel(
    first: str,
    second: str,
    sides: Mapping[str, _Side],
    against: Mapping[str, Measured],
    clusters: Sequence[str],
) -> Results:
    """Two models face to face, and the difference of their win rates against the baseline, paired by prompt."""
    a, b = sides[first], sides[second]
    entry: Results = {
        "a": first,
        "b": second,
        "win_rate": plain(a.sampled, b.sampled, clusters).as_json(),
        "win_rate_greedy": plain(a.greedy, b.greedy, clusters).as_json(),
        "win_rate_controlled": length_controlled(a.controlled, b.controlled, clusters).as_json(),
    }
    entry["difference"] = {
        section: difference(_of(a, section), _of(b, section), theirs, clusters).as_json()
        for section, theirs in against.items()
    }
    return entry


def _add_best_of(
    results: Results,
    prompts: Sequence[Prompt],
    pooled: Sequence[Sequence[Completion]],
    reference: Sequence[Completion],
    answers: Mapping[str, Answers],
    gold: Scorer,
    reward_scorer: Scorer,
    best_of: int,
) -> None:
    """Best-of-n and length-matched win rates from a pool of the baseline's answers."""
    clusters = [prompt.id for prompt in prompts]
    pool_gold = np.round(np.array(gold.score(prompts, pooled), dtype=np.float64), 9)
    pool_reward = np.array(reward_scorer.score(prompts, pooled), dtype=np.float64)
    theirs = measure(gold, prompts, reference[: len(prompts)])
    n = min(best_of, pool_gold.shape[1])
    estimate, worse = best_of_n_win_rate(pool_reward, pool_gold, theirs.scores, n, clusters)
    results["win_rate"]["best_of_n"] = {**estimate.as_json(), "worse": worse, "best_of": n}
    points = [point.as_json() for point in best_of_n_points(pool_reward, pool_gold)]
    found = study(best_of_n_climb(pool_reward, pool_gold), "best_of_n")
    results["overoptimization"] = {"points": points, "fits": {} if found is None else {"best_of_n": found}}
    columns = list(zip(*pooled, strict=True))[:8]
    others = [measure(gold, prompts, column) for column in columns]
    for name, both in answers.items():
        ours = measure(gold, prompts, both.sampled[: len(prompts)])
        results["win_rate"][name]["length_matched"] = length_matched(ours, others, clusters).as_json()
