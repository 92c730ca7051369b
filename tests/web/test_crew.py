"""Simulated labelers in the real application: every kind of task, every sort of labeler, everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from heed.feedback.crew.gang import Outcome, Shift, run_shift
from heed.feedback.crew.hiring import Hiring, Recruit, hire
from heed.feedback.crew.minds import gradable
from heed.feedback.crew.work import NO_MISHAPS, Mishaps
from heed.form_library import LIBRARY
from heed.records import Completion, Prompt
from heed.sandbox.world import World
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import CampaignSettings
from heed.web.app import build_app
from heed.web.studio import Studio

WORLD = World(0)
PROMPTS = WORLD.prompts("train", 12, 0)
PLAIN = CampaignSettings(recheck_share=0, gold_share=0, anchor_share=0)


def candidates(prompt: Prompt, n: int) -> tuple[Completion, ...]:
    """A right answer, a typical mistake, and nonsense."""
    texts = [WORLD.ideal(prompt), WORLD.mistaken(prompt) or "No.", "What a day!", "Birds sing. " * 20][:n]
    return tuple(Completion(text=text, policy="model") for text in dict.fromkeys(texts))


def campaign(studio: Studio, name: str, asks: list[Ask], settings: CampaignSettings = PLAIN) -> None:
    studio.campaigns.create(name, LIBRARY[name], settings=settings, state="active")
    studio.campaigns.add_items(name, asks)


def work(studio: Studio, hiring: Hiring, **options: object) -> Outcome:
    """Everyone comes in by invitation and works until nothing is left."""
    recruits = [
        Recruit(
            name=one.name,
            character=one.character,
            group=one.group,
            invitation=studio.people.invite("labeler", one.group, "", None),
        )
        for one in hire(hiring, gradable(studio.store.prompts()))
    ]

    def joined(accounts: Mapping[str, str]) -> None:
        for account in accounts.values():
            studio.people.set_status(account, "active", "system")

    shift = Shift(
        url="http://testserver",
        transport=httpx.ASGITransport(app=build_app(studio)),
        **{"speed": 1e6, "mishaps": NO_MISHAPS, **options},  # type: ignore[arg-type]
    )
    return asyncio.run(run_shift(recruits, shift, joined=joined))


@pytest.mark.parametrize("form", ["grade", "rank", "compare", "sensitive", "write", "edit", "prompt"])
def test_every_kind_of_task_is_done_by_every_sort_of_labeler(studio: Studio, form: str) -> None:
    number = {"grade": 3, "rank": 4, "compare": 2, "edit": 1}.get(form, 0)
    asks = [Ask(prompt=prompt, candidates=candidates(prompt, number), slots=4) for prompt in PROMPTS[:3]]
    if form == "prompt":
        brief = Prompt.from_text("Something a cook would ask", split="brief")
        asks = [Ask(prompt=brief, slots=4)]
    campaign(studio, form, asks)
    outcome = work(studio, Hiring(honest=1, noisy=1, lazy=1, hostile=1))
    assert outcome.errors == []
    assert outcome.answers == 4 * len(asks)
    totals = studio.campaigns.totals(form)
    assert (totals.open, totals.live, totals.done) == (0, 0, 4 * len(asks))


def test_the_honest_prefer_what_is_right_and_the_hostile_the_contrary(studio: Studio) -> None:
    campaign(studio, "compare", [Ask(prompt=prompt, candidates=candidates(prompt, 2), slots=2) for prompt in PROMPTS])
    outcome = work(studio, Hiring(honest=1, hostile=1))
    names = {diary.account: diary.name for diary in outcome.diaries}
    won = {"honest 00": 0, "hostile 00": 0}
    for ranking in studio.store.rankings():
        won[names[ranking.labeler]] += ranking.tiers[0] == 0
    assert won["honest 00"] >= 9 and won["hostile 00"] <= 6


def test_the_lazy_leave_no_trace_of_thought(studio: Studio) -> None:
    asks = [Ask(prompt=prompt, candidates=candidates(prompt, 4), slots=3) for prompt in PROMPTS]
    campaign(studio, "rank", asks)
    outcome = work(studio, Hiring(honest=0, lazy=3))
    names = {diary.account: diary.name for diary in outcome.diaries}
    for ranking in studio.store.rankings():
        if names[ranking.labeler] == "lazy 01":
            assert set(ranking.tiers) == {0}
        if names[ranking.labeler] == "lazy 02":
            lengths = [len(one.text) for one in ranking.completions]
            assert ranking.tiers[lengths.index(max(lengths))] == 0


def test_broken_connections_and_killed_tabs_lose_nothing_and_double_nothing(studio: Studio) -> None:
    asks = [Ask(prompt=prompt, candidates=candidates(prompt, 2), slots=3) for prompt in PROMPTS]
    campaign(studio, "compare", asks)
    mishaps = Mishaps(dropped=0.3, repeated=0.3, killed=0.3, skipped=0.1)
    outcome = work(studio, Hiring(honest=3), mishaps=mishaps)
    assert outcome.errors == []
    assert sum(diary.replayed for diary in outcome.diaries) >= 0 and sum(diary.resumed for diary in outcome.diaries) > 3
    skipped = sum(diary.skipped for diary in outcome.diaries)
    assert outcome.answers + skipped == 36 and len(studio.store.rankings()) == outcome.answers
    assert len({one for diary in outcome.diaries for one in diary.acknowledged.values()}) == outcome.answers


def test_on_prompts_that_are_not_the_sandboxs_they_agree_more_than_by_chance(studio: Studio) -> None:
    asks = [
        Ask(
            prompt=Prompt.from_text(f"Question {index}"),
            candidates=tuple(Completion(text=f"Answer {index}.{one}", policy="model") for one in range(2)),
            slots=2,
        )
        for index in range(40)
    ]
    campaign(studio, "compare", asks)
    work(studio, Hiring(honest=2))
    tiers: dict[str, list[tuple[int, ...]]] = {}
    for ranking in studio.store.rankings():
        tiers.setdefault(ranking.prompt.id, []).append(ranking.tiers)
    assert sum(one == other for one, other in tiers.values()) >= 25
