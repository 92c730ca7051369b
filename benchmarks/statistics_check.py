"""Do Heed's intervals, tests and forecasts keep their promises? Simulated, where the truth is known.

    python benchmarks/statistics_check.py               minutes; a table in Markdown
    python benchmarks/statistics_check.py --quick       seconds, and no figures worth quoting

Coverage of every 95 % interval; false alarms of the paired test and of a whole family of tests; the power of planted
effects against what was forecast; and judges that are biased on purpose, by length or by order, which must be found,
and fair ones, which must not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import expit, ndtr
from scipy.stats import binom

from heed.stats import (
    Array,
    Estimate,
    bootstrap_means,
    comparisons_needed,
    difference_intervals,
    holm,
    items_needed,
    length_controlled_win_rate,
    logistic_length_controlled,
    mcnemar,
    order_bias,
    sign_flips,
    strengths,
    wilson,
)

RATES = (0.5, 0.7, 0.95)
ICC = 0.3
"""Intraclass correlation of answers to one prompt."""
GRADES = np.array([0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.3])
"""How often each of the grades 1 to 7 is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is simulated."""

    prompts: tuple[int, ...] = (50, 100, 200, 1000)
    runs: int = 2000
    """Of what is simulated all at once."""
    fits: int = 600
    """Of what is fitted one by one."""
    families: int = 1000


QUICK = Size(prompts=(100,), runs=300, fits=25, families=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    part: str
    case: str
    prompts: int
    found: float
    """A share of simulated runs."""
    expected: str
    runs: int
    """0 for an exact sum over all outcomes."""
    width: float = float("nan")
    """Mean width of the intervals."""

    @property
    def noise(self) -> float:
        """Standard error of ``found``."""
        return sqrt(self.found * (1 - self.found) / self.runs) if self.runs else 0.0


# --- what is simulated


def answers(rng: np.random.Generator, prompts: int, per_prompt: int, rate: float, runs: int, icc: float = ICC) -> Array:
    """(prompts * per_prompt, runs) of 0 and 1: each prompt has a rate of its own, from a beta distribution."""
    if per_prompt == 1:
        return (rng.random((prompts, runs)) < rate).astype(np.float64)
    spread = (1 - icc) / icc
    own = np.repeat(rng.beta(rate * spread, (1 - rate) * spread, (prompts, runs)), per_prompt, axis=0)
    return (rng.random(own.shape) < own).astype(np.float64)


def coverage(found: Sequence[Estimate], truth: float) -> tuple[float, float]:
    """Share of intervals that hold the truth, and their mean width."""
    held = [one.low - 1e-12 <= truth <= one.high + 1e-12 for one in found]
    return float(np.mean(held)), float(np.mean([one.high - one.low for one in found]))


# --- coverage


def wilson_coverage(size: Size) -> Iterator[Row]:
    """Exact: all outcomes, each with its binomial probability."""
    for n in size.prompts:
        for rate in RATES:
            chance = binom.pmf(np.arange(n + 1), n, rate)
            found = [wilson(k, n) for k in range(n + 1)]
            held = [one.low <= rate <= one.high for one in found]
            width = float(chance @ [one.high - one.low for one in found])
            yield Row(part="coverage", case=f"Wilson, rate {rate}", prompts=n, found=float(chance @ held),
                      expected=".94 to .96", runs=0, width=width)  # fmt: skip


def mean_coverage(size: Size, seed: int) -> Iterator[Row]:
    """The clustered bootstrap: shares with one and with four answers per prompt, win rates with ties, ratings."""
    rng = np.random.default_rng(seed)
    for n in size.prompts:
        runs = size.runs
        for per_prompt in (1, 4):
            labels = np.repeat(np.arange(n), per_prompt)
            for rate in RATES:
                values = answers(rng, n, per_prompt, rate, runs)
                held, width = coverage(bootstrap_means(values, labels, unit_interval=True), rate)
                yield Row(part="coverage", case=f"bootstrap of a rate of {rate}, {per_prompt} per prompt", prompts=n,
                          found=held, expected=".94 to .96", runs=runs, width=width)  # fmt: skip
        won = rng.choice([1.0, 0.5, 0.0], p=[0.5, 0.2, 0.3], size=(n, runs))
        held, width = coverage(bootstrap_means(won, unit_interval=True), 0.6)
        yield Row(part="coverage", case="win rate .6, a fifth ties", prompts=n, found=held, expected=".94 to .96",
                  runs=runs, width=width)  # fmt: skip
        grades = np.arange(1.0, 8.0)
        held, width = coverage(bootstrap_means(rng.choice(grades, p=GRADES, size=(n, runs))), float(GRADES @ grades))
        yield Row(part="coverage", case="mean of 1-7 ratings", prompts=n, found=held, expected=".94 to .96",
                  runs=runs, width=width)  # fmt: skip
        hard = rng.normal(0, 1, (n, runs))
        first, second = (hard + rng.normal(0, 1, (n, runs)) < bar for bar in (0.5, 0.2))
        truth = float(ndtr(0.5 / sqrt(2)) - ndtr(0.2 / sqrt(2)))
        gaps = first.astype(np.float64) - second
        held, width = coverage(difference_intervals(gaps, bounded=True), truth)
        yield Row(part="coverage", case="difference of two rates on the same items", prompts=n, found=held,
                  expected=".94 to .96", runs=runs, width=width)  # fmt: skip


def fitted_coverage(size: Size, seed: int) -> Iterator[Row]:
    """What is fitted run by run: win rates at equal length, and Elo points of four models."""
    rng = np.random.default_rng(seed)
    quality, slope, mean = 0.4, 0.8, 0.3  # log-odds at equal length, per unit of length, mean gap
    many = rng.normal(mean, 1.0, 2_000_000)
    line = np.polyfit(many, expit(quality + slope * many), 1)[1]
    for n in size.prompts:
        if n > 200:
            continue
        logistic, linear, elo = [], [], []
        for _ in range(size.fits):
            gaps = np.repeat(rng.normal(mean, 1.0, n), 2)
            won = (rng.random(2 * n) < expit(quality + slope * gaps)).astype(np.float64)
            prompts = np.repeat(np.arange(n), 2)
            found = logistic_length_controlled(won, gaps, prompts)
            logistic.append(Estimate(value=found.value, low=found.low, high=found.high, n=found.n))
            found = length_controlled_win_rate(won, 1 - won, gaps, prompts)
            linear.append(Estimate(value=found.value, low=found.low, high=found.high, n=found.n))
            elo += [_elo(rng, n)]
        for case, one, truth in (
            ("logistic length control", logistic, float(expit(quality))),
            ("linear length control, of the best line", linear, float(line)),
            ("Elo, the strongest of four models", elo, 200.0),
        ):
            held, width = coverage(one, truth)
            yield Row(part="coverage", case=case, prompts=n, found=held, expected=".93 to .97", runs=size.fits,
                      width=width)  # fmt: skip


def _elo(rng: np.random.Generator, prompts: int) -> Estimate:
    """Elo over the weakest of a model 200 points above it; on each prompt, three of the six pairs are compared."""
    true = np.array([0.0, 60.0, 120.0, 200.0])
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    played = [
        (*pairs[which], prompt) for prompt in range(prompts) for which in rng.choice(len(pairs), 3, replace=False)
    ]
    comparisons = [
        (i, j, float(rng.random() < 1 / (1 + 10 ** ((true[j] - true[i]) / 400))), prompt) for i, j, prompt in played
    ]
    return strengths(comparisons, 4, scale="elo")[3]


# --- false alarms


def false_alarms(size: Size, seed: int) -> Iterator[Row]:
    """Tests at .05 where nothing differs."""
    rng = np.random.default_rng(seed)
    for n in (12, 50, 200):
        prompts = np.repeat(np.arange(n), 4)
        gaps = answers(rng, n, 4, 0.7, size.families) - answers(rng, n, 4, 0.7, size.families)
        both = np.repeat(rng.normal(0, 1, (n, size.families)), 4, axis=0)  # a model suits a prompt, or does not
        gaps = np.sign(gaps + both)
        for case, labels in (("paired sign-flip, by prompt", prompts), ("the same, prompts ignored", None)):
            p = np.array(sign_flips(gaps, labels, draws=2000))
            expected = "at most .05, about" if labels is not None else "too many: why clusters matter"
            yield Row(part="false alarms", case=case, prompts=n, found=float((p <= 0.05).mean()), expected=expected,
                      runs=size.families)  # fmt: skip
        once = [mcnemar(rng.random(n) < 0.7, rng.random(n) < 0.7) <= 0.05 for _ in range(size.families)]
        yield Row(part="false alarms", case="exact McNemar, 1 per prompt", prompts=n, found=float(np.mean(once)),
                  expected="under .05", runs=size.families)  # fmt: skip
    raw, strict = zip(*(_family(rng, 100, 6) for _ in range(size.families)), strict=True)
    for case, alarms, expected in (
        ("any of 15 pairs of 6 models, unadjusted", raw, "far too many"),
        ("any of 15 pairs of 6 models, Holm", strict, "at most .05"),
    ):
        yield Row(part="false alarms", case=case, prompts=100, found=float(np.mean(alarms)), expected=expected,
                  runs=size.families)  # fmt: skip


def _family(rng: np.random.Generator, prompts: int, models: int) -> tuple[bool, bool]:
    """Whether anything was found among equal models, before and after Holm's adjustment."""
    values = rng.normal(0, 1, (prompts, 1)) + rng.normal(0, 1, (prompts, models))
    first, second = np.triu_indices(models, 1)
    p = sign_flips(values[:, first] - values[:, second], draws=2000, seed=int(rng.integers(2**31)))
    return min(p) <= 0.05, min(holm(p)) <= 0.05


# --- power


def power(size: Size, seed: int) -> Iterator[Row]:
    """Effects that were planted, with as many comparisons as are said to show them four times of five."""
    rng = np.random.default_rng(seed)
    runs = size.families
    for ties, per_prompt in ((0.0, 1), (0.2, 1), (0.0, 4)):
        needed = comparisons_needed(0.05, ties=ties, per_cluster=per_prompt, correlation=ICC if per_prompt > 1 else 0)
        prompts = -(-needed // per_prompt)
        if per_prompt > 1:
            won = answers(rng, prompts, per_prompt, 0.55, runs)
        else:
            won = rng.choice([1.0, 0.5, 0.0], p=[0.55 - ties / 2, ties, 0.45 - ties / 2], size=(prompts, runs))
        labels = np.repeat(np.arange(prompts), per_prompt)
        p = np.array(sign_flips(won - 0.5, labels, draws=2000))
        case = f"win rate .55, {ties:.0%} ties, {per_prompt} per prompt, {needed} comparisons"
        yield Row(part="power", case=case, prompts=prompts, found=float((p <= 0.05).mean()), expected=".80", runs=runs)
    both = 0.6 * 0.65 + 0.5 * sqrt(0.6 * 0.4 * 0.65 * 0.35)
    needed = items_needed(0.6, 0.05, correlation=0.5)
    drawn = rng.choice(3, p=[0.65 - both, 0.6 - both, 1 - 1.25 + 2 * both], size=(needed, runs))
    gaps = np.array([1.0, -1.0, 0.0])[drawn]
    p = np.array(sign_flips(gaps, draws=2000))
    yield Row(part="power", case=f"rates .60 and .65, correlation .5, {needed} items", prompts=needed,
              found=float((p <= 0.05).mean()), expected=".80", runs=runs)  # fmt: skip


# --- biased judges


def judges(size: Size, seed: int) -> Iterator[Row]:
    """Judges who go by length or by order, and judges who go by quality alone, of two models; 400 prompts."""
    rng = np.random.default_rng(seed)
    n = 400
    for name, quality, slope in (("length-biased, equal models", 0.0, 1.5), ("fair, better model", 0.4, 0.0)):
        plain, controlled = [], []
        for _ in range(size.fits):
            gaps = rng.normal(0.4, 0.6, n)  # our answers are half as long again
            won = (rng.random(n) < expit(quality + slope * gaps)).astype(np.float64)
            plain.append(bootstrap_means(won[:, None], unit_interval=True)[0])
            found = logistic_length_controlled(won, gaps)
            controlled.append(Estimate(value=found.value, low=found.low, high=found.high, n=n))
        for case, one in (("plain", plain), ("at equal length", controlled)):
            expected = ".05, about" if quality == 0.0 and one is controlled else "high"
            away = float(np.mean([it.low > 0.5 or it.high < 0.5 for it in one]))
            yield Row(part="judges", case=f"{name}: ours found better, {case}", prompts=n, found=away,
                      expected=expected, runs=size.fits)  # fmt: skip
    for name, towards_first in (("order-biased", 0.3), ("fair", 0.0)):
        found = []
        for _ in range(size.runs // 2):
            own = rng.normal(0.4, 1.0, n)
            first = (rng.random(n) < expit(own + towards_first)).astype(np.float64)
            second = (rng.random(n) < expit(own - towards_first)).astype(np.float64)
            found.append(order_bias(first, second))
        expected = "high" if towards_first else ".05, about"
        yield Row(part="judges", case=f"{name}: order bias found", prompts=n, runs=len(found), expected=expected,
                  found=float(np.mean([one.biased for one in found])))  # fmt: skip
        shift = np.random.default_rng(0).normal(0.4, 1.0, 1_000_000)
        truth = float((expit(shift + towards_first) + expit(shift - towards_first)).mean() / 2)
        held = [one.win_rate.low <= truth <= one.win_rate.high for one in found]
        yield Row(part="judges", case=f"{name}: interval of the debiased win rate holds it", prompts=n,
                  found=float(np.mean(held)), expected=".94 to .96", runs=len(found))  # fmt: skip


def check(size: Size, seed: int = 0) -> list[Row]:
    """All of it."""
    return [
        *wilson_coverage(size),
        *mean_coverage(size, seed),
        *fitted_coverage(size, seed + 1),
        *false_alarms(size, seed + 2),
        *power(size, seed + 3),
        *judges(size, seed + 4),
    ]


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = ["| part | case | prompts | found | expected | runs | mean width |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        found = f"{row.found:.3f}" + (f" ± {1.96 * row.noise:.3f}" if row.runs else "")
        width = "" if np.isnan(row.width) else f"{row.width:.3g}"
        runs = str(row.runs) if row.runs else "exact"
        lines.append(f"| {row.part} | {row.case} | {row.prompts} | {found} | {row.expected} | {runs} | {width} |")
    return "\n".join(lines)


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(table(check(QUICK if given.quick else Size(), given.seed)))


if __name__ == "__main__":
    main()
