"""A key-value cache with one row (a *slot*) for each answer under way, written in place.

Slots are left-aligned: the column of a token is its position in the sequence. Rows of different lengths therefore
sit side by side without padding between them, a slot can be filled again while its neighbours go on, and nothing is
concatenated at each step, which is most of what ``transformers``' growing cache costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

from heed.models.flat import seen_by_one

STEP = 32
"""Columns that are added at a time."""


@dataclass(slots=True)
class _Place:
    """Where the tokens of the forward pass under way belong; shared by all layers."""

    slots: int
    capacity: int
    width: int = 0
    """Columns in use: the longest row, the token under way included."""
    positions: Tensor | None = None
    """(rows,) column of each row's token when decoding; None while a prompt is prefilled."""
    rows: Tensor | None = None
    """Decoding: 0 .. rows - 1. Prefilling: (filled,) the row of the batch that each filled slot copies."""
    first: int = 0
    """Prefilling: the first slot to fill."""
    mask: Tensor | None = None
    """Decoding: (rows, 1, 1, width) additive, what each row's token sees; for layers that attend themselves."""
    _cells: dict[tuple[int, int], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def cells(self, heads: int, size: int) -> tuple[Tensor, Tensor]:
        """Where one token for each row goes in flattened tables, the same for all layers of one shape.

        Returns:
            (rows * heads,) for a table (slots * heads * capacity, size), and (rows * heads * size,) for a turned one,
            (slots * heads * size * capacity,).
        """
        if (heads, size) not in self._cells:
            assert self.rows is not None and self.positions is not None
            keys, values = (
                (
                    (self.rows[:, None] * lines + torch.arange(lines, device=self.rows.device)) * self.capacity
                    + self.positions[:, None]
                ).flatten()
                for lines in (heads, heads * size)
            )
            self._cells[heads, size] = keys, values
        return self._cells[heads, size]

    def step_to(self, rows: Tensor, positions: Tensor, width: int, mask: Tensor | None) -> None:
        """The next forward pass is of one token for each of ``rows``."""
        self.rows, self.positions, self.width, self.mask = rows, positions, width, mask
        self._cells.clear()


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one attention layer, (slots, heads, capacity, head size).

    ``turned`` values are (slots, heads, head size, capacity): attention of one query on a CPU then reads both as they
    lie in memory, see :func:`heed.models.flat.seen_by_one`.
    """

    is_sliding = False

    def __init__(self, place: _Place, turned: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place, self.turned = place, turned
        self.keys: Tensor
        self.values: Tensor

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate, with the shapes that the model turns out to use. Zeros, since masked garbage could be NaN."""
        slots, capacity = self.place.slots, self.place.capacity
        self.keys = key_states.new_zeros(slots, key_states.shape[1], capacity, key_states.shape[3])
        shape = (capacity, value_states.shape[3])
        self.values = value_states.new_zeros(slots, value_states.shape[1], *(shape[::-1] if self.turned else shape))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Store the new keys and values, (rows, heads, tokens, head size); return those to attend to.

        Turned values are returned turned when decoding; of a prompt, what was given is returned.
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        place = self.place
        assert place.rows is not None
        if place.positions is None:
            filled = slice(place.first, place.first + len(place.rows))
            keys, values = key_states, value_states
            if len(place.rows) != len(keys):  # else each is there once, in order
                keys, values = keys.index_select(0, place.rows), values.index_select(0, place.rows)
            self.keys[filled, :, : place.width] = keys
            self._values_by_column()[filled, :, : place.width] = values
            return key_states, value_states
        _, heads, _, size = key_states.shape
        by_key, by_number = place.cells(heads, size)
        self.keys.view(-1, size).index_copy_(0, by_key, key_states.reshape(-1, size))
        if self.turned:
            self.values.view(-1).scatter_(0, by_number, value_states.reshape(-1))
        else:
            self.values.view(-1, value_states.shape[3]).index_copy_(0, by_key, value_states.flatten(0, 2))
        active = len(place.rows)
        values = self.values[:active, ..., : place.width] if self.turned else self.values[:active, :, : place.width]
        return self.keys[:active, :, : place.width], values

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(rows, heads * size): what one more token in each row sees of it, its own key and value included.

        Args:
            query: (rows, heads, size), scaled.
            key: (rows, kv heads, size), of the same token; it is stored.
            value: the same.
        """
        assert self.turned and self.place.mask is not None
        return seen_by_one(query, *self.update(key[:, :, None], value[:, :, None]), self.place.mask)

    def _values_by_column(self) -> Tensor:
        """(slots, heads, capacity, head size), whichever way they lie."""
        return self.values.transpose(2, 3) if self.turned else self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Asked for only while prefilling, when there is nothing before the prompt."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Nothing comes before a prompt; when decoding, positions and mask are given and nobody asks."""
        return 0

    def get_max_length(self) -> int:
        """Columns of a slot."""
        return self.place.capacity

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` columns; of the slots that are still needed, what is there is kept."""
        slots = self.place.slots
        self.keys = _widened(self.keys[:slots], 2, capacity)
        self.values = _widened(self.values[:slots], 3 if self.turned else 2, capacity)

    def move(self, sources: Tensor, targets: Tensor, width: int) -> None:
        """Copy the first ``width`` columns of the slots ``sources`` over the slots ``targets``."""
        for table in (self.keys, self._values_by_column()):
            table[targets, :, :width] = table[sources, :, :width]


class SlotCache(Cache):
    """What a transformers model takes as ``past_key_values``: one :class:`SlotLayer` for each of its layers."""

    def __init__(self, num_layers: int, slots: int, capacity: int, turned: bool = False) -> None:
        self.longest = capacity
        self.place = _Place(slots=slots, capacity=0)
        super().__init__(layers=[SlotLayer(self.place, turned) for _ in range(num_layers)])

    def begin_prefill(self, first: int, rows: Tensor, width: int) -> None:
        """The next forward pass is of prompts: slot ``first + i`` takes the first ``width`` columns of ``rows[i]``."""
        self._make_room(min(width + 1, self.longest))  # and for the first step
        self.place.positions, self.place.rows, self.place.width, self.place.first = None, rows, width, first

    def begin_step(self, rows: Tensor, positions: Tensor, width: int, mask: Tensor | None = None) -> None:
        """The next forward pass is of one token for each of the first ``len(rows)`` slots, at ``positions``."""
        self._make_room(width)
        self.place.step_to(rows, positions, width, mask)

    def keep_slots(self, slots: int) -> None:
        """Only the first ``slots`` slots will be needed from now on: the others go when room is made the next time."""
        self.place.slots = slots

    def _make_room(self, width: int) -> None:
        """Columns are added as they are needed: slots far apart in memory are slower to read."""
        if width <= self.place.capacity:
            return
        self.place.capacity = min(-(-width // STEP) * STEP, self.longest)
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            if layer.is_initialized:
                layer.grow(self.place.capacity)

    def move(self, sources: Tensor, targets: Tensor, width: int) -> None:
        """Copy the first ``width`` columns of the slots ``sources`` over the slots ``targets``."""
        for layer in self.layers:
            assert isinstance(layer, SlotLayer)
            if layer.is_initialized:  # unless it shares the keys of another one
                layer.move(sources, targets, width)


def _widened(table: Tensor, dim: int, size: int) -> Tensor:
    """A copy with ``size`` places along ``dim``, zero where nothing was: masked garbage could be NaN."""
    before = table.shape[dim]
    wider = table.new_empty(*table.shape[:dim], size, *table.shape[dim + 1 :])
    wider.narrow(dim, 0, before).copy_(table)
    wider.narrow(dim, before, size - before).zero_()
    return wider
