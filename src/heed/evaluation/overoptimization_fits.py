"""The curves of over-optimisation, fitted with their uncertainty, and what they foretell.

The true preference gained over the starting policy is fitted as a function of d = sqrt(KL) by ``d (alpha - beta d)`` or
``d (alpha - beta ln d)`` (Gao, Schulman and Hilton 2022, section 3.1). Where the curve turns is the optimum. A fit says
little without its interval: prompts are resampled where their own figures are known, else the points.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, log, sqrt
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from heed.stats import RESAMPLES, Array, Estimate, percentiles, resample_weights

Form: TypeAlias = Literal["best_of_n", "rl"]
"""Which of the two curves of Gao et al.: ``d (alpha - beta d)`` or ``d (alpha - beta ln d)``."""
FORMS: tuple[Form, Form] = ("best_of_n", "rl")
REACH = 2.0
"""A peak further out than so many times the farthest point, in d, is not taken for one."""
LEAST_POINTS = 3
"""Points away from the start that a fit of two numbers needs."""
LOW_PART = 0.6
"""Share of the way, in d, that the extrapolation is fitted on. Gao et al. went from 6 nats to 10, 0.77 of the way."""
_NEAR = 1e-6
"""Nats. Points as near to the start carry no information."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Gold gained over the start as a function of d = sqrt(KL), fitted."""

    form: Form
    alpha: float
    beta: float
    r_squared: float
    """Of the points away from the start."""
    aic: float
    """n ln(RSS / n) + 6: Akaike's criterion with two coefficients and a variance; lower is better."""
    peak_kl: float | None
    """KL at which the fit is highest; None if that is nowhere near the points: more than twice as far out, in d."""
    peak_gain: float | None
    """Gold gained there."""

    def at(self, kl: npt.ArrayLike) -> Array:
        """The fitted gain at some KL, in the shape of ``kl``."""
        return _curve(np.sqrt(np.maximum(np.asarray(kl, dtype=np.float64), 0.0)), self.alpha, self.beta, self.form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The KL at which something is highest."""

    kl: float | None
    """None if it turns nowhere near the points."""
    low: float
    high: float | None
    """None where the interval is open: it may not turn at all."""
    turns: float
    """Share of the resamples in which it turns within reach of the points."""
    gain: float | None
    """Gold gained there."""

    def as_json(self) -> dict[str, float | None]:
        """All fields by name."""
        return {name: getattr(self, name) for name in ("kl", "low", "high", "turns", "gain")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A curve with the intervals of its two coefficients and of its optimum."""

    curve: Curve
    alpha: Estimate
    beta: Estimate
    peak: Optimum

    def as_json(self) -> dict[str, Any]:
        """For ``results.json``."""
        return {
            "alpha": self.alpha.as_json(),
            "beta": self.beta.as_json(),
            "r_squared": self.curve.r_squared,
            "aic": self.curve.aic,
            "peak": self.peak.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolation:
    """A curve fitted near the start, held against the points further out."""

    upto_kl: float
    """The farthest point it was fitted to, in nats."""
    fitted: int
    predicted: int
    rmse: float
    """Root mean squared error on the points beyond."""
    rmse_flat: float
    """The same of the guess that nothing changes beyond: what a useful forecast has to beat."""
    end_kl: float
    end: Estimate
    """The forecast at the farthest point. It is of the curve, without the noise of that point itself."""
    observed_end: float
    peak: Optimum
    """The optimum as it is foretold from the low part alone."""

    def as_json(self) -> dict[str, Any]:
        """For ``results.json``."""
        plain = ("upto_kl", "fitted", "predicted", "rmse", "rmse_flat", "end_kl", "observed_end")
        return {name: getattr(self, name) for name in plain} | {"end": self.end.as_json(), "peak": self.peak.as_json()}


class Climb:
    """One run's way from the starting policy, resampled once for all that is fitted to it.

    Args:
        kl: (M,) nats at each stop, the start first; or (P, M), an estimate for each of P prompts.
        gold: (M,) mean of the true preference at each stop; or (P, M) by prompt.

    With gold by prompt, prompts are resampled, the same ones at all stops. Otherwise the stops are, which tells less:
    it takes their errors for independent and the start for exact. Neither sees the luck of the run itself; that takes
    several runs.
    """

    def __init__(self, kl: npt.ArrayLike, gold: npt.ArrayLike, seed: int = 0) -> None:
        nats, values = np.asarray(kl, dtype=np.float64), np.asarray(gold, dtype=np.float64)
        if values.ndim not in (1, 2) or nats.shape not in (values.shape, values.shape[-1:]):
            raise ValueError(f"kl has shape {nats.shape} and gold {values.shape}, expected (M,) or (P, M) for both")
        if not (np.isfinite(nats).all() and np.isfinite(values).all()):
            raise ValueError("kl and gold must be finite")
        self.by_prompt = values.ndim == 2
        self.n = values.shape[0]
        """Prompts, or stops: what is resampled."""
        self.kl: Array = nats.mean(axis=0) if nats.ndim == 2 else nats
        self.gain: Array = _over_start(values.mean(axis=0) if self.by_prompt else values)
        if self.by_prompt:
            weights = resample_weights(self.n, seed) / self.n
            self.drawn_gain: Array = _over_start(weights @ values)
            self.drawn_kl: Array = weights @ nats if nats.ndim == 2 else np.broadcast_to(nats, self.drawn_gain.shape)
            self.counts: Array = np.ones_like(self.drawn_gain)
        else:
            away = np.flatnonzero(self.kl > _NEAR)
            self.counts = np.zeros((RESAMPLES, self.n))
            if away.size:
                self.counts[:, away] = resample_weights(away.size, seed)
            self.drawn_gain = np.broadcast_to(self.gain, self.counts.shape)
            self.drawn_kl = np.broadcast_to(self.kl, self.counts.shape)

    @property
    def resampled(self) -> str:
        """What the intervals come from."""
        return "prompts" if self.by_prompt else "points"


def fit_curve(kl: npt.ArrayLike, gain: npt.ArrayLike, form: Form) -> Curve | None:
    """Fit ``d (alpha - beta d)`` for best-of-n or ``d (alpha - beta ln d)`` for RL, d = sqrt(KL), by least squares.

    Args:
        kl: nats; points at 0 carry no information and are left out.
        gain: gold above that of the starting policy.

    Returns:
        None with fewer than three points away from the start. Source: Gao et al. 2022, section 3.1.
    """
    nats, wanted = np.asarray(kl, dtype=np.float64), np.asarray(gain, dtype=np.float64)
    if nats.shape != wanted.shape or nats.ndim != 1:
        raise ValueError(f"kl has shape {nats.shape} and gain {wanted.shape}, expected the same one dimension")
    away = nats > _NEAR
    if int(away.sum()) < LEAST_POINTS:
        return None
    y, n = wanted[away], int(away.sum())
    [alpha], [beta] = _coefficients(nats[None, away], y[None], np.ones((1, n)), form)
    if not (isfinite(alpha) and isfinite(beta)):
        return None
    residual = float(((y - _curve(np.sqrt(nats[away]), alpha, beta, form)) ** 2).sum())
    spread = float(((y - y.mean()) ** 2).sum())
    [peak] = _peaks(np.array([alpha]), np.array([beta]), form, sqrt(float(nats[away].max())))
    there = None if peak == inf else float(peak)
    return Curve(
        form=form,
        alpha=float(alpha),
        beta=float(beta),
        r_squared=1 - residual / spread if spread > 0 else 1.0,
        aic=n * log(max(residual, 1e-300) / n) + 6,
        peak_kl=None if there is None else there**2,
        peak_gain=None if there is None else float(alpha * there / 2 if form == "best_of_n" else beta * there),
    )


def fit(climb: Climb, form: Form) -> Fit | None:
    """A curve with intervals; None where there are too few stops to fit one."""
    curve = fit_curve(climb.kl, climb.gain, form)
    if curve is None:
        return None
    alphas, betas = _drawn(climb, form, np.ones(climb.kl.size, dtype=bool))
    return Fit(
        curve=curve,
        alpha=_estimate(curve.alpha, alphas, climb.n),
        beta=_estimate(curve.beta, betas, climb.n),
        peak=_optimum(curve, alphas, betas, climb),
    )


def observed_optimum(climb: Climb) -> Optimum:
    """The stop that is highest, and where the highest lies when prompts are resampled.

    Where the stops are all there is, resampling them would only say which of them were drawn: the interval then goes
    from the first stop to the last, and is open if the last one is the highest.
    """
    best = int(climb.gain.argmax())
    turned = best + 1 < climb.gain.size
    if not climb.by_prompt:
        low, high, turns = float(climb.kl.min()), float(climb.kl.max()) if turned else None, float(turned)
    else:
        places = climb.drawn_gain.argmax(axis=1)
        ends = np.percentile(climb.kl[places], [2.5, 97.5], method="nearest")
        turns = float((places + 1 < climb.gain.size).mean())
        low, high = float(ends[0]), None if turns < 0.975 else float(ends[1])
    return Optimum(kl=float(climb.kl[best]), low=low, high=high, turns=turns, gain=float(climb.gain[best]))


def extrapolate(climb: Climb, form: Form, upto: float = LOW_PART) -> Extrapolation | None:
    """Fit the stops within ``upto`` of the way, in d, and predict those beyond.

    Gao et al. fitted best-of-n up to 1,000 samples and predicted 60,000. None where there are fewer than three stops to
    fit or none to predict.
    """
    d = np.sqrt(np.maximum(climb.kl, 0.0))
    near = d <= upto * d.max()
    beyond = ~near
    curve = fit_curve(climb.kl[near], climb.gain[near], form)
    if curve is None or not beyond.any():
        return None
    alphas, betas = _drawn(climb, form, near)
    last, edge = int(d.argmax()), int(np.where(near, d, -1.0).argmax())
    ends = _curve(np.full(alphas.shape, d[last]), alphas, betas, form)
    wanted = climb.gain[beyond]
    return Extrapolation(
        upto_kl=float(climb.kl[edge]),
        fitted=int((near & (climb.kl > _NEAR)).sum()),
        predicted=int(beyond.sum()),
        rmse=_rms(curve.at(climb.kl[beyond]) - wanted),
        rmse_flat=_rms(climb.gain[edge] - wanted),
        end_kl=float(climb.kl[last]),
        end=_estimate(float(curve.at(climb.kl[last])), ends, climb.n),
        observed_end=float(climb.gain[last]),
        peak=_optimum(curve, alphas, betas, climb, farthest=float(d[last])),
    )


def study(climb: Climb, form: Form) -> dict[str, Any] | None:
    """Everything about one run, for ``results.json``; None where there are too few stops.

    Args:
        form: the one that Gao et al. found for this kind of run; the other is fitted beside it, and AIC compares them.
            Both have two coefficients, so the comparison is that of their residuals.
    """
    fits = {one: found for one in FORMS if (found := fit(climb, one)) is not None}
    if form not in fits:
        return None
    better = min(fits, key=lambda one: fits[one].curve.aic)
    forecasts = {one: ahead.as_json() for one in FORMS if (ahead := extrapolate(climb, one)) is not None}
    return {
        "form": form,
        "better": better,
        "delta_aic": max(one.curve.aic for one in fits.values()) - fits[better].curve.aic,
        "resampled": climb.resampled,
        "n": climb.n,
        "forms": {one: found.as_json() for one, found in fits.items()},
        "observed": observed_optimum(climb).as_json(),
        "extrapolation": forecasts,
    }


# --- on many resamples at once


def _over_start(values: Array) -> Array:
    gains: Array = values - values[..., :1]
    return gains


def _curve(d: Array, alpha: Array | float, beta: Array | float, form: Form) -> Array:
    bend = d if form == "best_of_n" else np.log(np.maximum(d, 1e-12))
    gain: Array = d * (alpha - beta * bend)
    return gain


def _coefficients(kl: Array, gain: Array, counts: Array, form: Form) -> tuple[Array, Array]:
    """(R,) alphas and betas by least squares of (R, M) stops with their weights; NaN where they are not determined."""
    d = np.sqrt(np.maximum(kl, 0.0))
    w = np.where(kl > _NEAR, counts, 0.0)
    x = -d * (d if form == "best_of_n" else np.log(np.maximum(d, 1e-12)))
    dd, dx, xx = (w * d * d).sum(axis=1), (w * d * x).sum(axis=1), (w * x * x).sum(axis=1)
    dy, xy = (w * d * gain).sum(axis=1), (w * x * gain).sum(axis=1)
    determinant = dd * xx - dx * dx
    determinant = np.where(determinant > 1e-10 * dd * xx, determinant, np.nan)
    return (xx * dy - dx * xy) / determinant, (dd * xy - dx * dy) / determinant


def _drawn(climb: Climb, form: Form, chosen: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Coefficients of those resamples that determine them."""
    counts = climb.counts * chosen
    enough = (counts > 0).sum(axis=1) >= 2
    alphas, betas = _coefficients(climb.drawn_kl[enough], climb.drawn_gain[enough], counts[enough], form)
    kept = np.isfinite(alphas) & np.isfinite(betas)
    return alphas[kept], betas[kept]


def _peaks(alphas: Array, betas: Array, form: Form, farthest: float) -> Array:
    """(R,) d of the maxima; infinite where there is none within reach."""
    steep = betas > 0
    safe = np.where(steep, betas, 1.0)
    if form == "best_of_n":
        d = np.where(steep & (alphas > 0), alphas / (2 * safe), inf)
    else:
        d = np.where(steep, np.exp(np.minimum(alphas / safe - 1, 100.0)), inf)
    peaks: Array = np.where(d <= REACH * farthest, d, inf)
    return peaks


def _optimum(curve: Curve, alphas: Array, betas: Array, climb: Climb, farthest: float | None = None) -> Optimum:
    reach = sqrt(float(climb.kl.max())) if farthest is None else farthest
    # 1/KL is 0 where there is no peak, so that percentiles can be read off
    inverse = 1 / np.maximum(_peaks(alphas, betas, curve.form, reach), 1e-6) ** 2
    low, high = percentiles(inverse, climb.n)
    [own] = _peaks(np.array([curve.alpha]), np.array([curve.beta]), curve.form, reach)
    d = None if own == inf else float(own)
    return Optimum(
        kl=None if d is None else d * d,
        low=1 / high if high > 0 else inf,
        high=None if low <= 0 else 1 / low,
        turns=float((inverse > 0).mean()),
        gain=None if d is None else (curve.alpha * d / 2 if curve.form == "best_of_n" else curve.beta * d),
    )


def _estimate(value: float, draws: Array, n: int) -> Estimate:
    low, high = percentiles(draws, n)
    return Estimate(value=value, low=low, high=high, n=n)


def _rms(errors: Array) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def best_form(run: str) -> Form:
    """The curve that Gao et al. found for a run of this name."""
    return "best_of_n" if run == "best_of_n" else "rl"
