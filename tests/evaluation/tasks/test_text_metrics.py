"""Written answers are held against references as the benchmarks that made each measure known do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from heed.evaluation.tasks.bleu import bleu, bleu_counts, words_13a
from heed.evaluation.tasks.text_metrics import (
    best_rouge_l,
    common_subsequence,
    drop_scores,
    exact_match,
    final_number,
    is_no_answer,
    normalized,
    quac_f1,
    rouge_l,
    token_f1,
)

WORDS = (
    "the",
    "cat",
    "Cat,",
    "sat",
    "on",
    "a",
    "mat.",
    "3.5",
    "1,000",
    "don't",
    "é",
    "--",
    "&quot;x&quot;",
    "\n",
    "U.S.",
)
TEXTS = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)


def slow_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + slow_subsequence(a[:-1], b[:-1])
    return max(slow_subsequence(a[:-1], b), slow_subsequence(a, b[:-1]))


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_longest_common_subsequence_is_that_of_the_definition(a: str, b: str) -> None:
    assert common_subsequence(a, b) == slow_subsequence(a, b)


@given(TEXTS, TEXTS)
def test_rouge_l_is_that_of_google(text: str, reference: str) -> None:
    oracle = RougeScorer(["rougeL"], use_stemmer=False).score(reference, text)["rougeL"].fmeasure
    assert rouge_l(text, reference) == pytest.approx(oracle)


def test_rouge_l_by_hand() -> None:
    """police killed the gunman / police kill the gunman: 3 of 4 words in order, on both sides (Lin 2004)."""
    assert rouge_l("police kill the gunman", "Police killed the gunman.") == 0.75
    assert rouge_l("the gunman kill police", "police killed the gunman") == 0.5
    assert best_rouge_l("a b", ["c", "a b c d"]) == pytest.approx(2 * 2 / 6)
    assert rouge_l("", "a") == rouge_l("...", "a") == best_rouge_l("a", []) == 0.0


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6))
def test_bleu_is_that_of_sacrebleu(rows: list[tuple[str, str, str]]) -> None:
    texts, first, second = map(list, zip(*rows, strict=True))
    one = sacrebleu.corpus_bleu(texts, [first]).score / 100
    two = sacrebleu.corpus_bleu(texts, [first, second]).score / 100
    assert bleu([bleu_counts(text, [a]) for text, a in zip(texts, first, strict=True)]) == pytest.approx(one)
    assert bleu([bleu_counts(text, [a, b]) for text, a, b in rows]) == pytest.approx(two)


def test_bleu_by_hand() -> None:
    """5 of 6 words, 3 of 5 pairs, 1 of 4 triples and none of 3 fours found: the last counts as 1/2 of one."""
    counts = bleu_counts("the cat sat on a mat", ["the cat sat on the mat"])
    assert counts == (5, 3, 2, 1, 6, 5, 4, 3, 6, 6)
    assert bleu([counts]) == pytest.approx((5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert bleu([]) == bleu([bleu_counts("", ["a"])]) == 0.0
    assert words_13a("It cost $1,000.50, 3-4 days &amp; more.") == [
        *("It", "cost", "$", "1,000.50", ",", "3", "-", "4", "days", "&", "more", ".")
    ]


def test_f1_and_exact_match_by_hand() -> None:
    assert normalized("The  quick, brown-fox!") == "quick brownfox"
    assert exact_match("The Eiffel Tower.", ["Tower", "eiffel tower"]) == 1.0
    assert exact_match("Eiffel", ["Tower", "eiffel tower"]) == 0.0
    assert token_f1("in the Eiffel Tower", ["Paris", "Eiffel tower"]) == pytest.approx(2 * 2 / (3 + 2))
    assert token_f1("Paris Paris", ["Paris"]) == pytest.approx(2 * 1 / (2 + 1))
    assert token_f1("the", ["cat"]) == 0.0


@pytest.mark.parametrize("text", ["", "Not in background.", "CANNOTANSWER", "unanswerable", "I don't know.", "Unknown"])
def test_no_answer_is_right_only_where_there_is_none(text: str) -> None:
    assert is_no_answer(text)
    for references in ([], [""], ["Not in background."], ["CANNOTANSWER"]):
        assert token_f1(text, references) == exact_match(text, references) == quac_f1(text, references) == 1.0
        assert token_f1("Paris", references) == exact_match("Paris", references) == quac_f1("Paris", references) == 0.0
    assert token_f1(text, ["Paris"]) == 0.0


@pytest.mark.parametrize("text", ["The Unknown Soldier", "not in Paris", "None of them", "42", "nobody"])
def test_an_answer_is_not_taken_for_none(text: str) -> None:
    assert not is_no_answer(text)


def test_quac_follows_the_majority_of_the_people_asked() -> None:
    assert quac_f1("Paris", ["Paris", "Paris", "CANNOTANSWER"]) == 1.0
    assert quac_f1("CANNOTANSWER", ["Paris", "Paris", "CANNOTANSWER"]) == 0.0
    assert quac_f1("Paris", ["Paris", "CANNOTANSWER", "CANNOTANSWER"]) == 0.0
    assert quac_f1("CANNOTANSWER", ["Paris", "CANNOTANSWER", "CANNOTANSWER"]) == 1.0


def test_drop_by_hand() -> None:
    assert drop_scores("$7,761.", [["7761.0"]]) == (1.0, 1.0)
    assert drop_scores("7761.0 dollars", [["7761"]]) == (0.0, 0.67)  # 1 of 2 words, 1 of 1
    assert drop_scores("The 49ers", [["49ers"]]) == (1.0, 1.0)
    assert drop_scores("a 24-yard field goal", [["25"], ["24-yard field goal"]]) == (1.0, 1.0)
    assert drop_scores("25 yard field goal", [["24-yard field goal"]]) == (0.0, 0.0)  # the numbers do not meet
    assert drop_scores("Smith", [["Smith", "Jones"]]) == (0.0, 0.5)  # one of two spans
    assert drop_scores("", [["x"]]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Janet has 3 eggs.\n#### 18", "18"),
        ("#### 1,234.50", "1234.5"),
        ("4 + 5 = 9. The answer is $9.", "9"),
        ("The answer is 5. The answer is -12.00 dollars.", "-12"),
        ("So there are 1,000,000 people left.", "1000000"),
        ("It costs €3.50 and then .5", "0.5"),
        ("#### none, so 7 in all", "7"),
        ("7 in all. The answer is unclear", "7"),
        ("The result is −8", "-8"),
        ("They lost -$5", "-5"),
        ("It takes 10-12 days", "12"),
        ("So 7 - 3", "3"),
    ],
)
def test_the_number_a_solution_ends_on(text: str, number: str) -> None:
    assert final_number(text) == Decimal(number)


@given(st.text("0123456789.,-+$€− #²٣a"))
def test_any_text_has_a_number_or_none(text: str) -> None:
    number = final_number(text)
    assert (number is not None) == any("0" <= character <= "9" for character in text)


def test_no_number_is_none() -> None:
    assert final_number("I do not know.") is final_number("") is final_number("$, -") is None


def test_rouge_with_the_stemmer_of_nltk_is_that_of_google() -> None:
    porter = pytest.importorskip("nltk.stem.porter")
    text, reference = "The runners were happily running past the tired cats", "A runner runs happy, passing tiring cat"
    stemmed = rouge_l(text, reference, porter.PorterStemmer().stem)
    oracle = RougeScorer(["rougeL"], use_stemmer=True).score(reference, text)["rougeL"].fmeasure
    assert stemmed == pytest.approx(oracle) and stemmed > rouge_l(text, reference)


def test_rouge_on_long_random_texts() -> None:
    draw = random.Random(0)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    for _ in range(20):
        a, b = (" ".join(draw.choices(WORDS, k=draw.randint(0, 150))) for _ in range(2))
        assert rouge_l(a, b) == pytest.approx(scorer.score(b, a)["rougeL"].fmeasure)
