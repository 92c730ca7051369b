"""Over-optimisation: how the true preference falls away from the score that is being optimised.

Best-of-n and PPO both climb a reward model; each step away from where they started costs KL. The reward model's own
score keeps rising; the true preference rises, then falls. Source: Gao, Schulman and Hilton 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from heed.evaluation.overoptimization_fits import Climb
from heed.records import Completion, Prompt
from heed.roles import Decoding, Sampler, Scorer
from heed.stats import Array, Estimate, bootstrap_mean, outcomes

LogProbs: TypeAlias = Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float]]
"""Log-probabilities, in nats, of whole answers under some model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One stop on the way away from the starting policy."""

    run: str
    """``"best_of_n"``, or the name of a PPO run."""
    at: int
    """n of best-of-n, or PPO's iteration."""
    kl: float
    """Nats per answer, from the starting policy."""
    reward: float
    """Mean score of the reward model that is optimised."""
    gold: float
    """Mean score of the true preference, or of the second reward model where there is none."""

    def as_json(self) -> dict[str, str | int | float]:
        """All fields by name."""
        return {"run": self.run, "at": self.at, "kl": self.kl, "reward": self.reward, "gold": self.gold}


def kl_of_best_of(n: int) -> float:
    """KL of best-of-n from the policy it draws from, in nats: ln n - (n-1)/n."""
    return log(n) - (n - 1) / n


def best_of_weights(pool: int, n: int) -> Array:
    """(pool,): the chance that the sample of each rank, worst first, is the best of ``n`` drawn without replacement.

    ``C(i-1, n-1) / C(pool, n)`` for rank i = 1..pool. Source: Nakano et al. 2021, appendix I.
    """
    if not 1 <= n <= pool:
        raise ValueError(f"n is {n}, expected 1 to the pool's {pool}")
    rank = np.arange(1, pool + 1, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        ways = gammaln(rank) - gammaln(n) - gammaln(np.maximum(rank - n + 1, 1))
    total = gammaln(pool + 1) - gammaln(n + 1) - gammaln(pool - n + 1)
    weights: Array = np.where(rank >= n, np.exp(ways - total), 0.0)
    return weights


def best_of_n(proxy: npt.ArrayLike, values: npt.ArrayLike, n: int) -> Array:
    """(P,): for each prompt the expected value of that one of ``n`` samples which the proxy likes best.

    Unbiased: the mean over all subsets of size ``n`` of the pool. Samples with equal proxy share their ranks.

    Args:
        proxy: (P, pool) scores to choose by.
        values: (P, pool) what is then read off, such as gold.
    """
    scores, wanted = np.asarray(proxy, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if scores.ndim != 2 or scores.shape != wanted.shape:
        raise ValueError(f"proxy has shape {scores.shape} and values {wanted.shape}, expected both (prompts, pool)")
    weights = best_of_weights(scores.shape[1], n)
    return np.array([_shared(row, weights) @ value for row, value in zip(scores, wanted, strict=True)])


def _shared(scores: Array, weights: Array) -> Array:
    """Weights by sample, those of tied samples replaced by their mean."""
    distinct, index = np.unique(scores, return_inverse=True)
    by_rank = np.empty_like(weights)
    by_rank[np.argsort(scores, kind="stable")] = weights
    totals = np.bincount(index, weights=by_rank, minlength=distinct.size)
    shared: Array = (totals / np.bincount(index, minlength=distinct.size))[index]
    return shared


def pool_sizes(pool: int) -> list[int]:
    """1, 2, 4, ... up to the size of the pool."""
    return [2**power for power in range(pool.bit_length()) if 2**power <= pool]


def best_of_n_table(reward: npt.ArrayLike, values: npt.ArrayLike) -> Array:
    """(P, sizes): :func:`best_of_n` for each prompt and each n of :func:`pool_sizes`. Arguments are (P, pool)."""
    sizes = pool_sizes(np.asarray(reward).shape[1])
    return np.stack([best_of_n(reward, values, n) for n in sizes], axis=1)


def best_of_n_points(reward: npt.ArrayLike, gold: npt.ArrayLike) -> list[Point]:
    """Points for n = 1, 2, 4, ... up to the size of the pool. Both arguments are (P, pool)."""
    sizes = pool_sizes(np.asarray(reward).shape[1])
    means = [best_of_n_table(reward, values).mean(axis=0).tolist() for values in (reward, gold)]
    return [
        Point(run="best_of_n", at=n, kl=kl_of_best_of(n), reward=chosen, gold=wanted)
        for n, chosen, wanted in zip(sizes, *means, strict=True)
    ]


def best_of_n_climb(reward: npt.ArrayLike, gold: npt.ArrayLike) -> Climb:
    """The same with gold by prompt, to fit curves to."""
    sizes = pool_sizes(np.asarray(reward).shape[1])
    return Climb([kl_of_best_of(n) for n in sizes], best_of_n_table(reward, gold))


def path_climb(points: Sequence[Point]) -> Climb:
    """The points of one run, by what they are at, to fit curves to."""
    ordered = sorted(points, key=lambda one: one.at)
    return Climb([one.kl for one in ordered], [one.gold for one in ordered])


def best_of_n_win_rate(
    reward: npt.ArrayLike, gold: npt.ArrayLike, baseline_gold: npt.ArrayLike, n: int, clusters: Sequence[str]
) -> tuple[Estimate, float]:
    """Win rate of best-of-n against one other answer per prompt, and the chance of being strictly worse.

    Args:
        reward, gold: (P, pool) of the pool that best-of-n chooses from.
        baseline_gold: (P,) of the answers it is compared with.
    """
    table, others = np.asarray(gold, dtype=np.float64), np.asarray(baseline_gold, dtype=np.float64)
    won = np.stack([outcomes(column, others) for column in table.T], axis=1)
    expected = best_of_n(reward, won, n)
    worse = best_of_n(reward, (won < 0.5).astype(np.float64), n)
    return bootstrap_mean(expected, clusters, unit_interval=True), float(worse.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Where a policy stands, by prompt: one answer to each of P prompts."""

    reward: tuple[float, ...]
    """Scores of the reward model that is optimised."""
    gold: tuple[float, ...]
    """Scores of the true preference, or of a second reward model where there is none."""
    words: tuple[int, ...]
    kl: tuple[float, ...] = ()
    """Log-probability of the answer under the policy less that under the starting policy, in nats: its mean is the KL.
    Empty if that was not asked."""

    def figures(self) -> dict[str, float]:
        """The means; ``probe_kl`` is of these answers, where PPO's own ``kl`` is of those before its updates."""
        means = {name: float(np.mean(getattr(self, name))) for name in ("reward", "gold", "words")}
        return means | ({"probe_kl": float(np.mean(self.kl))} if self.kl else {})

    def as_json(self) -> dict[str, list[float]]:
        """What is needed to resample prompts later."""
        return {"reward": list(self.reward), "gold": list(self.gold), "kl": list(self.kl)}


def probe(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    *,
    reward: Scorer,
    gold: Scorer,
    decoding: Decoding,
    reference: LogProbs | None = None,
) -> Probe:
    """Where a policy stands in the middle of training.

    For the record only: nothing may be chosen, stopped or trained by the gold figure.

    Args:
        reference: log-probabilities of answers under the starting policy, at the temperature of ``decoding``.
    """
    drawn = sampler.sample(prompts, 1, decoding)
    answers = [one for (one,) in drawn]
    before = [] if reference is None else reference(prompts, answers)
    return Probe(
        reward=tuple(one for (one,) in reward.score(prompts, drawn)),
        gold=tuple(one for (one,) in gold.score(prompts, drawn)),
        words=tuple(len(one.text.split()) for one in answers),
        kl=tuple(sum(one.logprobs) - start for one, start in zip(answers, before, strict=False)),
    )


def probes_climb(probes: Sequence[Probe]) -> Climb | None:
    """Probes of one run on the same prompts, the start first, to fit curves to; None where they have no KL."""
    if not probes or not all(one.kl for one in probes):
        return None
    return Climb(np.array([one.kl for one in probes]).T, np.array([one.gold for one in probes]).T)
