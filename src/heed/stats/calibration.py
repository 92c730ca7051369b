"""Do predictions of probability p come true with frequency p? And how well do they tell right from wrong?

Two rules of binning and two choices of what enters a chart are in use, and their errors must never be compared with
each other: bins of equal width (Guo et al. 2017) or of equal count (Kadavath et al. 2022, appendix A), and the top
prediction of each question or the probabilities of all its options.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import rankdata

from heed.stats.intervals import Array, Values, vector

Ragged: TypeAlias = Sequence[Values]
"""For each question one number for each of its options; questions may have different numbers of options."""
Right: TypeAlias = Sequence[int | Collection[int]]
"""For each question the number of the right option, or those of all that are right."""
Binning: TypeAlias = Literal["width", "count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Predictions of about the same confidence."""

    confidence: float
    """Mean predicted probability in the bin."""
    accuracy: float
    """Share of them that came true."""
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Do predictions of probability p come true with frequency p?"""

    ece: float
    """Expected calibration error: mean over predictions of |accuracy - confidence| of their bin."""
    brier: float
    """Mean squared difference between probability and outcome."""
    bins: tuple[ReliabilityBin, ...]
    """The bins that hold anything, by confidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceCalibration:
    """How far the probabilities that a model puts on the options of questions can be believed."""

    n: int
    """Questions."""
    accuracy: float
    """Share whose most probable option is right."""
    base_rate: float
    """What guessing gives: mean over questions of the share of their options that are right."""
    top: Calibration
    """Of the most probable option of each question: equal-count bins, ``ece`` and ``brier``."""
    chart: Calibration
    """Of all options' probabilities together: equal-count bins."""
    rms: float
    """Root of the mean square distance between share right and probability, over the bins of ``chart``. It is diluted
    by the many improbable options: never compare it with ``top.ece``."""
    noise_floor: float
    """The mean ``top.ece`` of a perfectly calibrated model with the same confidences."""
    log_score: float
    """Mean of -ln of the probability on the right options, in nats."""
    auroc: float
    """Chance that the confidence in a right top option is above that in a wrong one; NaN where all are alike."""

    def as_json(self) -> dict[str, object]:
        """Names after Kadavath et al. 2022: ``{"n", "accuracy", "ece_top", "rms_all", "bins", ...}``."""
        bins = [{"x": one.confidence, "y": one.accuracy, "count": one.n} for one in self.chart.bins]
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "base_rate": self.base_rate,
            "ece_top": self.top.ece,
            "noise_floor": self.noise_floor,
            "rms_all": self.rms,
            "brier": self.top.brier,
            "log_loss": self.log_score,
            "auroc": self.auroc,
            "bins": bins,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """The temperature that makes a model's probabilities most likely."""

    value: float
    """Divide the logits by it: above one for a model that is too sure."""
    before: float
    """Mean negative log-likelihood of the right options at temperature one, in nats."""
    after: float
    """The same at ``value``."""


# --- predictions of an event


def calibration(
    probabilities: Values,
    came_true: Values,
    num_bins: int = 10,
    start: float = 0.0,
    *,
    binning: Binning = "width",
) -> Calibration:
    """Reliability diagram, ECE and Brier score of predicted probabilities.

    Args:
        probabilities: the predictions.
        came_true: 1 for each that came true, else 0.
        num_bins: at most; bins that hold nothing are left out.
        start: where bins of equal width begin; 0.5 for confidences of a choice between two.
        binning: ``"width"``, equal intervals of [start, 1] (Guo et al. 2017, Equation 3); or ``"count"``, as many
            predictions in each (Kadavath et al. 2022, appendix A). Equal predictions always share a bin; where
            there are no more distinct ones than bins, each has its own.
    """
    p, y = _events(probabilities, came_true)
    if p.size == 0:
        return Calibration(ece=float("nan"), brier=float("nan"), bins=())
    index = _bin_index(p, num_bins, start, binning)
    counts = np.bincount(index, minlength=num_bins)
    with_p, with_y = (np.bincount(index, weights=values, minlength=num_bins) for values in (p, y))
    bins = tuple(
        ReliabilityBin(confidence=float(with_p[held] / n), accuracy=float(with_y[held] / n), n=int(n))
        for held, n in enumerate(counts)
        if n
    )
    ece = float(np.abs(with_y - with_p).sum()) / p.size
    return Calibration(ece=ece, brier=brier(p, y), bins=bins)


def rms_error(found: Calibration) -> float:
    """Root of the mean over predictions of (share that came true - confidence)^2 of their bin.

    With bins of equal count that is the root mean square over bins. Source: Kadavath et al. 2022, appendix A.
    """
    n = sum(one.n for one in found.bins)
    square = sum(one.n * (one.accuracy - one.confidence) ** 2 for one in found.bins)
    return float(np.sqrt(square / n)) if n else float("nan")


def noise_floor(
    confidences: Values,
    num_bins: int = 10,
    start: float = 0.0,
    *,
    binning: Binning = "count",
    draws: int = 500,
    seed: int = 0,
) -> float:
    """The mean ECE of a perfectly calibrated scorer with these confidences: what is measured where there is no error.

    Outcomes are drawn with the confidences as their probabilities. It falls with the root of their number; an ECE
    that is not well above it shows nothing.
    """
    p = _events(confidences, np.zeros(len(confidences)))[0]
    if p.size == 0:
        return float("nan")
    index = _bin_index(p, num_bins, start, binning)
    order = np.argsort(index, kind="stable")
    starts, p = np.flatnonzero(np.diff(index[order], prepend=-1)), p[order]
    rng = np.random.default_rng(seed)
    errors = [np.abs(np.add.reduceat((rng.random(p.size) < p) - p, starts)).sum() / p.size for _ in range(draws)]
    return float(np.mean(errors))


def brier(probabilities: Values, came_true: Values) -> float:
    """Mean squared difference of probability and outcome (Brier 1950); 0.25 for always saying one half."""
    p, y = _events(probabilities, came_true)
    return float(((p - y) ** 2).mean()) if p.size else float("nan")


def log_score(probabilities: Values, came_true: Values) -> float:
    """Mean of -ln of the probability that was given to what happened, in nats; infinite after a certain error."""
    p, y = _events(probabilities, came_true)
    said = np.where(y > 0.5, p, 1.0 - p)
    with np.errstate(divide="ignore"):
        return float(-np.log(said).mean()) if p.size else float("nan")


def auroc(scores: Values, came_true: Values) -> float:
    """Chance that something that came true was scored above something that did not, equal scores as half.

    NaN where all or nothing came true. It knows only the order of scores, so no temperature changes it. Source:
    Hanley and McNeil 1982 (the Mann-Whitney statistic).
    """
    values, y = vector(scores, "scores"), vector(came_true, "came_true")
    if values.size != y.size:
        raise ValueError(f"{values.size} scores for {y.size} outcomes")
    held = int((y > 0.5).sum())
    if held in (0, y.size):
        return float("nan")
    ranks = rankdata(values)[y > 0.5].sum()
    return float((ranks - held * (held + 1) / 2) / (held * (y.size - held)))


def _events(probabilities: Values, came_true: Values) -> tuple[Array, Array]:
    p, y = vector(probabilities, "probabilities"), vector(came_true, "came_true")
    if p.size != y.size:
        raise ValueError(f"{p.size} probabilities for {y.size} outcomes")
    wrong = (p < -1e-9) | (p > 1 + 1e-9)
    if wrong.any():
        raise ValueError(f"probabilities holds {p[wrong][0]:g}, expected 0 to 1")
    return np.clip(p, 0.0, 1.0), y


def _bin_index(p: Array, num_bins: int, start: float, binning: Binning) -> npt.NDArray[np.intp]:
    """(n,): the number of the bin that each prediction is in."""
    if binning == "width":
        return np.clip(((p - start) / (1.0 - start) * num_bins).astype(np.intp), 0, num_bins - 1)
    distinct = np.unique(p)
    if distinct.size <= num_bins:
        return np.searchsorted(distinct, p)
    firsts = np.searchsorted(np.sort(p), p)  # equal predictions have the place of the first of them
    result: npt.NDArray[np.intp] = (firsts * num_bins) // p.size
    return result


# --- choices among options


def choice_calibration(
    probabilities: Ragged, right: Right, num_bins: int = 10, *, draws: int = 500, seed: int = 0
) -> ChoiceCalibration:
    """Everything about the probabilities of the options of multiple-choice questions.

    Args:
        probabilities: for each question, of each option; they are divided by their sum.
        right: for each question, which option or options are.
        num_bins: of equal count.
        draws: simulations behind the noise floor.
        seed: of them.

    Source: Kadavath et al. 2022, appendix A.
    """
    options, marks = _options(probabilities, right)
    for number, (given, _) in enumerate(zip(options, marks, strict=True)):
        if given.min() < 0 or not given.sum() > 0:
            raise ValueError(
                f"question {number} has probabilities {given.tolist()}, expected none below 0, and some above"
            )
    shares = [given / given.sum() for given in options]
    tops = [int(share.argmax()) for share in shares]
    confidence = np.array([share[top] for share, top in zip(shares, tops, strict=True)])
    hit = np.array([mark[top] for mark, top in zip(marks, tops, strict=True)])
    on_right = np.array([share @ mark for share, mark in zip(shares, marks, strict=True)])
    chart = calibration(np.concatenate([*shares, []]), np.concatenate([*marks, []]), num_bins, binning="count")
    return ChoiceCalibration(
        n=len(shares),
        accuracy=float(hit.mean()) if shares else float("nan"),
        base_rate=float(np.mean([mark.mean() for mark in marks])) if shares else float("nan"),
        top=calibration(confidence, hit, num_bins, binning="count"),
        chart=chart,
        rms=rms_error(chart),
        noise_floor=noise_floor(confidence, num_bins, draws=draws, seed=seed),
        log_score=log_score(np.minimum(on_right, 1.0), np.ones_like(on_right)),
        auroc=auroc(confidence, hit),
    )


def softmax(logits: Ragged, temperature: float = 1.0) -> list[Array]:
    """For each question the probabilities of its options, normalised over them, at a temperature."""
    scaled = [vector(given, "logits") / temperature for given in logits]
    powers = [np.exp(given - given.max()) for given in scaled]
    return [power / power.sum() for power in powers]


def fit_temperature(logits: Ragged, right: Right) -> Temperature:
    """The temperature at which the right options are most likely: one number, by maximum likelihood.

    Fit it on questions that are not those it is judged on. It leaves every model's first choice as it is. It is sought
    from 1/1000 to 1000. Source: Guo et al. 2017, section 4.2; Kadavath et al. 2022, section 3.3 (2.5 for RLHF).
    """
    options, marks = _options(logits, right)
    if not options:
        raise ValueError("no questions to fit a temperature to")
    widest = max(given.size for given in options)
    table, mask = np.full((len(options), widest), -np.inf), np.full((len(options), widest), -np.inf)
    for number, (given, mark) in enumerate(zip(options, marks, strict=True)):
        table[number, : given.size] = given - given.max()
        mask[number, : given.size][mark > 0] = 0.0

    def surprise(log_temperature: float) -> float:
        scaled = table / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - logsumexp(scaled + mask, axis=1)).mean())

    end = float(np.log(1000.0))
    grid = np.linspace(-end, end, 61)
    best = grid[int(np.argmin([surprise(at) for at in grid]))]
    around = (max(best - grid[1] + grid[0], -end), min(best + grid[1] - grid[0], end))
    fitted = minimize_scalar(surprise, bounds=around, method="bounded", options={"xatol": 1e-7})
    return Temperature(value=float(np.exp(fitted.x)), before=surprise(0.0), after=float(fitted.fun))


def _options(numbers: Ragged, right: Right) -> tuple[list[Array], list[Array]]:
    """For each question its options' numbers, and a mark of 1 on the right ones."""
    if len(numbers) != len(right):
        raise ValueError(f"{len(numbers)} questions and {len(right)} sets of right options")
    options, marks = [vector(given, f"question {number}") for number, given in enumerate(numbers)], []
    for number, (given, which) in enumerate(zip(options, right, strict=True)):
        held = [int(which)] if isinstance(which, int | np.integer) else [int(one) for one in which]
        if not held or not all(0 <= one < given.size for one in held):
            raise ValueError(f"question {number} has right options {held}, expected some of 0 to {given.size - 1}")
        mark = np.zeros(given.size)
        mark[held] = 1.0
        marks.append(mark)
    return options, marks
