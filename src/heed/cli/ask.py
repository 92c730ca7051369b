"""``heed ask``: prompts, and models' answers to them, into a campaign that labelers work through."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heed.cli.common import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, open_workspace, print_json, say

if TYPE_CHECKING:
    from heed.forms import Form
    from heed.records import Completion, Prompt
    from heed.store import Store

AT_ONCE = 500
"""Prompts that are answered and added together, so that a long call may be broken off and repeated."""


def ask(
    campaign: Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A campaign of the studio; made if new.")],
    form: Annotated[str, typer.Option(help="What is asked, for a new campaign: write, grade, rank, compare, ...")] = "",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", metavar="MODEL", help="Answers come from this model. May be repeated: they share them."
        ),
    ] = None,
    answers: Annotated[int, typer.Option(min=2, max=9, help="K: answers to each prompt, from all models.")] = 4,
    split: Annotated[str, typer.Option(help="Take prompts of this split.")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many of them, drawn by the seed.")] = None,
    round: Annotated[int, typer.Option(min=0, help="The round of the loop that this belongs to.")] = 0,
    overlap: Annotated[
        float | None, typer.Option(min=0, max=1, help="For a new campaign: share of items that several answer.")
    ] = None,
    heldout: Annotated[
        float | None, typer.Option(min=0, max=1, help="For a new campaign: share of items for held-out labelers.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.")] = 1.0,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", help="Longest answer in tokens.")] = 48,
    seed: Annotated[int, typer.Option(help="The same seed asks the same.")] = 0,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Put prompts into a campaign for labelers, with answers from models where the form ranks or grades.

    Prompts that the campaign asks about already are left out, so the same call again adds nothing.

    [dim]Examples:[/]

    heed ask first-answers --form write --limit 200

    heed ask round-1 --form grade --model sft --answers 4 --limit 500
    """
    from heed.errors import DataError
    from heed.store.studio.asks import Ask
    from heed.store.studio.campaigns import Campaigns

    with open_workspace(workspace).store() as store:
        campaigns = Campaigns(store)
        chosen = _campaign(store, campaign, form, overlap, heldout, models or [])
        if chosen.task == "chat":
            say(f"{campaign}: labelers chat with {', '.join(campaigns.get(campaign).settings.policies)}.")
            return
        answered = chosen.ranks or bool(chosen.of_scope("candidate")) or chosen.task == "edit"
        if answered and not models:
            raise DataError(f"form {chosen.name!r} asks about answers; say whose with --model")
        prompts = _draw(store.prompts(split=split), limit, seed)
        if not prompts:
            raise DataError(f"there are no prompts of the split {split!r} in this workspace; import some")
        number = {"compare": 2, "edit": 1}.get(chosen.task, answers)
        added = alike = 0
        for some in _chunks(prompts):
            wanted = number if answered else 0
            groups = _answers(workspace, models or [], some, wanted, temperature, max_new_tokens, seed)
            asks = [
                Ask(prompt=prompt, candidates=group)
                for prompt, group in zip(some, groups, strict=True)
                if len(group) >= min(wanted, 2)
            ]
            alike += len(some) - len(asks)
            added += campaigns.add_items(campaign, asks, round=round, seed=seed)
        totals = campaigns.totals(campaign)
    if as_json:
        print_json({"campaign": campaign, "added": added, "alike": alike, "open": totals.open, "total": totals.total})
    else:
        say(f"{campaign}: {added:,} new items; {totals.open:,} answers of {totals.total:,} are wanted still.")
        if alike:
            say(f"{alike:,} prompts were left out: the answers to them are all alike.")


def _campaign(
    store: Store, name: str, form: str, overlap: float | None, heldout: float | None, models: Sequence[str]
) -> Form:
    """The campaign's form; a campaign that is not there is made, and active at once.

    Raises:
        DataError: it is there with another form, or the form is unknown.
    """
    from heed.errors import DataError, nearest
    from heed.form_library import LIBRARY
    from heed.store.studio.campaigns import Campaigns
    from heed.store.studio.settings import CampaignSettings

    campaigns = Campaigns(store)
    known = {one.name: one for one in campaigns.list()}
    if name in known:
        if form and known[name].form.name != form:
            raise DataError(f"campaign {name!r} asks with form {known[name].form.name!r}, not {form!r}")
        return known[name].form
    forms = {**LIBRARY, **{one.form.name: one.form for one in reversed(campaigns.forms())}}
    if form not in forms:
        raise DataError(
            f"campaign {name!r} is new: say what it asks with --form, one of {', '.join(forms)}.{nearest(form, forms)}"
        )
    talks = forms[form].task == "chat"
    if talks and not models:
        raise DataError("a chat needs models to talk to; name them with --model")
    given = {"overlap": overlap, "heldout_share": heldout, "policies": tuple(models) if talks else None}
    settings = CampaignSettings.model_validate({key: value for key, value in given.items() if value is not None})
    versions = campaigns.guidelines()
    guideline = versions[0].version if versions else None
    campaigns.create(name, forms[form], guideline=guideline, settings=settings, state="active")
    return forms[form]


def _draw(prompts: Sequence[Prompt], limit: int | None, seed: int) -> list[Prompt]:
    if limit is None or limit >= len(prompts):
        return list(prompts)
    chosen = set(random.Random(seed).sample(range(len(prompts)), limit))
    return [prompt for index, prompt in enumerate(prompts) if index in chosen]


def _answers(
    workspace: Path,
    models: Sequence[str],
    prompts: Sequence[Prompt],
    number: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> list[tuple[Completion, ...]]:
    """``number`` different answers to each prompt where the models give so many, shared out evenly over the models.

    An answer that comes out twice is drawn again a few times.
    """
    from heed.cli.models import open_sampler
    from heed.roles import Decoding

    groups: list[dict[str, Completion]] = [{} for _ in prompts]
    shares = (
        [number // len(models) + (index < number % len(models)) for index in range(len(models))]
        if models and number
        else []
    )
    for name, share in zip(models, shares, strict=True):
        sampler = open_sampler(workspace, name)
        wanted = [len(group) + share for group in groups]
        for attempt in range(4):
            short = [index for index, group in enumerate(groups) if len(group) < wanted[index]]
            if not short or share == 0:
                break
            decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed * 4 + attempt)
            sampled = sampler.sample([prompts[index] for index in short], share, decoding)
            for index, completions in zip(short, sampled, strict=True):
                for one in completions:
                    if len(groups[index]) < wanted[index]:
                        groups[index].setdefault(one.text.strip(), one)
    return [tuple(group.values()) for group in groups]


def _chunks(prompts: Sequence[Prompt]) -> Iterator[Sequence[Prompt]]:
    for start in range(0, len(prompts), AT_ONCE):
        yield prompts[start : start + AT_ONCE]
