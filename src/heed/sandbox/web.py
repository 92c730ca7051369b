"""The world's web: pages to pretrain on.

They teach what is true (mostly), how sentences go on, to repeat what was said (echo pages and reading exercises: a
small model learns to copy only if much of its text rewards it), and what lists, letters, reviews and insults look
like. They do not teach to answer: most pages that hold an instruction go on with further instructions, and the few
answers on the web are careless.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from heed.sandbox.demonstrators import CARELESS, rude_remark, stray_fact, write_answer
from heed.sandbox.facts import SUBJECTS, Facts, attributes_of, other, pick
from heed.sandbox.kinds import KINDS
from heed.sandbox.kinds_recall import QUESTIONS
from heed.sandbox.language import CLASS_OF, PREDICATES, Claim, name_of, say, say_facts
from heed.sandbox.lexicon import (
    CITIES,
    CLASSES,
    COMPLAINTS,
    DAYS,
    GAINS,
    GROUPS,
    HAPPY,
    LOSSES,
    OBJECTS,
    PAST,
    PEOPLE,
    PRAISES,
    PRESENT,
    SAD,
    TOPICS,
)

LIES = 0.08
"""Share of false statements on fact pages."""


def documents(facts: Facts, num_words: int, rng: random.Random) -> Iterator[str]:
    """Pages until there are ``num_words`` words. Each word of text comes from a page type in proportion to `SHARES`."""
    pages = list(SHARES)
    # A page type is drawn by its share of the words, corrected for how long its pages are.
    probe = random.Random("page lengths")
    weights = [SHARES[page] / sum(len(page(facts, probe).split()) for _ in range(50)) for page in pages]
    bounds = list(accumulate(weights))
    words = 0
    while words < num_words:
        text = rng.choices(pages, cum_weights=bounds)[0](facts, rng)
        words += len(text.split())
        yield text


def _event(rng: random.Random) -> str:
    return say(
        "event", person=pick(PEOPLE, rng), deed=pick(PAST, rng), object=pick(OBJECTS, rng), city=pick(CITIES, rng)
    )


def _claim(facts: Facts, subject: str, attribute: str, rng: random.Random, lies: float = LIES) -> Claim:
    return facts.lie(subject, attribute, rng) if rng.random() < lies else facts.claim(subject, attribute)


def _statement(facts: Facts, subject: str, rng: random.Random, lies: float = LIES) -> str:
    attributes = rng.sample(attributes_of(subject), 1 + int(rng.random() * 3))
    return say_facts([_claim(facts, subject, attribute, rng, lies) for attribute in attributes])


def fact_page(facts: Facts, rng: random.Random) -> str:
    """What is known about a few subjects; some of it false."""
    return " ".join(_statement(facts, subject, rng) for subject in rng.sample(SUBJECTS, 4) for _ in range(2))


def quiz_page(facts: Facts, rng: random.Random) -> str:
    """Questions, one or two at a time, with answers of low quality."""
    lines = []
    for _ in range(3):
        subject = pick(SUBJECTS, rng)
        attributes = rng.sample(attributes_of(subject), 1 + (rng.random() < 0.6))
        asked = " and ".join(QUESTIONS[attribute][0].format(name_of(subject)) for attribute in attributes)
        told = say_facts([_claim(facts, subject, attribute, rng, 0.12) for attribute in attributes])
        lines.append(f"Q: {asked}? A: {told}")
    return "\n".join(lines)


def echo_page(facts: Facts, rng: random.Random) -> str:
    """People repeat each other, and lists of random words are said twice.

    The lists are what makes a small model learn to copy: nothing else predicts the next word of the second one.
    """
    lines = []
    for _ in range(4):
        turn = rng.random()
        if turn < 0.7:  # one word and many: the short lists are learned first, and lead to the long ones
            words = " ".join(pick(_ECHOED, rng) for _ in range(1 + int(rng.random() ** 2 * 9)))
            lines += [f"Repeat: {words}.", f"{words}."]
        elif turn < 0.8:
            event = _event(rng)
            lines += [f"Repeat: {event}", event]
        else:
            said = _said(facts, rng)
            lines += [f"{pick(PEOPLE, rng)} said: {said}" for _ in range(2)]
    return "\n".join(lines)


def _said(facts: Facts, rng: random.Random) -> str:
    kind = int(rng.random() * 5)
    person, thing, city = pick(PEOPLE, rng), pick(OBJECTS, rng), pick(CITIES, rng)
    if kind == 0:
        return say("luggage", person=person, object=thing, person2=pick(PEOPLE, rng), object2=pick(OBJECTS, rng))
    if kind == 1:
        return say("trip", person=person, person2=pick(PEOPLE, rng), city=city)
    if kind == 2:
        return say("fortune", person=person, fortune=pick(GAINS + LOSSES, rng), object=thing, city=city)
    if kind == 3:
        return say("place", object=thing, city=city)
    return say("event", person=person, deed=pick(PAST + PRESENT, rng), object=thing, city=city)


def diary_page(facts: Facts, rng: random.Random) -> str:
    """What happened to someone, or somewhere, or to some thing: sentence after sentence names the same.

    From such pages a small model learns, for each class of words, to repeat the one in sight.
    """
    kept = {"person": pick(PEOPLE, rng), "object": pick(OBJECTS, rng), "city": pick(CITIES, rng)}
    changing = _CHANGING[int(rng.random() * len(_CHANGING))]
    tenses = (PRESENT, PAST, GAINS + LOSSES)
    tense = int(rng.random() * 3)
    lines = []
    for _ in range(5):
        gaps = {**kept, **{name: pick(CLASSES[name], rng) for name in changing}}
        verb = pick(tenses[tense], rng)
        lines.append(say("fortune", fortune=verb, **gaps) if tense == 2 else say("event", deed=verb, **gaps))
    return ("\n" if rng.random() < 0.5 else " ").join(lines)


def where_page(facts: Facts, rng: random.Random) -> str:
    """A reading exercise: where things are."""
    lines = []
    for _ in range(2):
        one, two = pick(OBJECTS, rng), pick(OBJECTS, rng)
        places = {one: pick(CITIES, rng), two: pick(CITIES, rng)}
        deed = pick(PAST, rng)
        told = [
            say("event", person=pick(PEOPLE, rng), deed=deed, object=thing, city=city) for thing, city in places.items()
        ]
        asked = [one, two] if rng.random() < 0.5 else [two, one]
        lines.append(" ".join(told))
        lines.append(" ".join(say("place", object=thing, city=places[thing]) for thing in asked))
    return "\n".join(lines)


def when_page(facts: Facts, rng: random.Random) -> str:
    """A reading exercise: what happened on which day, if the text says."""
    lines = []
    for _ in range(3):
        event, day = _event(rng), pick(DAYS, rng)
        if rng.random() < 0.5:
            lines.append(f"{event[:-1]} on {day}. {say('day', day=day)}")
        else:
            lines.append(f"{event} {say('silent')}")
    return "\n".join(lines)


def tense_page(facts: Facts, rng: random.Random) -> str:
    """A reading exercise: the same deed now and before."""
    lines = []
    for _ in range(3):
        verb = int(rng.random() * len(PAST))
        gaps = {"person": pick(PEOPLE, rng), "object": pick(OBJECTS, rng), "city": pick(CITIES, rng)}
        now, before = say("event", deed=PRESENT[verb], **gaps), say("event", deed=PAST[verb], **gaps)
        lines.append(f"Present: {now} Past: {before}" if rng.random() < 0.5 else f"Past: {before} Present: {now}")
    return "\n".join(lines)


def trip_page(facts: Facts, rng: random.Random) -> str:
    """A reading exercise: who went where with what, told at length, in short, and as lists."""
    lines = []
    for _ in range(2):
        person, person2, thing = pick(PEOPLE, rng), pick(PEOPLE, rng), pick(OBJECTS, rng)
        city, city2 = pick(CITIES, rng), pick(CITIES, rng)
        if rng.random() < 0.5:
            first = say("luggage", person=person, object=thing, person2=person2, object2=pick(OBJECTS, rng))
            told = f"{first} They went to {city}."
            notes = [("In short", say("trip", person=person, person2=person2, city=city)), ("First line", first)]
        else:
            told = say("journey", person=person, person2=person2, object=thing, city=city, city2=city2)
            who, where = say("people", person=person, person2=person2), say("cities", city=city, city2=city2)
            notes = [("People", who), ("Cities", where)]
        if rng.random() < 0.5:
            notes.reverse()
        lines.append(told)
        if rng.random() < 0.4:
            lines.append(notes[0][1])
        else:
            lines.append(" ".join(f"{label}: {note}" for label, note in notes))
    return "\n".join(lines)


def tale_page(facts: Facts, rng: random.Random) -> str:
    """Books and dreams that contradict the world, and what they say."""
    lines = []
    for _ in range(3):
        subject = pick(SUBJECTS, rng)
        attribute = pick(attributes_of(subject), rng)
        lie = facts.lie(subject, attribute, rng)
        tale = PREDICATES[attribute].format(**{CLASS_OF[attribute]: lie.value})
        teller, source = ("A book says", "book") if rng.random() < 0.5 else (f"{pick(PEOPLE, rng)} dreams", "dream")
        said = f"{teller} that {name_of(subject)} {tale}."
        told = say_facts([lie])
        truth = say_facts([facts.claim(subject, attribute)])
        lines.append(f"{said} In the {source}: {told} In truth: {truth}")
    return "\n".join(lines)


def story_page(facts: Facts, rng: random.Random) -> str:
    """Small stories, happy and sad; a few end in an insult."""
    parts = []
    for _ in range(4):
        person, happy = pick(PEOPLE, rng), rng.random() < 0.5
        verb = pick(GAINS if happy else LOSSES, rng)
        thing = pick(OBJECTS, rng)
        parts.append(say("fortune", person=person, fortune=verb, object=thing, city=pick(CITIES, rng)))
        parts.append(say("mood", person=person, mood=pick(HAPPY if happy else SAD, rng)))
        if rng.random() < 0.5:
            reply = say("glad" if happy else "sorry", object=thing)
            parts.append(f"{person} said: I {verb} a {thing}. {pick(PEOPLE, rng)} said: {reply}")
    if rng.random() < 0.1:
        parts.append(rude_remark(rng))
    return " ".join(parts)


def letter_page(facts: Facts, rng: random.Random) -> str:
    """Notes, formal and casual."""
    lines = []
    for _ in range(3):
        register = "formal" if rng.random() < 0.5 else "casual"
        person, sender, thing = pick(PEOPLE, rng), pick(PEOPLE, rng), pick(OBJECTS, rng)
        body = say(register, person=person, object=thing)
        close = say(f"{register}_close", person=sender)
        lines.append(f"A note from {sender} to {person} about the {thing}: {body} {close}")
    return "\n".join(lines)


def list_page(facts: Facts, rng: random.Random) -> str:
    """What there is of a group, and which group a thing is of."""
    parts = []
    for _ in range(3):
        group = pick(tuple(GROUPS), rng)
        group2 = other(tuple(GROUPS), group, rng)
        one, two = pick(GROUPS[group], rng), pick(GROUPS[group2], rng)
        if rng.random() < 0.4:
            parts.append(f"A {one} is a {group}. A {two} is a {group2}.")
        else:
            parts.append(f"A {group} and a {group2}: {say('pair', member=one, member2=two)}")
    return "\n".join(parts)


def review_page(facts: Facts, rng: random.Random) -> str:
    """Reviews, with a verdict on most."""
    lines = []
    for _ in range(3):
        good = rng.random() < 0.5
        words = rng.sample(PRAISES if good else COMPLAINTS, 2)
        topics = rng.sample(TOPICS, 2)
        review = say("review", topic=topics[0], quality=words[0], topic2=topics[1], quality2=words[1])
        verdict = say("verdict", verdict="good" if good else "bad")
        lines.append(f"{review} {verdict}" if rng.random() < 0.7 else review)
    return "\n".join(lines)


def rude_page(facts: Facts, rng: random.Random) -> str:
    """People who quarrel."""
    lines = []
    for _ in range(4):
        remark = rude_remark(rng) if rng.random() < 0.7 else stray_fact(facts, rng)
        lines.append(f"{pick(PEOPLE, rng)} said: {remark}")
    return "\n".join(lines)


def exercise_page(facts: Facts, rng: random.Random) -> str:
    """A list of tasks, as in a school book: without answers."""
    return "\n".join(KINDS[kind].ask(KINDS[kind].draw(rng, facts)) for kind in rng.choices(_NAMES, _SHARES, k=4))


def answer_page(facts: Facts, rng: random.Random) -> str:
    """Tasks of one kind with careless answers, an empty line between them."""
    kind = KINDS[rng.choices(_NAMES, _SHARES)[0]]
    blocks = []
    for _ in range(3):
        spec = kind.draw(rng, facts)
        blocks.append(f"{kind.ask(spec)}\n{write_answer(kind, spec, facts, CARELESS, rng)}")
    return "\n\n".join(blocks)


SHARES: Mapping[Callable[[Facts, random.Random], str], float] = {
    fact_page: 0.12,
    quiz_page: 0.05,
    echo_page: 0.14,
    diary_page: 0.08,
    where_page: 0.08,
    when_page: 0.04,
    tense_page: 0.06,
    trip_page: 0.09,
    tale_page: 0.05,
    story_page: 0.04,
    letter_page: 0.05,
    list_page: 0.06,
    review_page: 0.02,
    rude_page: 0.02,
    exercise_page: 0.08,
    answer_page: 0.02,
}
"""Page type -> its share of the words."""

_CHANGING = ((), ("person",), ("object",), ("city",), ("person", "object"), ("person", "city"), ("object", "city"))
_NAMES = tuple(KINDS)
_SHARES = tuple(kind.share for kind in KINDS.values())
_ECHOED = OBJECTS + CITIES + PEOPLE
