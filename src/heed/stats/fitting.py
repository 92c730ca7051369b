"""Logistic fits of many resamples at once: Newton's method whose steps cannot overshoot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heed.stats.intervals import Array

SAFE = 1.7
"""Change of a log-odds up to which a Newton step is sure to lower a logistic loss: for a step of u the second-order
bound has the factor (e^u - u - 1) / u^2 < 1 (Bach 2010, Self-concordant analysis for logistic regression)."""


def newton(
    start: Array,
    loss: Callable[[Array], Array],
    slopes: Callable[[Array], tuple[Array, Array]],
    reach: Callable[[Array], Array],
    *,
    steps: int = 100,
    tolerance: float = 1e-8,
) -> Array:
    """Minima of R convex losses, each in P parameters.

    Args:
        start: (R, P).
        loss: (R,) at parameters (R, P). Only asked where a step is longer than is known to be safe; such a step is
            halved until it does not raise the loss.
        slopes: gradients (R, P) and Hessians (R, P, P) at parameters (R, P).
        reach: (R,): how much steps (R, P) change the log-odds of an observation at most.
        steps: at most.
        tolerance: change of log-odds at which it ends.
    """
    found = start.copy()
    for _ in range(steps):
        gradient, hessian = slopes(found)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0].astype(np.float64)
        far = reach(step)
        bold = far > SAFE
        if bold.any():
            before = loss(found)
        while bold.any():
            bold &= loss(found - step) > before
            step[bold] /= 2.0
            bold &= reach(step) > SAFE
        found -= step
        if far.max(initial=0.0) < tolerance:
            break
    return found
