"""The nouns: what people and models write, and what they say about it.

All of them are frozen. A record never holds a tensor, so that everything which handles people's work (the store, the
web app, the exports) runs without torch. Identities are hashes of content: the same prompt read twice is one prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, TypeAlias

from heed.errors import DataError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

Role = Literal["system", "user", "assistant"]
StopReason = Literal["eos", "stop", "length", "written"]
"""Why a completion ends: the end-of-sequence token, a stop string, the length limit, or because its author ended it."""
LabelerKind = Literal["human", "model", "simulated"]
LabelerGroup = Literal["training", "heldout"]


def content_id(*parts: Json) -> str:
    """Sixteen hexadecimal digits that depend on the content of ``parts`` alone."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a completion answers: the conversation up to the point where the assistant speaks."""

    messages: tuple[Message, ...]
    source: str = ""
    """Where it comes from, such as ``"sandbox"`` or ``"self-instruct"``."""
    category: str = ""
    """Its use case, after InstructGPT Table 1, such as ``"closed_qa"``."""
    user: str = ""
    """Who wrote it. Caps and splits are by user, so that no one's prompts are on both sides of a split."""
    split: str = "train"
    meta: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""
    """Hash of the messages when left empty."""

    def __post_init__(self) -> None:
        if not self.messages or not any(message.content.strip() for message in self.messages):
            raise DataError("empty prompt: a prompt needs at least one message with text in it")
        if not self.id:
            object.__setattr__(self, "id", content_id([[m.role, m.content] for m in self.messages]))

    @classmethod
    def from_text(cls, text: str, **fields: object) -> Prompt:
        """A single user turn."""
        return cls(messages=(Message(role="user", content=text),), **fields)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """The prompt as one string: the bare text of a single turn, else a transcript with the roles named."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return "\n\n".join(f"{message.role}: {message.content}" for message in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer to a prompt, by a person or a model."""

    text: str
    token_ids: tuple[int, ...] = ()
    """The tokens as sampled, with the end-of-sequence token if there was one; empty for text written by people. They
    are kept so that nothing downstream has to tokenise a sampled text again and get other tokens."""
    logprobs: tuple[float, ...] = ()
    """One for each token: the log-probability under the distribution that was really sampled from."""
    stop: StopReason = "written"
    policy: str = ""
    """Name of the model that sampled it; empty for people."""
    meta: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", content_id(self.text, self.policy, list(self.token_ids)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Someone, or something, that writes demonstrations or judges completions."""

    id: str
    kind: LabelerKind = "human"
    group: LabelerGroup = "training"
    """Held-out labelers only ever judge; nothing is trained on what they say (InstructGPT section 3.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A prompt with the answer a labeler would like to see."""

    prompt: Prompt
    completion: Completion
    labeler: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A labeler's overall grade of one completion, 1 (worst) to 7, with flags (InstructGPT Table 3)."""

    prompt: Prompt
    completion: Completion
    overall: int
    flags: Mapping[str, bool] = field(default_factory=dict)
    labeler: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.overall <= 7:
            raise DataError(f"rating of completion {self.completion.id}: overall is {self.overall}, expected 1 to 7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of two completions of one prompt, the one a labeler chose and the one rejected. A tie is not a comparison."""

    prompt: Prompt
    chosen: Completion
    rejected: Completion
    labeler: str = ""

    def swapped(self) -> Comparison:
        """The opposite judgement; judges are shown both orders."""
        return Comparison(prompt=self.prompt, chosen=self.rejected, rejected=self.chosen, labeler=self.labeler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """A labeler's order over the K completions of one prompt, ties allowed: one answer group, judged.

    Example: completions ``(a, b, c)`` with tiers ``(1, 0, 1)`` says b is best, and a and c are equally good.
    """

    prompt: Prompt
    completions: tuple[Completion, ...]
    tiers: tuple[int, ...]
    """One for each completion, 0 is best; equal tiers are ties. Always dense: 0, 1, ... without gaps."""
    labeler: str = ""

    def __post_init__(self) -> None:
        where = f"ranking of prompt {self.prompt.id}"
        if len(self.completions) < 2:
            raise DataError(f"{where}: {len(self.completions)} completion(s), expected at least 2")
        if len(self.tiers) != len(self.completions):
            raise DataError(f"{where}: {len(self.tiers)} tiers for {len(self.completions)} completions")
        if sorted(set(self.tiers)) != list(range(len(set(self.tiers)))):
            raise DataError(f"{where}: tiers {self.tiers} must be 0, 1, ... without gaps")

    @classmethod
    def from_scores(
        cls, prompt: Prompt, completions: Sequence[Completion], scores: Sequence[float], labeler: str = ""
    ) -> Ranking:
        """Rank by score, highest first; equal scores tie."""
        order = sorted(set(scores), reverse=True)
        tiers = tuple(order.index(score) for score in scores)
        return cls(prompt=prompt, completions=tuple(completions), tiers=tiers, labeler=labeler)

    def comparisons(self) -> Iterator[Comparison]:
        """All pairs that are not ties, at most K(K-1)/2 of them."""
        for i, j in combinations(range(len(self.completions)), 2):
            if self.tiers[i] == self.tiers[j]:
                continue
            best, worst = (i, j) if self.tiers[i] < self.tiers[j] else (j, i)
            yield Comparison(
                prompt=self.prompt,
                chosen=self.completions[best],
                rejected=self.completions[worst],
                labeler=self.labeler,
            )
