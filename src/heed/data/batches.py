"""What goes through a model at once: answer groups (a prompt with its K answers in one row) and plain sequences.

Both kinds carry explicit positions, masks and lengths. A mask is True where the token counts; nothing is inferred
from a padding id. Rows are padded on the right.

Legend: B rows, N answers in the batch, K answers of one prompt, P prompt length, R response length, T row length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch

from heed.data.layout import Ints, Layout
from heed.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One token sequence and which of its tokens are learned."""

    ids: Sequence[int]
    loss_mask: Sequence[bool]
    """One for each token, True where it is a target: the answer and its EOS, not the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedGroup:
    """A prompt and its K answers as token ids; the answers end with EOS unless they were cut off."""

    prompt_ids: Sequence[int]
    completion_ids: Sequence[Sequence[int]]

    @property
    def num_tokens(self) -> int:
        """Tokens of the row that holds this group: the prompt once, and every answer."""
        return len(self.prompt_ids) + sum(len(ids) for ids in self.completion_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBatch:
    """Answer groups, one to a row: the prompt's tokens once, then the answers one after another.

    An answer attends to the prompt and to itself; its positions go on from the prompt's end. So the numbers equal
    those of K separate rows, and the prompt is computed once. The answers of all groups are numbered 0..N-1, group
    after group. Where ``response_mask`` is False the indices point at the answer's last token, and ``response_ids``
    hold the padding id.
    """

    input_ids: torch.Tensor
    """(B, T) int64."""
    position_ids: torch.Tensor
    """(B, T) int64; 0 at padding."""
    segments: torch.Tensor | None
    """(B, T) int64: 0 for the prompt, then the number of the answer, -1 at padding. None when every group has one
    answer: a row is then a plain causal sequence."""
    layout: Layout
    """The same without padding."""
    flat_index: torch.Tensor
    """(M,) int64: the place of each real token in the flattened (B, T)."""
    group_index: torch.Tensor
    """(N,) int64: the row of each answer."""
    response_index: torch.Tensor
    """(N, R) int64: the column of each answer token."""
    predict_index: torch.Tensor
    """(N, R) int64: the column whose output predicts that token; for the first one the prompt's last token."""
    response_ids: torch.Tensor
    """(N, R) int64."""
    response_mask: torch.Tensor
    """(N, R) bool."""
    last_index: torch.Tensor
    """(N,) int64: the column of the last token of each answer, where a reward model reads its score."""
    predict_flat: torch.Tensor
    """(number of response tokens,) int64: the flat token whose output predicts each, in the order of
    ``response_mask``."""
    last_flat: torch.Tensor
    """(N,) int64: the flat token that is the last of each answer."""

    @property
    def attention_mask(self) -> torch.Tensor | None:
        """(B, 1, T, T) bool, True where row token i sees token j; None where causal attention is the same."""
        return None if self.segments is None else _block_mask(self.segments, shared_segment=0)

    @property
    def num_groups(self) -> int:
        """B."""
        return self.input_ids.shape[0]

    @property
    def num_answers(self) -> int:
        """N."""
        return self.group_index.shape[0]

    def to(self, device: torch.device | str) -> GroupBatch:
        """The same batch on another device."""
        return GroupBatch(
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            segments=None if self.segments is None else self.segments.to(device),
            layout=self.layout,
            flat_index=self.flat_index.to(device),
            group_index=self.group_index.to(device),
            response_index=self.response_index.to(device),
            predict_index=self.predict_index.to(device),
            response_ids=self.response_ids.to(device),
            response_mask=self.response_mask.to(device),
            last_index=self.last_index.to(device),
            predict_flat=self.predict_flat.to(device),
            last_flat=self.last_flat.to(device),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceBatch:
    """Rows of text for a language-modelling loss; a row holds one sequence, or several packed apart from each other."""

    input_ids: torch.Tensor
    """(B, T) int64."""
    position_ids: torch.Tensor
    """(B, T) int64; they restart with each packed sequence."""
    segments: torch.Tensor | None
    """(B, T) int64: the number of the sequence, -1 at padding. None where a row is one sequence."""
    layout: Layout
    """The same without padding."""
    flat_index: torch.Tensor
    """(M,) int64: the place of each real token in the flattened (B, T)."""
    loss_mask: torch.Tensor
    """(B, T) bool: the token is a target, predicted from the token before it in the same sequence."""

    @property
    def attention_mask(self) -> torch.Tensor | None:
        """(B, 1, T, T) bool, block-diagonal and causal; None where plain causal attention is the same."""
        return None if self.segments is None else _block_mask(self.segments, shared_segment=None)

    def to(self, device: torch.device | str) -> SequenceBatch:
        """The same batch on another device."""
        return SequenceBatch(
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            segments=None if self.segments is None else self.segments.to(device),
            layout=self.layout,
            flat_index=self.flat_index.to(device),
            loss_mask=self.loss_mask.to(device),
        )


def make_group_batch(groups: Sequence[EncodedGroup], pad_id: int) -> GroupBatch:
    """Lay out answer groups as rows.

    Raises:
        DataError: no groups, an empty prompt, a prompt without answers, or an empty answer.
    """
    num_answers = np.array([len(group.completion_ids) for group in groups], dtype=np.int64)
    prompt_lengths = np.array([len(group.prompt_ids) for group in groups], dtype=np.int64)
    lengths = np.array([len(ids) for group in groups for ids in group.completion_ids], dtype=np.int64)
    _check_groups(num_answers, prompt_lengths, lengths)

    # Segments: of each group the prompt (0), then its answers (1..K); flat over the batch in row order.
    group_index = np.repeat(np.arange(len(groups)), num_answers)
    first_segment = np.cumsum(num_answers + 1) - (num_answers + 1)
    is_prompt = np.zeros(len(groups) + len(lengths), dtype=bool)
    is_prompt[first_segment] = True
    segment_lengths = np.empty(len(is_prompt), dtype=np.int64)
    segment_lengths[is_prompt], segment_lengths[~is_prompt] = prompt_lengths, lengths
    segment_rows = np.repeat(np.arange(len(groups)), num_answers + 1)
    segment_numbers = np.arange(len(is_prompt)) - first_segment[segment_rows]
    starts = _starts_in_row(segment_lengths, segment_rows)

    flat_ids = np.fromiter(
        chain.from_iterable(ids for group in groups for ids in (group.prompt_ids, *group.completion_ids)),
        dtype=np.int64,
        count=int(segment_lengths.sum()),
    )
    within = _ranges(segment_lengths)
    rows = np.repeat(segment_rows, segment_lengths)
    columns = np.repeat(starts, segment_lengths) + within
    shape = (len(groups), int(columns.max()) + 1)
    input_ids = np.full(shape, pad_id, dtype=np.int64)
    input_ids[rows, columns] = flat_ids
    position_ids = np.zeros(shape, dtype=np.int64)
    offsets = np.where(is_prompt, 0, prompt_lengths[segment_rows])
    position_ids[rows, columns] = np.repeat(offsets, segment_lengths) + within

    flat_index = rows * shape[1] + columns
    flat_place = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    flat_place[flat_index] = np.arange(len(flat_index))
    segments = None
    if num_answers.max() > 1:
        segments = np.full(shape, -1, dtype=np.int64)
        segments[rows, columns] = np.repeat(segment_numbers, segment_lengths)

    answer_starts = starts[~is_prompt]
    steps = np.arange(int(lengths.max()))
    response_mask = steps < lengths[:, None]
    last_index = answer_starts + lengths - 1
    response_index = np.minimum(answer_starts[:, None] + steps, last_index[:, None])
    predict_index = response_index - 1
    predict_index[:, 0] = prompt_lengths[group_index] - 1
    predict_index = np.where(response_mask, predict_index, last_index[:, None])
    response_ids = np.where(response_mask, input_ids[group_index[:, None], response_index], pad_id)
    row_starts = group_index * shape[1]
    return GroupBatch(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(position_ids),
        segments=None if segments is None else torch.from_numpy(segments),
        layout=_group_layout(num_answers, segment_lengths, is_prompt),
        flat_index=torch.from_numpy(flat_index),
        group_index=torch.from_numpy(group_index),
        response_index=torch.from_numpy(response_index),
        predict_index=torch.from_numpy(predict_index),
        response_ids=torch.from_numpy(response_ids),
        response_mask=torch.from_numpy(response_mask),
        last_index=torch.from_numpy(last_index),
        predict_flat=torch.from_numpy(flat_place[(row_starts[:, None] + predict_index)[response_mask]]),
        last_flat=torch.from_numpy(flat_place[row_starts + last_index]),
    )


def _group_layout(num_answers: Ints, lengths: Ints, is_prompt: npt.NDArray[np.bool_]) -> Layout:
    """A prompt with one answer is one segment; with several, the prompt is one and each answer one that sees it."""
    if num_answers.max() == 1:
        return Layout(lengths=lengths[is_prompt] + lengths[~is_prompt], parents=np.full(len(num_answers), -1))
    prompts = np.flatnonzero(is_prompt)
    parents = np.where(is_prompt, -1, prompts[np.repeat(np.arange(len(prompts)), num_answers + 1)])
    return Layout(lengths=lengths, parents=parents)


def make_sequence_batch(examples: Sequence[Example], bins: Sequence[Sequence[int]], pad_id: int) -> SequenceBatch:
    """Lay out examples as rows: row b holds the examples ``bins[b]`` one after another, apart from each other.

    The first token of an example is never a target: nothing of its own sequence stands before it.

    Raises:
        DataError: no rows, an empty row, an empty example, or a mask of another length than its ids.
    """
    placed = [examples[index] for row in bins for index in row]
    lengths = np.array([len(example.ids) for example in placed], dtype=np.int64)
    per_row = np.array([len(row) for row in bins], dtype=np.int64)
    if not len(per_row) or not per_row.all() or not lengths.all():
        raise DataError("a batch of sequences needs at least one row, each row an example, and each example a token")
    for example in placed:
        if len(example.loss_mask) != len(example.ids):
            raise DataError(f"an example has {len(example.ids)} ids and a loss mask of {len(example.loss_mask)}")

    example_rows = np.repeat(np.arange(len(bins)), per_row)
    starts = _starts_in_row(lengths, example_rows)
    within = _ranges(lengths)
    rows = np.repeat(example_rows, lengths)
    columns = np.repeat(starts, lengths) + within
    shape = (len(bins), int(columns.max()) + 1)
    total = int(lengths.sum())
    input_ids = np.full(shape, pad_id, dtype=np.int64)
    input_ids[rows, columns] = np.fromiter(chain.from_iterable(e.ids for e in placed), np.int64, total)
    position_ids = np.zeros(shape, dtype=np.int64)
    position_ids[rows, columns] = within
    loss_mask = np.zeros(shape, dtype=bool)
    targets = np.fromiter(chain.from_iterable(e.loss_mask for e in placed), bool, total)
    loss_mask[rows, columns] = targets & (within > 0)

    segments = None
    if per_row.max() > 1:
        segments = np.full(shape, -1, dtype=np.int64)
        segments[rows, columns] = np.repeat(np.arange(len(placed)), lengths)
    return SequenceBatch(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(position_ids),
        segments=None if segments is None else torch.from_numpy(segments),
        layout=Layout(lengths=lengths, parents=np.full(len(lengths), -1)),
        flat_index=torch.from_numpy(rows * shape[1] + columns),
        loss_mask=torch.from_numpy(loss_mask),
    )


def make_row_batch(rows: npt.NDArray[np.integer]) -> SequenceBatch:
    """Rows of packed text, (B, T), as a batch: every token but a row's first is a target."""
    input_ids = torch.from_numpy(rows.astype(np.int64))
    loss_mask = torch.ones(input_ids.shape, dtype=torch.bool)
    loss_mask[:, 0] = False
    return SequenceBatch(
        input_ids=input_ids,
        position_ids=torch.arange(input_ids.shape[1]).repeat(input_ids.shape[0], 1),
        segments=None,
        layout=Layout(lengths=np.full(len(rows), rows.shape[1]), parents=np.full(len(rows), -1)),
        flat_index=torch.arange(input_ids.numel()),
        loss_mask=loss_mask,
    )


def microbatches(groups: Sequence[EncodedGroup], size: int) -> list[list[int]]:
    """Split groups into lists of indices with at most ``size`` answers each, long rows with long rows.

    A group is never divided, so one with more than ``size`` answers is alone in its list.
    """
    order = sorted(range(len(groups)), key=lambda index: groups[index].num_tokens, reverse=True)
    lists: list[list[int]] = []
    room = 0
    for index in order:
        answers = len(groups[index].completion_ids)
        if answers > room:
            lists.append([])
            room = max(size, answers)
        lists[-1].append(index)
        room -= answers
    return lists


def _check_groups(num_answers: Ints, prompt_lengths: Ints, lengths: Ints) -> None:
    if not len(num_answers):
        raise DataError("a batch needs at least one answer group")
    for what, counts in (("prompt has no tokens", prompt_lengths), ("prompt has no answers", num_answers)):
        if not counts.all():
            raise DataError(f"group {int(np.argmin(counts))} of the batch: its {what}, expected at least 1")
    if not lengths.all():
        empty = int(np.argmin(lengths))
        group = int(np.searchsorted(np.cumsum(num_answers), empty, side="right"))
        raise DataError(f"group {group} of the batch: one of its answers has no tokens, expected at least EOS")


def _starts_in_row(lengths: Ints, rows: Ints) -> Ints:
    """The column where each segment starts, when the segments of a row stand one after another."""
    ends = np.cumsum(lengths)
    row_starts = np.searchsorted(rows, np.arange(int(rows[-1]) + 1))
    before_row = (ends - lengths)[row_starts]
    starts: Ints = ends - lengths - before_row[rows]
    return starts


def _ranges(lengths: Ints) -> Ints:
    """0..n-1 for each n of ``lengths``, one after another: [2, 3] -> [0, 1, 0, 1, 2]."""
    ranges: Ints = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return ranges


def _block_mask(segments: torch.Tensor, shared_segment: int | None) -> torch.Tensor:
    """(B, 1, T, T): token i sees token j if j is not later, and of the same segment or of the shared one.

    Padding is a segment of its own (-1), so that no row of the mask is empty and softmax stays finite.
    """
    keys = segments[:, None, :]
    mask = segments[:, :, None] == keys
    if shared_segment is not None:
        mask |= keys == shared_segment
    return mask.tril_()[:, None]
