"""The sandbox's world: its facts, its texts, its prompts and what is right in it.

Everything follows from the world's seed and the seed of each call; nothing is stored. Prompts carry a specification in
``meta`` that is enough to grade an answer, so a prompt that went through a database can still be graded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from heed.errors import DataError
from heed.records import Completion, Demonstration, Prompt, content_id
from heed.sandbox import web
from heed.sandbox.demonstrators import CAREFUL, write_answer
from heed.sandbox.facts import Facts
from heed.sandbox.grading import Grade, grade_sentences
from heed.sandbox.kind import Kind, Spec
from heed.sandbox.kinds import KINDS

Split = Literal["train", "test", "final"]
"""``train`` is for learning, ``test`` for choices along the way, ``final`` is read once, at the end."""

NUM_USERS = 300
"""Users who write prompts, in each split; no user is in two splits."""

_SPLIT_OF: tuple[Split, ...] = ("train", "train", "train", "train", "train", "train", "test", "final")


@dataclass(frozen=True)
class World:
    """A small world, generated from a seed."""

    seed: int
    facts: Facts

    def __init__(self, seed: int) -> None:
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "facts", Facts.draw(seed))

    def pretraining_text(self, num_words: int, seed: int) -> Iterator[str]:
        """Documents of at least ``num_words`` words in all: what a model reads before anyone teaches it to follow.

        A document may have several lines. About one token in six is punctuation or a line's end, which is not counted
        here.
        """
        return web.documents(self.facts, num_words, random.Random(f"web/{self.seed}/{seed}"))

    def prompts(self, split: Split, n: int, seed: int) -> list[Prompt]:
        """``n`` different prompts of one split. A prompt's split depends on its text alone, so splits never meet.

        Calls with different seeds may overlap within a split: draw once, and divide, where they must not.
        """
        rng = random.Random(f"prompts/{self.seed}/{split}/{seed}")
        names, bounds = list(KINDS), list(accumulate(kind.share for kind in KINDS.values()))
        found: dict[str, Prompt] = {}
        while len(found) < n:
            kind = KINDS[rng.choices(names, cum_weights=bounds)[0]]
            spec = kind.draw(rng, self.facts)
            prompt = prompt_of(spec)
            if prompt.split == split:
                found.setdefault(prompt.id, prompt)
        return list(found.values())

    def demonstration(self, prompt: Prompt, rng: random.Random) -> str:
        """What a demonstrator writes, who errs; see `heed.sandbox.demonstrators`."""
        kind, spec = specification(prompt)
        return write_answer(kind, spec, self.facts, CAREFUL, rng)

    def demonstrations(self, prompts: Sequence[Prompt], seed: int, labelers: Sequence[str] = ()) -> list[Demonstration]:
        """A demonstration for each prompt, by the labelers in turn."""
        rng = random.Random(f"demonstrations/{self.seed}/{seed}")
        return [
            Demonstration(
                prompt=prompt,
                completion=Completion(text=self.demonstration(prompt, rng)),
                labeler=labelers[index % len(labelers)] if labelers else "",
            )
            for index, prompt in enumerate(prompts)
        ]

    def ideal(self, prompt: Prompt) -> str:
        """A right answer; the same each time for the same prompt."""
        kind, spec = specification(prompt)
        return " ".join(kind.answer(spec, self.facts, random.Random(prompt.id)))

    def mistaken(self, prompt: Prompt) -> str | None:
        """The typical mistake: a right answer to the prompt's twin. None for kinds without a twin."""
        kind, spec = specification(prompt)
        rng = random.Random(prompt.id)
        return " ".join(kind.answer(kind.twin(spec, rng), self.facts, rng)) if kind.twin else None


def prompt_of(spec: Spec) -> Prompt:
    """The prompt that a specification describes."""
    text = KINDS[spec["kind"]].ask(spec)
    identity = content_id([["user", text]])
    number = int(identity[:12], 16)
    split = _SPLIT_OF[number % len(_SPLIT_OF)]
    return Prompt.from_text(
        text,
        source="sandbox",
        category=spec["kind"],
        user=f"{split}-{number // len(_SPLIT_OF) % NUM_USERS:03d}",
        split=split,
        meta=dict(spec),
        id=identity,
    )


def specification(prompt: Prompt) -> tuple[Kind, Spec]:
    """What a prompt asks, from its ``meta``.

    Raises:
        DataError: the prompt is not one of the sandbox's.
    """
    spec = {name: str(value) for name, value in prompt.meta.items()}
    if spec.get("kind") not in KINDS:
        raise DataError(
            f"prompt {prompt.id}: meta names kind {spec.get('kind')!r}, expected one of {', '.join(KINDS)}; "
            "only prompts made by the sandbox can be graded"
        )
    return KINDS[spec["kind"]], spec


def grade(world: World, prompt: Prompt, text: str) -> Grade:
    """Grade ``text`` as an answer to ``prompt``, by the world's true preferences."""
    kind, spec = specification(prompt)
    return grade_sentences(kind, spec, world.facts, text)


@dataclass(frozen=True, slots=True)
class GoldScorer:
    """Plays Scorer with the world's true preferences. For evaluation only."""

    world: World

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        """The grade of each completion."""
        return [
            [grade(self.world, prompt, answer.text).gold for answer in answers]
            for prompt, answers in zip(prompts, completions, strict=True)
        ]
