"""What can be said can be read, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.sandbox.facts import SUBJECTS, Facts, attributes_of
from heed.sandbox.language import CLASS_OF, FORMS, Claim, listed, read, read_sentence, say, say_facts
from heed.sandbox.lexicon import CLASSES, GROUP_OF, GROUPS


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    form = draw(st.sampled_from(sorted(FORMS)))
    gaps = {name: draw(st.sampled_from(CLASSES[name.rstrip("2")])) for name in _gaps(form)}
    return form, gaps


@st.composite
def claims(draw: st.DrawFn) -> list[Claim]:
    subject = draw(st.sampled_from(SUBJECTS))
    attributes = draw(st.lists(st.sampled_from(attributes_of(subject)), min_size=1, max_size=3))
    return [Claim(subject, name, draw(st.sampled_from(CLASSES[CLASS_OF[name]]))) for name in attributes]


def _gaps(form: str) -> list[str]:
    return [part.split("}")[0] for part in FORMS[form].split("{")[1:]]


@settings(deadline=None)
@given(sentences())
def test_every_form_reads_back(sentence: tuple[str, dict[str, str]]) -> None:
    form, gaps = sentence
    found = read_sentence(say(form, **gaps))
    assert (found.form, dict(found.gaps)) == (form, gaps)


@settings(deadline=None)
@given(claims())
def test_facts_read_back(told: list[Claim]) -> None:
    found = read_sentence(say_facts(told))
    assert found.form == "facts"
    assert list(found.claims) == told


@settings(deadline=None)
@given(st.lists(sentences(), max_size=4))
def test_sentences_are_told_apart(told: list[tuple[str, dict[str, str]]]) -> None:
    text = " ".join(say(form, **gaps) for form, gaps in told)
    assert [sentence.form for sentence in read(text)] == [form for form, _ in told]


@pytest.mark.parametrize(
    "text",
    [
        "The cup is near",
        "The cup is near Lima",
        "The cup is in Lima.",
        "Anna Anna was glad.",
        "The fox is red and eats.",
        "The fox is red, eats corn.",
        "The fox is red and eats corn and lives in the cave.",
        "Write a happy story about Anna.",
        ".. ?",
    ],
)
def test_what_is_not_english_here_has_no_form(text: str) -> None:
    assert all(sentence.form == "" for sentence in read(text))


def test_reading_by_hand() -> None:
    one, two = read("The fox is red, eats corn and lives in the cave. Anna was glad.")
    assert one.claims == (Claim("fox", "colour", "red"), Claim("fox", "diet", "corn"), Claim("fox", "habitat", "cave"))
    assert (two.form, dict(two.gaps)) == ("mood", {"person": "Anna", "mood": "glad"})
    assert listed(["x"]) == "x" and listed(["x", "y", "z"]) == "x, y and z"


def test_a_line_break_ends_a_sentence() -> None:
    assert [sentence.form for sentence in read("It is good.\nIt is bad\nGo away.")] == ["verdict", "", "rude_away"]


def test_a_word_names_one_thing() -> None:
    groups = [set(words) for name, words in CLASSES.items() if name not in ("quality", "mood", "fortune", "deed")]
    for index, words in enumerate(groups):
        for more in groups[:index]:
            assert not words & more
    assert len(GROUP_OF) == sum(len(words) for words in GROUPS.values())


def test_facts_cover_everyone_and_lies_are_lies() -> None:
    import random

    facts, rng = Facts.draw(3), random.Random(0)
    assert facts == Facts.draw(3) != Facts.draw(4)
    for claim in facts:
        assert facts.true(claim)
        assert not facts.true(facts.lie(claim.subject, claim.attribute, rng))
    assert not facts.true(Claim("Anna", "colour", "red"))
