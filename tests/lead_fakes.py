"""A studio with a campaign in it on which a few labelers have worked, for the tests of the lead's pages."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from heed.form_library import LIBRARY
from heed.forms import LETTERS, Form
from heed.records import Completion, Prompt
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.leases import Lease
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings
from heed.web.studio import Studio

Answer = Callable[[Lease, random.Random], Mapping[str, Any]]
"""How someone answers a task: the payload that the page would send."""


def fill(studio: Studio, prompts: int = 12, policies: tuple[str, ...] = ("sft", "ppo"), each: int = 2) -> list[Prompt]:
    """Prompts of two use cases, with answers by some policies; the quality of an answer is the number in its text."""
    draw = random.Random(0)
    made = [
        Prompt.from_text(f"Question {n}: what is **{n}** times two?", source="test", category="qa" if n % 2 else "chat")
        for n in range(prompts)
    ]
    for policy in policies:
        answers = [
            [Completion(text=f"{policy} says {draw.randrange(100)} and {k}", policy=policy) for k in range(each)]
            for _ in made
        ]
        studio.store.add_generations(made, answers)
    return made


def quality(text: str) -> int:
    """The number in an answer's text."""
    return int(text.split(" says ")[1].split(" ")[0])


def honest(lease: Lease, draw: random.Random) -> dict[str, Any]:
    """Better answers first, with a little noise."""
    return payload(lease.form, [quality(one.text) + draw.gauss(0, 12) for one in lease.shown])


def hostile(lease: Lease, draw: random.Random) -> dict[str, Any]:
    """Worse answers first."""
    return payload(lease.form, [-quality(one.text) for one in lease.shown])


def payload(form: Form, scores: list[float]) -> dict[str, Any]:
    """What a page sends for these scores of the answers as shown, highest best; every flag is no."""
    letters = LETTERS[: len(scores)]
    order = sorted(set(scores), reverse=True)
    said: dict[str, Any] = {"item": {}, "candidates": {letter: {} for letter in letters}}
    for question in form.questions:
        if question.kind == "tiers":
            said["tiers"] = {letter: order.index(score) for letter, score in zip(letters, scores, strict=True)}
        elif question.kind == "strength":
            said["item"][question.name] = 2 if scores[1] > scores[0] else -2
        elif question.scope == "candidate":
            for letter, score in zip(letters, scores, strict=True):
                grade = min(7, max(1, 1 + int(score) // 15))
                said["candidates"][letter][question.name] = grade if question.kind == "likert" else False
    return said


def work(queue: Queue, labeler: str, answer: Answer, *, most: int = 1000, seed: int = 0, campaign: str = "") -> int:
    """Answer until nothing is left; how many."""
    draw = random.Random(f"{labeler} {seed}")
    for number in range(most):
        lease = queue.claim(labeler, campaign=campaign or None)
        if lease is None:
            return number
        said = answer(lease, draw)
        queue.submit(labeler, lease.token, f"{labeler} {lease.token}", said, active_ms=0, idle_ms=0)
    return most


def make_campaign(
    studio: Studio, name: str = "first", form: str = "rank", *, answers: int = 3, **settings: Any
) -> Campaigns:
    """An active campaign over all prompts that have answers, every item in the shared pool."""
    from heed.store.studio.asks import Ask
    from heed.store.studio.sources import Draw

    chosen = {"overlap": 1.0, "labels_in_pool": 3, "recheck_share": 0.0, "gold_share": 0.0, "anchor_share": 0.0}
    campaigns = studio.campaigns
    guideline = studio.store.add_guideline("# How to rank\n\nBetter answers first.\n")
    campaigns.create(
        name, LIBRARY[form], guideline=guideline, settings=CampaignSettings(**{**chosen, **settings}), state="active"
    )
    drawn = studio.review.draw(Draw(policies=("sft", "ppo"), answers=answers, count=1000))
    campaigns.add_items(name, [Ask(prompt=one.prompt, candidates=one.candidates) for one in drawn])
    return campaigns
