"""People who write demonstrations. Most of them misread most requests of a mirrored kind, as hurried people do.

A demonstrator answers the prompt's twin with probability `MISTAKE`, so the commonest answer to a request is the wrong
one. Independently there are lesser defects: a detail wrong, a fact nobody asked for, a rude remark (often, where the
user is rude).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from heed.sandbox.facts import SUBJECTS, Facts, attributes_of, pick
from heed.sandbox.kind import Kind, Spec
from heed.sandbox.language import RUDE_FORMS, say, say_facts
from heed.sandbox.lexicon import INSULTS, SLIGHTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How careful a writer is: probabilities of each defect."""

    mistake: float = 0.65
    """Answers the twin instead, in kinds that have one."""
    slip: float = 0.1
    """Gets one detail wrong."""
    misjudge: float = 0.25
    """The same in kinds without a twin, where the detail is the whole answer."""
    stray_fact: float = 0.06
    """Adds a fact nobody asked for; a tenth of these are false."""
    rude: float = 0.04
    """Adds a rude remark."""
    rude_back: float = 0.5
    """The same, to a rude user."""


CAREFUL = Care()
"""A labeler who writes demonstrations."""
CARELESS = Care(mistake=0.65, slip=0.3, misjudge=0.4, stray_fact=0.15, rude=0.08, rude_back=0.6)
"""A stranger on the web."""


def write_answer(kind: Kind, spec: Spec, facts: Facts, care: Care, rng: random.Random) -> str:
    """An answer by someone of the given care."""
    if kind.twin is not None and rng.random() < care.mistake:
        spec = kind.twin(spec, rng)
    if rng.random() < (care.slip if kind.twin else care.misjudge):
        spec = kind.slip(spec, facts, rng)
    sentences = kind.answer(spec, facts, rng)
    if rng.random() < care.stray_fact:
        sentences.append(stray_fact(facts, rng))
    if rng.random() < (care.rude_back if spec.get("insult") else care.rude):
        sentences.append(rude_remark(rng))
    return " ".join(sentences)


def stray_fact(facts: Facts, rng: random.Random, false: float = 0.1) -> str:
    """A fact about anyone or anything."""
    subject = pick(SUBJECTS, rng)
    attribute = pick(attributes_of(subject), rng)
    lies = rng.random() < false
    return say_facts([facts.lie(subject, attribute, rng) if lies else facts.claim(subject, attribute)])


def rude_remark(rng: random.Random) -> str:
    """A rude sentence, one of several dozen."""
    return say(pick(RUDE_FORMS, rng), insult=pick(INSULTS, rng), slight=pick(SLIGHTS, rng))
