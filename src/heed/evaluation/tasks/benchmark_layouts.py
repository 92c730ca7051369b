"""How the rows of well-known classification sets become questions with choices.

The layouts of RTE, SST-2 and HellaSwag are InstructGPT's (appendix D); the others follow Brown et al. 2020, appendix G.
A row is read in the columns that GLUE and SuperGLUE publish, or as one text with a label (``input``, ``output``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A row as a question."""

    context: str
    choices: tuple[str, ...]
    passage: str = ""
    """What several questions of a set share; those belong together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One set: its columns, its labels and its layout."""

    name: str
    title: str
    columns: Mapping[str, tuple[str, ...]]
    """The fields, and by which names files have them."""
    labels: Mapping[str, int]
    """Label as text, in small letters, to the number of the choice."""
    pattern: str
    """The fields in the text of the one-text form; empty if there is none."""
    lay: Callable[[Fields], Laid]
    label_columns: tuple[str, ...] = ("label",)
    instruction: str = ""

    def fields_of(self, text: str) -> dict[str, str] | None:
        """The fields in the one-text form, or None if it is not as expected."""
        found = re.fullmatch(self.pattern, text.strip(), re.DOTALL) if self.pattern else None
        return {name: value.strip() for name, value in found.groupdict().items()} if found else None


YES_NO = (" Yes", " No")
PREMISE = {"premise": ("premise", "sentence1"), "hypothesis": ("hypothesis", "sentence2")}
_PAIR = r"sentence 1: (?P<premise>.*)\nsentence 2: (?P<hypothesis>.*)"


def _without_stop(sentence: str) -> str:
    return sentence.rstrip().removesuffix(".")


def _rte(row: Fields) -> Laid:
    asked = f"From this passage can one reasonably conclude that {_without_stop(row['hypothesis'])}?"
    return Laid(
        context=f"Passage: {row['premise']}\nQuestion: {asked}\nAnswer:", choices=YES_NO, passage=row["premise"]
    )


def _three_way(row: Fields) -> Laid:
    asked = f"{_without_stop(row['hypothesis'])}. True, false or neither?"
    return Laid(
        context=f"Passage: {row['premise']}\nQuestion: {asked}\nAnswer:",
        choices=(" True", " False", " Neither"),
        passage=row["premise"],
    )


def _sst2(row: Fields) -> Laid:
    return Laid(context=f"Text: {row['sentence']}\nLabel:", choices=(" positive", " negative"))


def _boolq(row: Fields) -> Laid:
    asked = row["question"].strip().removesuffix("?")
    return Laid(
        context=f"Passage: {row['passage']}\nQuestion: {asked}?\nAnswer:", choices=YES_NO, passage=row["passage"]
    )


def _copa(row: Fields) -> Laid:
    link = "because" if row["question"] == "cause" else "so"
    choices = tuple(f" {one[:1].lower()}{one[1:]}" if not _is_name(one) else f" {one}" for one in _copa_options(row))
    return Laid(context=f"{_without_stop(row['premise'])} {link}", choices=choices, passage=row["premise"])


def _copa_options(row: Fields) -> tuple[str, str]:
    return row["choice1"].strip(), row["choice2"].strip()


def _is_name(sentence: str) -> bool:
    """``I`` keeps its capital in the middle of a sentence. (COPA's sentences name nobody.)"""
    return sentence.split()[:1] in (["I"], ["I'm"], ["I've"], ["I'd"], ["I'll"])


def _wic(row: Fields) -> Laid:
    asked = f"Is the word '{row['word']}' used in the same sense in the two sentences above?"
    return Laid(
        context=f"{row['sentence1']}\n{row['sentence2']}\nQuestion: {asked}\nAnswer:",
        choices=YES_NO,
        passage=row["word"],
    )


def _qqp(row: Fields) -> Laid:
    asked = f"First: {row['question1']}\nSecond: {row['question2']}\nQuestion: Do both ask the same?\nAnswer:"
    return Laid(context=asked, choices=YES_NO)


_FLAGS = {"true": 0, "false": 1, "1": 0, "0": 1, "yes": 0, "no": 1}
_THREE = {"entailment": 0, "contradiction": 1, "neutral": 2}

BENCHMARKS: Mapping[str, Benchmark] = {
    one.name: one
    for one in (
        Benchmark(
            name="rte",
            title="RTE: does it follow from a passage",
            columns=PREMISE,
            labels={"entailment": 0, "contradiction": 1, "not_entailment": 1, "0": 0, "1": 1},
            pattern=_PAIR,
            lay=_rte,
        ),
        Benchmark(
            name="sst2",
            title="SST-2: is a review good or bad",
            columns={"sentence": ("sentence", "text")},
            labels={"good": 0, "bad": 1, "1": 0, "0": 1, "positive": 0, "negative": 1},
            pattern=r"Text: (?P<sentence>.*)",
            lay=_sst2,
            instruction="For each snippet of text, label the sentiment of the text as positive or negative.",
        ),
        Benchmark(
            name="boolq",
            title="BoolQ: yes or no from a passage",
            columns={"question": ("question",), "passage": ("passage",)},
            labels=_FLAGS,
            label_columns=("label", "answer"),
            pattern=r"question: (?P<question>[^\n]*)\npassage: (?P<passage>.*)",
            lay=_boolq,
        ),
        Benchmark(
            name="mnli",
            title="MNLI: follows, contradicts, or neither",
            columns=PREMISE,
            labels={**_THREE, "0": 0, "1": 2, "2": 1},
            label_columns=("label", "gold_label"),
            pattern=_PAIR,
            lay=_three_way,
        ),
        Benchmark(
            name="cb",
            title="CB: follows, contradicts, or neither",
            columns=PREMISE,
            labels={**_THREE, "0": 0, "1": 1, "2": 2},
            pattern=_PAIR,
            lay=_three_way,
        ),
        Benchmark(
            name="copa",
            title="COPA: the likelier cause or effect",
            columns={name: (name,) for name in ("premise", "choice1", "choice2", "question")},
            labels={"a": 0, "b": 1, "0": 0, "1": 1},
            pattern=r'Which sentence is the (?P<question>cause|effect) of "(?P<premise>[^\n]*)"\? Choose one between '
            r"A and B\.\nA: (?P<choice1>[^\n]*)\nB: (?P<choice2>[^\n]*)",
            lay=_copa,
        ),
        Benchmark(
            name="wic",
            title="WiC: one word, one sense or two",
            columns={name: (name,) for name in ("word", "sentence1", "sentence2")},
            labels=_FLAGS,
            pattern=r"word: (?P<word>[^\n]*)\n(?P<sentence1>[^\n]*)\n(?P<sentence2>[^\n]*)",
            lay=_wic,
        ),
        Benchmark(
            name="qqp",
            title="QQP: do two questions ask the same",
            columns={"question1": ("question1",), "question2": ("question2",)},
            labels=_FLAGS,
            label_columns=("label", "is_duplicate"),
            pattern=r"first sentence: (?P<question1>.*)\nsecond sentence: (?P<question2>.*)",
            lay=_qqp,
        ),
    )
}
"""Every set with fixed layout; HellaSwag, whose choices differ from row to row, is ``load_hellaswag``'s."""


def hellaswag_text(text: str) -> str:
    """A text of HellaSwag without the marks of its source, such as ``[title]``."""
    plain = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return re.sub(r" {2,}", " ", plain).strip()
