"""The evaluation stage, shared by all recipes: every figure of ``results.json`` but those of the stages themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed.evaluation.answers import Prompted
from heed.evaluation.ladder import evaluate_ladder
from heed.evaluation.likelihood import pretraining_loss, reference_logprobs, row_losses
from heed.evaluation.overoptimization import Point, Probe, path_climb, probe, probes_climb
from heed.evaluation.overoptimization_fits import Climb, study
from heed.evaluation.rates import Grader
from heed.evaluation.results import write_results
from heed.evaluation.win_rates import Groups, Strip
from heed.records import Json, Prompt
from heed.roles import Scorer
from heed.runtime.metrics import MetricLogger, read_metrics
from heed.stages import (
    decoding_of,
    final_decoding,
    load_codec,
    load_policy,
    load_rows,
    prompts_of,
    sampler_of,
)
from heed.training.diagnostics import healthy_bands

if TYPE_CHECKING:
    from heed.models.types import CausalLM
    from heed.pipeline import Context

RESULTS, PROBES = "results.json", "probes.jsonl"
POOL, POOL_PROMPTS = 32, 250
"""Answers of the SFT model to each of some prompts, for best-of-n."""


def measure_run(
    context: Context,
    *,
    models: Mapping[str, str],
    reward_scorer: Scorer,
    gold: Scorer,
    judged_by: str,
    sections: Mapping[str, Any],
    grade: Grader | None = None,
    strip: Strip | None = None,
    few_shot: Callable[[Prompt], Prompt] | None = None,
    stop: tuple[str, ...] = (),
    groups: Groups | None = None,
) -> Mapping[str, Json]:
    """Compare the models, measure the alignment tax, and leave it all in the run's directory.

    Args:
        models: name in the ladder -> name in the workspace.
        reward_scorer: the reward model that the policies climbed.
        gold: judges the ladder.
        judged_by: what ``gold`` is, in a few words.
        sections: of ``results.json``, measured elsewhere.
        few_shot: makes the prompted base of the base model.
        stop: strings that end an answer of a model that was never taught to end it.
    """
    codec = load_codec(context)
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
        reward_scorer=reward_scorer,
        reference_logprobs=reference_logprobs(load_policy(context, "sft"), codec),
        pool=POOL,
        pool_prompts=POOL_PROMPTS,
        groups=groups,
        judged_by=judged_by,
        progress=context.run.progress,
    )
    rows = load_rows(context, "heldout")
    losses = {name: row_losses(load_policy(context, directory), rows) for name, directory in models.items()}
    results = write_results(
        context.run.dir / RESULTS,
        ladder,
        pretraining_loss(losses),
        {"overoptimization": _overoptimization(context, models), "bands": _bands(context)},
        sections,
    )
    best = results["win_rate_greedy"].get("ppo_ptx", {})
    return {"win_rate_greedy": best.get("value"), "worse": best.get("worse")}


def watch_policy(
    context: Context, made: int, policy: CausalLM, scorer: Scorer, prompts: Sequence[Prompt], gold: Scorer
) -> Mapping[str, float]:
    """Reward, gold and KL of a policy in training, for the record: nothing is chosen, stopped or trained by it.

    What each prompt gave is kept in ``probes.jsonl``, for the intervals.
    """
    from heed.generation.sampler import LocalSampler

    codec, config = load_codec(context), context.config
    found = probe(
        LocalSampler(policy, codec, "policy"),
        prompts,
        reward=scorer,
        gold=gold,
        decoding=decoding_of(config, seed=0),
        reference=reference_logprobs(load_policy(context, "sft"), codec, temperature=config.ppo.temperature),
    )
    MetricLogger(context.run.dir / PROBES).log(made, found.as_json())
    return found.figures()


def _overoptimization(context: Context, models: Mapping[str, str]) -> Mapping[str, Any]:
    """What the PPO runs recorded of themselves on the way: KL, reward and gold; and the curves through it."""
    points, fits = [], {}
    for name, directory in models.items():
        run = context.workspace.runs_dir / directory
        path = [
            Point(
                run=name,
                at=row["step"],
                kl=row.get("probe_kl", row.get("kl", 0.0)),
                reward=row["reward"],
                gold=row["gold"],
            )
            for row in read_metrics(run / "metrics.jsonl")
            if "gold" in row
        ]
        points += [point.as_json() for point in path]
        climb = _probed(run, [point.at for point in path]) or (path_climb(path) if path else None)
        found = None if climb is None else study(climb, "rl")
        if found is not None:
            fits[name] = found
    return {"points": points, "fits": fits}


def _probed(run: Path, steps: Sequence[int]) -> Climb | None:
    """The run's probes by prompt. One that was killed and went on may have left a step twice, alike."""
    rows = {row["step"]: row for row in read_metrics(run / PROBES)}
    if not set(steps) <= set(rows):
        return None
    probes = [
        Probe(
            reward=tuple(rows[step]["reward"]),
            gold=tuple(rows[step]["gold"]),
            words=(),
            kl=tuple(rows[step]["kl"]),
        )
        for step in steps
    ]
    return probes_climb(probes)


def _bands(context: Context) -> list[Mapping[str, Any]]:
    """Where PPO's figures should stay, for the report to draw."""
    return [
        {"name": band.name, "metric": band.metric, "low": band.low, "high": band.high, "relative": band.relative}
        for band in healthy_bands(context.run.runtime.dtype)
    ]
