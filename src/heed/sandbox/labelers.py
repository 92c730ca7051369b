"""Simulated labelers: each sees the true quality through a taste of their own, and with noise.

A labeler's impression of an answer is a weighted sum of what the grade is made of, the weights being theirs, plus a
liking for long or short answers, plus noise that depends on labeler, prompt and text alone: asked twice, a labeler says
the same, and two equal texts tie. Any two labelers agree on about 73 % of the pairs of different answers to a prompt,
as InstructGPT's did (72.6 +- 1.5 %, Ouyang et al. 2022, section 3.4).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from heed.records import Completion, Labeler, LabelerGroup, Prompt, Ranking
from heed.sandbox.grading import Grade
from heed.sandbox.world import World, grade

NOISE = 0.75
"""Standard deviation of a labeler's impression, in units of the grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What one labeler makes of an answer's qualities."""

    follow: float
    main: float
    detail: float
    truth: float
    rude: float
    clutter: float
    words: float
    """Liking for each word more, in units of the grade; negative for lovers of brevity."""

    @classmethod
    def draw(cls, rng: random.Random) -> Taste:
        """A taste: each weight is within about a quarter of the true one."""

        def near() -> float:
            return rng.lognormvariate(0.0, 0.25)

        return cls(
            follow=2.0 * near(),
            main=1.5 * near(),
            detail=0.5 * near(),
            truth=near(),
            rude=1.5 * near(),
            clutter=0.5 * near(),
            words=rng.gauss(0.0, 0.03),
        )

    def impression(self, found: Grade, num_words: int) -> float:
        """How good an answer seems, before noise."""
        return (
            self.follow * found.follows
            + self.main * found.main
            + self.detail * found.detail
            - self.truth * min(found.false, 2)
            - self.rude * found.rude
            - self.clutter * (min(found.strays - found.rude, 3) + min(found.garbled, 3))
            + self.words * num_words
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLabeler:
    """Plays Judge."""

    world: World
    labeler: Labeler
    taste: Taste
    noise: float = NOISE

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        """Rank each prompt's completions; only equal texts tie."""
        return [
            Ranking.from_scores(
                prompt, answers, [self.impression(prompt, answer.text) for answer in answers], self.labeler.id
            )
            for prompt, answers in zip(prompts, completions, strict=True)
        ]

    def impression(self, prompt: Prompt, text: str) -> float:
        """How good ``text`` seems to this labeler."""
        found = grade(self.world, prompt, text)
        return self.taste.impression(found, len(text.split())) + self.noise * self._mood(prompt, text)

    def _mood(self, prompt: Prompt, text: str) -> float:
        """A standard normal number that depends on labeler, prompt and text alone."""
        digest = hashlib.blake2b(f"{self.labeler.id}\n{prompt.id}\n{text}".encode(), digest_size=8).digest()
        return _NORMAL.inv_cdf((int.from_bytes(digest, "big") + 0.5) / 2**64)


def crew(world: World, seed: int, *, num_training: int = 12, num_heldout: int = 5) -> list[SimulatedLabeler]:
    """The labelers of a run: those whose rankings are trained on, and the held-out group that only judges."""
    sizes: tuple[tuple[LabelerGroup, int], ...] = (("training", num_training), ("heldout", num_heldout))
    return [
        SimulatedLabeler(
            world=world,
            labeler=Labeler(id=f"{group}-{index:02d}", kind="simulated", group=group),
            taste=Taste.draw(random.Random(f"taste/{seed}/{group}/{index}")),
        )
        for group, size in sizes
        for index in range(size)
    ]


_NORMAL = NormalDist()
