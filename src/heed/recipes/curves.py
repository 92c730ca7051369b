"""What more labels would add, and what choosing items has added: from reward models on parts of the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from heed.evaluation.learning_curve import Measured, compare_arms, fit_learning_curve
from heed.evaluation.preference_accuracy import score_pairs
from heed.files import write_json
from heed.records import Json, Ranking
from heed.runtime.seeds import derive_seed, numpy_generator
from heed.stages import Judged, load_codec, load_policy, with_adapter

if TYPE_CHECKING:
    from heed.pipeline import Context

CURVE = (0.25, 0.5, 1.0)
"""Shares of the rankings that the models of the learning curve are trained on; each part contains the one before."""
SEEDS = 2
"""Orders of the rankings, and models of each number of labels."""


def curves(
    context: Context, judged: Callable[[Context], Judged], arms: Callable[[Context], Judged | None]
) -> Mapping[str, Json]:
    """Reward models on parts of the rankings, a few seeds each, and what the line through them says.

    Where reward models chose some of the items, models on as many rankings from either arm say what that was worth.
    """
    said = judged(context)
    measured = []
    for seed in range(SEEDS):
        for share in CURVE:
            part = _part(context, said.training, max(1, round(share * len(said.training))), seed)
            measured.append(_measure(context, part, said, seed, "curve"))
    curve = fit_learning_curve(measured)
    write_json(context.run.dir / "curve.json", asdict(curve))
    figures: dict[str, Json] = {"gain": curve.gain, "low": curve.low, "high": curve.high, "verdict": curve.verdict}
    both = arms(context)
    if both is not None and both.training and both.validation:
        size = min(len(both.training), len(both.validation))
        models = {
            name: [_measure(context, _part(context, rankings, size, seed), said, seed, name) for seed in range(SEEDS)]
            for name, rankings in (("ensemble", both.training), ("random", both.validation))
        }
        compared = compare_arms(models["ensemble"], models["random"])
        write_json(context.run.dir / "arms.json", asdict(compared))
        figures |= {"arms": compared.verdict}
    return figures


def _part(context: Context, rankings: Sequence[Ranking], size: int, seed: int) -> list[Ranking]:
    """``size`` of the rankings, the same first ones for every size."""
    order = numpy_generator(context.config.seed, "labels", "curve", seed).permutation(len(rankings))
    return [rankings[index] for index in sorted(order[:size])]


def _measure(context: Context, part: Sequence[Ranking], said: Judged, seed: int, name: str) -> Measured:
    """A reward model trained on ``part``: for each validation prompt with a pair the share it gets right."""
    from heed.models.reward_model import RewardModel
    from heed.models.scorer import RewardScorer, encode_groups
    from heed.runtime.metrics import MetricLogger
    from heed.training.reward_modeling import ranked_groups, reward_modeling

    codec = load_codec(context)
    model_seed = derive_seed(context.config.seed, "labels", "curve", seed)
    directory = context.run.dir / f"{name}-{seed}-{len(part)}"
    directory.mkdir(parents=True, exist_ok=True)
    run = replace(context.run, dir=directory, metrics=MetricLogger(directory / "metrics.jsonl"), seed=model_seed)
    model = RewardModel.from_causal_lm(load_policy(context, "sft"), seed=model_seed, pad_id=codec.pad_id)
    with_adapter(context, model.classifier)
    groups = encode_groups(codec, [one.prompt for one in part], [one.completions for one in part])
    reward_modeling(model, ranked_groups(groups, part), context.config.reward, codec.pad_id, run)
    pairs = score_pairs(RewardScorer(model, codec, microbatch=run.runtime.microbatch), said.validation)
    names = np.array(pairs.prompts)
    right = (pairs.gaps > 0) + 0.5 * (pairs.gaps == 0)
    return Measured(
        labels=len(part), right=tuple(float(right[names == name].mean()) for name in sorted(set(pairs.prompts)))
    )
