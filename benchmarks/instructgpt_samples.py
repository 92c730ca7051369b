"""Heed's measures on InstructGPT's own published answers, beside Table 14 of the paper.

    python benchmarks/instructgpt_samples.py --samples DIR --truthfulqa DIR

``--samples`` has the files of ``automatic-eval-samples`` (github.com/openai/following-instructions-human-feedback),
``--truthfulqa`` has ``TruthfulQA.csv`` and, if at hand, ``judge_truth.jsonl``. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from heed.evaluation.published import (
    SIZES,
    PublishedFigure,
    measure_published,
    read_samples,
)
from heed.evaluation.published_causes import (
    DROP_NUMBERS,
    distance,
    drop_mix,
    mode_distances,
    toxicity_correlation,
    truth_agreement,
)
from heed.evaluation.published_table import KINDS, TITLES
from heed.evaluation.tasks.reading import find_file
from heed.evaluation.tasks.toxicity_scorers import WordListScorer
from heed.evaluation.tasks.truthfulqa_written import default_judge

NAMES = {"gpt": "GPT-3", "sft": "SFT", "ppo-noptx": "PPO", "ppo-ptx": "PPO-ptx"}


def order_table(figures: Sequence[PublishedFigure]) -> str:
    """One line for each figure: how its order compares with the table's."""
    lines = [
        "| figure | scored by | n | tau | tau to expect | rho | tau at 1.3B / 6B / 175B | as, against, open "
        "| mean distance | order |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for figure in figures:
        one, size = figure.agreement, [f"{figure.agreement.tau_by_size[size]:.2f}" for size in SIZES]
        n = next(iter(figure.models.values())).n
        lines.append(
            f"| {TITLES[figure.key]} | {figure.judge} | {n} | {one.tau:.2f} "
            f"| {one.expected[0]:.2f}–{one.expected[1]:.2f} | {one.spearman:.2f} | {' / '.join(size)} "
            f"| {one.confirmed}, {one.contradicted}, {one.undecided} | {distance(figure):.3f} | {one.verdict} |"
        )
    return "\n".join(lines)


def value_table(figures: Sequence[PublishedFigure]) -> str:
    """Every model's figure with its interval, and the table's below."""
    lines = ["| figure | size | " + " | ".join(NAMES.values()) + " |", "| --- | --- |" + " ---: |" * len(NAMES)]
    for figure in figures:
        for size in SIZES:
            cells = []
            for kind in KINDS:
                model = f"{kind}-{size}"
                one = figure.models[model]
                cells.append(f"{one.value:.3f} ({one.low:.2f}–{one.high:.2f}), {figure.table[model]:.3f}")
            title = f"{TITLES[figure.key]} ({figure.judge})" if size == SIZES[0] else ""
            lines.append(f"| {title} | {'1.3B' if size == 'xl' else size.upper()} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def causes(samples: Path, truthfulqa: Path) -> str:
    """What single rows say about the differences."""
    truthful = read_samples(
        find_file(samples, "truthful_qa_samples.csv"), prompt="question", text="answer", scores=("true", "info")
    )
    lines = ["Mean distance of the share true (published scores) from each row of Table 14:", ""]
    lines += [
        "| samples | " + " | ".join(("qa", "instruction", "qa-instruction")) + " |",
        "| --- | ---: | ---: | ---: |",
    ]
    distances = mode_distances(truthful)
    for mode in dict.fromkeys(mode for mode, _ in distances):
        row = [f"{distances[mode, name]:.3f}" for name in ("qa", "instruction", "qa-instruction")]
        lines.append(f"| {mode} | {' | '.join(row)} |")
    lines += ["", "Our judge of truth against the published one:", ""]
    lines += ["| answers | n | agree | kappa | true by ours | true by theirs |", "| --- |" + " ---: |" * 5]
    for name, one in truth_agreement(truthful, default_judge(truthfulqa)).items():
        lines.append(f"| {name} | {one.n} | {one.share:.3f} | {one.kappa:.2f} | {one.ours:.3f} | {one.theirs:.3f} |")
    toxic = read_samples(find_file(samples, "real_toxicity_samples.csv"), scores=("toxicity",))
    correlation, missed = toxicity_correlation(toxic, WordListScorer())
    mix = drop_mix(read_samples(find_file(samples, "drop_samples.csv")))
    lines += [
        "",
        f"The word list correlates with Perspective at {correlation:.2f}; it finds nothing in {100 * missed:.0f} % of "
        "the texts that Perspective puts at 0.5 or more.",
        "",
        f"{100 * mix.numbers:.0f} % of the DROP samples ask for a number, {100 * DROP_NUMBERS:.0f} % in DROP; "
        f"reweighted to that share the mean distance from the table is {mix.distance:.3f}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--truthfulqa", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    figures = measure_published(given.samples, default_judge(given.truthfulqa), given.seed)
    print("## Order of the twelve models\n")
    print(order_table(figures))
    print("\n## Values: samples (95 % interval), Table 14\n")
    print(value_table([figure for figure in figures if "exchanged" not in figure.judge]))
    print("\n## Causes\n")
    print(causes(given.samples, given.truthfulqa))


if __name__ == "__main__":
    main()
