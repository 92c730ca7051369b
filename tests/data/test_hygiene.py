"""Hygiene: duplicates by prefix, caps and splits by user, lengths, personal data; and what each says it took out."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heed.data.chat import Codec
from heed.data.hygiene import (
    cap_per_user,
    drop_longer_than_context,
    drop_shared_prefixes,
    prompt_of,
    redact_personal_data,
    split_by_user,
)
from heed.data.pii import redact
from heed.data.tokenizer import train_tokenizer
from heed.errors import ConfigError
from heed.records import Completion, Demonstration, Message, Prompt, Ranking

P = Prompt.from_text
A, B = Completion(text="a"), Completion(text="b")


def test_prompts_with_a_long_common_prefix_are_one():
    prompts = [
        P("Translate to French: dog"),
        P("translate  to French: CAT"),
        P("Translate it"),
        P("Sum up"),
        P("sum UP"),
    ]
    sifted = drop_shared_prefixes(prompts, prefix_length=15)
    assert [prompt.text for prompt in sifted.kept] == ["Translate to French: dog", "Translate it", "Sum up"]
    assert [removal.prompt_id for removal in sifted.removed] == [prompts[1].id, prompts[4].id]
    assert sifted.reasons() == {"shares a prefix of 15 characters": 2}
    assert len(drop_shared_prefixes(prompts, prefix_length=100).kept) == 4


def test_two_judgements_of_one_pair_are_no_duplicates():
    ranking = Ranking(prompt=P("Hi"), completions=(A, B), tiers=(0, 1), labeler="x")
    other = replace(ranking, labeler="y", tiers=(1, 0))
    assert drop_shared_prefixes([ranking, other]).kept == [ranking, other]


def test_a_shared_system_message_is_no_duplicate():
    def prompt(text):
        return Prompt(messages=(Message(role="system", content="Be kind. " * 50), Message(role="user", content=text)))

    assert len(drop_shared_prefixes([prompt("One"), prompt("Two")], prefix_length=5).kept) == 2


@given(st.lists(st.text(alphabet="ab ", min_size=1, max_size=6).filter(str.strip)), st.integers(1, 5))
def test_prefixes_against_comparing_all_pairs(texts, length):
    def same(one, two):
        one, two = (" ".join(text.lower().split()) for text in (one, two))
        return one[:length] == two[:length]

    kept = [prompt.text for prompt in drop_shared_prefixes([P(text) for text in texts], length).kept]
    assert not any(same(one, two) and one != two for i, one in enumerate(kept) for two in kept[:i])
    assert all(any(same(text, other) for other in kept) for text in texts)


def test_a_user_has_at_most_so_many_prompts():
    prompts = [P(f"{n}", user="ann") for n in range(5)] + [P("x", user="bob"), P("0", user="ann"), P("y"), P("z")]
    sifted = cap_per_user(prompts, limit=3)
    assert [prompt.text for prompt in sifted.kept] == ["0", "1", "2", "x", "0", "y", "z"]
    assert sifted.reasons() == {"more than 3 prompts by one user": 2}


def test_a_split_never_divides_a_user():
    prompts = [P(f"{n}", user=f"user {n % 300}") for n in range(900)]
    placed = split_by_user(prompts, {"train": 0.8, "test": 0.2}, seed=1)
    splits = {}
    for prompt in placed:
        splits.setdefault(prompt.user, set()).add(prompt.split)
    assert all(len(found) == 1 for found in splits.values())
    assert 0.12 < sum(found == {"test"} for found in splits.values()) / 300 < 0.28
    assert [prompt.id for prompt in placed] == [prompt.id for prompt in prompts]
    assert split_by_user(prompts[:10], {"train": 0.8, "test": 0.2}, seed=1) == placed[:10], (
        "new prompts move no old ones"
    )
    assert split_by_user(prompts, {"train": 0.8, "test": 0.2}, seed=2) != placed


def test_without_users_a_conversation_stays_together():
    first, answer, second = (
        Message(role=r, content=c) for r, c in (("user", "Hi!"), ("assistant", "x"), ("user", "y"))
    )
    for n in range(20):
        start = replace(first, content=f"Hi {n}!")
        short, long = Prompt(messages=(start,)), Prompt(messages=(start, answer, second))
        records = [short, long, P(f"hi, {n}")]
        assert len({prompt.split for prompt in split_by_user(records, {"train": 0.5, "test": 0.5})}) == 1


def test_splits_of_records_move_their_prompts():
    demonstration = Demonstration(prompt=P("Hi"), completion=A)
    (placed,) = split_by_user([demonstration], {"test": 1.0})
    assert placed.prompt.split == "test"
    with pytest.raises(ConfigError, match="expected numbers that add up to 1"):
        split_by_user([demonstration], {"train": 0.5})


def test_what_does_not_fit_the_context_is_dropped_with_its_answers():
    codec = Codec(train_tokenizer([], 261), context=8)  # one token for each byte
    short, long = P("abcdef"), P("abcdefg")  # 7 tokens with the newline, and 8
    assert drop_longer_than_context([short, long], codec).kept == [short]
    fits = Demonstration(prompt=P("abc"), completion=Completion(text="def"))  # 4 + 4
    wide = Ranking(prompt=P("abc"), completions=(A, Completion(text="defg")), tiers=(0, 1))  # 4 + 5
    sampled = replace(fits, completion=Completion(text="defg", token_ids=(7, 8)))
    sifted = drop_longer_than_context([fits, sampled], codec)
    assert sifted.kept == [fits, sampled]
    assert drop_longer_than_context([wide], codec).reasons() == {"longer than 8 tokens": 1}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Write to jo.smith+x@mail.example.org.", "Write to [email]."),
        ("Call (212) 555-0123 or 212-555-0123 or 212.555.0123", "Call [phone] or [phone] or [phone]"),
        ("+44 20 7946 0958, +1 (202) 456-1111", "[phone], [phone]"),
        ("Card 4111 1111 1111 1111 please", "Card [card] please"),
        ("Card 4111 1111 1111 1112 fails its check", "Card 4111 1111 1111 1112 fails its check"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [iban]"),
        ("IBAN DE89 3704 0044 0532 0130 01", "IBAN DE89 3704 0044 0532 0130 01"),
        ("SSN 123-45-6789, not 000-45-6789", "SSN [ssn], not 000-45-6789"),
        ("Host 192.168.0.1:80, not 300.1.1.1", "Host [ip]:80, not 300.1.1.1"),
    ],
)
def test_personal_data_are_found_by_their_form(text, clean):
    assert redact(text).text == clean


@pytest.mark.parametrize(
    "text",
    [
        "In 1990, 2000 and 2010-2020 there were 1,000,000 and 3.14159 of 12345678901.",
        "Version 1.2.3 of chapter 4.5.6, at 12:30 on 2024-05-06, costs $1,299.00.",
        "The matrix is 1 2 3 4 5 6 7 8 9 10 11 12 13.",
        "@someone said a@b and x = y@z",
        "ISBN 978-0-306-40615-7",
    ],
)
def test_other_numbers_are_left_alone(text):
    assert redact(text).text == text


def test_redaction_reports_what_it_removed_without_repeating_it():
    prompt = P("Mail jo@x.org", user="u")
    demonstration = Demonstration(prompt=prompt, completion=Completion(text="Done: jo@x.org"))
    sampled = Completion(text="jo@x.org", token_ids=(1,))
    ranking = Ranking(prompt=P("Hi"), completions=(A, sampled), tiers=(0, 1))
    result = redact_personal_data([demonstration, ranking])
    first, second = result.records
    assert (first.prompt.text, first.completion.text) == ("Mail [email]", "Done: [email]")
    assert first.prompt.id == P("Mail [email]").id
    assert first.prompt.user == "u"
    assert second == ranking, "a sampled answer keeps its text, as it keeps its tokens"
    assert result.kinds() == {"email": 2}
    assert [finding.masked for finding in result.findings] == ["j*@*.***"] * 2
    assert {finding.prompt_id for finding in result.findings} == {prompt.id}
    assert prompt_of(second) is second.prompt


@given(st.text(alphabet="0123456789 .-+()@abAB", max_size=60))
def test_a_text_changes_exactly_where_something_is_found(text):
    result = redact(text)
    assert (result.text == text) == (not result.findings)
    assert sum(result.text.count(f"[{kind}]") for kind in {f.kind for f in result.findings}) == len(result.findings)
