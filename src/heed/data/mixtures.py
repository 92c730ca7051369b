"""In what order data are read: shuffles and mixtures that depend on a seed and a position alone.

The position is one number: how many items have been read. Saving it is enough to go on exactly where a run stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from heed.errors import ConfigError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What a mixture reads at consecutive positions: item ``indices[i]`` of source ``sources[i]``."""

    sources: Ints
    indices: Ints


class Order:
    """Endless passes over ``n`` items, each pass (epoch) in another random order.

    Example: ``Order(n=3, seed=0).take(position=2, count=2)`` is the last item of the first pass and the first item
    of the second.
    """

    def __init__(self, n: int, seed: int) -> None:
        if n < 1:
            raise ConfigError(f"an order needs at least 1 item, got {n}")
        self.n = n
        self.seed = seed
        self._epoch = -1
        self._permutation: Ints = np.empty(0, dtype=np.int64)

    def take(self, position: int, count: int) -> Ints:
        """The items at ``position``, ``position + 1``, ...: ``count`` indices below ``n``."""
        taken = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            epoch, start = divmod(position + done, self.n)
            part = self._pass(epoch)[start : start + count - done]
            taken[done : done + len(part)] = part
            done += len(part)
        return taken

    def _pass(self, epoch: int) -> Ints:
        if epoch != self._epoch:
            generator = np.random.default_rng([self.seed, epoch])
            self._epoch, self._permutation = epoch, generator.permutation(self.n).astype(np.int64)
        return self._permutation


class Mixture:
    """Several sources read in fixed shares, each in its own :class:`Order`.

    Every block of ``block`` positions holds each source's exact share, rounded to whole items, in random places.

    Raises:
        ConfigError: sizes and weights differ in number, a weight is negative, or all are zero.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int, block: int = 1000) -> None:
        if len(sizes) != len(weights) or min(weights, default=0) < 0 or sum(weights) <= 0:
            raise ConfigError(f"a mixture of {len(sizes)} sources needs as many weights >= 0, got {list(weights)}")
        self.seed = seed
        self.counts = largest_remainder(weights, block)
        """Items of each source in a block."""
        self._block = np.repeat(np.arange(len(sizes)), self.counts)
        self._orders = [Order(size, seed=seed * len(sizes) + source) for source, size in enumerate(sizes)]

    def take(self, position: int, count: int) -> Draw:
        """What is read at ``position``, ``position + 1``, ...: ``count`` pairs of source and index."""
        first, last = position // len(self._block), (position + max(count, 1) - 1) // len(self._block)
        sources = np.concatenate([self._shuffled(block) for block in range(first, last + 1)])
        skipped = position - first * len(self._block)
        indices = np.empty(len(sources), dtype=np.int64)
        for source, order in enumerate(self._orders):
            places = np.flatnonzero(sources == source)
            indices[places] = order.take(first * int(self.counts[source]), len(places))
        window = slice(skipped, skipped + count)
        return Draw(sources=sources[window], indices=indices[window])

    def _shuffled(self, block: int) -> Ints:
        return np.random.default_rng([self.seed, block, 1]).permutation(self._block)


def largest_remainder(weights: Sequence[float], total: int) -> Ints:
    """Whole numbers in proportion to ``weights`` that add up to ``total``; the largest remainders are rounded up."""
    exact = np.asarray(weights, dtype=np.float64) / sum(weights) * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return counts
