"""Models as tasks see them: something that weighs continuations and writes answers.

A local model does both. A server does the second only: OpenAI's protocol has no log-probability of a given text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np
import torch

from heed.data.batches import EncodedGroup, make_group_batch, microbatches
from heed.errors import ConfigError, EndpointError, ModelError
from heed.evaluation.tasks.items import Likelihood, Question, Reply
from heed.files import file_hash
from heed.generation.sampler import LocalSampler
from heed.models.forward import response_states
from heed.ops.logprobs import are_likeliest, token_logprobs
from heed.records import Prompt, content_id
from heed.roles import Decoding
from heed.runtime.seeds import derive_seed

if TYPE_CHECKING:
    from heed.data.chat import Codec
    from heed.generation.client import OpenAISampler
    from heed.models.types import CausalLM

Layout: TypeAlias = Literal["plain", "chat"]
"""``plain``: text that the model goes on with, as InstructGPT's suite; ``chat``: one turn of the chat template."""
MOST_STOPS = 4
"""Stop strings that OpenAI's protocol takes."""
BATCH = 64
"""Continuations that go through the model at once; bounds memory, changes no result beyond rounding."""


class LanguageModel(Protocol):
    """Answers questions of both kinds."""

    @property
    def name(self) -> str:
        """What a report calls it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes with anything that may change an answer: weights, tokenizer, layout. Answers are kept under it."""
        ...

    def likelihoods(self, questions: Sequence[Question]) -> list[Reply]:
        """For each question the likelihood of each of its choices."""
        ...

    def write(self, questions: Sequence[Question]) -> list[Reply]:
        """For each question an answer, the likeliest token at each step."""
        ...


class LocalModel:
    """A causal language model in this process.

    Args:
        model: the model.
        codec: its tokenizer, chat template and context.
        name: for reports.
        fingerprint: of the weights, see :func:`fingerprint_of`.
        layout: how a question becomes tokens.
        temperature: of written answers; 0 takes the likeliest token (InstructGPT appendix D).
        with_greedy: also find whether a continuation is the one that greedy decoding gives.
    """

    def __init__(
        self,
        model: CausalLM,
        codec: Codec,
        name: str,
        fingerprint: str,
        *,
        layout: Layout = "plain",
        temperature: float = 0.0,
        seed: int = 0,
        with_greedy: bool = False,
    ) -> None:
        self.model, self.codec, self.name, self.layout = model, codec, name, layout
        self.temperature, self.seed, self.with_greedy = temperature, seed, with_greedy
        self.fingerprint = content_id(fingerprint, layout, temperature, seed)
        self.sampler = LocalSampler(model, codec, name)

    def likelihoods(self, questions: Sequence[Question]) -> list[Reply]:
        """The prompt of a question is computed once for all its choices."""
        ends = self._ends(questions)
        fitted = self._fitted(questions, [max(map(len, some), default=0) for some in ends])
        groups, known = [], []
        for index, (choices, (_, _, prompt)) in enumerate(zip(ends, fitted, strict=True)):
            if prompt and choices and all(choices):
                groups.append(EncodedGroup(prompt_ids=prompt, completion_ids=choices))
                known.append(index)
        replies = [Reply(error=f"a choice has no tokens, or more than {self.codec.context - 1}")] * len(questions)
        for index, group, numbers in zip(known, groups, self.weigh(groups), strict=True):
            shots, cut, _ = fitted[index]
            likelihoods = tuple(
                Likelihood(logprob=logprob, tokens=len(ids), characters=len(choice), greedy=greedy)
                for choice, ids, (logprob, greedy) in zip(
                    questions[index].choices, group.completion_ids, numbers, strict=True
                )
            )
            replies[index] = Reply(likelihoods=likelihoods, shots_left_out=shots, cut=cut)
        return replies

    def write(self, questions: Sequence[Question]) -> list[Reply]:
        """Questions with the same limits are answered together. An answer may fill half of the context."""
        replies: list[Reply] = [Reply()] * len(questions)
        longest = max(1, self.codec.context // 2)
        for (max_new_tokens, stop, draw), chosen in _by_limits(questions).items():
            new_tokens, seed = min(max_new_tokens, longest), derive_seed(self.seed, "draw", draw) if draw else self.seed
            decoding = Decoding(max_new_tokens=new_tokens, temperature=self.temperature, stop=stop, seed=seed)
            fitted = self._fitted([questions[index] for index in chosen], [new_tokens] * len(chosen))
            answers = self.sampler.go_on([ids for _, _, ids in fitted], 1, decoding)
            for index, (shots, cut, _), (answer,) in zip(chosen, fitted, answers, strict=True):
                replies[index] = Reply(text=answer.text, shots_left_out=shots, cut=cut)
        return replies

    def go_on(self, prompt_ids: Sequence[int], decoding: Decoding) -> str:
        """One answer to what the tokens say."""
        return self.sampler.go_on([prompt_ids], 1, decoding)[0][0].text

    def _ends(self, questions: Sequence[Question]) -> list[list[list[int]]]:
        """The tokens of all choices. In the plain layout the border to what stands before is found in the text."""
        if self.layout == "chat":
            encoded = iter(self.codec.encode_texts([one.strip() for q in questions for one in q.choices]))
            return [[next(encoded) for _ in question.choices] for question in questions]
        groups = self.codec.encode_continuations([q.context for q in questions], [q.choices for q in questions])
        return [[list(ids) for ids in group.completion_ids] for group in groups]

    def _fitted(self, questions: Sequence[Question], room: Sequence[int]) -> list[tuple[int, bool, list[int]]]:
        """Shots left out, whether the beginning was cut off, and the tokens before the answer, which gets ``room``.

        No tokens where nothing fits beside the answer."""
        fitted = []
        whole = self._encode([question.layout() for question in questions])
        for question, ids, wanted in zip(questions, whole, room, strict=True):
            limit, shots = self.codec.context - wanted, len(question.shots)
            while len(ids) > limit and shots:
                shots -= 1
                (ids,) = self._encode([question.layout(shots)])
            cut = len(ids) > limit
            if cut:
                ids = self._cut(question, ids, limit) if limit > 0 else []
            fitted.append((len(question.shots) - shots, cut, ids))
        return fitted

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self.layout == "chat":
            return self.codec.prompt_ids([Prompt.from_text(text or " \u2060") for text in texts])
        return [list(group.prompt_ids) for group in self.codec.encode_continuations(texts, [[]] * len(texts))]

    def _cut(self, question: Question, ids: list[int], limit: int) -> list[int]:
        """The end of what does not fit: of the tokens, or of the text inside the template's turn."""
        if self.layout == "plain":
            return ids[-limit:]
        text = question.layout(0)
        while len(ids) > limit and len(text) > 1:
            text = text[-max(1, min(len(text) - 1, int(len(text) * limit / len(ids)))) :]
            (ids,) = self._encode([text])
        return ids if len(ids) <= limit else []

    @torch.no_grad()
    def weigh(self, groups: Sequence[EncodedGroup]) -> list[list[tuple[float, bool]]]:
        """For each group the log-probability of each answer in nats, and whether it is the greedy one."""
        self.model.eval()  # type: ignore[no-untyped-call]
        head = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        found: list[list[tuple[float, bool]]] = [[] for _ in groups]
        for indices in microbatches(groups, BATCH):
            batch = make_group_batch([groups[index] for index in indices], self.codec.pad_id).to(self.model.device)
            states, targets = response_states(self.model, batch), batch.response_ids[batch.response_mask]
            logprobs = token_logprobs(states, head.weight, targets, bias=head.bias).double().cpu().numpy()
            greedy = np.zeros(len(logprobs), dtype=bool)
            if self.with_greedy:
                greedy = are_likeliest(states, head.weight, targets, bias=head.bias).cpu().numpy()
            at = 0
            for index in indices:
                for ids in groups[index].completion_ids:
                    span = slice(at, at + len(ids))
                    found[index].append((float(logprobs[span].sum()), bool(greedy[span].all())))
                    at += len(ids)
        return found


class EndpointModel:
    """A model behind an OpenAI-compatible server: it writes, and cannot weigh."""

    def __init__(self, sampler: OpenAISampler, name: str) -> None:
        self.name, self.sampler = name, sampler
        self.fingerprint = content_id(sampler.url, sampler.model)

    def likelihoods(self, questions: Sequence[Question]) -> list[Reply]:
        """Not to be had.

        Raises:
            ConfigError: always; tasks with choices need the model itself.
        """
        raise ConfigError(
            f"{self.name}: a server reports no log-probability of a given text, so that tasks with choices need the "
            "model on this machine. Leave them out with --task, or name the model's directory."
        )

    def write(self, questions: Sequence[Question]) -> list[Reply]:
        """Ask for each answer; one that cannot be had is an error of that question alone."""
        replies: list[Reply] = [Reply()] * len(questions)
        for (max_new_tokens, stop, _), chosen in _by_limits(questions).items():
            decoding = Decoding(max_new_tokens=max_new_tokens, temperature=0.0, stop=stop[:MOST_STOPS])
            prompts = [Prompt.from_text(questions[index].layout()) for index in chosen]
            for index, outcome in zip(chosen, self.sampler.try_sample(prompts, 1, decoding), strict=True):
                replies[index] = (
                    Reply(error=str(outcome)) if isinstance(outcome, EndpointError) else Reply(text=outcome[0].text)
                )
        return replies


def fingerprint_of(path: Path) -> str:
    """Sixteen hexadecimal digits of the weights and the tokenizer in a model's directory.

    Raises:
        ModelError: there are no weights.
    """
    weights = sorted([*path.glob("*.safetensors"), *path.glob("*.bin")])
    if not weights:
        raise ModelError(f"{path}: no weights (*.safetensors) in this directory")
    digest = hashlib.sha256()
    for file in [*weights, *sorted(path.glob("*token*.json")), *sorted(path.glob("*.jinja")), path / "config.json"]:
        if file.exists():
            digest.update(f"{file.name} {file_hash(file)}\n".encode())
    return digest.hexdigest()[:16]


def layout_of(codec: Codec, wanted: str, name: str) -> Layout:
    """The layout for a model: what was asked for, or ``auto``: chat where the tokenizer has a template.

    Raises:
        ConfigError: the layout is unknown, or chat was asked of a model without a template.
    """
    has_template = bool(codec.tokenizer.chat_template)
    if wanted not in ("auto", "plain", "chat"):
        raise ConfigError(f"layout is {wanted!r}, expected auto, plain or chat")
    if wanted == "chat" and not has_template:
        raise ConfigError(
            f"{name}: its tokenizer has no chat template, so the layout chat is not to be had. Use --layout plain, "
            "or add a template to its tokenizer_config.json."
        )
    return "chat" if wanted == "chat" or (wanted == "auto" and has_template) else "plain"


def _by_limits(questions: Sequence[Question]) -> dict[tuple[int, tuple[str, ...], int], list[int]]:
    """The places of the questions, by what ends their answers and by which of several samples they are."""
    places: dict[tuple[int, tuple[str, ...], int], list[int]] = {}
    for index, question in enumerate(questions):
        draw = question.meta.get("draw")
        limits = (question.max_new_tokens, question.stop, draw if isinstance(draw, int) else 0)
        places.setdefault(limits, []).append(index)
    return places
