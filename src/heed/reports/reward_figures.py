"""The report's figures of the reward model: how often it is right, when, and how sure it should be."""

from __future__ import annotations

from matplotlib.ticker import PercentFormatter

from heed.reports.drawing import INK, MUTED, PAPER, canvas, colour, quiet, svg
from heed.reports.figures import commonest, dot
from heed.reports.words import Figures, kind_label, percent, short

SETS = {
    "accuracy_gold": "true preference",
    "accuracy_labels": "held-out labels",
    "accuracy_heldout_labelers": "held-out labelers",
}


def accuracy(results: Figures) -> str:
    """Accuracy of the reward model, beside what sees less and what the labelers' noise allows."""
    own = results.get("reward_model", {})
    rows = [
        (text, own["intervals"][name], "ppo_ptx") for name, text in SETS.items() if name in own.get("intervals", {})
    ]
    blind = results.get("reward_model_blind", {}).get("intervals", {})
    rows += [(f"blind: {text}", blind[name], "blind") for name, text in SETS.items() if name in blind]
    baselines = results.get("reward_model_baselines", {}).get("all", {})
    rows += [(kind_label(name), one, "prompted") for name, one in baselines.items() if name not in ("reward", "judge")]
    if not rows:
        return ""
    bound = own.get("noise_bound")
    noisy = [place for place, (text, _, _) in enumerate(rows) if not text.endswith("true preference")]
    with canvas(5.0, 0.42 * len(rows) + 1.0) as (figure, axes):
        quiet(axes, y=False)
        axes.axvline(0.5, color=MUTED, linewidth=1.0)
        for place, (_, one, model) in enumerate(rows):
            axes.barh(place, one["value"] - 0.5, left=0.5, height=0.6, color=colour(model), alpha=0.85)
            axes.plot([one["low"], one["high"]], [place, place], color=INK, linewidth=1.2)
            beside = max(one["high"], one["value"]) + 0.012
            box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}
            axes.text(beside, place, percent(one["value"], 1), va="center", color=INK, fontsize=9.5, bbox=box)
        if bound is not None and noisy:
            ends = [noisy[0] - 0.45, noisy[-1] + 0.45]
            axes.plot([bound, bound], ends, color=INK, linestyle=(0, (3, 2)), linewidth=1.3, zorder=1)
            axes.text(
                bound,
                ends[1] + 0.02,
                f"noise bound {percent(bound, 1)}",
                color=MUTED,
                ha="center",
                va="top",
                fontsize=8.5,
            )
        axes.set_yticks(range(len(rows)), [short(text) for text, _, _ in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.2, -0.6)
        axes.set_xlim(min(0.5, *(one["low"] for _, one, _ in rows)), 1.0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_title("Pairs ordered rightly")
        return svg(figure, "accuracy", "Accuracy of the reward model")


def reliability(reward_model: Figures) -> str:
    """Reliability diagram: how often preferences of a given confidence are right."""
    bins = reward_model.get("reliability") or []
    if not bins:
        return ""
    most = max(one["n"] for one in bins)
    tint = colour("ppo_ptx")
    with canvas(5.0, 3.6) as (figure, axes):
        quiet(axes)
        axes.plot([0.5, 1], [0.5, 1], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], color=tint, alpha=0.5)
        for one in bins:
            axes.plot(one["confidence"], one["accuracy"], "o", color=tint, markersize=4 + 9 * (one["n"] / most) ** 0.5)
        axes.set_title("Is it as sure as it is right?")
        axes.set_xlabel("confidence of the reward model")
        axes.set_ylabel("share of labels that agree")
        axes.set_xlim(0.49, 1.01)
        axes.set_ylim(min(0.45, *(one["accuracy"] - 0.05 for one in bins)), 1.02)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        return svg(figure, "reliability", "Reliability diagram of the reward model")


def by_gap(reward_model: Figures) -> str:
    """Accuracy against the distance between the two scores."""
    points = [one for one in reward_model.get("by_gap") or [] if one.get("value") is not None]
    if len(points) < 2:
        return ""
    tint = colour("ppo_ptx")
    with canvas(5.0, 3.6) as (figure, axes):
        quiet(axes)
        x = [one["gap"] for one in points]
        ends = [one["low"] for one in points], [one["high"] for one in points]
        axes.fill_between(x, *ends, color=tint, alpha=0.18, linewidth=0)
        axes.plot(x, [one["value"] for one in points], "o-", color=tint, markersize=6)
        axes.axhline(0.5, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_title("The further apart, the surer?")
        axes.set_xlabel("distance between the two scores")
        axes.set_ylabel("pairs ordered rightly")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        return svg(figure, "by-gap", "Accuracy by distance between the scores")


def by_kind(reward_model: Figures) -> str:
    """Accuracy for each kind of prompt, best first, then by which of the two answers is longer."""
    table = {kind: one for kind, one in reward_model.get("by_kind", {}).items() if one.get("n")}
    lengths = {
        "preferred_longer": "better is longer",
        "preferred_shorter": "better is shorter",
        "equal_length": "equally long",
    }
    by_length = reward_model.get("by_length", {})
    rows = [
        (kind_label(kind), table[kind], "ppo_ptx")
        for kind in sorted(commonest(table), key=lambda one: -table[one]["value"])
    ]
    rows += [(text, by_length[name], "sft") for name, text in lengths.items() if by_length.get(name, {}).get("n")]
    if len(rows) < 2:
        return ""
    with canvas(5.0, 0.285 * len(rows) + 1.0) as (figure, axes):
        quiet(axes, y=False)
        axes.axvline(0.5, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        for place, (_, one, model) in enumerate(rows):
            dot(axes, one, place, colour(model), "o", 6.5, True)
        axes.set_yticks(range(len(rows)), [f"{short(text)} ({one['n']})" for text, one, _ in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(None, 1.005)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_title("Where it is right")
        return svg(figure, "by-kind", "Accuracy for each kind of prompt")


def by_labeler(reward_model: Figures) -> str:
    """Accuracy on each labeler's comparisons, those of the held-out group apart."""
    groups = reward_model.get("by_labeler", {})
    rows = [
        (name, one, group)
        for group in ("training", "heldout")
        for name, one in sorted(groups.get(group, {}).items(), key=lambda item: -item[1]["value"])
        if one.get("n")
    ]
    if len(rows) < 2:
        return ""
    with canvas(5.0, 0.26 * len(rows) + 1.15) as (figure, axes):
        quiet(axes, y=False)
        for group, model in (("training", "ppo_ptx"), ("heldout", "sft")):
            values = [one["value"] for _, one, its in rows if its == group]
            if values:
                axes.axvline(sum(values) / len(values), color=colour(model), linewidth=1.0, linestyle=(0, (4, 3)))
        for place, (_, one, group) in enumerate(rows):
            dot(axes, one, place, colour("ppo_ptx" if group == "training" else "sft"), "o", 6.5, True)
        axes.set_yticks(range(len(rows)), [f"{short(name or 'unnamed')} ({one['n']})" for name, one, _ in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_title("Whom it foretells")
        return svg(figure, "by-labeler", "Accuracy on each labeler's comparisons")


def both_high(reward_model: Figures) -> str:
    """Accuracy where both answers score at least so high (Bai et al. 2022, Figure 25)."""
    points = [one for one in reward_model.get("both_high") or [] if one.get("value") is not None]
    if len(points) < 2:
        return ""
    tint = colour("ppo_ptx")
    with canvas(5.0, 3.6) as (figure, axes):
        quiet(axes)
        x = [one["score"] for one in points]
        axes.fill_between(
            x, [one["low"] for one in points], [one["high"] for one in points], color=tint, alpha=0.18, linewidth=0
        )
        axes.plot(x, [one["value"] for one in points], "o-", color=tint, markersize=6)
        axes.axhline(0.5, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_title("Can it tell good from better?")
        axes.set_xlabel("both answers score at least")
        axes.set_ylabel("pairs ordered rightly")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return svg(figure, "both-high", "Accuracy where both answers score high")
