"""``heed judge``: how good a judge is, against labels of which answer is better."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    print_json,
    print_table,
    say,
)
from heed.cli.loop import DeviceOption
from heed.cli.talk import SeedOption, ServerOption

if TYPE_CHECKING:
    from heed.evaluation.judge_quality import JudgeQuality
    from heed.feedback.ai_judge import Price
    from heed.stats.tests import PairedDifference

SHARES = {
    "accuracy": "prefers what most annotators prefer",
    "agreement": "agrees with one of them",
    "people_agreement": "  two of them agree",
    "exact": "says what most say, ties too",
    "people_exact": "  one of them says what the others say",
    "prefers_longer": "prefers the longer answer",
    "people_prefer_longer": "  the annotators do",
    "accuracy_longer_better": "right where the longer is better",
    "accuracy_longer_worse": "right where the longer is worse",
    "first": "prefers the answer shown first",
    "consistency": "says the same in both orders",
    "self_consistency": "says the same when asked again",
    "ties": "finds them equal",
}
"""Rows of the table that are shares."""


def judge(
    judges: Annotated[
        list[str],
        typer.Argument(
            metavar="JUDGE...", help="A reward model of the workspace, length, random, or a language model."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="FORMAT:PATH", help="Pairs with labels: llmbar, pandalm, alpaca-eval, or any rankings."
        ),
    ],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    server: ServerOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many of the pairs, drawn at random.")] = None,
    template: Annotated[str, typer.Option(help="What a language model is asked: a name, or a JSON file.")] = "plain",
    guideline: Annotated[Path | None, typer.Option(metavar="FILE", help="The criteria of the template.")] = None,
    samples: Annotated[int, typer.Option(min=1, help="Votes of a language model on each comparison.")] = 1,
    by: Annotated[
        str, typer.Option(help="Read a language model's reply, or only weigh the likelihood of A and B: likelihood.")
    ] = "reply",
    orders: Annotated[
        str, typer.Option(help="Show two answers in both orders, as given, or in a random one.")
    ] = "both",
    prices: Annotated[
        str | None, typer.Option("--price", metavar="READ,WRITTEN", help="Of a million tokens, such as 0.15,0.60.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a server's answer.")] = 120.0,
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How good a judge is: agreement with people, order and length bias, consistency, price.

    [dim]Example:[/]  heed judge reward length --data llmbar:pairs.jsonl --limit 200
    """
    from heed.cli.judges import JudgeSettings, decider
    from heed.evaluation.judge_quality import compare_judges, quality_of
    from heed.evaluation.judged_pairs import read_judged
    from heed.runtime.progress import open_progress

    name, found, path = data.partition(":")
    if not found:
        raise typer.BadParameter(f"--data is {data!r}, expected FORMAT:PATH, such as llmbar:pairs.jsonl")
    held = read_judged(name, path).sample(limit, seed)
    progress = open_progress(sys.stderr, silent=as_json)
    settings = JudgeSettings(
        server=server,
        device=device,
        template=template,
        guideline=guideline,
        samples=samples,
        by=by,
        orders=orders,
        price=_price(prices),
        timeout=timeout,
        seed=seed,
    )
    matchups = [pair.matchup() for pair in held.pairs]
    try:
        said = {one: decider(workspace, one, settings, progress)(matchups) for one in dict.fromkeys(judges)}
    finally:
        progress.close()
    qualities = {one: quality_of(verdicts, held.pairs, seed=seed) for one, verdicts in said.items()}
    differences = compare_judges(said, held.pairs, seed=seed)
    if as_json:
        results = {one: quality.as_json() for one, quality in qualities.items()}
        page: dict[str, Any] = {"data": data, "pairs": len(held.pairs), "left_out": list(held.left_out)}
        page |= {"judges": results, "differences": [one.as_json() for one in differences]}
        print_json(page)
        return
    _print(qualities, f"{len(held.pairs)} pairs of {path}")
    _print_differences(differences)
    for line in held.left_out[:3]:
        say(f"left out: {line}")


def _price(text: str | None) -> Price | None:
    from heed.feedback.ai_judge import Price

    if text is None:
        return None
    try:
        read, written = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--price is {text!r}, expected two numbers, such as 0.15,0.60") from None
    return Price(prompt=read, completion=written)


def _print(qualities: Mapping[str, JudgeQuality], title: str) -> None:
    """A column for each judge: shares in per cent with their 95 % intervals, then what it took."""
    documents = {name: one.as_json() for name, one in qualities.items()}
    for document in documents.values():
        bias = document["order_bias"] or {}
        document |= {"first": bias.get("first"), "consistency": bias.get("consistency")}
    found = list(documents.values())
    rows = [
        [label, *(_share(one[name]) for one in found)]
        for name, label in SHARES.items()
        if any(one[name] is not None for one in found)
    ]
    rows += _rows_of_subsets(found)
    rows += [
        ["pairs judged", *(f"{one['judged']:,}" for one in found)],
        ["verdicts that failed", *(f"{one['failures']:,}" for one in found)],
        ["seconds for 1,000 verdicts", *(f"{one['seconds_per_1000']:,.2f}" for one in found)],
    ]
    for name, label in (("tokens_per_1000", "tokens for 1,000"), ("cost_per_1000", "price of 1,000")):
        if any(one[name] is not None for one in found):
            rows.append([label, *("–" if one[name] is None else f"{one[name]:,.4g}" for one in found)])
    print_table(f"{title} (per cent, 95 % intervals)", ["", *documents], rows)
    for name, one in documents.items():
        for failure in one["failure_reasons"][:2]:
            say(f"{name} failed on {failure['count']}: {failure['reason']}")


def _print_differences(differences: Sequence[PairedDifference]) -> None:
    """Which judge is right more often, on the pairs that both judged."""
    rows = [
        [f"{one.a} − {one.b}", _share(one.estimate.as_json()), f"{one.estimate.n:,}", f"{one.p_holm:.3g}"]
        for one in differences
    ]
    print_table(
        "Right more often, on pairs both judged (percentage points)", ["", "difference", "pairs", "p (Holm)"], rows
    )


def _rows_of_subsets(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    subsets = dict.fromkeys(name for one in found for name in one["accuracy_by_subset"])
    return [[f"  right on {name}", *(_share(one["accuracy_by_subset"].get(name)) for one in found)] for name in subsets]


def _share(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return "–"
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}–{high:.1f})"
