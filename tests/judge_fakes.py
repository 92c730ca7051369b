"""Judges with planted faults: samplers that read a comparison as Heed asks it and answer in their own way."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from heed.errors import EndpointError
from heed.records import Completion, Prompt
from heed.roles import Decoding

SHOWN = re.compile(r"=+ REQUEST =+\n(.*)\n=+ ANSWER A =+\n(.*)\n=+ ANSWER B =+\n(.*)\n=+ END =+\n", re.DOTALL)

Say = Callable[[str, str, str, random.Random], str]
"""What a judge says of (request, answer A, answer B)."""


@dataclass
class FakeJudge:
    """Plays Sampler; ``say`` decides. Draws differ from sample to sample, and are the same from run to run."""

    say: Say
    asked: list[Prompt] = field(default_factory=list)
    calls: int = 0

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        self.calls += 1
        self.asked += prompts
        rows = []
        for prompt in prompts:
            found = SHOWN.search(prompt.messages[0].content)
            assert found, prompt.messages[0].content
            draws = [random.Random(f"{decoding.seed} {prompt.id} {number}") for number in range(n)]
            rows.append([Completion(text=self.say(*found.groups(), draw), token_ids=(1, 2)) for draw in draws])
        return rows


@dataclass
class FragileJudge(FakeJudge):
    """Fails as a whole when a request it cannot bear is in the batch."""

    cannot_bear: str = "poison"

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        if any(self.cannot_bear in prompt.text for prompt in prompts):
            raise EndpointError(f"cannot bear {self.cannot_bear}")
        return super().sample(prompts, n, decoding)


def quality(text: str) -> int:
    """The number that a made-up answer carries: how good it is."""
    return int(re.search(r"q(\d+)", text)[1])  # type: ignore[index]


def best(request: str, a: str, b: str, draw: random.Random) -> str:
    return "tie" if quality(a) == quality(b) else "A" if quality(a) > quality(b) else "B"


def longer(request: str, a: str, b: str, draw: random.Random) -> str:
    return "tie" if len(a) == len(b) else "A" if len(a) > len(b) else "B"


def first(request: str, a: str, b: str, draw: random.Random) -> str:
    return "A"


def leaning(share: float) -> Say:
    """Chooses the answer shown first so often, whatever it is."""
    return lambda request, a, b, draw: "A" if draw.random() < share else "B"


def favouring(word: str, share: float) -> Say:
    """Chooses the answer with ``word`` in it so often."""

    def say(request: str, a: str, b: str, draw: random.Random) -> str:
        wanted = "A" if word in a else "B"
        other = "B" if wanted == "A" else "A"
        return wanted if draw.random() < share else other

    return say


def nonsense(request: str, a: str, b: str, draw: random.Random) -> str:
    return draw.choice(["Well.", "", "A or B?", "Both are fine answers.", "C"])
