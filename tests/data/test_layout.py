"""Buckets hold every real token once, in segments of about one length, and each token sees what it should."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from heed.data.batches import EncodedGroup, Example, make_group_batch, make_row_batch, make_sequence_batch
from heed.data.layout import SLACK, SPARE, Layout


def seen(layout: Layout) -> dict[int, list[int]]:
    """For each flat token the flat tokens it attends to, read off the buckets."""
    buckets, places = layout.plan
    asked: list[tuple[int, list[int]]] = []
    for bucket in buckets:
        n, q, k = bucket.shape
        queries, keys = bucket.queries.view(n, q).tolist(), bucket.keys.view(n, k).tolist()
        for row in range(n):
            for place in range(q):
                if bucket.mask is None:
                    visible = keys[row][: place + 1]
                else:
                    visible = [
                        key for key, there in zip(keys[row], bucket.mask[row, 0, place].tolist(), strict=True) if there
                    ]
                asked.append((queries[row][place], visible))
    found = {token: asked[place] for token, place in enumerate(places.tolist())}
    assert all(token == query for token, (query, _) in found.items())
    return {token: visible for token, (_, visible) in found.items()}


def expected(layout: Layout) -> dict[int, list[int]]:
    """The obvious way: a token sees its prompt, and its own segment up to itself."""
    result = {}
    for segment, (start, length) in enumerate(zip(layout.starts.tolist(), layout.lengths.tolist(), strict=True)):
        parent = int(layout.parents[segment])
        before = (
            [] if parent < 0 else list(range(layout.starts[parent], layout.starts[parent] + layout.lengths[parent]))
        )
        for place in range(length):
            result[start + place] = [*map(int, before), *range(start, start + place + 1)]
    return result


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.lists(st.integers(1, 60), min_size=1, max_size=6)), min_size=1, max_size=6
    )
)
def test_a_token_sees_its_prompt_and_what_stands_before_it(shapes: list[tuple[int, list[int]]]) -> None:
    groups = [EncodedGroup(prompt_ids=[1] * p, completion_ids=[[2] * r for r in answers]) for p, answers in shapes]
    layout = make_group_batch(groups, 0).layout
    assert seen(layout) == expected(layout)
    assert layout.num_tokens == sum(group.num_tokens for group in groups)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_segments_of_a_bucket_are_of_about_one_length(lengths: list[int]) -> None:
    layout = Layout(lengths=np.array(lengths), parents=np.full(len(lengths), -1))
    buckets, _ = layout.plan
    assert sum(bucket.shape[0] for bucket in buckets) == len(lengths)
    assert sum(n * q for n, q, _ in (bucket.shape for bucket in buckets)) <= SLACK * sum(lengths) + SPARE * len(lengths)
    assert seen(layout) == expected(layout)


def test_a_prompt_with_one_answer_is_one_sequence() -> None:
    batch = make_group_batch([EncodedGroup(prompt_ids=[5, 6], completion_ids=[[7, 8, 9]])], 0)
    assert batch.layout.lengths.tolist() == [5] and batch.layout.parents.tolist() == [-1]
    assert batch.predict_flat.tolist() == [1, 2, 3] and batch.last_flat.tolist() == [4]
    assert batch.layout.is_rectangle


def test_flat_places_of_answers_with_a_shared_prompt() -> None:
    groups = [
        EncodedGroup(prompt_ids=[1, 2, 3], completion_ids=[[4, 5], [6]]),
        EncodedGroup(prompt_ids=[7], completion_ids=[[8, 9, 10]]),
    ]
    batch = make_group_batch(groups, 0)
    assert batch.input_ids.flatten()[batch.flat_index].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert batch.layout.lengths.tolist() == [3, 2, 1, 1, 3] and batch.layout.parents.tolist() == [-1, 0, 0, -1, 3]
    assert batch.predict_flat.tolist() == [2, 3, 2, 6, 7, 8] and batch.last_flat.tolist() == [4, 5, 9]


def test_plain_rows_are_a_rectangle_and_packed_rows_are_their_examples() -> None:
    assert make_row_batch(np.arange(12).reshape(3, 4)).layout.is_rectangle
    examples = [Example(ids=[1] * n, loss_mask=[True] * n) for n in (3, 5, 2)]
    batch = make_sequence_batch(examples, [[2, 1], [0]], 0)
    assert batch.layout.lengths.tolist() == [2, 5, 3] and not batch.layout.is_rectangle
    assert batch.flat_index.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
