"""Kinds that ask what is true in the world: one thing, two things, a number of things, or what a book says instead."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from heed.sandbox.facts import SUBJECTS, Facts, attributes_of, other
from heed.sandbox.kind import Kind, Spec, Verdict, changed, claims_in, flip, two_of
from heed.sandbox.language import CLASS_OF, FACTS_FORM, PREDICATES, Claim, Sentence, name_of, say_facts
from heed.sandbox.lexicon import CLASSES, PEOPLE

QUESTIONS = {
    "home": ("where does {} live", "where {} lives"),
    "job": ("what does {} work as", "what {} works as"),
    "taste": ("what does {} like", "what {} likes"),
    "colour": ("what colour is {}", "what colour {} is"),
    "diet": ("what does {} eat", "what {} eats"),
    "habitat": ("where does {} live", "where {} lives"),
}
"""Attribute -> its direct and its indirect question."""


def question(spec: Spec, attribute: str, indirect: bool = False) -> str:
    """Ask for one attribute of the prompt's subject."""
    return QUESTIONS[attribute][indirect].format(name_of(spec["subject"]))


def _believed(spec: Spec, facts: Facts, attribute: str) -> Claim:
    """The claim an answerer makes: the truth, unless this one is mistaken about it."""
    if spec.get("mistaken") == attribute:
        return Claim(spec["subject"], attribute, spec["belief"])
    return facts.claim(spec["subject"], attribute)


def _slip(spec: Spec, facts: Facts, rng: random.Random) -> Spec:
    attribute = spec.get("attribute") or rng.choice(attributes_of(spec["subject"]))
    return changed(spec, mistaken=attribute, belief=facts.lie(spec["subject"], attribute, rng).value)


def _false(claims: Sequence[Claim], facts: Facts) -> int:
    return sum(not facts.true(claim) for claim in claims)


# One question, and two questions at once: each is the other's twin.


def _draw_question(kind: str) -> Callable[[random.Random, Facts], Spec]:
    def draw(rng: random.Random, facts: Facts) -> Spec:
        subject = rng.choice(SUBJECTS)
        attribute, attribute2 = two_of(attributes_of(subject), rng)
        return {
            "kind": kind,
            "style": rng.choice("01"),
            "asker": rng.choice(PEOPLE),
            "subject": subject,
            "attribute": attribute,
            "attribute2": attribute2,
        }

    return draw


def _asked(spec: Spec) -> tuple[str, ...]:
    return (spec["attribute"], spec["attribute2"])[: 1 + (spec["kind"] == "two_part")]


def _ask_question(spec: Spec) -> str:
    indirect = spec["style"] == "1"
    asked = " and ".join(question(spec, attribute, indirect) for attribute in _asked(spec))
    return f"Tell {spec['asker']} {asked}." if indirect else f"{spec['asker']} asks: {asked}?"


def _answer_question(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    return [say_facts([_believed(spec, facts, attribute) for attribute in _asked(spec)])]


def _check_question(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    claims = claims_in(sentences)
    told = [claim.attribute for claim in claims]
    return Verdict(
        main=float(sorted(told) == sorted(_asked(spec))),
        detail=float(spec["attribute"] in told),
        false=_false(claims, facts),
    )


OPEN_QA = Kind(
    name="open_qa",
    share=0.07,
    forms=(FACTS_FORM,),
    draw=_draw_question("open_qa"),
    ask=_ask_question,
    answer=_answer_question,
    check=_check_question,
    slip=_slip,
    twin=flip("kind", "open_qa", "two_part"),
    most=2,
)
TWO_PART = Kind(
    name="two_part",
    share=0.07,
    forms=(FACTS_FORM,),
    draw=_draw_question("two_part"),
    ask=_ask_question,
    answer=_answer_question,
    check=_check_question,
    slip=_slip,
    twin=flip("kind", "open_qa", "two_part"),
    most=2,
)

# A number of facts: two or three.


def _draw_facts(rng: random.Random, facts: Facts) -> Spec:
    return {
        "kind": "facts",
        "style": rng.choice("01"),
        "asker": rng.choice(PEOPLE),
        "subject": rng.choice(SUBJECTS),
        "count": rng.choice(("two", "three")),
    }


def _ask_facts(spec: Spec) -> str:
    about = f"{spec['count']} facts about {name_of(spec['subject'])}"
    return f"Write {about} for {spec['asker']}." if spec["style"] == "1" else f"Give {spec['asker']} {about}."


def _answer_facts(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    count = 2 if spec["count"] == "two" else 3
    attributes = rng.sample(attributes_of(spec["subject"]), count)
    if "mistaken" in spec and spec["mistaken"] not in attributes:
        attributes[0] = spec["mistaken"]
    return [say_facts([_believed(spec, facts, attribute) for attribute in attributes])]


def _check_facts(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    claims = claims_in(sentences)
    wanted = 2 if spec["count"] == "two" else 3
    different = len({claim.attribute for claim in claims})
    return Verdict(main=float(len(claims) == wanted), detail=different / len(claims), false=_false(claims, facts))


FACTS = Kind(
    name="facts",
    share=0.07,
    forms=(FACTS_FORM,),
    draw=_draw_facts,
    ask=_ask_facts,
    answer=_answer_facts,
    check=_check_facts,
    slip=_slip,
    twin=flip("count", "two", "three"),
    most=3,
)

# What a book says, against what is true.


def _draw_tale(rng: random.Random, facts: Facts) -> Spec:
    subject = rng.choice(SUBJECTS)
    attribute = rng.choice(attributes_of(subject))
    return {
        "kind": "tale",
        "style": rng.choice("01"),
        "asker": rng.choice(PEOPLE),
        "subject": subject,
        "attribute": attribute,
        "tale": facts.lie(subject, attribute, rng).value,
        "source": rng.choice(("tale", "truth")),
    }


def _ask_tale(spec: Spec) -> str:
    source, teller = ("book", "A book says") if spec["style"] == "0" else ("dream", f"{spec['asker']} dreams")
    tale = PREDICATES[spec["attribute"]].format(**{CLASS_OF[spec["attribute"]]: spec["tale"]})
    told = f"{teller} that {name_of(spec['subject'])} {tale}."
    where = f"In the {source}" if spec["source"] == "tale" else "In truth"
    return f"{told} {where}, {question(spec, spec['attribute'])}?"


def _answer_tale(spec: Spec, facts: Facts, rng: random.Random) -> list[str]:
    if spec["source"] == "tale" and "mistaken" not in spec:
        return [say_facts([Claim(spec["subject"], spec["attribute"], spec["tale"])])]
    return [say_facts([_believed(spec, facts, spec["attribute"])])]


def _check_tale(spec: Spec, facts: Facts, sentences: Sequence[Sentence]) -> Verdict:
    claims = claims_in(sentences)
    truth = facts.values[spec["subject"], spec["attribute"]]
    wanted = spec["tale"] if spec["source"] == "tale" else truth
    right = [claim for claim in claims if claim.attribute == spec["attribute"]]
    known = all(claim.value in (truth, spec["tale"]) for claim in right)
    good = bool(right) and all(claim.value == wanted for claim in right)
    return Verdict(
        main=float(good and len(right) == len(claims)), detail=float(known and bool(right)), invented=int(not good)
    )


def _slip_tale(spec: Spec, facts: Facts, rng: random.Random) -> Spec:
    value = other(CLASSES[CLASS_OF[spec["attribute"]]], spec["tale"], rng)
    return changed(spec, mistaken=spec["attribute"], belief=value)


TALE = Kind(
    name="tale",
    share=0.05,
    forms=(FACTS_FORM,),
    draw=_draw_tale,
    ask=_ask_tale,
    answer=_answer_tale,
    check=_check_tale,
    slip=_slip_tale,
    twin=flip("source", "tale", "truth"),
)
