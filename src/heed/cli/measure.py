"""``heed compare`` and ``report``: models side by side, one page."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heed.cli.common import (
    DEFAULT_WORKSPACE,
    JsonOption,
    WorkspaceOption,
    open_workspace,
    print_json,
    say,
)
from heed.cli.talk import LengthOption, SeedOption

if TYPE_CHECKING:
    from heed.records import Completion, Prompt


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A model of the workspace, or a directory.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The model to compare it with.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    judge: Annotated[str, typer.Option(metavar="MODEL", help="The reward model that prefers.")] = "reward",
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Prompts to compare on.")] = 200,
    split: Annotated[str, typer.Option(help="Which of the workspace's prompts.")] = "test",
    show: Annotated[int, typer.Option(min=0, help="Answers to show side by side.")] = 5,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 0.0,
    max_new_tokens: LengthOption = 48,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Two models on the same prompts, side by side, with the share of prompts on which a reward model prefers A.

    [dim]Example:[/]  heed compare ppo-ptx sft --show 10
    """
    from heed.cli.models import open_local_sampler, open_reward_scorer
    from heed.roles import Decoding
    from heed.stats import win_rate

    prompts = comparison_prompts(workspace, split, number)
    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    answers = [
        [row[0] for row in open_local_sampler(workspace, name).sample(prompts, 1, decoding)] for name in (first, second)
    ]
    pairs = list(zip(*answers, strict=True))
    scored = open_reward_scorer(workspace, judge).score(prompts, pairs)
    scores = [[round(score, 4) for score in pair] for pair in scored]  # equal answers tie, whatever the last bits say
    rate = win_rate([pair[0] for pair in scores], [pair[1] for pair in scores])
    if as_json:
        rows = [_row(*one) for one in zip(prompts, pairs, scores, strict=True)]
        print_json({"a": first, "b": second, "judge": judge, "win_rate": rate.as_json(), "prompts": rows})
        return
    for prompt, (ours, theirs), (our_score, their_score) in list(zip(prompts, pairs, scores, strict=True))[:show]:
        say(prompt.text)
        width = max(len(first), len(second))
        say(f"  {first:<{width}}  {our_score:+.2f}  {ours.text}")
        say(f"  {second:<{width}}  {their_score:+.2f}  {theirs.text}\n")
    say(
        f"{judge} prefers {first} to {second} on {100 * rate.value:.1f} % of {rate.n} prompts "
        f"(95 % interval {100 * rate.low:.1f}–{100 * rate.high:.1f}, ties count half)."
    )


def report(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a workspace anew from its results, as one HTML page.

    [dim]Example:[/]  heed report --open
    """
    from heed.reports import write_report

    place = open_workspace(workspace)
    path = write_report(place.root)
    if as_json:
        print_json({"report": str(path)})
    else:
        say(str(path))
    if show:
        webbrowser.open(path.as_uri())


def comparison_prompts(workspace: Path, split: str, number: int) -> list[Prompt]:
    """The first ``number`` prompts of a split.

    Raises:
        DataError: the split has none; the splits there are are named.
    """
    from heed.errors import DataError

    with open_workspace(workspace).store() as store:
        prompts = store.prompts(split=split)
        if not prompts:
            splits = sorted({prompt.split for prompt in store.prompts()})
            there = f"its splits are {', '.join(splits)}" if splits else "it has no prompts"
            raise DataError(f"{workspace}: no prompts of split {split!r}; {there}")
    return prompts[:number]


def _row(prompt: Prompt, pair: tuple[Completion, Completion], scores: list[float]) -> dict[str, Any]:
    return {"prompt": prompt.text, "a": pair[0].text, "b": pair[1].text, "score_a": scores[0], "score_b": scores[1]}
