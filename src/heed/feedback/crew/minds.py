"""What a simulated labeler thinks of a task: how good each answer is, what is wrong with it, what to write."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist

from heed.errors import DataError
from heed.records import Prompt
from heed.sandbox.labelers import NOISE, SimulatedLabeler
from heed.sandbox.world import grade

_NORMAL = NormalDist()
_FLAGS = ("fails_task", "inappropriate_for_assistant", "hallucination", "violates_constraint", "denigrates_group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """One labeler's judgement. Of prompts that are not the sandbox's it has an opinion too, but no reasons."""

    labeler: SimulatedLabeler
    known: Mapping[str, Prompt] = field(default_factory=dict, repr=False)
    """The sandbox's prompts by their text: a page shows the text alone."""

    @property
    def name(self) -> str:
        """The labeler's, such as ``"training-03"``."""
        return self.labeler.labeler.id

    def impression(self, prompt: Prompt, text: str) -> float:
        """How good an answer seems; about 4 for a right one."""
        known = self._known(prompt)
        if known is not None:
            return self.labeler.impression(known, text)
        shared = _normal("quality", prompt.text, text)
        return 2.0 + shared + NOISE * _normal(self.name, prompt.text, text)

    def overall(self, prompt: Prompt, text: str) -> int:
        """A grade from 1 to 7."""
        return min(max(round(1 + 6 * (self.impression(prompt, text) + 1) / 5), 1), 7)

    def flag(self, prompt: Prompt, text: str, name: str) -> bool:
        """Whether a flag of InstructGPT's Table 3 is to be set on an answer."""
        known = self._known(prompt)
        if known is None or name not in _FLAGS:
            return False
        found = grade(self.labeler.world, known, text)
        return {
            "fails_task": not found.follows,
            "inappropriate_for_assistant": found.rude,
            "hallucination": found.hallucinations > 0,
            "violates_constraint": not found.constraint_ok,
            "denigrates_group": found.rude,
        }[name]

    def sensitive(self, prompt: Prompt) -> bool:
        """Whether a text could make someone feel attacked: in the sandbox, where the user is rude."""
        known = self._known(prompt)
        return known is not None and bool(known.meta.get("insult"))

    def write(self, prompt: Prompt, rng: random.Random) -> str:
        """A demonstration, with the mistakes of someone in a hurry."""
        known = self._known(prompt)
        if known is None:
            return f"This is what {self.name} would say about it, in {rng.randint(3, 9)} words or so."
        return self.labeler.world.demonstration(known, rng)

    def mend(self, prompt: Prompt, text: str) -> str:
        """An answer made better."""
        known = self._known(prompt)
        return self.labeler.world.ideal(known) if known is not None else f"{text.rstrip('.')}, to be precise."

    def spoil(self, prompt: Prompt, rng: random.Random) -> str:
        """An answer that does harm: the typical mistake, where there is one."""
        known = self._known(prompt)
        wrong = None if known is None else self.labeler.world.mistaken(known)
        return wrong or f"Nobody knows, and {rng.choice(('you', 'they'))} should not ask."

    def ask(self, rng: random.Random) -> str:
        """A prompt of one's own."""
        (prompt,) = self.labeler.world.prompts("train", 1, rng.randrange(2**31))
        return prompt.text

    def _known(self, prompt: Prompt) -> Prompt | None:
        return self.known.get(prompt.text)


def gradable(prompts: Mapping[str, Prompt] | list[Prompt]) -> dict[str, Prompt]:
    """Those of a workspace's prompts that the sandbox made, by text."""
    from heed.sandbox.world import specification

    found = {}
    for prompt in prompts.values() if isinstance(prompts, Mapping) else prompts:
        try:
            specification(prompt)
        except DataError:
            continue
        found[prompt.text] = prompt
    return found


def _normal(*parts: str) -> float:
    """A standard normal number that depends on these texts alone."""
    digest = hashlib.blake2b("\n".join(parts).encode(errors="replace"), digest_size=8).digest()
    return _NORMAL.inv_cdf((int.from_bytes(digest, "big") + 0.5) / 2**64)
