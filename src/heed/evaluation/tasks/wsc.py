"""WSC: whom does a pronoun mean? Answered in words, as InstructGPT's appendix D does it.

A row says whether a pronoun means a certain noun. The model is asked whom it means; its answer counts as "yes, that
noun" if it contains the noun or is contained in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heed.evaluation.tasks.choices import limited, numbered, with_drawn_shots
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Task, mark_each
from heed.evaluation.tasks.reading import check_field, field_error, find_file, read_rows, shown
from heed.records import content_id

INSTRUCTION = (
    "Final Exam with Answer Key\n"
    "Instructions: Please carefully read the following passages. For each passage, you must identify which noun the "
    "pronoun marked in bold refers to."
)


def load_wsc(
    directory: str | Path, *, shots: int = 0, train: str | Path | None = None, limit: int | None = None, seed: int = 0
) -> Task:
    """The Winograd schemas of SuperGLUE.

    Args:
        directory: with ``val.jsonl`` (``text, target {span1_text, span2_text, span2_index}, label``), or such a file.
        shots: worked examples, of rows whose noun is the right one; 15 in InstructGPT.
        train: where they are drawn from; without it from the same file, never the question's own passage.
        limit: at most so many questions.
        seed: of the choice of questions and of shots.

    Raises:
        DataError: a row is not as published, or there are too few examples; with line and field.
    """
    path = find_file(directory, "val.jsonl", "validation.jsonl", "dev.jsonl", "wsc.jsonl")
    every = _read(path)
    source = path if train is None else find_file(train, "train.jsonl", "val.jsonl")
    pool = [one for one in (every if train is None else _read(source)) if one.meta["label"]]
    share = sum(bool(one.meta["label"]) for one in every) / len(every)
    return Task(
        name=f"wsc-{shots}shot",
        title=f"WSC: whom a pronoun means, {shots} shots",
        questions=with_drawn_shots(limited(every, limit, seed), pool, shots, seed, str(source)),
        mark=_mark,
        metrics=(Metric(name="accuracy", title="Accuracy"),),
        group="Language tasks",
        source="InstructGPT appendix D; Levesque et al. 2012, SuperGLUE",
        note=f"An answer that names neither noun counts as the other one. Always the other one: {1 - share:.1%}.",
    )


def names_noun(answer: str, noun: str) -> bool:
    """Whether an answer contains the noun or is contained in it, without regard to capitals and articles."""
    a, b = _plain(answer), _plain(noun)
    return bool(a and b) and (f" {b} " in f" {a} " or f" {a} " in f" {b} ")


def _plain(text: str) -> str:
    words = re.findall(r"[\w'’-]+", text.lower())
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def _mark(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    return mark_each(questions, replies, _metrics)


def _metrics(question: Question, reply: Reply) -> Mapping[str, float]:
    said = names_noun(reply.text, question.references[0])
    return {"accuracy": float(said == question.meta["label"])}


def _read(path: Path) -> list[Question]:
    questions = []
    for number, row in read_rows(path, {"text": str, "target": dict, "label": bool}):
        target = row["target"]
        for name, wanted in (("span1_text", str), ("span2_text", str), ("span2_index", int)):
            check_field(path, number, target, name, wanted)
        text = _marked_passage(path, number, row["text"], target)
        asked = f'In the passage above, what does the pronoun "*{target["span2_text"].strip()}*" refer to?'
        context = f"Passage: {text}\nQuestion: {asked}\nAnswer:"
        questions.append(
            Question(
                id=numbered(row, number),
                context=context,
                kind="generate",
                cluster=content_id(" ".join(row["text"].split())),
                instruction=INSTRUCTION,
                choices=(f" {target['span1_text'].strip()}",),  # what a shot answers
                right=(0,),
                references=(target["span1_text"].strip(),),
                max_new_tokens=16,
                meta={"label": row["label"]},
            )
        )
    return questions


def _marked_passage(path: Path, number: int, text: str, target: Mapping[str, Any]) -> str:
    """The passage with stars around the pronoun, which stands at a word counted from 0."""
    words, index, pronoun = text.split(), target["span2_index"], target["span2_text"].strip()
    length = len(pronoun.split())
    found = " ".join(words[index : index + length]) if index >= 0 else ""
    if not pronoun or pronoun.lower() not in found.lower():
        problem = f"is {index}, where the passage has {shown(found)}, expected the word {pronoun!r}"
        raise field_error(path, number, "span2_index", problem)
    start = found.lower().index(pronoun.lower())
    bold = f"{found[:start]}*{found[start : start + len(pronoun)]}*{found[start + len(pronoun) :]}"
    return " ".join([*words[:index], bold, *words[index + length :]])
