"""Written answers held against reference answers: exact match, token F1, ROUGE-L, and the number a solution ends on.

Each is the definition of the benchmark that made it known, so that figures can be put beside published ones.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_ANSWER = re.compile(
    r"(cannotanswer|unanswerable|unknown|no answer|(i )?(dont|do not) know|(this |question )*cannot be answered"
    r"|(it is |that is )?not (stated|given|mentioned|in|answerable)( in)?( background| passage| text| context)?)"
)
_WORD = re.compile(r"[a-z0-9]+")
_NUMBER = re.compile(r"(?:(?<![0-9a-zA-Z)%])[-−])?(?:[$€£¥]\s?)?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)")
"""A minus counts where it stands at the number and behind no other: 10-3 and 10 - 3 end on 3."""
_FINAL = re.compile(r"####|answer is|answer:", re.IGNORECASE)


# --- answers taken from a passage


def normalized(text: str) -> str:
    """SQuAD's normal form: lower case, without punctuation and articles, one blank between words."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def is_no_answer(text: str) -> bool:
    """Whether a text says that there is no answer (or is none): "Not in background.", "CANNOTANSWER", "Unknown"."""
    words = normalized(text)
    return not words or bool(_NO_ANSWER.fullmatch(words))


def exact_match(text: str, references: Sequence[str]) -> float:
    """1 if the text is one of the references in SQuAD's normal form (Rajpurkar et al. 2016)."""
    if _unanswerable(references):
        return float(is_no_answer(text))
    return float(any(normalized(text) == normalized(one) for one in references))


def token_f1(text: str, references: Sequence[str]) -> float:
    """Overlap of the words in SQuAD's normal form, with the reference it fits best (SQuAD 2: Rajpurkar et al. 2018).

    A question without an answer has no references, or only such as :func:`is_no_answer` knows; there, to say so gives
    1 and anything else 0. Where there is an answer, to say that there is none gives what its words give, 0 as a rule.
    """
    if _unanswerable(references):
        return float(is_no_answer(text))
    return max(_bag_f1(normalized(text).split(), normalized(one).split()) for one in references)


def quac_f1(text: str, references: Sequence[str]) -> float:
    """QuAC's word F1 (Choi et al. 2018): several people answered; where most of them found no answer, there is none.

    As in the published evaluation, references that say "no answer" are dropped where they are not the majority.
    """
    silent = sum(map(is_no_answer, references))
    if 2 * silent >= len(references):
        return float(is_no_answer(text))
    return token_f1(text, [one for one in references if not is_no_answer(one)])


def _unanswerable(references: Sequence[str]) -> bool:
    return all(map(is_no_answer, references))


def _bag_f1(words: Sequence[str], gold: Sequence[str]) -> float:
    if not words or not gold:
        return float(words == gold)
    common = (Counter(words) & Counter(gold)).total()
    return 2.0 * common / (len(words) + len(gold))


# --- DROP


def drop_scores(text: str, references: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Exact match and F1 of DROP (Dua et al. 2019, section 5), with the reference that fits best.

    Args:
        text: the answer, one span.
        references: each a list of the spans that the answer must hold, one for a number or a single span.

    Spans are bags of words, numbers in one notation; a span that holds a number scores only if the numbers meet; F1 is
    the mean over the best one-to-one assignment of spans, rounded to two digits as the published evaluation does.
    """
    if not references:
        return 0.0, 0.0
    return max((_drop_pair([text], list(reference)) for reference in references), key=lambda pair: pair[::-1])


def _drop_pair(spans: list[str], gold: list[str]) -> tuple[float, float]:
    ours, theirs = [_drop_normal(one) for one in spans], [_drop_normal(one) for one in gold]
    exact = float(set(ours) == set(theirs) and len(ours) == len(theirs))
    a, b = [set(one.split()) for one in ours], [set(one.split()) for one in theirs]
    scores = np.array([[_drop_bag(x, y) for x in a] for y in b])
    rows, columns = linear_sum_assignment(-scores)
    best = np.zeros(max(len(a), len(b)))
    best[rows] = scores[rows, columns]
    return exact, round(float(best.mean()), 2)


def _drop_bag(words: set[str], gold: set[str]) -> float:
    numbers = {one for one in gold if _is_number(one)}
    if numbers and not numbers & words:
        return 0.0
    common = len(words & gold)
    precision = common / len(words) if words else 1.0
    recall = common / len(gold) if gold else 1.0
    return 2 * precision * recall / (precision + recall) if common or not (words or gold) else 0.0


def _drop_normal(text: str) -> str:
    parts = []
    for token in re.split(" |-", text):
        word = token.lower()
        if not _is_number(word):
            word = word.translate(_PUNCTUATION)
        if _is_number(word):
            word = str(float(word))
        parts.append(" ".join(_ARTICLES.sub(" ", word).split()))
    return " ".join(part for part in parts if part)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- ROUGE-L


Stem: TypeAlias = Callable[[str], str]
"""What a word is a form of, such as ``nltk.stem.porter.PorterStemmer().stem``."""


def rouge_words(text: str, stem: Stem | None = None) -> list[str]:
    """The words of Google's ``rouge_score``: runs of a-z and 0-9 after lower-casing.

    Args:
        text: any text.
        stem: put words of more than three letters in this form, as ``rouge_score`` does with ``use_stemmer=True`` and
            the Porter stemmer of nltk, which Heed does not bring along. By default words stay as they are.
    """
    words: list[str] = _WORD.findall(text.lower())
    return words if stem is None else [stem(word) if len(word) > 3 else word for word in words]


def rouge_l(text: str, reference: str, stem: Stem | None = None) -> float:
    """F1 of the longest common subsequence of words (Lin 2004, section 3; sentence level, as ``rougeL``)."""
    ours, theirs = rouge_words(text, stem), rouge_words(reference, stem)
    common = common_subsequence(ours, theirs)
    return 2.0 * common / (len(ours) + len(theirs)) if common else 0.0


def best_rouge_l(text: str, references: Sequence[str], stem: Stem | None = None) -> float:
    """ROUGE-L with the reference that fits best; 0 without references."""
    return max((rouge_l(text, one, stem) for one in references), default=0.0)


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, one word of ``b`` at a time for all of ``a`` (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for index, word in enumerate(a):
        places[word] = places.get(word, 0) | (1 << index)
    everything = (1 << len(a)) - 1
    row = everything  # a zero bit: the length grows at this word of a
    for word in b:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everything
    return len(a) - row.bit_count()


# --- numbers


def final_number(text: str) -> Decimal | None:
    """The number that a worked solution ends on (Cobbe et al. 2021), or None.

    It is the first number after the last ``####``, "answer is" or "answer:" that is followed by one; without these the
    last number of the text. Thousands' commas, currency signs and a full stop behind it do not count.
    """
    for mark in reversed(list(_FINAL.finditer(text))):
        if (found := _NUMBER.search(text, mark.end())) is not None:
            return _as_number(found[0])
    numbers: list[str] = _NUMBER.findall(text)
    return _as_number(numbers[-1]) if numbers else None


def _as_number(text: str) -> Decimal:
    return Decimal(re.sub(r"[^0-9.\-]", "", text.replace("−", "-")))
