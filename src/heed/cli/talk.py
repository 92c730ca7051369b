"""``heed sample`` and ``heed chat``: answers from a model."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heed.cli.common import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, print_json, say

if TYPE_CHECKING:
    from heed.records import Message
    from heed.roles import Decoding, Sampler, Scorer

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A model of the workspace, such as sft; or a directory.")
]
TemperatureOption = Annotated[float, typer.Option(help="0 takes the likeliest token.")]
TopPOption = Annotated[float, typer.Option("--top-p", help="Draw from the likeliest tokens of this total probability.")]
LengthOption = Annotated[int, typer.Option("--max-new-tokens", help="Longest answer in tokens.")]
SeedOption = Annotated[int, typer.Option(help="The same seed gives the same answers.")]
ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="Ask an OpenAI-compatible server for MODEL instead.")
]


def sample(
    model: ModelArgument,
    prompts: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...", help="What to answer.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="PATH", help="Prompts, one a line; - is standard input.")
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="Answers to each prompt.")] = 1,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    temperature: TemperatureOption = 1.0,
    top_p: TopPOption = 1.0,
    max_new_tokens: LengthOption = 48,
    seed: SeedOption = 0,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answers from a model.

    [dim]Example:[/]  heed sample ppo-ptx "Where is Tom?" -n 4 --temperature 0.7
    """
    from heed.cli.models import open_sampler
    from heed.records import Prompt
    from heed.roles import Decoding

    asked = [Prompt.from_text(text) for text in [*(prompts or []), *_lines(file)]]
    if not asked:
        raise typer.BadParameter("give a PROMPT, or --file PATH")
    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
    answers = open_sampler(workspace, model, server).sample(asked, number, decoding)
    if as_json:
        print_json(
            [
                {
                    "prompt": prompt.text,
                    "completions": [
                        {"text": one.text, "stop": one.stop, "logprob": sum(one.logprobs) if one.logprobs else None}
                        for one in completions
                    ],
                }
                for prompt, completions in zip(asked, answers, strict=True)
            ]
        )
        return
    for prompt, completions in zip(asked, answers, strict=True):
        say(prompt.text)
        for one in completions:
            say(f"  → {one.text}")


def chat(
    model: ModelArgument,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    score: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A reward model whose score of each answer is shown.")
    ] = None,
    temperature: TemperatureOption = 0.7,
    top_p: TopPOption = 1.0,
    max_new_tokens: LengthOption = 48,
    seed: SeedOption = 0,
    server: ServerOption = None,
) -> None:
    """Talk to a model. An empty line begins a new conversation, end of input (Ctrl-D) leaves.

    [dim]Example:[/]  heed chat ppo-ptx --score reward
    """
    from heed.cli.models import open_local_sampler, open_reward_scorer, open_sampler
    from heed.roles import Decoding

    remembers = True
    if server is None:
        local = open_local_sampler(workspace, model)
        sampler: Sampler = local
        remembers = keeps_turns_apart(str(local.codec.tokenizer.chat_template or ""))
    else:
        sampler = open_sampler(workspace, model, server)
    scorer = open_reward_scorer(workspace, score) if score else None
    if sys.stdin.isatty():
        say(f"Talking to {model}. Ctrl-D leaves; an empty line begins anew.")
        if not remembers:
            say("It was taught single questions: each line stands by itself.")
    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
    converse(sampler, scorer, decoding, remembers)


def converse(sampler: Sampler, scorer: Scorer | None, decoding: Decoding, remembers: bool) -> None:
    """Read lines from standard input until it ends, and answer each."""
    from heed.errors import DataError
    from heed.records import Message, Prompt

    turns: list[Message] = []
    while (line := _ask()) is not None:
        if not line.strip():
            turns = []
            continue
        turns = [*(turns if remembers else []), Message(role="user", content=line)]
        prompt = Prompt(messages=tuple(turns))
        try:
            answer = sampler.sample([prompt], 1, decoding)[0][0]
        except DataError as error:  # the conversation has filled the context
            say(f"({error}; the conversation begins anew)")
            turns = []
            continue
        mark = "" if scorer is None else f"   [{scorer.score([prompt], [[answer]])[0][0]:+.2f}]"
        say(f"{answer.text}{mark}")
        turns.append(Message(role="assistant", content=answer.text))
        decoding = replace(decoding, seed=decoding.seed + 1)


def keeps_turns_apart(template: str) -> bool:
    """Whether a chat template tells the roles apart, so that a conversation of several turns makes sense to it."""
    from heed.data.tokenizer import PLAIN_TEMPLATE

    return template not in ("", PLAIN_TEMPLATE)


def _ask() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None


def _lines(path: Path | None) -> list[str]:
    """The lines of a file, or of standard input."""
    from heed.errors import DataError

    if path is None:
        return []
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return [line for line in text.splitlines() if line.strip()]
