"""A studio in the middle of its work: campaigns of every kind, people who agree and one who does not, something on
every page."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from browser.bench import Bench
from heed.form_library import LIBRARY
from heed.forms import LETTERS
from heed.records import Completion, Prompt
from heed.store.studio.asks import Ask
from heed.store.studio.leases import Lease
from heed.web.routes import Route

GUIDELINE = """# What makes an answer good

Ask which answer you would rather have got. **Truthful and harmless** come before **helpful**.

1. Did it do what was asked, all of it?
2. Is anything made up? *Saying that one cannot know* is better than inventing.
3. Longer is not better.

| Case | Rank |
| --- | --- |
| Right and short | first |
| Right, with a wrong detail | below |

> A tie is a real judgement.
"""
QUESTIONS = (
    "What is the capital of Australia, and why is it not Sydney?",
    "Write two sentences that thank a neighbour for watering the plants.",
    "Summarise: *The council met on Monday. It put off the vote on the bridge because two members were ill.*",
    "Explain to a child of seven why the sky is blue.",
    "List three dishes with lentils.",
    "Is it safe to mix bleach and vinegar for cleaning?",
)
ANSWERS = (
    "Canberra. It was chosen as a compromise between Sydney and Melbourne.",
    "The capital is **Canberra**.\n\n- Sydney and Melbourne both wanted to be it\n- so it was built between them\n\n"
    "It has been the seat of parliament since 1927.",
    "Sydney is the capital of Australia. It is a large city with a famous opera house, many beaches and a harbour. "
    "People like to visit it in summer, and it has been the capital for a very long time.",
    "I am not sure, but I believe that it is Canberra; the reason is that the two largest cities could not agree.",
)
FLAGS = tuple(question.name for question in LIBRARY["grade"].of_scope("candidate") if question.kind == "flag")


class Sample:
    """What :func:`fill` made, by what pages are named after."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.draw = random.Random(7)
        self.people = [bench.labeler() for _ in range(4)]
        self.lead = bench.labeler("lead")
        self.campaigns: dict[str, str] = {}
        self.fill()

    def fill(self) -> None:
        bench = self.bench
        bench.store.add_guideline(GUIDELINE)
        bench.store.add_guideline(GUIDELINE + "\nWhere both are wrong, the one that does less harm is better.\n")
        asks = [self.ask(number, 4) for number in range(12)]
        for form in ("grade", "rank"):
            self.campaigns[form] = bench.campaign(form, asks, overlap=1.0, labels_in_pool=3)
        self.campaigns["compare"] = bench.campaign("compare", [self.ask(n, 2) for n in range(12)], overlap=1.0)
        self.campaigns["many"] = bench.campaign("rank", [self.ask(n, 7) for n in range(3)])
        bare = [Ask(prompt=Prompt.from_text(text)) for text in QUESTIONS]
        self.campaigns["write"] = bench.campaign("write", bare)
        brief = "Something that you would ask about cooking. It should need more than one sentence of answer."
        briefs = [Ask(prompt=Prompt.from_text(brief + " " * number, split="brief")) for number in (0, 1)]
        self.campaigns["prompt"] = bench.campaign("prompt", briefs)
        self.campaigns["edit"] = bench.campaign("edit", [self.ask(n, 1) for n in range(3)])
        self.campaigns["sensitive"] = bench.campaign("sensitive", bare)
        self.campaigns["topics"] = bench.campaign("topics", briefs)
        for form in ("grade", "rank", "compare"):
            for place, labeler in enumerate(self.people):
                for lease in self.claims(labeler, self.campaigns[form], 8):
                    said = self.answer(lease, careless=place == 3)
                    active = self.draw.randint(20_000, 120_000)
                    bench.queue.submit(labeler, lease.token, lease.token, said, active_ms=active, idle_ms=4000)

    def ask(self, number: int, k: int) -> Ask:
        texts = [f"{ANSWERS[i % 4]}{' Really.' * (i // 4)}" for i in range(k)]
        answers = tuple(Completion(text=text, policy=f"sft-{i % 2}") for i, text in enumerate(texts))
        text = QUESTIONS[number % len(QUESTIONS)] + ("" if number < len(QUESTIONS) else f" ({number})")
        return Ask(prompt=Prompt.from_text(text, category="open_qa", source="sample"), candidates=answers)

    def claims(self, labeler: str, campaign: str, count: int) -> Iterator[Lease]:
        for _ in range(count):
            lease = self.bench.queue.claim(labeler, campaign=campaign)
            if lease is None:
                return
            yield lease

    def answer(self, lease: Lease, careless: bool) -> Mapping[str, Any]:
        """What someone says who knows that the second and first are better, or someone who does not look."""
        worth = {text.split(" Really")[0]: grade for text, grade in zip(ANSWERS, (6, 7, 2, 4), strict=True)}
        letters = LETTERS[: len(lease.shown)]
        grades = {
            letter: self.draw.randint(1, 7)
            if careless
            else max(1, min(7, worth[answer.text.split(" Really")[0]] + self.draw.choice((-1, 0, 0, 0, 1))))
            for letter, answer in zip(letters, lease.shown, strict=True)
        }
        order = sorted(set(grades.values()), reverse=True)
        tiers = {letter: order.index(grade) for letter, grade in grades.items()}
        if lease.form.name == "compare":
            return {"item": {"strength": max(-3, min(3, grades["B"] - grades["A"]))}}
        if lease.form.name == "rank":
            return {"tiers": tiers}
        flags = {letter: dict.fromkeys(FLAGS, False) for letter in letters}
        for letter, grade in grades.items():
            flags[letter]["fails_task"] = grade < 3
        return {
            "candidates": {letter: {**flags[letter], "overall": grades[letter]} for letter in letters},
            "tiers": tiers,
            "note": "The prompt can be read in two ways." if self.draw.random() < 0.1 else "",
        }

    def addresses(self, routes: tuple[Route, ...]) -> list[str]:
        """Every page there is with something on it, by its address."""
        done = self.bench.queue.history(self.people[0], limit=1)[0]
        fillings = {
            "/work/history/{id}": None,
            "/lead/items/{id}": "/lead/items/1",
            "/lead/people/{account}": f"/lead/people/{self.people[3]}",
            "/lead/people/{account}/withdraw": f"/lead/people/{self.people[3]}/withdraw",
            "/lead/campaigns/{name}": f"/lead/campaigns/{self.campaigns['grade']}",
            "/lead/campaigns/{name}/gold": f"/lead/campaigns/{self.campaigns['rank']}/gold",
            "/lead/guidelines/{version}": "/lead/guidelines/2",
            "/lead/forms/{name}": "/lead/forms/grade",
        }
        found = []
        for route in routes:
            silent = ("/api/", "/healthz", "/out", "/join/", "/start")
            if route.method != "GET" or route.path.startswith(silent) or route.path in ("/", "/login", "/work"):
                continue
            if "fragment" in route.path or "download" in route.path or "backup" in route.path:
                continue
            path = fillings.get(route.path, route.path)
            if path is not None and "{" not in path and path not in found:
                found.append(path)
        assert done
        return found
