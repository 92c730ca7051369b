"""``heed judge``: how good a judge is, against labels of which answer is better."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from heed.cli.talk import SeedOption, ServerOption

if TYPE_CHECKING:
    from heed.evaluation.judge_quality import JudgeQuality
    from heed.evaluation.verdicts import Decide
    from heed.feedback.ai_judge import Orders, Price
    from heed.runtime.progress import Progress, Tracker

BUILT_IN = ("length", "random")
SHARES = {
    "accuracy": "prefers what most people prefer",
    "agreement": "agrees with one of them",
    "people_agreement": "  two of them agree",
    "exact": "says what most say, ties too",
    "people_exact": "  one of them says what the others say",
    "prefers_longer": "prefers the longer answer",
    "people_prefer_longer": "  they do",
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
    orders: Annotated[
        str, typer.Option(help="Show two answers in both orders, as given, or in a random one.")
    ] = "both",
    prices: Annotated[
        str | None, typer.Option("--price", metavar="READ,WRITTEN", help="Of a million tokens, such as 0.15,0.60.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a server's answer.")] = 120.0,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How good a judge is: agreement with people, order and length bias, consistency, price.

    [dim]Example:[/]  heed judge reward length --data llmbar:pairs.jsonl --limit 200
    """
    from heed.evaluation.judge_quality import judge_quality
    from heed.evaluation.judged_pairs import read_judged
    from heed.runtime.progress import open_progress

    name, found, path = data.partition(":")
    if not found:
        raise typer.BadParameter(f"--data is {data!r}, expected FORMAT:PATH, such as llmbar:pairs.jsonl")
    held = read_judged(name, path).sample(limit, seed)
    progress = open_progress(sys.stderr, silent=as_json)
    settings = _Settings(
        template=template,
        guideline=guideline,
        samples=samples,
        orders=orders,
        price=_price(prices),
        timeout=timeout,
        seed=seed,
    )
    qualities: dict[str, JudgeQuality] = {}
    try:
        for one in dict.fromkeys(judges):
            qualities[one] = judge_quality(_decider(workspace, one, server, settings, progress), held.pairs, seed=seed)
    finally:
        progress.close()
    if as_json:
        results = {one: quality.as_json() for one, quality in qualities.items()}
        print_json({"data": data, "pairs": len(held.pairs), "left_out": list(held.left_out), "judges": results})
        return
    _print(qualities, f"{len(held.pairs)} pairs of {path}")
    for line in held.left_out[:3]:
        say(f"left out: {line}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """How a language model is asked."""

    template: str
    guideline: Path | None
    samples: int
    orders: str
    price: Price | None
    timeout: float
    seed: int


class _Bar:
    """Tells how far a judge is; the total is known when it begins."""

    def __init__(self, progress: Progress, heading: str) -> None:
        self._progress, self._heading, self._done = progress, heading, 0
        self._tracker: Tracker | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._tracker is None:
            self._tracker = self._progress.track(total, "judgements", heading=self._heading).__enter__()
        self._tracker.advance(done - self._done)
        self._done = done
        if done == total:
            self._tracker.__exit__(None, None, None)


def _decider(workspace: Path, name: str, server: str | None, settings: _Settings, progress: Progress) -> Decide:
    """Whoever ``name`` is: a rule, a reward model, or a language model, here or behind a server.

    Raises:
        ModelError: there is none of that name.
    """
    from heed.evaluation.verdicts import chance_decides, scorer_decides

    if name == "random":
        return chance_decides(settings.seed)
    if name == "length":
        from heed.evaluation.baselines import LengthScorer

        return scorer_decides(LengthScorer(1.0), name, what="The longer answer, in words.")
    if server is None and _is_reward_model(workspace, name):
        from heed.cli.models import open_reward_scorer

        return scorer_decides(open_reward_scorer(workspace, name), name, what=f"The reward model {name}.")
    return _language_model(workspace, name, server, settings, progress)


def _is_reward_model(workspace: Path, name: str) -> bool:
    from heed.cli.models import find_model
    from heed.models.checkpoints import CARD_FILE, model_kind

    path = find_model(workspace, name)
    return (path / CARD_FILE).is_file() and model_kind(path) == "reward"


def _language_model(workspace: Path, name: str, server: str | None, settings: _Settings, progress: Progress) -> Decide:
    from heed.errors import DataError
    from heed.evaluation.verdicts import ai_decides
    from heed.feedback.ai_judge import AIJudge
    from heed.feedback.judge_templates import find_template
    from heed.roles import Decoding, Sampler

    chosen = find_template(settings.template)
    sampler: Sampler
    if server is None:
        from heed.cli.models import open_local_sampler

        sampler = open_local_sampler(workspace, name)
    else:
        from heed.generation.client import OpenAISampler

        key = os.environ.get("OPENAI_API_KEY")
        sampler = OpenAISampler(server, name, api_key=key, timeout_seconds=settings.timeout)
    criteria = ""
    if settings.guideline is not None:
        try:
            criteria = settings.guideline.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{settings.guideline}: the guideline cannot be read ({error})") from error
    temperature = 0.0 if settings.samples == 1 else 1.0
    orders: Orders = settings.orders  # type: ignore[assignment]  # checked by the judge
    made = AIJudge(
        sampler,
        name=name,
        template=chosen,
        criteria=criteria,
        samples=settings.samples,
        orders=orders,
        decoding=Decoding(max_new_tokens=chosen.max_new_tokens, temperature=temperature, seed=settings.seed),
        price=settings.price,
        progress=_Bar(progress, name),
    )
    return ai_decides(made)


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


def _rows_of_subsets(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    subsets = dict.fromkeys(name for one in found for name in one["accuracy_by_subset"])
    return [[f"  right on {name}", *(_share(one["accuracy_by_subset"].get(name)) for one in found)] for name in subsets]


def _share(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return "–"
    value, low, high = (100 * estimate[name] for name in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f}–{high:.1f})"
