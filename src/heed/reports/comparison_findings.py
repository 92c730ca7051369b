"""What a comparison document shows to have got better or worse, and the sentence that says so.

The direction of a difference is decided here and nowhere else: by its sign, and by which way the metric is better. A
difference counts only where its p-value, corrected for all tests of the page (Holm 1979), is at most the level that
the document names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from heed.reports.words import Figures, listed, number, percent, short

Outcome: TypeAlias = Literal["better", "worse", "higher", "lower", "undecided", "untested"]
"""``higher`` and ``lower`` are of metrics that have no better side."""
NAMED = 2
"""Findings that the sentence names on each side; the lists below it have all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure of a model less that of the baseline."""

    group: str
    title: str
    metric: str
    better: str
    percent: bool
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    p: float | None
    p_holm: float | None
    outcome: Outcome
    preference: float | None = None
    """The win rate, where the finding is one."""

    @property
    def name(self) -> str:
        """Task and metric."""
        return f"{self.title}, {self.metric}" if self.metric else self.title

    @property
    def gain(self) -> float | None:
        """The difference, counted so that more is better."""
        return -self.value if self.value is not None and self.better == "low" else self.value

    @property
    def size(self) -> str:
        """The difference, with its sign and unit."""
        return difference(self.value, self.percent)

    @property
    def span(self) -> str:
        """Its 95 % interval: ``+1.2 to +3.4``."""
        return difference_span(self.low, self.high, self.percent)


def difference(value: float | None, share: bool, unit: bool = True) -> str:
    """``0.031`` of a share as ``+3.1 points``; other numbers with as many digits as they are worth."""
    if value is None:
        return "–"
    if not share:
        return signed(value, fine_digits(value))
    return f"{signed(100 * value, 1)}{' points' if unit else ''}"


def signed(value: float, digits: int) -> str:
    """With its sign, unless nothing is left of it."""
    return number(value, digits, sign=round(value, digits) != 0)


def difference_span(low: float | None, high: float | None, share: bool) -> str:
    """The ends of an interval of a difference."""
    if low is None or high is None:
        return ""
    if share:
        return f"{signed(100 * low, 1)} to {signed(100 * high, 1)}"
    digits = fine_digits(low, high)
    return f"{signed(low, digits)} to {signed(high, digits)}"


def digits_for(*values: float | None) -> int:
    """Digits after the point for numbers that are no shares, so that about three are left."""
    largest = max((abs(one) for one in values if one is not None), default=0.0)
    return 3 if largest < 1 else 2 if largest < 100 else 1


def fine_digits(*values: float) -> int:
    """The same for differences, of which small ones must not vanish."""
    return 5 if 0 < max(map(abs, values)) < 0.01 else digits_for(*values)


def subject_of(document: Figures) -> str | None:
    """The model that the page is about: the last one that is not the baseline."""
    names = [one["name"] for one in document["models"] if one["name"] != document["baseline"]]
    return names[-1] if names else None


def between(rows: Sequence[Figures], a: str, b: str) -> Figures | None:
    """The difference ``a`` minus ``b``, turned round if it is there as ``b`` minus ``a``."""
    for row in rows:
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            value, low, high = (None if row.get(k) is None else -row[k] for k in ("value", "high", "low"))
            return {**row, "a": a, "b": b, "value": value, "low": low, "high": high}
    return None


def outcome_of(value: float | None, p_holm: float | None, better: str, level: float) -> Outcome:
    """What a difference shows."""
    if p_holm is None or value is None:
        return "untested"
    if p_holm > level or value == 0:
        return "undecided"
    if better not in ("high", "low"):
        return "higher" if value > 0 else "lower"
    return "better" if (value > 0) == (better == "high") else "worse"


def level_of(document: Figures) -> float:
    """The probability of any false finding on the page that its tests allow."""
    level = document.get("tests", {}).get("false_positive_level")
    return 0.05 if level is None else float(level)


def findings(document: Figures, model: str) -> list[Finding]:
    """Every difference between ``model`` and the baseline: preference first, then the tasks in their order."""
    level, baseline = level_of(document), document["baseline"]
    found = [one for one in [_preference(document.get("preference"), model, baseline, level)] if one]
    for task in document["tasks"]:
        for metric in task["metrics"]:
            row = between(task.get("differences", {}).get(metric["name"], []), model, baseline)
            if row is not None:
                found.append(
                    Finding(
                        group=task.get("group", ""),
                        title=task["title"],
                        metric=metric["title"],
                        better=metric["better"],
                        percent=metric["percent"],
                        outcome=outcome_of(row["value"], row.get("p_holm"), metric["better"], level),
                        **_numbers(row),
                    )
                )
    return found


def _preference(preference: Figures | None, model: str, baseline: str, level: float) -> Finding | None:
    """The win rate's distance from one half. Its direction is that of the win rate itself."""
    rate = (preference or {}).get("win_rates", {}).get(model)
    if preference is None or rate is None:
        return None
    row = between(preference.get("differences", []), model, baseline) or {}
    value, low, high = (None if rate.get(k) is None else rate[k] - 0.5 for k in ("value", "low", "high"))
    numbers = _numbers({**row, "value": value, "low": low, "high": high, "n": rate.get("n")})
    return Finding(
        group="Preference",
        title="Preference",
        metric=f"win rate over one half, judged by {preference['judge']}",
        better="high",
        percent=True,
        outcome=outcome_of(value, row.get("p_holm"), "high", level),
        preference=rate.get("value"),
        **numbers,
    )


def _numbers(row: Figures) -> dict[str, Any]:
    return {name: row.get(name) for name in ("value", "low", "high", "n", "p", "p_holm")}


def counted(found: Sequence[Finding]) -> dict[str, int]:
    """How many findings there are of each outcome."""
    outcomes: tuple[Outcome, ...] = ("better", "worse", "higher", "lower", "undecided", "untested")
    return {outcome: sum(one.outcome == outcome for one in found) for outcome in outcomes}


def sentence(document: Figures, found: Sequence[Finding], model: str | None) -> str:
    """What got better and what got worse, in one sentence, as the tests allow and no better."""
    if model is None:
        return "There is one model only: nothing was compared."
    baseline, name = short(document["baseline"], 60), short(model, 60)
    tested = [one for one in found if one.outcome != "untested"]
    if not tested:
        return f"No difference between {name} and {baseline} was tested: nothing is shown to be better or worse."
    better, worse = (_named([one for one in tested if one.outcome == side]) for side in ("better", "worse"))
    if better and worse:
        return f"{name} is better than {baseline} at {better}, and worse at {worse}."
    if better:
        return f"{name} is better than {baseline} at {better}; nothing is shown to have got worse."
    if worse:
        return f"{name} is worse than {baseline} at {worse}; nothing is shown to have got better."
    return (
        f"Nothing is shown to have got better or worse: no difference between {name} and {baseline} with a better side "
        "survives the correction for the number of tests."
    )


def _named(found: Sequence[Finding]) -> str:
    """The first few by name, and how many more there are."""
    names = [
        f"preference ({percent(one.preference, 1)} of comparisons)"
        if one.preference is not None
        else f"{short(one.title, 60)} ({one.size})"
        for one in found[:NAMED]
    ]
    rest = len(found) - NAMED
    return listed([*names, f"{rest} more"] if rest > 0 else names)


def explained(document: Figures, found: Sequence[Finding]) -> str:
    """What the sentence leaves out: how much was tested, how much of it decides nothing, and what was not alike."""
    tests: Mapping[str, Any] = document.get("tests", {})
    counts = counted(found)
    parts = []
    if tests.get("family"):
        parts.append(
            f"{tests['family']} differences between the models were tested together; only those that survive "
            f"{tests.get('method', 'Holm')}'s correction at {percent(level_of(document))} count."
        )
    if counts["undecided"]:
        parts.append(f"{_figures(counts['undecided'])} not decided by these data, which does not mean equal.")
    if counts["untested"]:
        parts.append(f"{_figures(counts['untested'])} shown with an interval, but not tested.")
    changed = [one.name for one in found if one.outcome in ("higher", "lower")]
    if changed:
        parts.append(f"Changed, though neither way is better: {listed([short(one, 80) for one in changed])}.")
    layouts = list(dict.fromkeys(one["layout"] for one in document["models"] if one.get("layout")))
    if len(layouts) > 1:
        parts.append(f"The models were asked in different layouts ({listed(layouts)}), which the differences include.")
    for what, share in LOST.items():
        tasks = sum(_lost(task, what) > share for task in document["tasks"])
        if tasks:
            where = "1 task" if tasks == 1 else f"{tasks} tasks"
            parts.append(f"In {where} more than {percent(share)} of some model's questions {WHY[what]}.")
    return " ".join(parts)


LOST = {"failed": 0.05, "cut": 0.1}
"""Shares of questions beyond which the page warns at its top."""
WHY = {
    "failed": "failed and are in no figure",
    "cut": "were longer than its context and lost their beginning; such figures say little",
}


def _lost(task: Figures, what: str) -> float:
    """The largest share of the task's questions that was lost in this way by any model."""
    counts = [count for count in task.get(what, {}).values() if count]
    return float(max(counts, default=0) / task["n"]) if task.get("n") else 0.0


def _figures(count: int) -> str:
    return "1 figure is" if count == 1 else f"{count} figures are"
