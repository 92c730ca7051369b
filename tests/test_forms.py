"""Forms say what they ask, and take nothing else for an answer."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.errors import DataError
from heed.form_library import LIBRARY, OUTPUT_FLAGS, PROMPT_FLAGS
from heed.forms import LETTERS, Answers, Form, Question, check_answers, clean_text, parse_form

HIDDEN = "\u202e\u2066\u200b\u00ad\ufeff\u2060\U000e0041\u3164"


def form(*questions: Question, task: str = "rank") -> Form:
    return Form(name="f", task=task, title="t", questions=questions)  # type: ignore[arg-type]


def question(name: str = "q", kind: str = "text", **fields: Any) -> Question:
    return Question(name=name, kind=kind, label="l", **fields)  # type: ignore[arg-type]


def value_of(asked: Question) -> st.SearchStrategy[Any]:
    """What a page may send for a question, when it is answered."""
    word = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
    match asked.kind:
        case "flag":
            return st.booleans()
        case "likert":
            return st.integers(asked.low, asked.high)
        case "strength":
            return st.integers(-asked.high, asked.high).filter(lambda n: n != 0 or asked.ties)
        case "choice":
            return st.sampled_from(asked.choices)
        case "choices":
            return st.lists(st.sampled_from(asked.choices), min_size=1, unique=True)
        case "examples":
            return st.lists(st.fixed_dictionaries({"query": word, "response": word}), min_size=1, max_size=3)
        case _:
            return word


@st.composite
def part(draw: st.DrawFn, questions: tuple[Question, ...]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for asked in questions:
        if asked.kind == "tiers":
            continue
        if asked.required or draw(st.booleans()):
            empty = asked.nullable and draw(st.booleans())
            given[asked.name] = None if empty else draw(value_of(asked))
    return given


@st.composite
def filled(draw: st.DrawFn) -> tuple[Form, dict[str, Any], int]:
    asked = LIBRARY[draw(st.sampled_from(sorted(LIBRARY)))]
    k = {"grade": 4, "rank": 5, "compare": 2, "chat": 2, "edit": 1}.get(asked.task, 0)
    letters = LETTERS[:k]
    payload: dict[str, Any] = {"item": draw(part(asked.of_scope("item"))), "note": ""}
    if asked.of_scope("candidate"):
        payload["candidates"] = {letter: draw(part(asked.of_scope("candidate"))) for letter in letters}
    if any(one.kind == "tiers" for one in asked.questions):
        payload["tiers"] = {letter: draw(st.integers(0, 9)) for letter in letters}
    return asked, payload, k


@settings(max_examples=150, deadline=None)
@given(filled())
def test_a_form_that_is_filled_in_is_taken(case: tuple[Form, dict[str, Any], int]) -> None:
    asked, payload, k = case
    answers = check_answers(asked, json.loads(json.dumps(payload)), k)
    assert set(answers.item) == {name for name, value in payload["item"].items() if value is not None}
    assert len(answers.tiers) == (k if asked.ranks else 0)
    if answers.tiers:
        assert sorted(set(answers.tiers)) == list(range(len(set(answers.tiers))))
    if "tiers" in payload:
        given_tiers = [payload["tiers"][letter] for letter in LETTERS[:k]]
        pairs = [(a, b) for a in range(k) for b in range(k)]
        assert all((given_tiers[a] < given_tiers[b]) == (answers.tiers[a] < answers.tiers[b]) for a, b in pairs)


@settings(max_examples=150, deadline=None)
@given(filled(), st.data())
def test_a_required_question_cannot_be_left_out(case: tuple[Form, dict[str, Any], int], data: st.DataObject) -> None:
    asked, payload, k = case
    places = [(payload["item"], one) for one in asked.of_scope("item")]
    for answers in payload.get("candidates", {}).values():
        places += [(answers, one) for one in asked.of_scope("candidate")]
    needed = [(where, one.name) for where, one in places if one.required and one.kind != "tiers"]
    needed += [(payload["tiers"], letter) for letter in payload.get("tiers", {})]
    if not needed:
        return
    where, name = data.draw(st.sampled_from(needed))
    del where[name]
    with pytest.raises(DataError):
        check_answers(asked, payload, k)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from("ABC"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(LIBRARY)), st.data())
def test_whatever_is_sent_is_an_answer_or_a_sentence_about_it(name: str, data: st.DataObject) -> None:
    asked = LIBRARY[name]
    names = st.sampled_from([one.name for one in asked.questions]) | st.text(max_size=3)
    answers = st.dictionaries(names, json_values, max_size=4)
    parts = {
        "item": answers,
        "candidates": st.dictionaries(st.sampled_from("ABCX"), answers, max_size=3) | json_values,
        "tiers": st.dictionaries(st.sampled_from("ABX"), json_values, max_size=3) | json_values,
        "note": json_values,
    }
    payload = data.draw(st.fixed_dictionaries({}, optional=parts) | json_values)
    try:
        assert isinstance(check_answers(asked, payload, 2), Answers)
    except DataError as error:
        assert 0 < len(str(error)) < 2000


@pytest.mark.parametrize(
    ("asked", "good", "bad"),
    [
        (question(kind="flag"), [True, False], [1, 0, "yes", [], {}]),
        (question(kind="likert"), [1, 7], [0, 8, 3.0, True, "3", None]),
        (question(kind="strength", high=3), [-3, 0, 3], [4, -4, 0.5, True]),
        (question(kind="strength", high=3, ties=False), [-1, 1], [0]),
        (question(kind="choice", choices=("a", "b")), ["a"], ["c", ["a"], "", 0]),
        (question(kind="choices", choices=("a", "b")), [["a"], ["b", "a"]], ["a", ["c"], [], [["a"]]]),
        (question(kind="text", max_chars=3), ["abc", " a "], ["abcd", "  ", "", 3]),
        (question(kind="examples"), [[{"query": "q", "response": "r"}]],
         [[{"query": "q"}], [{"query": "q", "response": " "}], ["q"], [{"query": "q", "response": "r", "x": "y"}]]),
    ],
)  # fmt: skip
def test_each_kind_takes_its_own_values(asked: Question, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert "q" in check_answers(form(asked), {"item": {"q": value}}, 2).item
    for value in bad:
        with pytest.raises(DataError, match="'q'"):
            check_answers(form(asked), {"item": {"q": value}}, 2)


def test_an_untouched_flag_is_no_answer_and_one_that_does_not_apply_says_so() -> None:
    asked = form(question("a", "flag"), question("b", "flag", nullable=True), question("c", "flag", required=False))
    assert check_answers(asked, {"item": {"a": False, "b": None}}, 0).item == {"a": False}
    for payload in ({"b": None}, {"a": False}, {"a": None, "b": None}):
        with pytest.raises(DataError, match="not answered"):
            check_answers(asked, {"item": payload}, 0)


@pytest.mark.parametrize(("strength", "tiers"), [(-3, (0, 1)), (-1, (0, 1)), (0, (0, 0)), (2, (1, 0))])
def test_a_strength_is_an_order(strength: int, tiers: tuple[int, ...]) -> None:
    assert check_answers(LIBRARY["compare"], {"item": {"strength": strength}}, 2).tiers == tiers


def test_an_order_may_be_optional() -> None:
    tiers = form(question("t", "tiers", required=False))
    assert check_answers(tiers, {}, 3).tiers == ()
    assert check_answers(tiers, {"tiers": {"A": 4, "B": 4, "C": -1}}, 3).tiers == (1, 1, 0)
    assert check_answers(form(question("s", "strength", required=False)), {}, 2).tiers == ()
    with pytest.raises(DataError, match="has a tie"):
        check_answers(form(question("t", "tiers", ties=False)), {"tiers": {"A": 1, "B": 1}}, 2)


@pytest.mark.parametrize(
    ("questions", "task", "words"),
    [
        ([question("a"), question("a")], "rank", "two questions"),
        ([question(kind="choice", choices=("a",))], "rank", "offers 1 choices"),
        ([question(kind="choice", choices=("a", "a"))], "rank", "same choice twice"),
        ([question(kind="likert", low=3, high=3)], "rank", "runs from 3 to 3"),
        ([question(kind="strength", high=0)], "rank", "expected at least 1"),
        ([question(kind="tiers", scope="candidate")], "rank", "about one answer"),
        ([question("a", "tiers"), question("b", "strength")], "rank", "ask for it once"),
        ([question("overall", "likert", scope="candidate", high=10)], "rank", "within 1 to 7"),
        ([question("overall", "likert")], "rank", "about each answer"),
        ([question("edit", "answer")], "rank", "belongs to the task 'edit'"),
        ([question("demonstration", "text")], "demonstration", "of kind 'answer'"),
        ([question()], "edit", "needs a question 'edit'"),
        ([question("prompt", required=False)], "prompt", "must be answered"),
    ],
)
def test_forms_that_cannot_be_answered_are_refused(questions: list[Question], task: str, words: str) -> None:
    definition = {"name": "f", "task": task, "title": "t", "questions": [one.model_dump() for one in questions]}
    with pytest.raises(DataError, match=words):
        parse_form(definition)


def test_a_misspelt_field_is_named() -> None:
    with pytest.raises(DataError, match="Did you mean 'title'"):
        parse_form({"name": "f", "task": "rank", "titel": "t", "questions": []}, "form f")


@pytest.mark.parametrize("asked", LIBRARY.values(), ids=LIBRARY)
def test_the_library_survives_its_own_file(asked: Form) -> None:
    assert parse_form(json.loads(json.dumps(asked.model_dump(mode="json")))) == asked
    assert LIBRARY[asked.name] is asked and asked.question(asked.questions[0].name) is asked.questions[0]
    with pytest.raises(KeyError):
        asked.question("no such question")


def test_the_library_asks_what_the_paper_asks() -> None:
    assert len(OUTPUT_FLAGS) == 11 and len(PROMPT_FLAGS) == 11
    grade = LIBRARY["grade"]
    assert [one.name for one in grade.of_scope("candidate")] == ["overall", *(one.name for one in OUTPUT_FLAGS)]
    assert (grade.question("overall").low, grade.question("overall").high) == (1, 7)
    assert {one.name for one in OUTPUT_FLAGS if one.nullable} == {"hallucination", "violates_constraint"}
    assert {one.task for one in LIBRARY.values()} == {
        "demonstration", "prompt", "grade", "rank", "compare", "chat", "edit", "sensitive", "survey",
    }  # fmt: skip


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_clean_text_is_clean_and_stays_so(text: str) -> None:
    try:
        clean = clean_text(text, "text")
    except DataError as error:
        assert "invisible" in str(error)
        return
    assert clean_text(clean, "text") == clean == unicodedata.normalize("NFC", clean)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co") and c not in "\n\t" for c in clean)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
        ("nul\x00 bell\x07 tab\t", "nul bell tab\t"),
        ("e\u0301", "é"),
        ("half \ud800 pair", "half  pair"),
        ("👩\u200d👩\u200d👧 می\u200cخواهم", "👩\u200d👩\u200d👧 می\u200cخواهم"),
        ("葛\U000e0100", "葛\U000e0100"),
        ("new emoji \U0001faea", "new emoji \U0001faea"),
    ],
)
def test_text_keeps_what_languages_need(given: str, expected: str) -> None:
    assert clean_text(given, "text") == expected


@pytest.mark.parametrize("hidden", [*HIDDEN, "a\U000e0100"])
def test_what_hides_is_named(hidden: str) -> None:
    with pytest.raises(DataError, match=rf"question 'q' holds an invisible character \(U\+{ord(hidden[-1]):04X}"):
        check_answers(form(question()), {"item": {"q": f"fine {hidden} so far"}}, 0)


def test_long_texts_are_refused_in_few_words() -> None:
    with pytest.raises(DataError, match="20,001 characters long, expected at most 20,000"):
        clean_text("x" * 20_001, "note")
    for payload in (
        {"x" * 10**5: 1},
        {"item": {"y" * 10**5: 1}},
        {"item": {"q": [1] * 10**5}},
        {"candidates": "z" * 10**5},
    ):
        with pytest.raises(DataError) as error:
            check_answers(form(question()), payload, 2)
        assert len(str(error.value)) < 400
