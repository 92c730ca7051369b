"""BLEU of many translations together (Papineni et al. 2002), equal to sacrebleu's default (Post 2018).

``nrefs:*|case:mixed|eff:no|tok:13a|smooth:exp``. What one translation adds to it is kept by itself, so that BLEU can be
resampled without counting words again.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from heed.evaluation.tasks.items import Marked

ORDER = 4
"""The longest n-gram."""
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_SPLITS = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def words_13a(text: str) -> list[str]:
    """The words of ``mteval-v13a``, the tokenizer of the WMT evaluations."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, replacement in _SPLITS:
        text = pattern.sub(replacement, text)
    return text.split()


def bleu_counts(text: str, references: Sequence[str]) -> tuple[int, ...]:
    """What one translation adds: n-grams found for n = 1 to 4, n-grams there are, its words, words of the reference.

    An n-gram counts as often as the reference that has it most often; the length is that of the nearest reference.
    """
    words = words_13a(text)
    golds = [words_13a(one) for one in references]
    found, there = [], []
    for n in range(1, ORDER + 1):
        ours, most = _ngrams(words, n), Counter[tuple[str, ...]]()
        for gold in golds:
            most |= _ngrams(gold, n)
        found.append((ours & most).total())
        there.append(ours.total())
    nearest = min((abs(len(gold) - len(words)), len(gold)) for gold in golds)[1]
    return (*found, *there, len(words), nearest)


def bleu(counts: Sequence[Sequence[int]]) -> float:
    """BLEU in [0, 1] of translations whose :func:`bleu_counts` these are; where no n-gram is found, smoothed."""
    sums = [sum(column) for column in zip(*counts, strict=True)]
    if not sums or not any(sums[:ORDER]) or not all(sums[ORDER : 2 * ORDER]):
        return 0.0
    halved, logs = 1.0, 0.0
    for found, there in zip(sums[:ORDER], sums[ORDER : 2 * ORDER], strict=True):
        if not found:
            halved *= 2.0
        logs += math.log(found / there if found else 1.0 / (halved * there))
    length, wanted = sums[-2], sums[-1]
    return min(1.0, math.exp(1.0 - wanted / length)) * math.exp(logs / ORDER)


def bleu_of_marks(marks: Sequence[Marked]) -> float:
    """BLEU of the marks of one task, which keep their counts in ``detail["bleu"]``."""
    return bleu([[int(str(one)) for one in _counts(mark)] for mark in marks])


def _counts(mark: Marked) -> Sequence[object]:
    counts = mark.detail["bleu"]
    assert isinstance(counts, Sequence)
    return counts


def _ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))
