"""What a reward model loses on labelers it never heard: folds over the sandbox's simulated crew, with real training.

Every simulated labeler shares the true preference and weighs its parts by a private taste. Reward models learn from
four of five groups of labelers and are asked about all five, on new prompts. The private part of the tastes can be made
larger, to see that the loss is found where there is one.

    python benchmarks/labeler_folds.py WORKSPACE FIGURES.json --rankings 2400 --taste 1 4
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from trained_sandbox import TrainedSandbox, rank_in_turn

from heed.evaluation.labeler_folds import LabelerFolds, labeler_folds
from heed.evaluation.preference_accuracy import labeler_agreement
from heed.records import Ranking
from heed.roles import Scorer
from heed.sandbox import crew
from heed.sandbox.labelers import Taste

TRUE = Taste(follow=2.0, main=1.5, detail=0.5, truth=1.0, rude=1.5, clutter=0.5, words=0.0)
"""What the tastes are scattered around."""


def main() -> None:
    """Label, train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path, help="a finished heed run sandbox")
    parser.add_argument("out", type=Path, help="file of figures to write (JSON)")
    parser.add_argument("--rankings", type=int, default=2400, help="rankings of four answers to learn from, in all")
    parser.add_argument("--test", type=int, default=250, help="prompts whose answers every labeler ranks")
    parser.add_argument("--taste", type=float, nargs="+", default=[1.0, 4.0], help="how private tastes are")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    found = []
    for scale in given.taste:
        with tempfile.TemporaryDirectory() as scratch:
            began = time.process_time()
            result, agreement = measure(TrainedSandbox(given.workspace, Path(scratch)), given, scale)
            seconds = time.process_time() - began
        found.append({"taste": scale, "agreement": agreement, **result.as_json(), "cpu_seconds": seconds})
        report(scale, agreement, result, seconds)
    given.out.write_text(json.dumps(found, indent=1))


def measure(sandbox: TrainedSandbox, given: argparse.Namespace, scale: float) -> tuple[LabelerFolds, float]:
    """The folds, and how often two labelers agree."""
    world = sandbox.world
    judges = [
        replace(one, taste=scattered(one.taste, scale))
        for one in crew(world, seed=sandbox.config.seed)
        if one.labeler.group == "training"
    ]
    prompts = world.prompts("train", given.rankings, seed=2000)
    training = rank_in_turn(judges, prompts, sandbox.sample(prompts, 4, seed=1))
    test = world.prompts("test", given.test, seed=2000)
    answers = sandbox.sample(test, 4, seed=2)
    testing = [ranking for judge in judges for ranking in judge.rank(test, answers)]

    def train(rankings: Sequence[Ranking], seed: int) -> Scorer:
        return sandbox.train_reward(rankings, seed, f"fold-{_name(rankings)}", epochs=2)[1]

    return labeler_folds(training, testing, train, seeds=range(given.seeds)), labeler_agreement(testing).value


def scattered(taste: Taste, scale: float) -> Taste:
    """The taste with its distance from the true one multiplied, in logarithms; length is liked that much more."""
    changed: dict[str, Any] = {"words": taste.words * scale}
    for name in (field.name for field in fields(TRUE) if field.name != "words"):
        true = getattr(TRUE, name)
        changed[name] = true * (getattr(taste, name) / true) ** scale
    return replace(taste, **changed)


def _name(rankings: Sequence[Ranking]) -> str:
    return "-".join(sorted({one.labeler.removeprefix("training-") for one in rankings}))


def report(scale: float, agreement: float, found: LabelerFolds, seconds: float) -> None:
    """The figures, one a line."""
    print(f"private taste times {scale:g}; two labelers agree on {agreement:.1%}; {seconds:.0f} CPU seconds")
    for name, one in (("own", found.own), ("unheard", found.unheard), ("difference", found.difference)):
        print(f"  {name}: {one.value:.2%} ({one.low:.2%} to {one.high:.2%}), n {one.n}")
    for labelers, (own, unheard) in zip(found.groups, found.by_group, strict=True):
        print(f"  group {', '.join(labelers)}: {own.value:.2%} / {unheard.value:.2%}")
    print("  seeds:", ", ".join(f"{own:.2%} / {unheard:.2%}" for own, unheard in found.by_seed))


if __name__ == "__main__":
    main()
