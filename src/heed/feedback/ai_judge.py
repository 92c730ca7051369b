"""A language model as judge: which of two answers is better, asked in both orders and as often as one likes.

Any Sampler can judge: a model in this process, or one behind a server. A reply that cannot be read is asked for once
more; what still gives no verdict is a failed judgement with its reason, and the others go on.

Sources: Zheng et al. 2023, Judging LLM-as-a-Judge (both orders, order bias); Wang et al. 2023, Self-Consistency (votes
over samples); Bai et al. 2022, Constitutional AI, section 4.1 (feedback from a model's choice between two answers).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Literal, Protocol, TypeAlias

from heed.errors import ConfigError, EndpointError, HeedError
from heed.feedback.judge_templates import GUIDELINE, TEMPLATES, JudgeTemplate, parse_verdict
from heed.feedback.scorer_judge import tiers_of
from heed.records import Completion, Json, Prompt, Ranking, content_id
from heed.roles import Decoding, Sampler

Orders: TypeAlias = Literal["both", "given", "random"]
"""In which orders two answers are shown: both, one judgement each; as given; or one of the two, drawn by a hash of the
pair, which is free of bias on average at half the price."""
CHUNK = 256
"""Judgements that are put to the sampler at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What tokens cost, in any currency."""

    prompt: float
    """For a million tokens read."""
    completion: float
    """For a million tokens written."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the judge said about two answers shown in one order, or why it said nothing."""

    prompt_id: str
    swapped: bool
    """The second answer of the pair was shown first."""
    outcome: float | None
    """For the answer *shown first*: 1 preferred, 0 not, 1/2 a tie, as most votes have it. None without votes."""
    votes: tuple[float, ...] = ()
    """Each sample that could be read, likewise for the answer shown first."""
    failure: str = ""
    """Why there is no outcome."""
    replies: tuple[str, ...] = ()
    """All that the model wrote, the answers to the second asking at the end."""
    unreadable: int = 0
    """Samples that gave no verdict even when asked again."""
    seconds: float = 0.0
    """Its share of the wall time of the judgements that were made together."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """None where the sampler does not say."""
    cost: float | None = None
    """None without a price or without tokens."""


@dataclass(frozen=True, slots=True)
class RankingFailure:
    """The answers to one prompt could not be ranked."""

    prompt_id: str
    reason: str


class Kept(Protocol):
    """Where replies are kept that were paid for, such as a file that grows. It is of one model only."""

    def get(self, key: str) -> Json:
        """What was kept under a key, or None."""
        ...

    def put(self, values: Mapping[str, Json]) -> None:
        """Keep some values."""
        ...


@dataclass(slots=True)
class _Asked:
    """One judgement under way."""

    pair: int
    swapped: bool
    question: Prompt
    replies: list[Completion] = field(default_factory=list)
    votes: list[float] = field(default_factory=list)
    unreadable: int = 0
    failure: str = ""


class AIJudge:
    """Plays ``Judge`` with a language model that compares two answers at a time.

    Args:
        sampler: the model. One with ``try_sample``, such as a server's, says for each prompt why it failed; of any
            other, prompts that fail are found by asking for ever smaller parts.
        name: signs the rankings.
        template: what it is asked.
        criteria: the guideline in the template's ``{criteria}``; a general one by default.
        samples: votes of one judgement. Several need a temperature.
        orders: in which orders each pair is shown.
        decoding: how replies are drawn. Default: greedily, or at temperature 1 for several votes.
        price: of tokens.
        kept: replies that are there are not asked for again, such as after an interruption; new ones are put in after
            every ``chunk``. Failures are not kept. Seconds are then of what was asked for now.
        progress: is told (judgements made, judgements in all).
        chunk: judgements that are put to the sampler at once.

    Raises:
        ConfigError: the settings make no sense together.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        name: str,
        template: JudgeTemplate = TEMPLATES["plain"],
        criteria: str = "",
        samples: int = 1,
        orders: Orders = "both",
        decoding: Decoding | None = None,
        price: Price | None = None,
        kept: Kept | None = None,
        progress: Callable[[int, int], None] | None = None,
        chunk: int = CHUNK,
    ) -> None:
        if samples < 1 or chunk < 1:
            raise ConfigError(f"samples is {samples} and chunk is {chunk}, expected at least 1")
        if orders not in ("both", "given", "random"):
            raise ConfigError(f"orders is {orders!r}, expected 'both', 'given' or 'random'")
        if criteria.strip() and not template.takes_criteria:
            raise ConfigError(f"the judge template {template.name!r} has no place for a guideline; use 'criteria'")
        usual = Decoding(max_new_tokens=template.max_new_tokens, temperature=0.0 if samples == 1 else 1.0)
        self.decoding = decoding or usual
        if samples > 1 and self.decoding.temperature == 0:
            raise ConfigError(f"samples is {samples} at temperature 0, which gives the same vote {samples} times")
        self.name, self.template, self.samples, self.orders, self.price = name, template, samples, orders, price
        self.criteria = criteria.strip() or GUIDELINE
        self._sampler, self._kept, self._progress, self._chunk = sampler, kept, progress, chunk

    def describe(self) -> str:
        """One sentence for a report."""
        shown = {"both": "both orders", "given": "one order", "random": "one order, drawn at random"}[self.orders]
        votes = f", the majority of {self.samples} samples" if self.samples > 1 else ""
        return f"The language model {self.name}, asked with the template {self.template.name!r} in {shown}{votes}."

    def compare(
        self, prompts: Sequence[Prompt], firsts: Sequence[Completion], seconds: Sequence[Completion]
    ) -> list[list[Judgement]]:
        """For each prompt with its two answers one judgement for each order that is asked.

        Two equal texts are a tie, of which the model is not asked. No failure of one judgement loses another.
        """
        asked = [
            self._asked(pair, swapped, prompt, first, second)
            for pair, (prompt, first, second) in enumerate(zip(prompts, firsts, seconds, strict=True))
            for swapped in self._orders_of(prompt, first, second)
        ]
        results: list[list[Judgement]] = [[] for _ in prompts]
        for start in range(0, len(asked), self._chunk):
            part = asked[start : start + self._chunk]
            seen = [one for one in part if firsts[one.pair].text != seconds[one.pair].text]
            began = time.perf_counter()
            self._vote(seen)
            seconds_each = (time.perf_counter() - began) / max(len(seen), 1)
            for one in part:
                equal = firsts[one.pair].text == seconds[one.pair].text
                made = self._judgement(one, prompts[one.pair], 0.0 if equal else seconds_each, equal=equal)
                results[one.pair].append(made)
            if self._progress is not None:
                self._progress(min(start + self._chunk, len(asked)), len(asked))
        return results

    def rank(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[Ranking]:
        """One ranking for each prompt, over its completions in the order given.

        Raises:
            EndpointError: a prompt's answers could not be ranked; :meth:`try_rank` gives the others.
        """
        outcomes = self.try_rank(prompts, completions)
        failed = [one for one in outcomes if isinstance(one, RankingFailure)]
        if failed:
            first = f"the first, of prompt {failed[0].prompt_id}: {failed[0].reason}"
            raise EndpointError(f"{len(failed)} of {len(prompts)} groups of answers could not be ranked; {first}")
        return [one for one in outcomes if isinstance(one, Ranking)]

    def try_rank(
        self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]
    ) -> list[Ranking | RankingFailure]:
        """For each prompt its ranking, or why there is none: a pair of its answers got no verdict in some order.

        All pairs are compared; an answer's place follows from the share of comparisons it wins, ties as half
        (Copeland's rule), so that answers which beat each other in a circle tie.
        """
        pairs = [(group, i, j) for group, row in enumerate(completions) for i, j in combinations(range(len(row)), 2)]
        judged = self.compare(
            [prompts[group] for group, _, _ in pairs],
            [completions[group][i] for group, i, _ in pairs],
            [completions[group][j] for group, _, j in pairs],
        )
        points = [[0.0] * len(row) for row in completions]
        failures = {
            group: f"{len(row)} answer(s), expected at least 2" for group, row in enumerate(completions) if len(row) < 2
        }
        for (group, i, j), judgements in zip(pairs, judged, strict=True):
            outcome = outcome_of_first(judgements)
            if outcome is None:
                failures.setdefault(group, next(one.failure for one in judgements if one.outcome is None))
                continue
            points[group][i] += outcome
            points[group][j] += 1.0 - outcome
        return [
            RankingFailure(prompt.id, failures[group])
            if group in failures
            else Ranking(prompt=prompt, completions=tuple(row), tiers=tiers_of(points[group]), labeler=self.name)
            for group, (prompt, row) in enumerate(zip(prompts, completions, strict=True))
        ]

    def _orders_of(self, prompt: Prompt, first: Completion, second: Completion) -> tuple[bool, ...]:
        if self.orders == "both":
            return (False, True)
        low, high = sorted((first.text, second.text))
        heads = (
            int(content_id(prompt.id, low, high), 16) % 2 == 1
        )  # the same pair gets the same order, whoever is first
        return (heads != (first.text == low),) if self.orders == "random" else (False,)

    def _asked(self, pair: int, swapped: bool, prompt: Prompt, first: Completion, second: Completion) -> _Asked:
        shown = (second, first) if swapped else (first, second)
        return _Asked(pair=pair, swapped=swapped, question=self.template.question(prompt, *shown, self.criteria))

    def _vote(self, asked: Sequence[_Asked]) -> None:
        """Ask, and ask once more where a reply cannot be read."""
        unread: defaultdict[str, list[tuple[_Asked, Prompt]]] = defaultdict(list)
        answers = self._ask([one.question for one in asked], self.samples)
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, str):
                one.failure = answer
                continue
            for reply in answer:
                again = self._read(one, reply)
                if again is not None:
                    unread[again.id].append((one, again))
        by_number: defaultdict[int, list[list[tuple[_Asked, Prompt]]]] = defaultdict(list)
        for same in unread.values():  # equal questions are asked once, for as many answers: one seed gives one answer
            by_number[len(same)].append(same)
        for number, groups in sorted(by_number.items()):
            for group, answer in zip(groups, self._ask([same[0][1] for same in groups], number), strict=True):
                for place, (one, _) in enumerate(group):
                    if isinstance(answer, str):
                        said = one.replies[-1].text[:80]
                        one.failure = f"no verdict: {said!r}; asking again failed: {answer}"
                    if isinstance(answer, str) or self._read(one, answer[place]) is not None:
                        one.unreadable += 1

    def _read(self, one: _Asked, reply: Completion) -> Prompt | None:
        """Count a reply's vote; or return what to ask instead, where it has none."""
        one.replies.append(reply)
        vote = parse_verdict(reply.text, self.template.verdict)
        if vote is None:
            return self.template.again(one.question, reply.text)
        one.votes.append(vote)
        return None

    def _ask(self, questions: Sequence[Prompt], n: int) -> list[list[Completion] | str]:
        """``n`` replies to each question, or why there are none; from what was kept as far as it goes."""
        if self._kept is None:
            return self._sample(questions, n)
        settings: dict[str, Json] = asdict(self.decoding)
        keys = [content_id("judge", question.id, n, settings) for question in questions]
        held = {key: self._kept.get(key) for key in keys}
        wanted = {key: question for key, question in zip(keys, questions, strict=True) if held[key] is None}
        fresh = dict(zip(wanted, self._sample(list(wanted.values()), n), strict=True))
        self._kept.put({key: list(map(_kept_reply, got)) for key, got in fresh.items() if not isinstance(got, str)})
        return [fresh[key] if key in fresh else _replies(held[key]) for key in keys]

    def _sample(self, questions: Sequence[Prompt], n: int) -> list[list[Completion] | str]:
        if not questions:
            return []
        attempt = getattr(self._sampler, "try_sample", None)
        if attempt is not None:
            return [str(one) if isinstance(one, HeedError) else one for one in attempt(questions, n, self.decoding)]
        try:
            return list(self._sampler.sample(questions, n, self.decoding))
        except (HeedError, OSError) as error:
            if len(questions) == 1:
                return [str(error) or type(error).__name__]
            half = len(questions) // 2
            return [*self._sample(questions[:half], n), *self._sample(questions[half:], n)]

    def _judgement(self, one: _Asked, prompt: Prompt, seconds: float, *, equal: bool) -> Judgement:
        votes = [0.5] if equal else one.votes
        mean = sum(votes) / len(votes) if votes else None
        failure = ""
        if mean is None:
            said = one.replies[-1].text[:80] if one.replies else ""
            failure = one.failure or f"no verdict, also when asked again: {said!r}. {self.template.expected}"
        read, written = (0, 0) if equal else _tokens(one.replies)
        cost = None if self.price is None or read is None or written is None else self.price.of(read, written)
        return Judgement(
            prompt_id=prompt.id,
            swapped=one.swapped,
            outcome=None if mean is None else (mean > 0.5) + 0.5 * (mean == 0.5),
            votes=tuple(votes),
            failure=failure,
            replies=tuple(reply.text for reply in one.replies),
            unreadable=one.unreadable,
            seconds=seconds,
            prompt_tokens=read,
            completion_tokens=written,
            cost=cost,
        )


def outcome_of_first(judgements: Sequence[Judgement]) -> float | None:
    """What the judgements of one pair come to for its first answer, the mean over orders; None if one failed."""
    said = [one.outcome if not one.swapped or one.outcome is None else 1.0 - one.outcome for one in judgements]
    known = [outcome for outcome in said if outcome is not None]
    return sum(known) / len(known) if known and len(known) == len(said) else None


def _kept_reply(reply: Completion) -> Json:
    """A reply as it is kept: its text, and how many tokens it took."""
    read, written = _tokens([reply])
    return [reply.text, read, written]


def _replies(rows: Json) -> list[Completion]:
    """Kept replies. Tokens that were written here are known by their number only."""
    assert isinstance(rows, list)
    return [
        Completion(
            text=text, meta={} if written is None else {"usage": {"prompt_tokens": read, "completion_tokens": written}}
        )
        for text, read, written in rows
    ]


def _tokens(replies: Sequence[Completion]) -> tuple[int | None, int | None]:
    """Tokens read and written, where it is known: a server says its ``usage``, a local model's tokens are there."""
    usages = [usage for reply in replies if isinstance(usage := reply.meta.get("usage"), dict)]
    if usages:
        read = [usage["prompt_tokens"] for usage in usages]
        return None if None in read else sum(read), sum(usage["completion_tokens"] for usage in usages)
    written = [len(reply.token_ids) for reply in replies]
    return None, sum(written) if written and all(written) else None
