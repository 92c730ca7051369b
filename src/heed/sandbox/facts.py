"""What is true in the world: three facts about every person and every animal."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from heed.sandbox.language import CLASS_OF, Claim
from heed.sandbox.lexicon import ANIMALS, CLASSES, PEOPLE

PERSON_ATTRIBUTES = ("home", "job", "taste")
ANIMAL_ATTRIBUTES = ("colour", "diet", "habitat")
SUBJECTS = PEOPLE + ANIMALS


@dataclass(frozen=True, slots=True)
class Facts:
    """The truth, by subject and attribute."""

    values: Mapping[tuple[str, str], str]

    @classmethod
    def draw(cls, seed: int) -> Facts:
        """The facts of the world numbered ``seed``."""
        rng = random.Random(f"facts/{seed}")
        return cls(
            {
                (subject, attribute): rng.choice(CLASSES[CLASS_OF[attribute]])
                for subject in SUBJECTS
                for attribute in attributes_of(subject)
            }
        )

    def claim(self, subject: str, attribute: str) -> Claim:
        """The true claim."""
        return Claim(subject, attribute, self.values[subject, attribute])

    def true(self, claim: Claim) -> bool:
        """Whether a claim holds; a claim that makes no sense, such as a person's colour, does not."""
        return self.values.get((claim.subject, claim.attribute)) == claim.value

    def lie(self, subject: str, attribute: str, rng: random.Random) -> Claim:
        """A false claim of the right kind."""
        truth = self.values[subject, attribute]
        return Claim(subject, attribute, other(CLASSES[CLASS_OF[attribute]], truth, rng))

    def __iter__(self) -> Iterator[Claim]:
        """All true claims."""
        return (Claim(subject, attribute, value) for (subject, attribute), value in self.values.items())


def attributes_of(subject: str) -> tuple[str, ...]:
    """What there is to know about a subject."""
    return PERSON_ATTRIBUTES if subject in _PEOPLE else ANIMAL_ATTRIBUTES


def pick(words: tuple[str, ...], rng: random.Random) -> str:
    """A word, each equally likely; faster than ``rng.choice``."""
    return words[int(rng.random() * len(words))]


def other(words: tuple[str, ...], word: str, rng: random.Random) -> str:
    """A word of the class that is not ``word``."""
    while True:
        found = pick(words, rng)
        if found != word:
            return found


_PEOPLE = frozenset(PEOPLE)
