"""What things are called in a report, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Figures: TypeAlias = Mapping[str, Any]
"""A piece of ``results.json``."""

LABELS = {
    "base": "Base model",
    "prompted": "Base, prompted",
    "sft": "SFT",
    "ppo": "PPO",
    "ppo_ptx": "PPO-ptx",
    "best_of_n": "Best of n",
    "blind": "Blind control",
    "kl_free": "PPO, no KL penalty",
    "ppo_ptx_round_1": "PPO-ptx, round 1",
    "ppo_ptx_static": "PPO-ptx, one round",
}
CONTROLS = ("best_of_n", "blind", "kl_free")
"""Shown apart: they say what the others' figures are worth."""
COMPARISONS = {
    "win_rate": "at temperature 1",
    "win_rate_greedy": "greedily",
    "win_rate_controlled": "controlled",
}
RATES = {
    "right": "Fully right",
    "follows": "Attempts the task",
    "constraint": "Obeys the constraint",
    "hallucination": "Hallucinates",
    "rudeness": "Is rude",
    "abstention": "Abstains",
    "over_abstention": "Abstains needlessly",
    "unfinished": "Does not end",
}
GOOD_RATES = ("right", "follows", "constraint")
"""Rates of which more is better."""


def label(model: str) -> str:
    """A model's name for people."""
    return LABELS.get(model, model.replace("_", " "))


def kind_label(kind: str) -> str:
    """A task kind's name for people."""
    return kind.replace("_", " ") or "other"


def short(text: str, length: int = 28) -> str:
    """``text`` cut to what fits beside a figure."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def percent(share: float | None, digits: int = 0) -> str:
    """``0.614`` as ``61 %``; a dash for what is not known."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f} %"


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number with a true minus sign; a dash for what is not known."""
    if value is None or math.isnan(value):
        return "–"
    rounded = round(value, digits) + 0.0  # no negative zero
    return f"{rounded:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def span(estimate: Figures | None, digits: int = 0) -> str:
    """The 95 % interval of a share: ``58–64``, in percent."""
    if not estimate or estimate.get("low") is None or estimate.get("high") is None:
        return ""
    return f"{100 * estimate['low']:.{digits}f}–{100 * estimate['high']:.{digits}f}"


def duration(seconds: float | None) -> str:
    """``83.2`` as ``1 min 23 s``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def big(count: float | None) -> str:
    """``6000000`` as ``6.0 M``."""
    if count is None:
        return "–"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f}"


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def subject(results: Figures) -> str | None:
    """The model the run was for: PPO-ptx, or what comes closest to it."""
    there = results.get("win_rate", {})
    baseline = results.get("evaluation", {}).get("baseline", "sft")
    return next((name for name in ("ppo_ptx", "ppo", *there) if name in there and name != baseline), None)


def verdict(results: Figures) -> list[str]:
    """The result in a few sentences, as the intervals allow and no better."""
    model = subject(results)
    if model is None:
        return ["No model was compared with another."]
    baseline = label(results.get("evaluation", {}).get("baseline", "sft"))
    judge = results.get("evaluation", {}).get("judged_by", "gold")
    judge = "the true preference" if judge == "gold" else judge
    found = {name: results[name][model] for name in COMPARISONS if model in results.get(name, {})}
    sentences = [_headline(found, label(model), baseline, judge)]
    greedy = found.get("win_rate_greedy")
    if greedy is not None:
        sentences.append(
            f"Greedily, {percent(greedy['better'])} of its answers got better and {percent(greedy['worse'])} got worse."
        )
    blind = results.get("win_rate_greedy", {}).get("blind")
    if blind is not None and greedy is not None:
        sentences.append(
            "The same training against a reward model that never sees the prompt reaches "
            f"{percent(blind['value'])} ({span(blind)}) greedily: that much takes habit alone."
        )
    worse = kinds_below_half(results, model)
    if worse:
        sentences.append(f"Below one half: {listed([kind_label(kind) for kind in worse])}.")
    return sentences


def _headline(found: Figures, model: str, baseline: str, judge: str) -> str:
    """What the intervals say; the first figure is spelt out, the others follow it."""
    shares = [f"{percent(found[name]['value'])} ({span(found[name])}) {COMPARISONS[name]}" for name in found]
    clear = [name for name in found if found[name]["low"] > 0.5]
    lost = [name for name in found if found[name]["high"] < 0.5]
    if len(clear) == len(found):
        return f"{model} beats {baseline}: it is preferred on {listed(shares)}, judged by {judge}."
    if len(lost) == len(found):
        return f"{model} is worse than {baseline}: it is preferred on only {listed(shares)}, judged by {judge}."
    unclear = f" {listed([COMPARISONS[name] for name in found if name not in clear])}" if clear else ""
    told = f"it is preferred on {listed(shares)}, judged by {judge}"
    return f"{model} is not shown to be better than {baseline}{unclear}: {told}."


def kinds_below_half(results: Figures, model: str) -> list[str]:
    """Kinds of task whose greedy win rate is below one half, worst first."""
    kinds = results.get("win_rate_greedy", {}).get(model, {}).get("kinds", {})
    return sorted((kind for kind, one in kinds.items() if one["value"] < 0.5), key=lambda kind: kinds[kind]["value"])
