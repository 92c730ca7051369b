"""Cleaning and splitting of prompts as InstructGPT did (Ouyang et al. 2022, section 3.2 and appendix A).

Every function takes prompts, or records that have one, and says what it took out and why. The paper leaves three
things open, which are decided here: how long a shared prefix makes two prompts duplicates (a parameter), whether the
cap and the split go by user or by organisation (by user, as section 3.2 says), and how personal data are found
(:mod:`heed.data.pii`).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from heed.data.chat import Codec
from heed.data.pii import Finding, redact
from heed.errors import ConfigError
from heed.records import Completion, Demonstration, Prompt, Ranking

Item = TypeVar("Item", Prompt, Demonstration, Ranking)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A prompt that was taken out."""

    prompt_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted(Generic[Item]):
    """What is left, in the old order, and what was taken out."""

    kept: list[Item]
    removed: list[Removal]

    def reasons(self) -> dict[str, int]:
        """How many were taken out for each reason."""
        return dict(Counter(removal.reason for removal in self.removed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted(Generic[Item]):
    """Records without the personal data that were found, and what they were: never the data themselves."""

    records: list[Item]
    findings: list[Finding]

    def kinds(self) -> dict[str, int]:
        """How many pieces of each kind were taken out."""
        return dict(Counter(finding.kind for finding in self.findings))


def drop_shared_prefixes(records: Sequence[Item], prefix_length: int = 200) -> Sifted[Item]:
    """Keep the first of all prompts that begin with the same ``prefix_length`` characters, or are equal.

    Case and spaces do not matter, and a system message is not looked at. Records with the very same prompt stay
    together: two judgements of one pair are not duplicates.

    Raises:
        ConfigError: ``prefix_length`` is below 1.
    """
    if prefix_length < 1:
        raise ConfigError(f"prefix_length is {prefix_length}, expected at least 1")
    first: dict[str, str] = {}

    def duplicate(prompt: Prompt) -> str | None:
        turns = (message.content for message in prompt.messages if message.role != "system")
        prefix = " ".join(" ".join(turns).lower().split())[:prefix_length]
        owner = first.setdefault(prefix, prompt.id)
        return None if owner == prompt.id else f"shares a prefix of {prefix_length} characters"

    return _sift(records, duplicate)


def cap_per_user(records: Sequence[Item], limit: int = 200) -> Sifted[Item]:
    """Keep the first ``limit`` different prompts of each user; prompts without a user are all kept."""
    seen: dict[str, set[str]] = {}

    def too_many(prompt: Prompt) -> str | None:
        prompts = seen.setdefault(prompt.user, set())
        if not prompt.user or prompt.id in prompts:
            return None
        if len(prompts) >= limit:
            return f"more than {limit} prompts by one user"
        prompts.add(prompt.id)
        return None

    return _sift(records, too_many)


def drop_longer_than_context(records: Sequence[Item], codec: Codec) -> Sifted[Item]:
    """Keep what fits the codec's context: the prompt with each of its answers, or with one token of an answer."""
    lengths = [len(ids) for ids in codec.prompt_ids([prompt_of(record) for record in records])]
    answers = [completion for record in records for completion in completions_of(record)]
    encoded = iter(codec.encode_completions([completion.text for completion in answers]))
    kept: list[Item] = []
    removed = []
    for record, length in zip(records, lengths, strict=True):
        sizes = [len(c.token_ids) or len(ids) for c, ids in zip(completions_of(record), encoded, strict=False)]
        if length + max(sizes, default=1) <= codec.context:
            kept.append(record)
        else:
            removed.append(Removal(prompt_id=prompt_of(record).id, reason=f"longer than {codec.context} tokens"))
    return Sifted(kept=kept, removed=removed)


def split_by_user(records: Sequence[Item], shares: Mapping[str, float] | None = None, seed: int = 0) -> list[Item]:
    """Give every prompt the name of a split, the same for all prompts of a user.

    The split is a hash of the user: nobody's prompts are on both sides, and new prompts never move old ones. Prompts
    without a user go by their first turn, so that a conversation and its continuations stay together.

    Args:
        shares: of each split; 90 % ``train``, 5 % ``valid`` and 5 % ``test`` if not given. They hold on average over
            users, not exactly.

    Raises:
        ConfigError: the shares do not add up to 1.
    """
    shares = shares if shares is not None else {"train": 0.9, "valid": 0.05, "test": 0.05}
    if min(shares.values(), default=0.0) < 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise ConfigError(f"the shares of the splits are {dict(shares)}, expected numbers that add up to 1")

    def placed(prompt: Prompt) -> Prompt:
        point = _unit_hash(seed, prompt.user or f"\n{_letters(prompt)}")
        for name, share in shares.items():
            if (point := point - share) < 0:
                return replace(prompt, split=name)
        return replace(prompt, split=list(shares)[-1])

    return [_with_prompt(record, placed) for record in records]


def redact_personal_data(records: Sequence[Item]) -> Redacted[Item]:
    """Put ``[email]``, ``[phone]`` and so on in the place of personal data, in prompts and written answers.

    A sampled answer keeps its tokens, so its text is left alone. A prompt that changes gets the id of its new text.
    """
    findings: list[Finding] = []

    def clean_prompt(prompt: Prompt) -> Prompt:
        messages = []
        for message in prompt.messages:
            result = redact(message.content, prompt.id)
            findings.extend(result.findings)
            messages.append(replace(message, content=result.text))
        return prompt if tuple(messages) == prompt.messages else replace(prompt, messages=tuple(messages), id="")

    def clean_answer(completion: Completion, prompt_id: str) -> Completion:
        if completion.token_ids:
            return completion
        result = redact(completion.text, prompt_id)
        findings.extend(result.findings)
        return replace(completion, text=result.text, id="") if result.findings else completion

    cleaned: list[Item] = []
    for record in records:
        prompt_id = prompt_of(record).id
        changed = _with_prompt(record, clean_prompt)
        if isinstance(changed, Demonstration):
            changed = replace(changed, completion=clean_answer(changed.completion, prompt_id))
        elif isinstance(changed, Ranking):
            changed = replace(changed, completions=tuple(clean_answer(c, prompt_id) for c in changed.completions))
        cleaned.append(changed)
    return Redacted(records=cleaned, findings=findings)


def prompt_of(record: Prompt | Demonstration | Ranking) -> Prompt:
    """The prompt that a record is, or is about."""
    return record if isinstance(record, Prompt) else record.prompt


def completions_of(record: Prompt | Demonstration | Ranking) -> tuple[Completion, ...]:
    """The answers that a record holds."""
    if isinstance(record, Prompt):
        return ()
    return (record.completion,) if isinstance(record, Demonstration) else record.completions


def _sift(records: Iterable[Item], reason_against: Callable[[Prompt], str | None]) -> Sifted[Item]:
    kept: list[Item] = []
    removed = []
    for record in records:
        reason = reason_against(prompt_of(record))
        if reason is None:
            kept.append(record)
        else:
            removed.append(Removal(prompt_id=prompt_of(record).id, reason=reason))
    return Sifted(kept=kept, removed=removed)


def _with_prompt(record: Item, change: Callable[[Prompt], Prompt]) -> Item:
    if isinstance(record, Prompt):
        return change(record)
    return replace(record, prompt=change(record.prompt))


def _letters(prompt: Prompt) -> str:
    """The first turn of the user, letters and digits only."""
    first = next((m.content for m in prompt.messages if m.role == "user"), prompt.messages[0].content)
    return re.sub(r"[\W_]+", "", first.lower())


def _unit_hash(seed: int, text: str) -> float:
    """A number in [0, 1) that depends on seed and text alone."""
    digest = hashlib.sha256(f"{seed}\n{text}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
