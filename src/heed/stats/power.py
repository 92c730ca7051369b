"""How many comparisons show a difference, and what difference so many show.

All two-sided, by the normal approximation to the exact test. Its statistic moves in steps, and half a step is added to
what must be passed (the continuity correction of Fleiss et al. 2003, section 2.4). Answers to one prompt count through
their design effect (Kish 1965, section 5.4): m of them with intraclass correlation r inform like m / (1 + (m - 1) r)
independent ones.
"""

from __future__ import annotations

from math import ceil, sqrt

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

WIN_STEP = 0.5
"""Half a step of the number of wins less that of expected ones."""
PAIR_STEP = 1.0
"""Half a step of the number of items that one alone got right less those that the other did."""


def design_effect(per_cluster: float, correlation: float) -> float:
    """``1 + (per_cluster - 1) correlation``: by how much the variance of a mean grows (Kish 1965, section 5.4)."""
    if per_cluster < 1 or not 0 <= correlation <= 1:
        raise ValueError(
            f"per_cluster is {per_cluster:g} and correlation {correlation:g}, expected at least 1 and one of 0 to 1"
        )
    return 1.0 + (per_cluster - 1.0) * correlation


# --- a win rate against one half


def win_rate_power(
    n: float,
    difference: float,
    *,
    alpha: float = 0.05,
    ties: float = 0.0,
    per_cluster: float = 1,
    correlation: float = 0.0,
) -> float:
    """The chance that ``n`` comparisons show that a win rate is not one half, when it is 0.5 + ``difference``.

    Args:
        n: comparisons.
        difference: true win rate minus one half.
        alpha: two-sided level of the test.
        ties: share of ties, which count half. They make the mean less variable, and the difference rarer.
        per_cluster: comparisons of one prompt.
        correlation: intraclass correlation of the outcomes of one prompt.
    """
    return _power(
        difference, _win_spreads(difference, ties), WIN_STEP, design_effect(per_cluster, correlation) / n, alpha
    )


def comparisons_needed(
    difference: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    ties: float = 0.0,
    per_cluster: float = 1,
    correlation: float = 0.0,
) -> int:
    """The comparisons that show a win rate of 0.5 + ``difference`` with so much power; see ``win_rate_power``.

    Without the half step, ``n = deff ((z_(1-alpha/2) s0 + z_power s1) / difference)^2`` with s0 and s1 the standard
    deviations of an outcome at one half and at the true rate (Fleiss et al. 2003, section 2.5); with it, about
    ``1 / difference`` more.
    """
    _check_levels(power, alpha)
    if difference == 0:
        raise ValueError("difference is 0, which no number of comparisons shows")
    needed = _needed(difference, _win_spreads(difference, ties), WIN_STEP, power, alpha)
    return ceil(design_effect(per_cluster, correlation) * needed)


def detectable(
    n: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    ties: float = 0.0,
    per_cluster: float = 1,
    correlation: float = 0.0,
) -> float:
    """The smallest difference from one half that ``n`` comparisons show with so much power.

    The inverse of ``comparisons_needed``. NaN when they do not show even the largest, a side that wins all but ties.
    """
    _check_levels(power, alpha)
    per_item = design_effect(per_cluster, correlation) / n

    def surplus(difference: float) -> float:
        return difference - _bar(_win_spreads(difference, ties), power, alpha) * sqrt(per_item) - WIN_STEP * per_item

    most = (1.0 - ties) / 2.0
    return float(brentq(surplus, 0.0, most, xtol=1e-12)) if surplus(most) >= 0 else float("nan")


def _win_spreads(difference: float, ties: float) -> tuple[float, float]:
    """Standard deviation of an outcome (1, 1/2, 0) at a win rate of one half, and at one half + difference."""
    if not 0 <= ties < 1 or abs(difference) > (1.0 - ties) / 2.0 + 1e-12:
        raise ValueError(f"no win rate is {0.5 + difference:g} when a share of {ties:g} are ties")
    return sqrt((1.0 - ties) / 4.0), sqrt(max((1.0 - ties) / 4.0 - difference**2, 0.0))


# --- two rates on the same items


def paired_power(
    n: float,
    rate: float,
    difference: float,
    *,
    alpha: float = 0.05,
    correlation: float = 0.0,
    per_cluster: float = 1,
    cluster_correlation: float = 0.0,
) -> float:
    """The chance that ``n`` items show that two models' rates of success differ.

    Args:
        n: items, on each of which both models are marked right or wrong.
        rate: of the one model.
        difference: rate of the other minus ``rate``.
        alpha: two-sided level of the test.
        correlation: of the two models' successes over items; items that are hard for both make it positive.
        per_cluster: items of one cluster.
        cluster_correlation: intraclass correlation of an item's difference.
    """
    spreads = _paired_spreads(rate, difference, correlation)
    return _power(difference, spreads, PAIR_STEP, design_effect(per_cluster, cluster_correlation) / n, alpha)


def items_needed(
    rate: float,
    difference: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    correlation: float = 0.0,
    per_cluster: float = 1,
    cluster_correlation: float = 0.0,
) -> int:
    """The items that show a difference of two rates with so much power; see ``paired_power``.

    With D the share of items on which only one model is right, the standard deviation of an item's difference is
    sqrt(D) without and sqrt(D - difference^2) with the effect (Connor 1987, for McNemar's test).
    """
    _check_levels(power, alpha)
    if difference == 0:
        raise ValueError("difference is 0, which no number of items shows")
    needed = _needed(difference, _paired_spreads(rate, difference, correlation), PAIR_STEP, power, alpha)
    return ceil(design_effect(per_cluster, cluster_correlation) * needed)


def detectable_gain(
    n: float,
    rate: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    correlation: float = 0.0,
    per_cluster: float = 1,
    cluster_correlation: float = 0.0,
) -> float:
    """The smallest gain over ``rate`` that ``n`` items show with so much power; NaN when there is none.

    The inverse of ``items_needed``, for gains; for losses give 1 - ``rate``.
    """
    _check_levels(power, alpha)
    per_item = design_effect(per_cluster, cluster_correlation) / n

    def surplus(difference: float) -> float:
        bar = _bar(_paired_spreads(rate, difference, correlation), power, alpha)
        return difference - bar * sqrt(per_item) - PAIR_STEP * per_item

    most = _largest_gain(rate, correlation)
    return float(brentq(surplus, 1e-12, most, xtol=1e-12)) if surplus(most) >= 0 else float("nan")


def _paired_spreads(rate: float, difference: float, correlation: float) -> tuple[float, float]:
    """Standard deviation of an item's difference when its mean is tested as zero, and as it is."""
    other = rate + difference
    if not (0 <= rate <= 1 and -1e-12 <= other <= 1 + 1e-12 and 0 <= correlation <= 1):
        raise ValueError(f"rates are {rate:g} and {other:g} and correlation {correlation:g}, expected 0 to 1")
    other = min(max(other, 0.0), 1.0)
    both = rate * other + correlation * sqrt(rate * (1 - rate) * other * (1 - other))
    if both > min(rate, other) + 1e-9:
        raise ValueError(
            f"rates of {rate:g} and {other:g} cannot have correlation {correlation:g}: both would be right "
            f"on a share of {both:.3g}, which is {min(rate, other):.3g} at most"
        )
    apart = rate + other - 2.0 * both
    return sqrt(max(apart, 0.0)), sqrt(max(apart - difference**2, 0.0))


def _largest_gain(rate: float, correlation: float) -> float:
    """The largest gain over ``rate`` that a correlation allows: odds may differ by 1 / correlation^2 at most."""
    if correlation == 0 or rate in (0.0, 1.0):
        return 1.0 - rate
    odds = rate / (1.0 - rate) / correlation**2
    return odds / (1.0 + odds) - rate


def _needed(difference: float, spreads: tuple[float, float], half_step: float, power: float, alpha: float) -> float:
    """The independent items that show a difference: n |difference| = bar sqrt(n) + half_step, solved for n."""
    bar, size = _bar(spreads, power, alpha), abs(difference)
    return ((bar + sqrt(bar * bar + 4.0 * size * half_step)) / (2.0 * size)) ** 2


def _bar(spreads: tuple[float, float], power: float, alpha: float) -> float:
    """The difference that one item would show with so much power, of spreads without and with it."""
    null, true = spreads
    return float(ndtri(1.0 - alpha / 2) * null + ndtri(power) * true)


def _power(difference: float, spreads: tuple[float, float], half_step: float, per_item: float, alpha: float) -> float:
    """The chance of a two-sided test; the variance of the mean is ``per_item`` that of an item."""
    null, true = (spread * sqrt(per_item) for spread in spreads)
    bar, size = float(ndtri(1.0 - alpha / 2)) * null + half_step * per_item, abs(difference)
    if true == 0.0:
        return float(size > bar)
    return float(ndtr((size - bar) / true) + ndtr((-size - bar) / true))


def _check_levels(power: float, alpha: float) -> None:
    if not (0 < alpha < 1 and alpha < power < 1):
        raise ValueError(f"power is {power:g} at alpha {alpha:g}, expected 0 < alpha < power < 1")
