"""Keys and values of prompts kept once for all their answers, each of which keeps only its own tokens.

With eight answers to a prompt of a hundred tokens that is an eighth of the memory, and a step reads a prompt once for
all of its answers: their queries are the rows of one product of matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from heed.generation.cache import SlotCache, SlotLayer


class Plan(NamedTuple):
    """Which answers belong to which prompt: P prompts with room for n answers each, and some rows of answers."""

    prompts: int
    """How many there are, P."""
    order: tuple[Tensor, Tensor] | None
    """(P * n,) the row in each place, any where there is none; (rows,) the place of each. None where all places are
    taken, in the order of the rows."""
    mask: Tensor | None
    """(P, 1, 1, width) additive: which columns a prompt has. None where all have all."""


class SharedLayer:
    """One layer: prompts' keys and values, (prompts, heads, width, size), and a :class:`SlotLayer` for the answers."""

    def __init__(self, cache: SharedCache, answers: SlotLayer) -> None:
        self.cache, self.answers = cache, answers
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def update(self, key_states: Tensor, value_states: Tensor) -> None:
        """Keep further prompts, (prompts, heads, width, size)."""
        self.keys, self.values = _below(self.keys, key_states), _below(self.values, value_states)

    def keep(self, prompts: Tensor) -> None:
        """Forget all but these prompts."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys.index_select(0, prompts), self.values.index_select(0, prompts)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(rows, heads * size): what one more token in each row sees of its prompt and of its answer so far.

        Args:
            query: (rows, heads, size), scaled.
            key: (rows, kv heads, size), of the same token; it is kept.
            value: the same.
        """
        plan, own_mask = self.cache.plan, self.answers.place.mask
        assert self.keys is not None and self.values is not None and own_mask is not None
        keys, values = self.answers.update(key[:, :, None], value[:, :, None])
        queries = query.view(len(query), keys.shape[1], -1, query.shape[2])
        own = (keys @ queries.transpose(2, 3)).transpose(2, 3) + own_mask
        of_prompt = _by_prompt(queries, plan) @ self.keys.transpose(2, 3)
        of_prompt = of_prompt if plan.mask is None else of_prompt + plan.mask
        width = of_prompt.shape[3]
        weights = torch.cat((_by_row(of_prompt, queries.shape[2], plan), own), dim=-1).softmax(dim=-1)
        seen = _by_row(_by_prompt(weights[..., :width], plan) @ self.values, queries.shape[2], plan)
        return (seen + (values @ weights[..., width:].transpose(2, 3)).transpose(2, 3)).flatten(1)


class SharedCache:
    """One :class:`SharedLayer` for each layer, and which slot's answer belongs to which prompt.

    Args:
        slots: answers under way at once.
        longest: tokens of an answer at most, the prompt's last one counted as its first.
        n: answers to a prompt at most.
    """

    def __init__(self, num_layers: int, slots: int, longest: int, n: int) -> None:
        self.answers, self.n = SlotCache(num_layers, slots, longest, turned=True), n
        self.layers = [SharedLayer(self, layer) for layer in self.answers.layers if isinstance(layer, SlotLayer)]
        self.prompt = np.zeros(slots, dtype=np.int64)
        self.lengths = np.zeros(0, dtype=np.int64)
        self.plan: Plan
        self._planned = False

    def begin_prefill(self, first: int, rows: np.ndarray, lengths: np.ndarray) -> None:
        """The next forward pass is of prompts with ``lengths`` tokens: that of slot ``first + i`` is ``rows[i]``."""
        self.prompt[first : first + len(rows)] = len(self.lengths) + rows
        self.lengths = np.append(self.lengths, lengths)
        self._planned = False

    def release(self, active: int) -> None:
        """Forget the prompts of which no answer is under way in the first ``active`` slots."""
        used, self.prompt[:active] = np.unique(self.prompt[:active], return_inverse=True)
        if len(used) < len(self.lengths):
            for layer in self.layers:
                device = None if layer.keys is None else layer.keys.device
                layer.keep(torch.as_tensor(used, device=device))
            self.lengths = self.lengths[used]

    def begin_step(self, rows: int, active: int) -> None:
        """The next forward pass is of one token for each of the first ``rows`` slots, of which ``active`` are not idle.

        The cache of the answers is told first.
        """
        if not self._planned:
            self.plan, self._planned = self._new_plan(rows, active), True

    def follow(self, sources: np.ndarray, targets: np.ndarray) -> None:
        """Some answers have left; those in the slots ``sources`` move to the slots ``targets``."""
        self.prompt[targets] = self.prompt[sources]
        self._planned = False

    def _new_plan(self, rows: int, active: int) -> Plan:
        like = self.layers[0].keys
        assert like is not None
        order = np.argsort(self.prompt[:active], kind="stable")
        prompts = self.prompt[order]
        first = np.searchsorted(prompts, prompts)  # of the answers to the same prompt
        places = np.zeros(rows, dtype=np.int64)
        places[order] = prompts * self.n + np.arange(active) - first
        at = np.zeros(len(self.lengths) * self.n, dtype=np.int64)
        at[places[:active]] = np.arange(active)
        table = None
        if not np.array_equal(places, np.arange(len(at))):
            table = torch.from_numpy(at).to(like.device), torch.from_numpy(places).to(like.device)
        return Plan(len(self.lengths), table, _mask(self.lengths, like))


def _mask(lengths: np.ndarray, like: Tensor) -> Tensor | None:
    """(prompts, 1, 1, width) additive: minus infinity after a prompt's end. None if no prompt ends before the last."""
    if (lengths == like.shape[2]).all():
        return None
    hidden = torch.from_numpy(np.arange(like.shape[2]) >= lengths[:, None])[:, None, None].to(like.device)
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(hidden, -torch.inf)


def _by_prompt(table: Tensor, plan: Plan) -> Tensor:
    """(rows, kv heads, shared, x) as (prompts, kv heads, n * shared, x)."""
    _, heads, shared, size = table.shape
    table = table if plan.order is None else table.index_select(0, plan.order[0])
    placed = table.view(plan.prompts, -1, heads, shared, size)
    return placed.transpose(1, 2).reshape(plan.prompts, heads, -1, size)


def _by_row(table: Tensor, shared: int, plan: Plan) -> Tensor:
    """(prompts, kv heads, n * shared, x) as (rows, kv heads, shared, x)."""
    prompts, heads, _, size = table.shape
    placed = table.view(prompts, heads, -1, shared, size).transpose(1, 2).flatten(0, 1)
    return placed if plan.order is None else placed.index_select(0, plan.order[1])


def _below(upper: Tensor | None, lower: Tensor) -> Tensor:
    """Both tables, (rows, heads, width, size), one under the other, filled up with zeros to the wider one's width."""
    if upper is None:
        return lower.contiguous()  # it is read at every step
    width = max(upper.shape[2], lower.shape[2])
    return torch.cat([torch.nn.functional.pad(one, (0, 0, 0, width - one.shape[2])) for one in (upper, lower)])
