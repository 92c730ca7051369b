"""Microbatches as Heed itself would cut them, from lengths alone: what goes through a model at once, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from heed.data.batches import EncodedGroup, Example, make_group_batch, make_sequence_batch, microbatches
from heed.data.layout import Layout
from heed.data.packing import pack_examples
from heed.generation.engine import COLUMNS, ROWS
from heed.planning.costs import Pass

Lengths = Sequence[tuple[int, Sequence[int]]]
"""Answer groups: tokens of the prompt, and of each answer."""


def rows_passes(rows: int, length: int, microbatch: int) -> list[Pass]:
    """Rows of plain text."""
    sizes = [min(microbatch, rows - start) for start in range(0, rows, microbatch)]
    return [
        Pass(tokens=n * length, pairs=n * length * (length + 1) // 2, targets=n * (length - 1), segments=n, answers=n)
        for n in sizes
    ]


def example_passes(pairs: Sequence[tuple[int, int]], context: int, microbatch: int) -> list[Pass]:
    """Demonstrations, (prompt, answer) lengths, packed side by side as supervised fine-tuning does."""
    examples = [
        Example(ids=[0] * (prompt + answer), loss_mask=[False] * prompt + [True] * answer) for prompt, answer in pairs
    ]
    bins = pack_examples(examples, min(context, 2 * max(len(one.ids) for one in examples)))
    found = []
    for start in range(0, len(bins), microbatch):
        batch = make_sequence_batch(examples, bins[start : start + microbatch], 1)
        found.append(_pass(batch.layout, int(batch.loss_mask.sum()), len(bins[start : start + microbatch])))
    return found


def group_passes(groups: Lengths, microbatch: int) -> list[Pass]:
    """Answer groups, as reward modelling, scoring and PPO cut them. Targets are the answers' tokens."""
    encoded = [EncodedGroup(prompt_ids=[0] * p, completion_ids=[[0] * one for one in answers]) for p, answers in groups]
    found = []
    for chosen in microbatches(encoded, microbatch):
        batch = make_group_batch([encoded[index] for index in chosen], 1)
        found.append(_pass(batch.layout, int(batch.response_mask.sum()), batch.num_answers))
    return found


def _pass(layout: Layout, targets: int, answers: int) -> Pass:
    if layout.is_rectangle:
        length = int(layout.lengths[0])
        pairs = len(layout.lengths) * length * (length + 1) // 2
        return Pass(tokens=layout.num_tokens, pairs=pairs, targets=targets, segments=answers, answers=answers)
    buckets = layout.plan[0]
    shapes = [(*bucket.shape, bucket.mask is None) for bucket in buckets]
    return Pass(
        tokens=layout.num_tokens,
        pairs=sum(n * (q * (q + 1) // 2 if causal else q * k) for n, q, k, causal in shapes),
        targets=targets,
        buckets=len(buckets),
        segments=len(layout.lengths),
        answers=answers,
        queries=sum(n * q for n, q, _, _ in shapes),
        keys=sum(n * k for n, _, k, _ in shapes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What the engine does to write some answers."""

    steps: tuple[tuple[int, int], ...]
    """For each step the rows it computes and the columns they look at."""
    prefilled: tuple[tuple[int, int], ...]
    """For each prefill the rows and the columns."""
    slots: int
    capacity: int
    """Rows and columns of the cache."""


def sampling(prompts: Sequence[int], answers: Sequence[int], n: int, max_slots: int, max_new: int) -> Sampling:
    """The engine's steps when prompt ``i`` gets ``n`` answers, of which number ``i * n`` on are as long as given.

    Args:
        prompts: tokens of each.
        answers: (prompts * n) tokens of each answer.
        n: answers to a prompt.
        max_slots: answers under way at once.
        max_new: what the cache has room for beyond the longest prompt.
    """
    lengths = np.repeat(np.asarray(prompts), n)
    queue = np.argsort(lengths, kind="stable")
    want = np.asarray(answers)
    slots = min(max_slots, len(queue))
    position, left = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    steps: list[tuple[int, int]] = []
    prefilled: list[tuple[int, int]] = []
    queued = 0
    while len(left) or queued < len(queue):
        if queued < len(queue) and len(left) <= slots * 3 // 4:
            new = queue[queued : queued + slots - len(left)]
            queued += len(new)
            prefilled.append((-(-len(new) // n), _up(int(lengths[new].max()), COLUMNS)))
            position = np.concatenate([position, lengths[new] - 1])
            left = np.concatenate([left, want[new]])
        steps.append((_up(len(left), ROWS), _up(int(position.max()) + 1, COLUMNS)))
        position, left = position + 1, left - 1
        position, left = position[left > 0], left[left > 0]
    capacity = _up(int(lengths.max()) + max_new, COLUMNS)
    return Sampling(steps=tuple(steps), prefilled=tuple(prefilled), slots=_up(slots, ROWS), capacity=capacity)


def draws(values: Sequence[int], count: int, seed: int = 0) -> list[int]:
    """``count`` of the values, drawn with replacement: always the same ones."""
    rng = np.random.default_rng(seed)
    return [int(value) for value in rng.choice(np.asarray(values), count)]


def together(prompts: Sequence[int], answers: Sequence[int], count: int, seed: int = 0) -> Iterator[tuple[int, int]]:
    """``count`` prompts, each with the answer that was written to it."""
    rng = np.random.default_rng(seed)
    for index in rng.integers(0, min(len(prompts), len(answers)), count):
        yield prompts[index], answers[index]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
