"""Any record that can be made comes back from the database as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.records import Completion, Demonstration, Message, Prompt, Ranking, Rating
from heed.store import Store

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
"""Any text that UTF-8 can write: NUL and control characters, combining marks, emoji, right-to-left."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
META = st.dictionaries(TEXT, JSON, max_size=3)
TOKENS = st.integers(0, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2**31 - 1), min_size=n, max_size=n).map(tuple),
        st.lists(st.floats(allow_nan=False), min_size=n, max_size=n).map(tuple),
    )
)


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    roles = st.sampled_from(["system", "user", "assistant"])
    messages = draw(st.lists(st.builds(Message, role=roles, content=TEXT), max_size=3))
    last = Message(role="user", content=draw(TEXT.filter(str.strip)))
    return Prompt(
        messages=(*messages, last),
        source=draw(TEXT),
        category=draw(TEXT),
        user=draw(TEXT),
        split=draw(TEXT),
        meta=draw(META),
    )


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    token_ids, logprobs = draw(TOKENS)
    return Completion(
        text=draw(TEXT),
        token_ids=token_ids,
        logprobs=logprobs,
        stop=draw(st.sampled_from(["eos", "stop", "length", "written"])),
        policy=draw(TEXT),
        meta=draw(META),
        id=draw(st.sampled_from(["", "", "", "given \x00 id"])),
    )


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    answers = draw(st.lists(completions(), min_size=2, max_size=9, unique_by=lambda one: one.id))
    if draw(st.booleans()):
        answers[-1] = answers[0]  # a model may give the same answer twice
    scores = draw(st.lists(st.integers(0, 3), min_size=len(answers), max_size=len(answers)))
    return Ranking.from_scores(draw(prompts()), answers, scores)


@pytest.fixture(scope="module")
def empty(empty_database: Path) -> Callable[[], AbstractContextManager[Store]]:
    """Opens a store with nothing in it, as often as it is called."""

    def opened() -> AbstractContextManager[Store]:
        path = empty_database.with_name("roundtrip.db")
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copy(empty_database, path)
        return Store.open(path)

    return opened


SETTINGS = settings(max_examples=30, deadline=None)


def _distinct(records: list[Ranking]) -> list[Ranking]:
    """Without repetitions, and without those that share an id, but not all fields, with earlier ones."""
    known: dict[object, object] = {}
    kept: list[Ranking] = []
    for one in records:
        parts = {one.prompt.id: one.prompt} | {(one.prompt.id, answer.id): answer for answer in one.completions}
        if one not in kept and all(known.get(key, part) == part for key, part in parts.items()):
            known |= parts
            kept.append(one)
    return kept


@SETTINGS
@given(records=st.lists(rankings(), max_size=4))
def test_rankings(empty: Callable[[], AbstractContextManager[Store]], records: list[Ranking]) -> None:
    records = _distinct(records)
    with empty() as store:
        assert store.add_rankings(records, round=1) == len(records)
        assert store.rankings() == records
        assert store.add_rankings(store.rankings(), round=1) == 0


@SETTINGS
@given(
    prompt=prompts(), completion=completions(), overall=st.integers(1, 7), flags=st.dictionaries(TEXT, st.booleans())
)
def test_demonstrations_ratings_prompts_and_generations(
    empty: Callable[[], AbstractContextManager[Store]],
    prompt: Prompt,
    completion: Completion,
    overall: int,
    flags: dict[str, bool],
) -> None:
    flags.pop("overall", None)
    demonstration = Demonstration(prompt=prompt, completion=completion)
    rating = Rating(prompt=prompt, completion=completion, overall=overall, flags=flags)
    with empty() as store:
        store.add_demonstrations([demonstration])
        store.add_ratings([rating])
        store.add_generations([prompt], [[completion]])
        assert store.demonstrations() == [demonstration]
        assert store.ratings() == [rating]
        assert store.prompts() == [prompt]
        (group,) = store.generations()
        assert (group.prompt, group.completions) == (prompt, (completion,))
