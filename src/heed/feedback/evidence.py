"""How strongly observations speak against a bound, in a currency that stands being looked at every day.

An *e-value* is the wealth of someone who bets against a hypothesis at fair odds, starting with 1. If the hypothesis
is true, the wealth is E or more with a chance of at most 1 / E, at whatever moment one chooses to look (Ville 1939;
Waudby-Smith and Ramdas 2024). A page that a lead opens every morning needs that: an ordinary p-value, looked at often
enough, condemns everyone. ``p = min(1, 1 / wealth)`` is a valid p-value, and Holm's rule works on it as on any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from math import exp, lgamma, log
from typing import Literal, TypeVar

import numpy as np
from scipy.special import logsumexp

H = TypeVar("H", bound=Hashable)

STAKES = tuple(step / 10 for step in range(1, 10))
"""Shares of the largest allowed stake that the bettor is spread over."""


def log_wealth(values: Sequence[float], bound: float, side: Literal["below", "above"]) -> float:
    """Natural logarithm of the wealth against "the mean of these values is not below (above) ``bound``".

    Args:
        values: independent observations between 0 and 1, each with a mean within the bound if the hypothesis holds.
        bound: between 0 and 1, exclusive.
        side: ``"below"`` bets that the mean is lower than the bound, ``"above"`` that it is higher.
    """
    if not 0 < bound < 1:
        raise ValueError(f"bound is {bound}, expected a number between 0 and 1")
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        return 0.0
    if data.min() < 0 or data.max() > 1:
        raise ValueError(f"values run from {data.min()} to {data.max()}, expected 0 to 1")
    gain, most = (bound - data, 1 / (1 - bound)) if side == "below" else (data - bound, 1 / bound)
    growth = np.log1p(np.outer(np.array(STAKES) * most, gain)).sum(axis=1)
    return float(logsumexp(growth) - log(len(STAKES)))


def log_wealth_of_habit(patterns: Mapping[int, Sequence[Hashable]]) -> float:
    """Natural logarithm of the wealth against "every pattern is as likely as any other".

    Args:
        patterns: what was seen, by the number of patterns that were possible, two or more. Someone who judges what is
            written, in an order drawn at random, shows each with the same chance; someone with a habit does not.

    The bettor's forecast is a Dirichlet-multinomial with weight 1/2 on all patterns together: it follows habits soon.
    """
    total = 0.0
    for possible, seen in patterns.items():
        if possible < 2:
            raise ValueError(f"{possible} possible patterns, expected 2 or more")
        weight = 0.5 / possible
        n = len(seen)
        total += lgamma(0.5) - lgamma(n + 0.5) + n * log(possible)
        total += sum(lgamma(count + weight) - lgamma(weight) for count in Counter(seen).values())
    return total


def p_value(wealth: float) -> float:
    """The p-value of a logarithm of wealth."""
    return min(1.0, exp(-wealth)) if wealth > -700 else 1.0


def holm(p_values: Mapping[H, float]) -> dict[H, float]:
    """P-values adjusted so that the chance of even one false alarm among all is kept (Holm 1979)."""
    ordered = sorted(p_values, key=lambda key: p_values[key])
    adjusted: dict[H, float] = {}
    worst = 0.0
    for place, key in enumerate(ordered):
        worst = max(worst, min(1.0, p_values[key] * (len(ordered) - place)))
        adjusted[key] = worst
    return adjusted
