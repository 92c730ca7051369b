"""What a kind of task is: how its prompts are drawn and worded, its right answer, how an answer is checked, its twin.

A **twin** is the prompt a careless reader takes a prompt for: two facts for three, the past for the present, a sad
story for a happy one. Twins come in pairs, each equally often asked, and each one's right answer is the other's typical
mistake. So whether an answer is right cannot be told without reading the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from heed.sandbox.facts import Facts, other
from heed.sandbox.language import FACTS_FORM, Claim, Sentence
from heed.sandbox.lexicon import CLASSES

Spec: TypeAlias = Mapping[str, str]
"""Everything about one prompt, as plain words: enough to word it, to answer it and to grade an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a kind's own check finds in the sentences that try to answer the prompt."""

    main: float
    """Share of the decisive constraint that is met: what the twin would have differently. 0 to 1."""
    detail: float = 1.0
    """Share of the lesser constraints that are met, such as the right object in a story. 0 to 1."""
    false: int = 0
    """Claims that are false in the world."""
    invented: int = 0
    """Statements without ground in the passage, or against the source that was asked for."""
    abstains: bool = False
    """It says that the passage does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of task."""

    name: str
    share: float
    """Of all prompts."""
    forms: tuple[str, ...]
    """Forms of the sentences that may answer it; any other sentence was not asked for."""
    draw: Callable[[random.Random, Facts], Spec]
    ask: Callable[[Spec], str]
    """The prompt's text."""
    answer: Callable[[Spec, Facts, random.Random], list[str]]
    """Sentences of a right answer."""
    check: Callable[[Spec, Facts, Sequence[Sentence]], Verdict]
    """Judges the sentences that try to answer, at least one."""
    slip: Callable[[Spec, Facts, random.Random], Spec]
    """The prompt as a hasty reader takes it, with one detail wrong; answering that is a lesser defect."""
    twin: Callable[[Spec, random.Random], Spec] | None = None
    """The opposite prompt; None for kinds whose demonstrators make no typical mistake."""
    most: int = 1
    """How many sentences an answer may have."""


def answers(kind: Kind, spec: Spec, sentence: Sentence) -> bool:
    """Whether a sentence tries to answer the prompt, rightly or wrongly."""
    if sentence.form not in kind.forms:
        return False
    return sentence.form != FACTS_FORM or sentence.claims[0].subject == spec["subject"]


def changed(spec: Spec, **gaps: str) -> Spec:
    """A copy with some words replaced."""
    return {**spec, **gaps}


def flip(name: str, one: str, two: str) -> Callable[[Spec, random.Random], Spec]:
    """A twin that swaps one word for another: ``flip("count", "two", "three")``."""

    def twin(spec: Spec, rng: random.Random) -> Spec:
        return changed(spec, **{name: two if spec[name] == one else one})

    return twin


def misread(*names: str) -> Callable[[Spec, Facts, random.Random], Spec]:
    """A slip that takes one of the named words for another of its class."""

    def slip(spec: Spec, facts: Facts, rng: random.Random) -> Spec:
        name = rng.choice(names)
        return changed(spec, **{name: other(CLASSES[name.rstrip("2")], spec[name], rng)})

    return slip


def two_of(words: tuple[str, ...], rng: random.Random) -> tuple[str, str]:
    """Two different words."""
    first = rng.choice(words)
    return first, other(words, first, rng)


def share(*oks: bool) -> float:
    """The share of conditions that hold."""
    return sum(oks) / len(oks)


def claims_in(sentences: Sequence[Sentence]) -> tuple[Claim, ...]:
    """All claims, in order."""
    return tuple(claim for sentence in sentences for claim in sentence.claims)
