"""The evaluation stage, shared by all recipes: every figure of ``results.json`` but those of the stages themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heed.evaluation.answers import Prompted
from heed.evaluation.ladder import evaluate_ladder
from heed.evaluation.likelihood import pretraining_loss, reference_logprobs, row_losses
from heed.evaluation.overoptimization import Point
from heed.evaluation.rates import Grader
from heed.evaluation.results import write_results
from heed.evaluation.reward_accuracy import evaluate_reward_model
from heed.evaluation.win_rates import Groups, Strip
from heed.models.checkpoints import load_reward_model
from heed.models.scorer import RewardScorer
from heed.records import Json, Prompt
from heed.roles import Scorer
from heed.runtime.metrics import read_metrics
from heed.stages import (
    VALIDATION,
    campaign_of,
    final_decoding,
    load_codec,
    load_policy,
    load_rows,
    model_dir,
    open_store,
    prompts_of,
    sampler_of,
)

if TYPE_CHECKING:
    from heed.pipeline import Context

RESULTS = "results.json"
POOL, POOL_PROMPTS = 32, 250
"""Answers of the SFT model to each of some prompts, for best-of-n."""


def measure_run(
    context: Context,
    *,
    models: Mapping[str, str],
    reward_model: str,
    gold: Scorer,
    judged_by: str,
    grade: Grader | None = None,
    strip: Strip | None = None,
    few_shot: Callable[[Prompt], Prompt] | None = None,
    true_preference: bool = True,
    stop: tuple[str, ...] = (),
    groups: Groups | None = None,
) -> Mapping[str, Json]:
    """Compare the models, measure the reward model and the alignment tax, and leave it all in the run's directory.

    Args:
        models: name in the ladder -> name in the workspace.
        reward_model: name in the workspace of the one that the policies climbed.
        gold: judges the ladder.
        few_shot: makes the prompted base of the base model.
        true_preference: ``gold`` is one, so the reward model's accuracy on it means something.
        stop: strings that end an answer of a model that was never taught to end it.
    """
    codec = load_codec(context)
    scores = load_reward_model(model_dir(context, reward_model), device=context.run.runtime.device)
    scorer = RewardScorer(scores, codec, microbatch=context.run.runtime.microbatch)
    samplers: dict[str, Any] = {}
    for name, directory in models.items():
        samplers[name] = sampler_of(context, directory)
        if name == "base" and few_shot is not None:
            samplers["prompted"] = Prompted(samplers["base"], few_shot)
    ladder = evaluate_ladder(
        samplers=samplers,
        prompts=prompts_of(context, "final"),
        gold=gold,
        decoding=replace(final_decoding(context.config), stop=stop),
        grade=grade,
        strip=strip,
        reward_scorer=scorer,
        reference_logprobs=reference_logprobs(load_policy(context, "sft"), codec),
        pool=POOL,
        pool_prompts=POOL_PROMPTS,
        groups=groups,
        judged_by=judged_by,
        progress=context.run.progress,
    )
    with open_store(context) as store:
        campaign = campaign_of(context, VALIDATION)
        preference = evaluate_reward_model(
            scorer,
            labels=store.rankings(campaign=campaign, labeler_group="training"),
            heldout_labels=store.rankings(campaign=campaign, labeler_group="heldout"),
            gold=gold if true_preference else None,
            temperature=scores.temperature,
        )
    rows = load_rows(context, "heldout")
    losses = {name: row_losses(load_policy(context, directory), rows) for name, directory in models.items()}
    results = write_results(
        context.run.dir / RESULTS,
        ladder,
        {"reward_model": preference},
        pretraining_loss(losses),
        {"overoptimization": {"points": _watched(context, models)}},
    )
    best = results["win_rate_greedy"].get("ppo_ptx", {})
    return {"win_rate_greedy": best.get("value"), "accuracy": preference["accuracy_labels"]}


def _watched(context: Context, models: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """What the PPO runs recorded of themselves on the way: KL, reward and gold."""
    points = []
    for name, directory in models.items():
        for row in read_metrics(context.workspace.runs_dir / directory / "metrics.jsonl"):
            if "gold" in row:
                kl = row.get("kl", row.get("kl_k1", 0.0))
                point = Point(run=name, at=row["step"], kl=kl, reward=row["reward"], gold=row["gold"])
                points.append(point.as_json())
    return points
