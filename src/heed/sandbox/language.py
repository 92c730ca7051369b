"""Sentences with gaps, written and read by the same forms, so that whatever the world can say it can also grade.

A form such as ``"{person} was {mood}."`` both renders (`say`) and reads (`read`). Facts about a subject are one form
with a list of predicates: ``"The fox is red, eats corn and lives in the cave."``
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from heed.sandbox.lexicon import ANIMALS, CITIES, CLASSES, PEOPLE

FORMS: Mapping[str, str] = {
    "event": "{person} {deed} the {object} near {city}.",
    "fortune": "{person} {fortune} a {object} near {city}.",
    "mood": "{person} was {mood}.",
    "place": "The {object} is near {city}.",
    "day": "It was on {day}.",
    "silent": "It does not say.",
    "journey": "{person} and {person2} took a {object} from {city} to {city2}.",
    "luggage": "{person} took a {object} and {person2} took a {object2}.",
    "trip": "{person} and {person2} went to {city}.",
    "people": "{person} and {person2}.",
    "cities": "{city} and {city2}.",
    "pair": "A {member} and a {member2}.",
    "formal": "Dear {person}, I write about the {object}.",
    "casual": "Hey {person}, just look at the {object}.",
    "formal_close": "Regards, {person}.",
    "casual_close": "Bye, {person}.",
    "sorry": "I am sorry about the {object}.",
    "glad": "I am glad about the {object}.",
    "verdict": "It is {verdict}.",
    "review": "The {topic} was {quality} and the {topic2} was {quality2}.",
    "rude_name": "You are a {insult}.",
    "rude_away": "Go away.",
    "rude_request": "What a {slight} request.",
    "rude_alone": "Leave me alone, you {insult}.",
}
"""Name -> sentence with gaps. A gap is named after the class of words that fill it."""

RUDE_FORMS = ("rude_name", "rude_away", "rude_request", "rude_alone")
FACTS_FORM = "facts"

PREDICATES: Mapping[str, str] = {
    "home": "lives in {city}",
    "job": "works as a {job}",
    "taste": "likes {food}",
    "colour": "is {colour}",
    "diet": "eats {feed}",
    "habitat": "lives in the {habitat}",
}
"""Attribute -> how a fact about it is said after its subject."""

CLASS_OF: Mapping[str, str] = {
    "home": "city",
    "job": "job",
    "taste": "food",
    "colour": "colour",
    "diet": "feed",
    "habitat": "habitat",
}
"""Attribute -> the class of words its value is one of."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about the world: ``Claim("fox", "colour", "red")``."""

    subject: str
    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as read."""

    text: str
    form: str
    """Name of its form; empty when it has none, which is to say that it is not good English here."""
    gaps: Mapping[str, str]
    """What fills the form's gaps."""
    claims: tuple[Claim, ...] = ()
    """What it says about the world, for the form ``"facts"``."""


def say(form: str, **gaps: str) -> str:
    """Render one form.

    >>> say("mood", person="Anna", mood="glad")
    'Anna was glad.'
    """
    return FORMS[form].format(**gaps)


def say_facts(claims: Sequence[Claim]) -> str:
    """One sentence with all the claims, which share their subject.

    >>> say_facts([Claim("fox", "colour", "red"), Claim("fox", "diet", "corn")])
    'The fox is red and eats corn.'
    """
    subject = claims[0].subject
    predicates = [PREDICATES[claim.attribute].format(**{CLASS_OF[claim.attribute]: claim.value}) for claim in claims]
    return f"{name_of(subject, start=True)} {listed(predicates)}."


def name_of(subject: str, start: bool = False) -> str:
    """A subject as it stands in a sentence: people by name, animals with their article."""
    if subject in _PEOPLE:
        return subject
    return f"The {subject}" if start else f"the {subject}"


def listed(items: Sequence[str]) -> str:
    """``"x"``, ``"x and y"``, ``"x, y and z"``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def read(text: str) -> tuple[Sentence, ...]:
    """The sentences of ``text`` in order. A sentence ends at a full stop or a line's end; one without its stop has no
    form.
    """
    return tuple(read_sentence(part.strip()) for part in _SENTENCE.findall(text))


@lru_cache(maxsize=200_000)
def read_sentence(text: str) -> Sentence:
    """Read one sentence."""
    for name, pattern in _PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            return Sentence(text, name, match.groupdict())
    claims = _read_claims(text)
    return Sentence(text, FACTS_FORM if claims else "", {}, claims)


def _read_claims(text: str) -> tuple[Claim, ...]:
    match = _SUBJECT.fullmatch(text)
    if not match:
        return ()
    subject = match["person"] or match["animal"]
    parts = re.split(r", | and ", match["rest"])
    found = [_PREDICATE.fullmatch(part) for part in parts]
    if listed(parts) != match["rest"]:
        return ()
    claims = [Claim(subject, str(one.lastgroup), one[0].rsplit(" ", 1)[-1]) for one in found if one]
    return tuple(claims) if len(claims) == len(parts) else ()


def _pattern(form: str) -> str:
    """A regular expression for a form, one named group for each gap."""
    parts = re.split(r"\{(\w+)\}", form)
    return "".join(
        re.escape(part) if index % 2 == 0 else f"(?P<{part}>{'|'.join(CLASSES[part.rstrip('2')])})"
        for index, part in enumerate(parts)
    )


_PEOPLE = frozenset(PEOPLE)
_SENTENCE = re.compile(r"[^.!?\n\s][^.!?\n]*[.!?]?")
_PATTERNS = tuple((name, re.compile(_pattern(form))) for name, form in FORMS.items())
_SUBJECT = re.compile(rf"(?:(?P<person>{'|'.join(PEOPLE)})|The (?P<animal>{'|'.join(ANIMALS)})) (?P<rest>.+)\.")
_PREDICATE = re.compile(
    "|".join(
        f"(?P<{attribute}>{re.sub(r'{(.+)}', lambda gap: '(?:' + '|'.join(CLASSES[gap[1]]) + ')', text)})"
        for attribute, text in PREDICATES.items()
    )
)
assert not set(PEOPLE) & set(CITIES)
