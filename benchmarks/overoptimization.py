"""How far a reward model can be climbed on the sandbox, and who would have noticed in time.

A proxy reward model learns from few labels. Best-of-n and PPO without a KL penalty climb it; gold is measured on the
way, for evaluation only. Printed are the fitted curves with their intervals, the optimum they foretell from the first
part of the way, the one that was observed, and where a second reward model, of as many other labels, would have
stopped.

    python benchmarks/overoptimization.py WORKSPACE FIGURES.json --labels 500 --iterations 120
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from trained_sandbox import TrainedSandbox, rank_in_turn

from heed.config import PPOConfig
from heed.evaluation.likelihood import reference_logprobs
from heed.evaluation.overoptimization import (
    Probe,
    best_of_n,
    best_of_n_climb,
    kl_of_best_of,
    pool_sizes,
    probe,
    probes_climb,
)
from heed.evaluation.overoptimization_fits import Climb, study
from heed.evaluation.preference_accuracy import accuracy, rank_by, score_pairs
from heed.generation.sampler import LocalSampler
from heed.models.types import CausalLM
from heed.models.value_model import ValueModel
from heed.records import Prompt
from heed.roles import Scorer
from heed.sandbox import GoldScorer, crew
from heed.training.ppo import ppo
from heed.training.stopping import Stopping

POLICY_PROMPTS = 4000


def main() -> None:
    """Train, climb, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path, help="a finished heed run sandbox")
    parser.add_argument("out", type=Path, help="file of figures to write (JSON)")
    parser.add_argument("--labels", type=int, default=500, help="rankings of four answers that the proxy learns from")
    parser.add_argument("--second-labels", type=int, help="what the second model learns from; as many if unset")
    parser.add_argument("--iterations", type=int, default=120)
    parser.add_argument("--learning-rate", type=float, default=PPOConfig().learning_rate, help="of the policy")
    parser.add_argument("--every", type=int, default=5, help="iterations between two measurements")
    parser.add_argument("--test", type=int, default=200, help="prompts on which gold is measured")
    parser.add_argument("--pool", type=int, default=256, help="answers to each for best-of-n")
    parser.add_argument("--patience", type=int, default=PPOConfig().patience)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(TrainedSandbox(given.workspace, Path(scratch)), given)
    given.out.write_text(json.dumps(found, indent=1))
    report(found)


def measure(sandbox: TrainedSandbox, given: argparse.Namespace) -> dict[str, Any]:
    """Everything, as plain figures."""
    began = time.process_time()
    world, seed = sandbox.world, given.seed
    ranked = given.labels + (given.second_labels or given.labels)
    prompts = world.prompts("train", ranked + POLICY_PROMPTS, seed=1000 + seed)
    judges = [one for one in crew(world, seed=sandbox.config.seed) if one.labeler.group == "training"]
    answered = sandbox.sample(prompts[:ranked], 4, seed)
    parts = [slice(0, given.labels), slice(given.labels, ranked)]
    labeled = [rank_in_turn(judges, prompts[part], answered[part]) for part in parts]
    model, proxy = sandbox.train_reward(labeled[0], 2 * seed, "proxy")
    _, second = sandbox.train_reward(labeled[1], 2 * seed + 1, "second")
    gold, test = GoldScorer(world), world.prompts("final", given.test, seed=seed)
    pool = sandbox.sample(test, given.pool, seed + 1)
    tables = [np.array(scorer.score(test, pool)) for scorer in (proxy, gold, second)]
    best = best_of_n_figures(*tables)
    ordered = rank_by(gold, test, [one[:8] for one in pool])
    best["proxy_accuracy"] = accuracy(score_pairs(proxy, ordered)).as_json()
    best["second_accuracy"] = accuracy(score_pairs(second, ordered)).as_json()
    path, rounds = climb(sandbox, model, proxy, second, gold, prompts[ranked:], test, given)
    settings = {name: value for name, value in vars(given).items() if name not in ("workspace", "out")}
    found = {**settings, "best_of_n": best, "ppo": ppo_figures(path, rounds, given)}
    return found | {"cpu_seconds": time.process_time() - began}


def best_of_n_figures(reward: Any, gold: Any, second: Any) -> dict[str, Any]:
    """The curve of best-of-n, and the n that a second reward model likes best."""
    sizes = pool_sizes(reward.shape[1])
    rows = [
        {
            "n": n,
            "kl": kl_of_best_of(n),
            "reward": float(best_of_n(reward, reward, n).mean()),
            "gold": float(best_of_n(reward, gold, n).mean()),
            "second": float(best_of_n(reward, second, n).mean()),
        }
        for n in sizes
    ]
    true = max(rows, key=lambda row: row["gold"])
    chosen = max(rows, key=lambda row: row["second"])
    return {"points": rows, "study": study(best_of_n_climb(reward, gold), "best_of_n"), **_choice(true, chosen, rows)}


def climb(
    sandbox: TrainedSandbox,
    model: Any,
    proxy: Scorer,
    second: Scorer,
    gold: Scorer,
    prompts: Sequence[Prompt],
    test: Sequence[Prompt],
    given: argparse.Namespace,
) -> tuple[list[tuple[int, Probe, float]], list[Mapping[str, float]]]:
    """PPO without a KL penalty. At each stop: the iteration, gold and the rest by prompt, the second model's mean;
    and for each round what the stopping rule would have seen."""
    policy, run = sandbox.policy(), sandbox.run("ppo", given.seed)
    reference = reference_logprobs(sandbox.policy(), sandbox.codec)
    path: list[tuple[int, Probe, float]] = []

    def look(made: int, now: CausalLM) -> Mapping[str, float]:
        sampler, decoding = LocalSampler(now, sandbox.codec, "policy"), sandbox.decoding(given.seed)
        found = probe(sampler, test, reward=proxy, gold=gold, decoding=decoding, reference=reference)
        also = probe(sampler, test, reward=second, gold=second, decoding=decoding)
        path.append((made, found, float(np.mean(also.reward))))
        return found.figures()

    # PPO must run to the end to see what comes after the optimum: the second model scores, and stops nothing
    config = PPOConfig(
        iterations=given.iterations,
        kl_coef=0.0,
        ptx_coef=0.0,
        learning_rate=given.learning_rate,
        stop_by="second",
        patience=given.iterations + 1,
    )
    ppo(
        policy,
        sandbox.policy(),
        ValueModel.from_reward_model(model),
        proxy,
        prompts,
        sandbox.codec,
        config,
        run,
        heldout=second,
        evaluate=look,
        evaluate_every=given.every,
    )
    rows = [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]
    return path, [row for row in rows if "heldout_score" in row]


def ppo_figures(
    path: Sequence[tuple[int, Probe, float]], rounds: Sequence[Mapping[str, float]], given: argparse.Namespace
) -> dict[str, Any]:
    """The curve of PPO, the stop that the second model likes best, and where the rule of ``ppo.stop_by`` ends."""
    climbed = probes_climb([one for _, one, _ in path])
    assert isinstance(climbed, Climb)
    rows = [{"at": at, **one.figures(), "kl": float(np.mean(one.kl)), "second": liked} for at, one, liked in path]
    true = max(rows, key=lambda row: row["gold"])
    chosen = max(rows, key=lambda row: row["second"])
    rule = Stopping(PPOConfig(stop_by="second", patience=given.patience))
    ended = given.iterations
    for row in rounds:
        if rule.look(int(row["step"]) - 1, row, _Nothing()):
            ended = int(row["step"])
            break
    kept = rule.kept(ended)
    nearest = min(rows, key=lambda row: abs(row["at"] - kept))
    return {
        "points": rows,
        "study": study(climbed, "rl"),
        **_choice(true, chosen, rows),
        "rule": {"stopped_after": ended, "kept": kept, "gold_near_kept": nearest["gold"], "measured_at": nearest["at"]},
    }


class _Nothing:
    """Stands for a policy where only the rule is of interest."""

    def state_dict(self) -> dict[str, Any]:
        return {}


def _choice(true: Mapping[str, float], chosen: Mapping[str, float], rows: Sequence[Mapping[str, float]]) -> Any:
    """Gold at the start, at its best, where a second model would stop, and at the end."""
    ends = {"start": rows[0], "best": true, "second": chosen, "end": rows[-1]}
    return {"choice": {name: {k: row[k] for k in row if k in ("n", "at", "kl", "gold")} for name, row in ends.items()}}


def report(found: Mapping[str, Any]) -> None:
    """The figures that matter, one a line."""
    print(f"labels {found['labels']}, seed {found['seed']}: {found['cpu_seconds']:.0f} CPU seconds")
    for run in ("best_of_n", "ppo"):
        part = found[run]
        for row in part["points"]:
            print("  ", run, json.dumps({name: round(value, 3) for name, value in row.items()}))
        seen = part["study"] or {"forms": {}}
        for form, fit in seen["forms"].items():
            marks = " (lower AIC)" if form == seen["better"] else ""
            numbers = f"alpha {_span(fit['alpha'])} beta {_span(fit['beta'])} R2 {fit['r_squared']:.3f}"
            print(f"  {run} {form}{marks}: {numbers}")
            print(f"     optimum at KL {_peak(fit['peak'])}, observed {_peak(seen['observed'])}")
            ahead = seen["extrapolation"].get(form)
            if ahead:
                print(
                    f"     from KL <= {ahead['upto_kl']:.2f}: optimum at KL {_peak(ahead['peak'])}; at the end "
                    f"{_span(ahead['end'])}, was {ahead['observed_end']:.3f}; RMSE {ahead['rmse']:.3f} "
                    f"(flat {ahead['rmse_flat']:.3f})"
                )
        print("  ", run, json.dumps(part["choice"]), json.dumps(part.get("rule", {})))


def _span(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _peak(one: Mapping[str, float]) -> str:
    at, low, high, gain = ("none" if one[k] is None else f"{one[k]:.2f}" for k in ("kl", "low", "high", "gain"))
    return f"{at} ({low} to {high}), turns in {one['turns']:.0%} of resamples, gain {gain}"


if __name__ == "__main__":
    main()
