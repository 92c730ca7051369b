"""Where the real tokens of a batch are: what computing without padding has to know.

The real tokens of a batch, row after row, are its *flat* tokens. They fall into segments: a sequence that attends to
itself alone, or an answer that attends to itself and to the prompt it shares with others. For attention, segments of
about the same lengths are put side by side into a bucket, so that little is padded and no mask is as large as a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

Ints = npt.NDArray[np.int64]

SLACK, SPARE = 1.25, 8
"""A bucket's longest segment is at most so many times, and so many tokens, longer than its shortest."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Segments that attend at once: n of them, with q tokens that ask and k that are asked."""

    queries: torch.Tensor
    """(n * q,) int64: flat tokens; where a segment is shorter, any token."""
    keys: torch.Tensor
    """(n * k,) int64."""
    shape: tuple[int, int, int]
    """n, q, k."""
    mask: torch.Tensor | None
    """(n, 1, q, k) bool, True where seen; None for plain causal attention, q = k."""


@dataclass(frozen=True)
class Layout:
    """The segments of a batch, in the order of its flat tokens."""

    lengths: Ints
    """(S,) tokens of each segment."""
    parents: Ints
    """(S,) the segment of the prompt that an answer shares with others; -1 for a segment that stands alone."""

    @cached_property
    def starts(self) -> Ints:
        """(S,) the first flat token of each segment."""
        starts: Ints = np.cumsum(self.lengths) - self.lengths
        return starts

    @property
    def num_tokens(self) -> int:
        """M, the flat tokens."""
        return int(self.lengths.sum())

    @cached_property
    def is_rectangle(self) -> bool:
        """All segments stand alone and are equally long: flat tokens are a table already."""
        return bool((self.parents < 0).all() and (self.lengths == self.lengths[0]).all())

    @cached_property
    def plan(self) -> tuple[list[Bucket], torch.Tensor]:
        """The buckets, and for each flat token its place in what they give one after another: (M,) int64."""
        buckets: list[Bucket] = []
        places = np.empty(self.num_tokens, dtype=np.int64)
        start = 0
        for chosen in self._alike():
            lengths, starts = self.lengths[chosen], self.starts[chosen]
            longest = int(lengths.max())
            steps = np.arange(longest)
            real = steps < lengths[:, None]
            queries = np.where(real, starts[:, None] + steps, starts[:, None])
            places[queries[real]] = start + np.flatnonzero(real.ravel())
            start += queries.size
            buckets.append(self._bucket(chosen, queries, real))
        return buckets, torch.from_numpy(places)

    def _bucket(self, chosen: Ints, queries: Ints, real: npt.NDArray[np.bool_]) -> Bucket:
        count, longest = queries.shape
        parents = self.parents[chosen]
        if parents[0] < 0:  # right padding comes after every real token, so that causal attention never sees it
            flat = torch.from_numpy(queries.ravel())
            return Bucket(queries=flat, keys=flat, shape=(count, longest, longest), mask=None)
        widest = int(self.lengths[parents].max())
        columns = np.arange(widest)
        there = columns < self.lengths[parents][:, None]
        prompts = np.where(there, self.starts[parents][:, None] + columns, self.starts[parents][:, None])
        keys = np.concatenate([prompts, queries], axis=1)
        own = np.tril(np.ones((longest, longest), dtype=bool))
        mask = np.concatenate(
            [
                np.broadcast_to(there[:, None, :], (count, longest, widest)),
                np.broadcast_to(own, (count, longest, longest)),
            ],
            axis=2,
        )
        return Bucket(
            queries=torch.from_numpy(queries.ravel()),
            keys=torch.from_numpy(keys.ravel()),
            shape=(count, longest, keys.shape[1]),
            mask=torch.from_numpy(np.ascontiguousarray(mask[:, None])),
        )

    def _alike(self) -> Iterator[Ints]:
        """The segments, those of about the same lengths together."""
        alone = self.parents < 0
        order = np.lexsort((self.lengths, np.where(alone, 0, self.lengths[self.parents]), ~alone))
        group: list[int] = []
        for segment in order.tolist():
            if group and not self._fits(group[0], segment):
                yield np.array(group, dtype=np.int64)
                group = []
            group.append(segment)
        yield np.array(group, dtype=np.int64)

    def _fits(self, shortest: int, segment: int) -> bool:
        parents = int(self.parents[shortest]), int(self.parents[segment])
        if (parents[0] < 0) != (parents[1] < 0) or not _near(int(self.lengths[shortest]), int(self.lengths[segment])):
            return False
        return parents[0] < 0 or _near(int(self.lengths[parents[0]]), int(self.lengths[parents[1]]))


def _near(shortest: int, length: int) -> bool:
    """Lengths of answers with one prompt length come in order, then start again with the next: hence both ends."""
    low, high = min(shortest, length), max(shortest, length)
    return high <= SLACK * low + SPARE
