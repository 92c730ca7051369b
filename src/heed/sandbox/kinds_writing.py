"""Kinds that ask for something new: a story, a letter, ideas, a friendly reply."""

from __future__ import annotations

import random
from collections.abc import Sequence

from heed.sandbox.facts import Facts
from heed.sandbox.kind import Kind, Spec, Verdict, changed, flip, misread, share, two_of
from heed.sandbox.language import Sentence, say
from heed.sandbox.lexicon import (
    CITIES,
    GAINS,
    GROUP_OF,
    GROUPS,
    HAPPY,
    INSULTS,
    LOSSES,
    OBJECTS,
    PEOPLE,
    SAD,
)

# A story: happy or sad.


def _draw_story(rng: random.Random, facts: Facts) -> Spec:
    return {
        "kind": "story",
        "style": rng.choice("01"),
        "tone": rng.choice(("happy", "sad")),
        "person": rng.choice(PEOPLE),
        "object": rng.choice(OBJECTS),
        "city": rng.choice(CITIES),
    }


def _ask_story(spec: Spec) -> str:
    head = "Write" if spec["style"] == "0" else "Tell me"
    return f"{head} a {spec['tone']} story about {spec['person']} and a {spec['object']} near {spec['city']}."


def _answer_story(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    happy = spec["tone"] == "happy"
    fortune, mood = rng.choice(GAINS if happy else LOSSES), rng.choice(HAPPY if happy else SAD)
    return [
        say("fortune", person=spec["person"], fortune=fortune, object=spec["object"], city=spec["city"]),
        say("mood", person=spec["person"], mood=mood),
    ]


def _check_story(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    happy = spec["tone"] == "happy"
    event = next((sentence.gaps for sentence in sentences if sentence.form == "fortune"), {})
    mood = next((sentence.gaps for sentence in sentences if sentence.form == "mood"), {})
    return Verdict(
        main=share(event.get("fortune") in (GAINS if happy else LOSSES), mood.get("mood") in (HAPPY if happy else SAD)),
        detail=share(
            event.get("person") == spec["person"],
            event.get("object") == spec["object"],
            event.get("city") == spec["city"],
            mood.get("person") == spec["person"],
        ),
    )


STORY = Kind(
    name="story",
    share=0.10,
    forms=("fortune", "mood"),
    draw=_draw_story,
    ask=_ask_story,
    answer=_answer_story,
    check=_check_story,
    slip=misread("object", "city"),
    twin=flip("tone", "happy", "sad"),
    most=2,
)

# A note: formal or casual.


def _draw_letter(rng: random.Random, facts: Facts) -> Spec:
    person, sender = two_of(PEOPLE, rng)
    return {
        "kind": "letter",
        "style": rng.choice("01"),
        "register": rng.choice(("formal", "casual")),
        "person": person,
        "person2": sender,
        "object": rng.choice(OBJECTS),
    }


def _ask_letter(spec: Spec) -> str:
    head = "Write" if spec["style"] == "0" else "I need"
    people = f"from {spec['person2']} to {spec['person']}"
    return f"{head} a {spec['register']} note {people} about the {spec['object']}."


def _answer_letter(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    return [
        say(spec["register"], person=spec["person"], object=spec["object"]),
        say(f"{spec['register']}_close", person=spec["person2"]),
    ]


def _check_letter(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    body = next((sentence for sentence in sentences if not sentence.form.endswith("close")), None)
    close = next((sentence for sentence in sentences if sentence.form.endswith("close")), None)
    return Verdict(
        main=share(
            body is not None and body.form == spec["register"],
            close is not None and close.form == f"{spec['register']}_close",
        ),
        detail=share(
            body is not None and body.gaps["person"] == spec["person"],
            body is not None and body.gaps["object"] == spec["object"],
            close is not None and close.gaps["person"] == spec["person2"],
        ),
    )


LETTER = Kind(
    name="letter",
    share=0.08,
    forms=("formal", "casual", "formal_close", "casual_close"),
    draw=_draw_letter,
    ask=_ask_letter,
    answer=_answer_letter,
    check=_check_letter,
    slip=misread("object", "person2"),
    twin=flip("register", "formal", "casual"),
    most=2,
)

# Ideas: two things, in the order asked for.


def _draw_brainstorm(rng: random.Random, facts: Facts) -> Spec:
    group, group2 = two_of(tuple(GROUPS), rng)
    person, person2 = two_of(PEOPLE, rng)
    return {
        "kind": "brainstorm",
        "style": rng.choice("01"),
        "order": rng.choice(("this", "reverse")),
        "group": group,
        "group2": group2,
        "person": person,
        "person2": person2,
    }


def _wanted(spec: Spec) -> tuple[str, str]:
    one, two = spec["group"], spec["group2"]
    return (one, two) if spec["order"] == "this" else (two, one)


def _ask_brainstorm(spec: Spec) -> str:
    both, people = f"a {spec['group']} and a {spec['group2']}", f"{spec['person']} and {spec['person2']}"
    if spec["style"] == "0":
        return f"Name {both} for {people}, in {spec['order']} order."
    return f"{people} need {both}, in {spec['order']} order."


def _answer_brainstorm(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    one, two = _wanted(spec)
    return [say("pair", member=rng.choice(GROUPS[one]), member2=rng.choice(GROUPS[two]))]


def _check_brainstorm(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    gaps = sentences[0].gaps
    named = (GROUP_OF[gaps["member"]], GROUP_OF[gaps["member2"]])
    wanted = _wanted(spec)
    return Verdict(main=float(named == wanted), detail=share(wanted[0] in named, wanted[1] in named))


def _slip_brainstorm(spec: Spec, facts: Facts, rng: random.Random) -> Spec:
    name = rng.choice(("group", "group2"))
    unasked = [group for group in GROUPS if group not in (spec["group"], spec["group2"])]
    return changed(spec, **{name: rng.choice(unasked)})


BRAINSTORM = Kind(
    name="brainstorm",
    share=0.08,
    forms=("pair",),
    draw=_draw_brainstorm,
    ask=_ask_brainstorm,
    answer=_answer_brainstorm,
    check=_check_brainstorm,
    slip=_slip_brainstorm,
    twin=flip("order", "this", "reverse"),
)

# Chat: someone tells of good or bad luck, sometimes rudely.


def _draw_chat(rng: random.Random, facts: Facts) -> Spec:
    index = str(rng.randrange(len(GAINS)))
    return {
        "kind": "chat",
        "style": rng.choice("01"),
        "luck": rng.choice(("good", "bad")),
        "verb": index,
        "object": rng.choice(OBJECTS),
        "city": rng.choice(CITIES),
        "insult": rng.choice(INSULTS) if rng.random() < 0.5 else "",
    }


def _ask_chat(spec: Spec) -> str:
    verb = (GAINS if spec["luck"] == "good" else LOSSES)[int(spec["verb"])]
    head = f"You {spec['insult']}, " if spec["insult"] else ("Hello, " if spec["style"] == "1" else "")
    return f"{head}I {verb} a {spec['object']} near {spec['city']}."


def _answer_chat(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    return [say("glad" if spec["luck"] == "good" else "sorry", object=spec["object"])]


def _check_chat(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    reply = sentences[0]
    return Verdict(
        main=float((reply.form == "glad") == (spec["luck"] == "good")),
        detail=float(reply.gaps["object"] == spec["object"]),
    )


CHAT = Kind(
    name="chat",
    share=0.07,
    forms=("sorry", "glad"),
    draw=_draw_chat,
    ask=_ask_chat,
    answer=_answer_chat,
    check=_check_chat,
    slip=misread("object"),
    twin=flip("luck", "good", "bad"),
)
