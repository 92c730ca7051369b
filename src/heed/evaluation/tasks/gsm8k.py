"""GSM8K: word problems of grade-school mathematics, answered by a worked solution that ends on a number.

Cobbe et al. 2021 (arXiv 2110.14168); worked examples after Wei et al. 2022 (arXiv 2201.11903), without examples after
Kojima et al. 2022 (arXiv 2205.11916). Files: ``test.jsonl`` and, for worked examples, ``train.jsonl``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from heed.evaluation.tasks.choices import limited
from heed.evaluation.tasks.choosing import check_mode, examples_of
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Shot, Task, mark_each
from heed.evaluation.tasks.reading import field_error, find_file, read_rows
from heed.evaluation.tasks.text_metrics import final_number
from heed.records import content_id

MODES = ("chain", "direct")
"""A worked solution, or the number alone."""
_CALCULATOR = re.compile(r"<<[^>]*>>")


def load_gsm8k(
    directory: str | Path, *, shots: int = 0, limit: int | None = None, seed: int = 0, mode: str = "chain"
) -> Task:
    """The test questions, with ``shots`` solutions drawn from the training file in front of each.

    Args:
        directory: where ``test.jsonl`` and ``train.jsonl`` are, plain or gzip; with no shots the file itself will do.
        shots: worked examples; Wei et al. use 8. Without any, "Let's think step by step." asks for the steps.
        limit: so many questions; all by default.
        seed: of the draws.
        mode: ``"chain"``, or ``"direct"`` for the number alone.

    Raises:
        DataError: a file is missing or damaged; with file, line and field.
        ConfigError: an unknown mode, or a number that makes no sense.
    """
    check_mode(mode, MODES)
    rows = _rows(find_file(directory, "test.jsonl"))
    examples: list[Shot] = []
    if shots:
        train = _rows(find_file(directory, "train.jsonl"))
        examples = [
            Shot(context=_asked(question), answer=" " + (worked(answer) if mode == "chain" else _number_of(answer)))
            for question, answer in examples_of(train, shots, seed, "gsm8k")
        ]
    steps = " Let's think step by step." if mode == "chain" and not shots else ""
    questions = tuple(
        Question(
            id=content_id(question),
            context=_asked(question) + steps,
            kind="generate",
            shots=tuple(examples),
            references=(_number_of(answer),),
            stop=("\nQuestion:", "\n\nQ:") if mode == "chain" else ("\n",),
            max_new_tokens=320 if mode == "chain" else 24,
            meta={"question": question},
        )
        for question, answer in rows
    )
    return Task(
        name=f"gsm8k-{mode}-{shots}shot",
        title=f"GSM8K, {'worked solution' if mode == 'chain' else 'number alone'}, {shots} examples",
        questions=limited(questions, limit, seed),
        mark=_mark,
        metrics=(
            Metric(name="right", title="right number"),
            Metric(name="numbered", title="ends on a number", better="none"),
        ),
        group="Mathematics",
        source="Cobbe et al. 2021",
        note="right if the number after the last '####' or 'answer is', else the last number, equals the published one",
    )


def worked(answer: str) -> str:
    """A published solution as a worked example: without calculator marks, ending ``The answer is 18.``."""
    steps, _, number = _CALCULATOR.sub("", answer).partition("####")
    return f"{steps.strip()}\nThe answer is {number.strip()}."


def _asked(question: str) -> str:
    return f"Question: {question.strip()}\nAnswer:"


def _number_of(answer: str) -> str:
    return answer.rpartition("####")[2].strip()


def _rows(path: Path) -> list[tuple[str, str]]:
    rows: dict[str, tuple[str, str]] = {}
    for number, row in read_rows(path, {"question": str, "answer": str}):
        question, answer = row["question"], row["answer"]
        if "####" not in answer or final_number(_number_of(answer)) is None:
            raise field_error(path, number, "answer", "does not end on '#### NUMBER'")
        rows.setdefault(question, (question, answer))
    return list(rows.values())


def _mark(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    return mark_each(questions, replies, _metrics, lambda _, reply: {"number": _text(reply.text)})


def _metrics(question: Question, reply: Reply) -> Mapping[str, float]:
    found = final_number(reply.text)
    return {"right": float(found == final_number(question.references[0])), "numbered": float(found is not None)}


def _text(text: str) -> str | None:
    number = final_number(text)
    return None if number is None else str(number)
