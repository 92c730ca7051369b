"""Packing without waste: a stream of documents cut into rows, and examples fitted into rows."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from heed.data.batches import Example
from heed.errors import DataError


def pack_rows(ids: Iterable[Sequence[int]], length: int, eos_id: int) -> npt.NDArray[np.int32]:
    """Join documents, each ended by EOS, into one stream and cut it into rows, (rows, length).

    Only the stream's last, incomplete row is left out: fewer than ``length`` tokens.

    Raises:
        DataError: there is not one row of text.
    """
    pieces: list[npt.NDArray[np.int32]] = []
    end = np.array([eos_id], dtype=np.int32)
    for document in ids:
        if not len(document):
            continue
        pieces.append(np.asarray(document, dtype=np.int32))
        if document[-1] != eos_id:
            pieces.append(end)
    stream = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)
    if len(stream) < length:
        raise DataError(f"the text has {len(stream)} tokens, expected at least one row of {length}")
    return stream[: len(stream) // length * length].reshape(-1, length)


def pack_examples(examples: Sequence[Example], length: int) -> list[list[int]]:
    """Fit examples into as few rows of ``length`` tokens as best-fit decreasing finds: lists of their indices.

    Each example goes, longest first, into the row whose free space it fills best.

    Raises:
        DataError: an example is longer than ``length``.
    """
    order = sorted(range(len(examples)), key=lambda index: (-len(examples[index].ids), index))
    bins: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (tokens free, row), ascending
    for index in order:
        size = len(examples[index].ids)
        if size > length:
            raise DataError(f"example {index} has {size} tokens, expected at most {length}")
        place = bisect_left(free, (size, 0))
        if place == len(free):
            bins.append([index])
            insort(free, (length - size, len(bins) - 1))
        else:
            space, row = free.pop(place)
            bins[row].append(index)
            insort(free, (space - size, row))
    return bins
