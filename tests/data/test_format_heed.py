"""Heed's own JSON lines: bytes that come back, rankings that name unknown answers, fields that do not exist."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.data.formats.heed import as_json, from_row
from heed.data.lines import parse_row, to_line
from heed.data.readers import read, read_demonstrations, read_prompts, read_rankings, read_texts
from heed.data.writers import write
from heed.errors import DataError
from heed.records import Completion, Demonstration, Labeler, Message, Prompt, Ranking, Rating

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
meta = st.dictionaries(text, st.recursive(st.none() | st.booleans() | st.integers() | text, st.lists, max_leaves=4))
messages = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=text), min_size=1, max_size=3
).filter(lambda turns: any(turn.content.strip() for turn in turns))
prompts = st.builds(
    Prompt, messages=messages.map(tuple), source=text, category=text, user=text, split=text.filter(bool), meta=meta
)
numbers = st.lists(st.tuples(st.integers(0, 2**31), st.floats(-100, 0)), max_size=4)
completions = st.builds(
    lambda text, pairs, stop, policy, meta: Completion(
        text=text,
        token_ids=tuple(token for token, _ in pairs),
        logprobs=tuple(logprob for _, logprob in pairs),
        stop=stop,
        policy=policy,
        meta=meta,
    ),
    text,
    numbers,
    st.sampled_from(["eos", "stop", "length", "written"]),
    text,
    meta,
)
rankings = st.builds(
    lambda prompt, scored, labeler: Ranking.from_scores(
        prompt, [c for c, _ in scored], [s for _, s in scored], labeler
    ),
    prompts,
    st.lists(st.tuples(completions, st.integers(0, 3)), min_size=2, max_size=5, unique_by=lambda pair: pair[0].id),
    text,
)
demonstrations = st.builds(Demonstration, prompt=prompts, completion=completions, labeler=text)
ratings = st.builds(
    Rating,
    prompt=prompts,
    completion=completions,
    overall=st.integers(1, 7),
    flags=st.dictionaries(text, st.booleans(), max_size=3),
    labeler=text,
)
labelers = st.builds(Labeler, id=text.filter(bool), kind=st.sampled_from(["human", "model", "simulated"]))
records = st.lists(prompts | demonstrations | rankings | ratings | labelers | text, max_size=4)


@settings(max_examples=60, deadline=None)
@given(records)
def test_every_line_reads_as_its_record_and_is_written_the_same(items):
    for item in items:
        line = to_line(as_json(item))
        again = from_row(parse_row(line, "data.jsonl, line 1"))
        assert again == item
        assert to_line(as_json(again)) == line


@pytest.mark.parametrize("name", ["one.jsonl", "one.jsonl.gz"])
def test_export_import_export_is_byte_identical(tmp_path, name):
    items = ["words", RANKING, Demonstration(prompt=PROMPT, completion=A, labeler="ann"), Prompt.from_text("é\u2028")]
    items += [Rating(prompt=PROMPT, completion=B, overall=3, flags={"rude": True}), Labeler(id="ann", kind="simulated")]
    assert write("heed", tmp_path / name, items) == len(items)
    imported = list(read("heed", tmp_path / name))
    assert imported == items
    write("heed", tmp_path / f"two-{name}", imported)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"two-{name}").read_bytes()


PROMPT = Prompt(messages=(Message(role="user", content="Hi"),), id="p1")
A, B, C = (Completion(text=name.upper(), id=name) for name in "abc")
RANKING = Ranking(prompt=PROMPT, completions=(A, B, C), tiers=(1, 0, 1), labeler="ann")


def test_a_ranking_is_a_line_one_can_read():
    assert json.dumps(as_json(RANKING)) == (
        '{"record": "ranking", '
        '"prompt": {"id": "p1", "messages": [{"role": "user", "content": "Hi"}], "split": "train"}, '
        '"completions": [{"id": "a", "text": "A", "stop": "written"}, {"id": "b", "text": "B", "stop": "written"}, '
        '{"id": "c", "text": "C", "stop": "written"}], '
        '"order": [["b"], ["a", "c"]], "labeler": "ann"}'
    )


def test_equal_meta_is_equal_bytes_whatever_the_order_of_its_keys():
    one, two = ({"b": [1, {"y": 0, "x": 1}], "a": 2}, {"a": 2, "b": [1, {"x": 1, "y": 0}]})
    first, second = (json.dumps(as_json(Prompt.from_text("Hi", meta=meta))) for meta in (one, two))
    assert first == second


def test_the_same_answer_twice_keeps_both_places(tmp_path):
    ranking = Ranking(prompt=PROMPT, completions=(A, A, B), tiers=(1, 0, 2))
    write("heed", tmp_path / "one.jsonl", [ranking])
    again = list(read_rankings("heed", tmp_path / "one.jsonl"))
    assert sorted(again[0].tiers[:2]) == [0, 1]
    write("heed", tmp_path / "two.jsonl", again)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def broken(tmp_path, change, record=RANKING):
    """The message when the second line of a file is a record with something changed."""
    value = as_json(record)
    change(value)
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(as_json(PROMPT)) + "\n" + json.dumps(value) + "\n")
    with pytest.raises(DataError) as caught:
        list(read("heed", path))
    return str(caught.value).replace(str(path), "data.jsonl")


def test_a_ranking_that_names_an_unknown_answer_is_refused(tmp_path):
    assert broken(tmp_path, lambda value: value.update(order=[["b"], ["a", "x9"]])) == (
        "data.jsonl, line 2: the ranking names answer 'x9', which is not among its completions ('a', 'b', 'c')"
    )
    assert broken(tmp_path, lambda value: value.update(order=[["b"], ["a", "b"]])) == (
        "data.jsonl, line 2: the ranking names answer 'b' more than once"
    )
    assert broken(tmp_path, lambda value: value.update(order=[["b", "a"]])) == (
        "data.jsonl, line 2: the ranking does not say where answer 'c' stands"
    )
    assert broken(tmp_path, lambda value: value.update(order=[["a", "b", "c"], []])) == (
        "data.jsonl, line 2: order[1] is [], expected a list of one or more completion ids"
    )


def test_other_mistakes_are_named_with_their_place(tmp_path):
    def say(**changes):
        return broken(tmp_path, lambda value: value.update(**changes))

    assert say(labeller="ann") == "data.jsonl, line 2: there is no field 'labeller'. Did you mean 'labeler'?"
    assert say(record="rankings").endswith(
        "prompt, demonstration, ranking, rating, labeler, text. Did you mean 'ranking'?"
    )
    assert say(prompt={"messages": [{"role": "user", "content": " "}]}) == (
        "data.jsonl, line 2, prompt: empty prompt: a prompt needs at least one message with text in it"
    )
    assert say(prompt={"messages": [{"role": "bot", "content": "Hi"}]}) == (
        "data.jsonl, line 2, prompt, messages[0]: field 'role' is 'bot', expected one of system, user, assistant"
    )
    assert say(completions=[{"id": "a"}]).startswith(
        "data.jsonl, line 2, completions[0]: field 'text' is missing; there"
    )
    assert say(completions=[{"id": "a", "text": "A"}], order=[["a"]]) == (
        "data.jsonl, line 2: ranking of prompt p1: 1 completion(s), expected at least 2"
    )
    rating = Rating(prompt=PROMPT, completion=A, overall=7, flags={"rude": False})
    assert broken(tmp_path, lambda value: value.update(overall=8), rating) == (
        "data.jsonl, line 2: rating of completion a: overall is 8, expected 1 to 7"
    )
    assert broken(tmp_path, lambda value: value.update(flags={"rude": 1}), rating) == (
        "data.jsonl, line 2: flag 'rude' is 1, expected true or false"
    )
    demonstration = Demonstration(prompt=PROMPT, completion=A)
    assert broken(tmp_path, lambda value: value["completion"].update(token_ids=["x"]), demonstration) == (
        "data.jsonl, line 2, completion: field 'token_ids' holds 'x', expected numbers"
    )


def test_reading_only_one_kind(tmp_path):
    path = tmp_path / "all.jsonl"
    other = Prompt.from_text("Other")
    write("heed", path, ["words", RANKING, Demonstration(prompt=PROMPT, completion=A), other, RANKING, Labeler(id="x")])
    assert list(read_texts("heed", path)) == ["words"]
    assert len(list(read_rankings("heed", path))) == 2
    assert [d.completion for d in read_demonstrations("heed", path)] == [A]
    assert list(read_prompts("heed", path)) == [PROMPT, other]
