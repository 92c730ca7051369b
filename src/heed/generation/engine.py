"""The local engine: many answers at once from any transformers causal language model, in plain PyTorch.

Against ``model.generate`` it saves work in five ways: keys and values are written in place into a cache allocated
once (:mod:`heed.generation.cache`); a prompt is computed, and kept, once for all its answers
(:mod:`heed.generation.shared`); an answer that has ended leaves at
once and the next takes its slot; answers under way are kept dense, so that no step computes an empty slot; and tokens
are drawn by inverse CDF. A prompt is prefilled without its last token, which takes part in the first step like any
sampled token, so that every logit the engine sees comes from the same computation.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from heed.errors import ConfigError, DataError, NonFiniteError
from heed.generation.cache import SlotCache
from heed.generation.sampling import draw, row_keys, uniforms
from heed.generation.shared import SharedCache
from heed.generation.traits import traits_of
from heed.models.flat import attention_dtype, is_known
from heed.models.stepping import Stepper
from heed.records import StopReason
from heed.roles import Decoding

PREFILL_TOKENS = 1024
"""Prompt tokens that go through the model at once; bounds memory, never changes a result."""
WORTH_A_PASS = 256
"""Padding tokens that cost about as much as another pass does."""
COLUMNS, ROWS = 16, 8
"""Columns and rows are rounded up to multiples of these. Matrix kernels add up in another order for odd sizes; with
these, a row's numbers on one CPU thread are the same to the last bit whatever the rest of the batch, and elsewhere, and
with several answers to a prompt, so nearly the same that its tokens are."""
STOPS: tuple[StopReason, ...] = ("length", "eos", "stop")


@dataclass(frozen=True, slots=True)
class Generated:
    """One answer, as tokens."""

    token_ids: list[int]
    """With the end-of-sequence token, if it was reached."""
    logprobs: list[float]
    """One for each token, in nats, under the distribution that was really sampled from."""
    stop: StopReason


class Engine:
    """Generates from one model. The model is used as it is at each call: train it on, and call again.

    Args:
        model: any causal language model of transformers that takes ``position_ids`` and a key-value cache.
        eos_id: the token that ends an answer.
        stop_ids: further tokens that end an answer, with stop reason ``"stop"``.
        max_slots: answers under way at once. It bounds memory and changes no result.
        context: longest sequence, prompt and answer together; the model's own limit when None.

    Raises:
        ModelError: the model cannot be sampled from in this way.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        eos_id: int,
        stop_ids: Sequence[int] = (),
        max_slots: int = 128,
        context: int | None = None,
    ) -> None:
        if max_slots < 1:
            raise ConfigError(f"max_slots is {max_slots}, expected at least 1")
        self.model = model
        self.eos_id = eos_id
        self.stop_ids = tuple(stop_ids)
        self.max_slots = max_slots
        self.traits = traits_of(model, context)

    def generate(
        self,
        prompt_ids: Sequence[Sequence[int]],
        n: int,
        decoding: Decoding,
        keys: Sequence[int] | None = None,
        ends: Callable[[Sequence[int]], bool] | None = None,
    ) -> list[list[Generated]]:
        """``n`` answers to each prompt.

        Args:
            prompt_ids: the tokens of each prompt.
            n: answers to each.
            decoding: how to draw tokens. Its stop strings are the caller's to find, with ``ends``.
            keys: a number for each prompt that its random numbers depend on, with the seed and the answer's index;
                from the prompt's tokens when None (the same prompt given twice gets different answers).
            ends: called with the tokens of an answer so far; True ends it there, with stop reason ``"stop"``.

        Raises:
            ConfigError: ``decoding`` has stop strings, and nothing finds them.
            DataError: a prompt is empty, or leaves no room for an answer.
            NonFiniteError: the model gives NaN.
        """
        if decoding.stop and ends is None:
            raise ConfigError("the engine sees tokens, not text: to end at a stop string it must be given `ends`")
        self._check_prompts(prompt_ids)
        if not prompt_ids or n < 1:
            return [[] for _ in prompt_ids]
        work = _Work(prompt_ids, n, decoding, self.traits.context, _prompt_keys(prompt_ids) if keys is None else keys)
        with torch.inference_mode(), _evaluating(self.model):
            _Run(self, work, decoding, ends).finish()
        return work.results()

    def _check_prompts(self, prompt_ids: Sequence[Sequence[int]]) -> None:
        for index, ids in enumerate(prompt_ids):
            if not len(ids):
                raise DataError(f"prompt {index} has no tokens, expected at least 1")
            if self.traits.context is not None and len(ids) >= self.traits.context:
                raise DataError(
                    f"prompt {index} has {len(ids)} tokens, which leaves no room for an answer in the model's context "
                    f"of {self.traits.context}. Shorten the prompt."
                )


class _Work:
    """All answers to be sampled, and what has come of them: answer ``i`` is number ``i % n`` of prompt ``i // n``."""

    def __init__(
        self, prompt_ids: Sequence[Sequence[int]], n: int, decoding: Decoding, context: int | None, keys: Sequence[int]
    ) -> None:
        self.prompt_ids, self.n = prompt_ids, n
        num_answers = len(prompt_ids) * n
        self.prompt_lengths = np.array([len(ids) for ids in prompt_ids], dtype=np.int64)
        room = decoding.max_new_tokens if context is None else context - self.prompt_lengths
        self.limits = np.repeat(np.minimum(decoding.max_new_tokens, room + 0 * self.prompt_lengths), n)
        prompt_keys = np.repeat(np.array([key % 2**64 for key in keys], dtype=np.uint64), n)
        answers = np.tile(np.arange(n, dtype=np.uint64), len(prompt_ids))
        self.keys = row_keys(decoding.seed, prompt_keys, answers)
        by_length = np.argsort(self.prompt_lengths, kind="stable")
        self.queue = (by_length[:, None] * n + np.arange(n)).ravel()
        """Answers in the order in which they get slots: neighbours have prompts of about the same length."""
        self.longest = int((np.repeat(self.prompt_lengths, n) + self.limits).max())
        self.token_ids = np.zeros((num_answers, int(self.limits.max())), dtype=np.int64)
        self.logprobs = np.zeros(self.token_ids.shape, dtype=np.float32)
        self.lengths = np.zeros(num_answers, dtype=np.int64)
        self.stops = np.zeros(num_answers, dtype=np.int8)

    def results(self) -> list[list[Generated]]:
        """The answers, grouped by prompt in the order given."""
        flat = [
            Generated(self.token_ids[i, :length].tolist(), self.logprobs[i, :length].tolist(), STOPS[stop])
            for i, (length, stop) in enumerate(zip(self.lengths.tolist(), self.stops.tolist(), strict=True))
        ]
        return [flat[start : start + self.n] for start in range(0, len(flat), self.n)]


class _Run:
    """One call of ``generate`` under way: the slots. The first ``active`` of them are in use."""

    def __init__(
        self, engine: Engine, work: _Work, decoding: Decoding, ends: Callable[[Sequence[int]], bool] | None
    ) -> None:
        self.model, self.work, self.decoding, self.ends = engine.model, work, decoding, ends
        self.known = is_known(engine.model)
        if self.known:
            self.stepper = Stepper(engine.model)
        self.traits, self.eos_id, self.stop_ids = (
            engine.traits,
            engine.eos_id,
            np.array(engine.stop_ids, dtype=np.int64),
        )
        self.slots = min(engine.max_slots, len(work.queue))
        rows, capacity = _round_up(self.slots, ROWS), _round_up(work.longest, COLUMNS)
        layers, longest = engine.traits.num_layers, _round_up(int(work.limits.max()), COLUMNS)
        share = self.known and work.n > 1 and work.prompt_lengths.min() > 1
        self.shared = SharedCache(layers, rows, longest, work.n) if share else None
        self.cache = self.shared.answers if self.shared else SlotCache(layers, rows, capacity, turned=self.known)
        self.device, self.dtype = self.model.device, self.model.dtype
        self.attends_in = attention_dtype(self.dtype, self.device) if self.known else self.dtype
        self.columns = torch.arange(capacity, device=self.device)
        self.row_numbers = torch.arange(rows, device=self.device)
        self.answer = np.zeros(rows, dtype=np.int64)  # the answer in each slot
        self.step = np.zeros(rows, dtype=np.int64)  # tokens it has so far
        self.token = np.zeros(rows, dtype=np.int64)  # the token to feed next
        self.position = np.zeros(rows, dtype=np.int64)  # and its column
        self.active = 0
        self.queued = 0  # answers that have had a slot

    def finish(self) -> None:
        """Sample until no answer is left."""
        pending = len(self.work.queue)
        while self.active or self.queued < pending:
            if self.queued < pending and self.active <= self.slots * 3 // 4:
                self._refill()
            if self.queued == pending:
                self.cache.keep_slots(_round_up(self.active, ROWS))
            self._advance()

    def _refill(self) -> None:
        """Give free slots to answers in the queue, whole prompts where possible, and prefill their prompts."""
        work, start = self.work, self.queued
        end = min(start + self.slots - self.active, len(work.queue))
        whole = end // work.n * work.n
        end = whole if whole > start else end
        answers = work.queue[start:end]
        first = self.active
        if self.shared:
            self.shared.release(first)
        self.queued, self.active = end, first + len(answers)
        new = slice(first, self.active)
        prompts = answers // work.n
        self.answer[new], self.step[new] = answers, 0
        self.position[new] = work.prompt_lengths[prompts] - 1
        self.token[new] = [work.prompt_ids[prompt][-1] for prompt in prompts]
        for slot, part in self._prefill_parts(first, prompts):
            self._prefill(slot, part)

    def _prefill_parts(self, first: int, prompts: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Cut the prompts of new slots (repeated for their answers, sorted by length) into microbatches.

        A microbatch is padded to its longest prompt, so a prompt that would pad the others much begins the next one.
        """
        lengths = self.work.prompt_lengths[prompts]
        start, distinct = 0, 0
        for i in range(1, len(prompts) + 1):
            if i < len(prompts) and prompts[i] == prompts[i - 1]:
                continue
            distinct += 1
            if (
                i == len(prompts)
                or (distinct + 1) * int(lengths[i]) > PREFILL_TOKENS
                or (distinct >= ROWS and distinct * int(lengths[i] - lengths[start]) > WORTH_A_PASS)
            ):
                yield first + start, prompts[start:i]
                start, distinct = i, 0

    def _prefill(self, first: int, prompts: np.ndarray) -> None:
        """Compute the keys and values of all prompt tokens but the last, once for each distinct prompt.

        Right padding needs no mask: it comes after every real token, and its columns are written over in time.
        """
        is_new = np.append(True, prompts[1:] != prompts[:-1])
        distinct = prompts[is_new]
        longest = int(self.work.prompt_lengths[distinct].max()) - 1
        if longest == 0:
            return
        width = _round_up(longest, COLUMNS)
        ids = np.zeros((len(distinct), width), dtype=np.int64)
        for row, prompt in enumerate(distinct):
            tokens = self.work.prompt_ids[prompt][:-1]
            ids[row, : len(tokens)] = tokens
        rows = np.cumsum(is_new) - 1
        if self.shared:
            self.shared.begin_prefill(first, rows, self.work.prompt_lengths[distinct] - 1)
        else:
            self.cache.begin_prefill(first, torch.from_numpy(rows).to(self.device), width)
        table = torch.from_numpy(ids).to(self.device)
        positions = self.columns[None, :width].clamp_max(longest)  # padding may reach beyond the context
        if self.known:
            self.stepper.read(table, positions, self.shared or self.cache)
        else:
            self.model(
                input_ids=table,
                position_ids=positions,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )

    def _advance(self) -> None:
        """Draw one token for every active slot, and let the answers that have ended go."""
        work, n = self.work, self.active
        answer, step = self.answer[:n], self.step[:n]
        logits = self._logits(n)
        early = np.flatnonzero(step < self.decoding.min_new_tokens)
        if len(early):
            final = torch.tensor([self.eos_id, *self.stop_ids], device=logits.device)
            logits[torch.from_numpy(early).to(logits.device)[:, None], final] = -torch.inf
        numbers = torch.from_numpy(uniforms(work.keys[answer], step)).to(logits.device)
        drawn = draw(logits, self.decoding, numbers)
        tokens, logprobs = drawn.token_ids.cpu().numpy(), drawn.logprobs.cpu().numpy()
        if not np.isfinite(logprobs).all():
            raise NonFiniteError(
                "the model's logits are NaN or infinite while sampling. Its weights are damaged, or its dtype "
                f"({self.dtype}) is too narrow for it."
            )
        work.token_ids[answer, step], work.logprobs[answer, step] = tokens, logprobs
        self.step[:n] += 1
        self.position[:n] += 1
        self.token[:n] = tokens
        self._retire(tokens)

    def _logits(self, n: int) -> Tensor:
        """(n, V) float32: one step of the model over the first ``n`` slots, and a few idle ones to round them up."""
        rows = _round_up(n, ROWS)
        self.position[n:rows] = self.step[n:rows] = 0
        column = self.step if self.shared else self.position  # with shared prompts a slot has its answer's tokens alone
        width = _round_up(int(column[:n].max()) + 1, COLUMNS)
        positions, columns = (torch.from_numpy(one[:rows]).to(self.device) for one in (self.position, column))
        tokens = torch.from_numpy(self.token[:rows]).to(self.device)
        mask = self.traits.masks(columns, width, attention_dtype(self.dtype, self.device) if self.known else self.dtype)
        self.cache.begin_step(self.row_numbers[:rows], columns, width, mask if isinstance(mask, Tensor) else None)
        if self.shared:
            self.shared.begin_step(rows, n)
        if self.known:
            logits = self.stepper.logits(tokens, positions, self.shared or self.cache)[:n].float()
        else:
            output = self.model(
                input_ids=tokens[:, None],
                position_ids=positions[:, None],
                attention_mask=mask,
                past_key_values=self.cache,
                use_cache=True,
            )
            logits = output.logits[:n, -1].float()
        return logits.cpu() if self.device.type == "mps" else logits  # Apple GPUs have no float64 to draw with

    def _retire(self, tokens: np.ndarray) -> None:
        """Free the slots of answers that have ended, and move the last active rows into the gaps."""
        work, n = self.work, self.active
        answer, step = self.answer[:n], self.step[:n]
        at_eos = tokens == self.eos_id
        at_stop = np.isin(tokens, self.stop_ids)
        if self.ends is not None:
            for slot in np.flatnonzero(~at_eos & ~at_stop):
                at_stop[slot] = self.ends(work.token_ids[answer[slot], : step[slot]].tolist())
        ended = at_eos | at_stop | (step == work.limits[answer])
        if not ended.any():
            return
        work.lengths[answer[ended]] = step[ended]
        work.stops[answer[at_eos]] = STOPS.index("eos")
        work.stops[answer[at_stop]] = STOPS.index("stop")
        self.active = n - int(ended.sum())
        gaps = np.flatnonzero(ended[: self.active])
        last = self.active + np.flatnonzero(~ended[self.active :])
        if self.shared:
            self.shared.follow(last, gaps)
        if not len(gaps):
            return
        for array in (self.answer, self.step, self.token, self.position):
            array[gaps] = array[last]
        column = self.step if self.shared else self.position
        width = int(column[gaps].max())  # a row's columns before the token to feed next
        self.cache.move(torch.from_numpy(last).to(self.device), torch.from_numpy(gaps).to(self.device), width)


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _prompt_keys(prompt_ids: Sequence[Sequence[int]]) -> list[int]:
    """A number for each prompt from its tokens and how often they came before: independent of order and company."""
    keys: list[int] = []
    seen: Counter[bytes] = Counter()
    for ids in prompt_ids:
        content = np.asarray(ids, dtype=np.int64).tobytes()
        digest = hashlib.blake2b(content, digest_size=8, salt=seen[content].to_bytes(8, "little")).digest()
        keys.append(int.from_bytes(digest, "little"))
        seen[content] += 1
    return keys


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """The model without dropout; afterwards it is in the mode it was in."""
    training = model.training
    model.eval()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        model.train(training)
