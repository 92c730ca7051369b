"""Kinds that come with a text: rewrite it, sum it up, take names from it, answer from it, judge it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from heed.sandbox.facts import Facts
from heed.sandbox.kind import Kind, Spec, Verdict, flip, misread, share, two_of
from heed.sandbox.language import Sentence, say
from heed.sandbox.lexicon import CITIES, COMPLAINTS, DAYS, OBJECTS, PAST, PEOPLE, PRAISES, PRESENT, TOPICS


def _placed(order: str, request: str, passage: str) -> str:
    """The request before the passage, or after it as a sentence of its own."""
    return f"{request}: {passage}" if order == "0" else f"{passage} {request}."


# Rewrite: into the past, or into the present.


def _draw_rewrite(rng: random.Random, facts: Facts) -> Spec:
    return {
        "kind": "rewrite",
        "style": rng.choice("01"),
        "tense": rng.choice(("past", "present")),
        "verb": str(rng.randrange(len(PAST))),
        "person": rng.choice(PEOPLE),
        "object": rng.choice(OBJECTS),
        "city": rng.choice(CITIES),
    }


def _event(spec: Spec, deeds: tuple[str, ...]) -> str:
    deed = deeds[int(spec["verb"])]
    return say("event", person=spec["person"], deed=deed, object=spec["object"], city=spec["city"])


def _ask_rewrite(spec: Spec) -> str:
    source = _event(spec, PRESENT if spec["tense"] == "past" else PAST)
    return _placed(spec["style"], f"Put it in the {spec['tense']}", source)


def _answer_rewrite(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    return [_event(spec, PAST if spec["tense"] == "past" else PRESENT)]


def _check_rewrite(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    gaps = sentences[0].gaps
    verb = int(spec["verb"])
    detail = share(
        gaps["deed"] in (PAST[verb], PRESENT[verb]),
        *(gaps[name] == spec[name] for name in ("person", "object", "city")),
    )
    wanted = PAST if spec["tense"] == "past" else PRESENT
    return Verdict(main=float(gaps["deed"] in wanted), detail=detail, invented=int(detail < 1))


REWRITE = Kind(
    name="rewrite",
    share=0.08,
    forms=("event",),
    draw=_draw_rewrite,
    ask=_ask_rewrite,
    answer=_answer_rewrite,
    check=_check_rewrite,
    slip=misread("person", "object", "city"),
    twin=flip("tense", "past", "present"),
)

# What two people took on a trip: sum it up, or quote the first line.


def _draw_summarise(rng: random.Random, facts: Facts) -> Spec:
    person, person2 = two_of(PEOPLE, rng)
    thing, thing2 = two_of(OBJECTS, rng)
    return {
        "kind": "summarise",
        "style": rng.choice("01"),
        "mode": rng.choice(("short", "quote")),
        "person": person,
        "person2": person2,
        "city": rng.choice(CITIES),
        "object": thing,
        "object2": thing2,
    }


def _luggage(spec: Spec) -> str:
    return say("luggage", **{name: spec[name] for name in ("person", "object", "person2", "object2")})


def _ask_summarise(spec: Spec) -> str:
    request = "Sum it up" if spec["mode"] == "short" else "Quote the first line"
    return _placed(spec["style"], request, f"{_luggage(spec)} They went to {spec['city']}.")


def _answer_summarise(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    if spec["mode"] == "quote":
        return [_luggage(spec)]
    return [say("trip", person=spec["person"], person2=spec["person2"], city=spec["city"])]


def _check_summarise(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    sentence = sentences[0]
    wanted = "trip" if spec["mode"] == "short" else "luggage"
    detail = share(*(value == spec[name] for name, value in sentence.gaps.items()))
    return Verdict(main=float(sentence.form == wanted), detail=detail, invented=int(detail < 1))


SUMMARISE = Kind(
    name="summarise",
    share=0.07,
    forms=("trip", "luggage"),
    draw=_draw_summarise,
    ask=_ask_summarise,
    answer=_answer_summarise,
    check=_check_summarise,
    slip=misread("person", "person2"),
    twin=flip("mode", "short", "quote"),
)

# Take names out of a text: the people, or the cities.


def _draw_extract(rng: random.Random, facts: Facts) -> Spec:
    person, person2 = two_of(PEOPLE, rng)
    city, city2 = two_of(CITIES, rng)
    return {
        "kind": "extract",
        "style": rng.choice("01"),
        "what": rng.choice(("people", "cities")),
        "person": person,
        "person2": person2,
        "city": city,
        "city2": city2,
        "object": rng.choice(OBJECTS),
    }


def _ask_extract(spec: Spec) -> str:
    passage = say("journey", **{name: spec[name] for name in ("person", "person2", "object", "city", "city2")})
    return _placed(spec["style"], f"List the {spec['what']}", passage)


def _answer_extract(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    if spec["what"] == "people":
        return [say("people", person=spec["person"], person2=spec["person2"])]
    return [say("cities", city=spec["city"], city2=spec["city2"])]


def _check_extract(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    named = set(sentences[0].gaps.values())
    there = {spec[name] for name in sentences[0].gaps}
    detail = len(named & there) / 2
    return Verdict(main=float(sentences[0].form == spec["what"]), detail=detail, invented=int(bool(named - there)))


EXTRACT = Kind(
    name="extract",
    share=0.07,
    forms=("people", "cities"),
    draw=_draw_extract,
    ask=_ask_extract,
    answer=_answer_extract,
    check=_check_extract,
    slip=misread("person", "city"),
    twin=flip("what", "people", "cities"),
)

# A question about the passage: one that the passage answers (where), one that it may not answer (when).


def _draw_closed(rng: random.Random, facts: Facts) -> Spec:
    city, city2 = two_of(CITIES, rng)
    thing, thing2 = two_of(OBJECTS, rng)
    person, person2 = two_of(PEOPLE, rng)
    return {
        "kind": "closed_qa",
        "asked": rng.choice("12"),
        "verb": str(rng.randrange(len(PAST))),
        "person": person,
        "person2": person2,
        "city": city,
        "city2": city2,
        "object": thing,
        "object2": thing2,
    }


def _found(spec: Spec) -> tuple[str, str]:
    """The object asked for, and the city where it is."""
    suffix = "2" if spec["asked"] == "2" else ""
    return spec[f"object{suffix}"], spec[f"city{suffix}"]


def _ask_closed(spec: Spec) -> str:
    deed = PAST[int(spec["verb"])]
    one = say("event", person=spec["person"], deed=deed, object=spec["object"], city=spec["city"])
    two = say("event", person=spec["person2"], deed=deed, object=spec["object2"], city=spec["city2"])
    return f"{one} {two} Where is the {_found(spec)[0]}?"


def _answer_closed(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    thing, city = _found(spec)
    return [say("place", object=thing, city=city)]


def _check_closed(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    thing, city = _found(spec)
    gaps = sentences[0].gaps
    good = gaps["city"] == city
    return Verdict(main=float(good), detail=float(gaps["object"] == thing), invented=int(not good))


CLOSED_QA = Kind(
    name="closed_qa",
    share=0.06,
    forms=("place",),
    draw=_draw_closed,
    ask=_ask_closed,
    answer=_answer_closed,
    check=_check_closed,
    slip=misread("city", "city2"),
)


def _draw_when(kind: str) -> Callable[[random.Random, Facts], Spec]:
    def draw(rng: random.Random, facts: Facts) -> Spec:
        return {
            "kind": kind,
            "verb": str(rng.randrange(len(PAST))),
            "person": rng.choice(PEOPLE),
            "object": rng.choice(OBJECTS),
            "city": rng.choice(CITIES),
            "day": rng.choice(DAYS),  # of an unanswerable question: the day that a careless reader makes up
        }

    return draw


def _ask_when(spec: Spec) -> str:
    passage = _event(spec, PAST)
    if spec["kind"] == "answerable":
        passage = f"{passage[:-1]} on {spec['day']}."
    return f"{passage} On which day was it?"


def _answer_when(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    return [say("day", day=spec["day"])] if spec["kind"] == "answerable" else [say("silent")]


def _check_when(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    sentence = sentences[0]
    abstains = sentence.form == "silent"
    grounded = abstains or (spec["kind"] == "answerable" and sentence.gaps["day"] == spec["day"])
    return Verdict(
        main=float(abstains == (spec["kind"] == "unanswerable")),
        detail=float(grounded or spec["kind"] == "unanswerable"),
        invented=int(not grounded),
        abstains=abstains,
    )


ANSWERABLE = Kind(
    name="answerable",
    share=0.04,
    forms=("day", "silent"),
    draw=_draw_when("answerable"),
    ask=_ask_when,
    answer=_answer_when,
    check=_check_when,
    slip=misread("day"),
    twin=flip("kind", "answerable", "unanswerable"),
)
UNANSWERABLE = Kind(
    name="unanswerable",
    share=0.04,
    forms=("day", "silent"),
    draw=_draw_when("unanswerable"),
    ask=_ask_when,
    answer=_answer_when,
    check=_check_when,
    slip=misread("day"),
    twin=flip("kind", "answerable", "unanswerable"),
)

# A review: good or bad.


def _draw_classify(rng: random.Random, facts: Facts) -> Spec:
    verdict = rng.choice(("good", "bad"))
    topic, topic2 = two_of(TOPICS, rng)
    quality, quality2 = two_of(PRAISES if verdict == "good" else COMPLAINTS, rng)
    return {
        "kind": "classify",
        "style": rng.choice("01"),
        "verdict": verdict,
        "topic": topic,
        "topic2": topic2,
        "quality": quality,
        "quality2": quality2,
    }


def _ask_classify(spec: Spec) -> str:
    gaps = {name: spec[name] for name in ("topic", "quality", "topic2", "quality2")}
    review = say("review", **gaps)
    return f"Is this review good or bad: {review}" if spec["style"] == "0" else f"{review} Is it good or bad?"


def _answer_classify(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    return [say("verdict", verdict=spec["verdict"])]


def _check_classify(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    return Verdict(main=float(sentences[0].gaps["verdict"] == spec["verdict"]))


CLASSIFY = Kind(
    name="classify",
    share=0.05,
    forms=("verdict",),
    draw=_draw_classify,
    ask=_ask_classify,
    answer=_answer_classify,
    check=_check_classify,
    slip=misread("verdict"),
)
