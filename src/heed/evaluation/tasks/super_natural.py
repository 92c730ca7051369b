"""Super-NaturalInstructions: unseen tasks from a definition and worked examples, in the layout of Tk-Instruct.

Wang et al. 2022 (arXiv 2204.07705). Files: ``TASK.json`` with ``Definition``, ``Positive Examples`` and ``Instances``,
in a directory or its folder ``tasks/``; ``official_test_tasks.txt`` (or ``test_tasks.txt``) names the test tasks.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from heed.errors import ConfigError, DataError, nearest
from heed.evaluation.tasks.choices import limited, macro
from heed.evaluation.tasks.choosing import check_mode
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Shot, Task, mark_each
from heed.evaluation.tasks.reading import find_file, shown
from heed.evaluation.tasks.text_metrics import Stem, best_rouge_l
from heed.files import read_json
from heed.records import content_id

MODES = ("test", "all")
"""The tasks of the official test split that are there, or every task that is there."""
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def load_super_natural(
    directory: str | Path,
    *,
    shots: int = 2,
    limit: int | None = None,
    seed: int = 0,
    mode: str = "test",
    tasks: Sequence[str] = (),
    stem: Stem | None = None,
) -> Task:
    """Instances of many tasks, each under its task's definition.

    Args:
        directory: where the task files are.
        shots: positive examples in front of each instance, the first of the file; Tk-Instruct uses two.
        limit: so many instances, spread over the tasks (the paper uses 100 of each); all by default.
        seed: of the draws.
        mode: ``"test"`` for the tasks that the official list names, ``"all"``.
        tasks: only these, whatever the mode.
        stem: of words for ROUGE-L; see ``rouge_words``. The paper stems.

    Raises:
        DataError: a file is missing or damaged; with file and field.
        ConfigError: an unknown mode or task, or a number that makes no sense.
    """
    check_mode(mode, MODES)
    if shots < 0:
        raise ConfigError(f"shots is {shots}, expected 0 or more")
    questions: list[Question] = []
    files = _files(Path(directory), mode, tasks)
    for name, path in files.items():
        questions += _questions(name, path, shots)
    return Task(
        name=f"super-natural-{mode}-{shots}shot",
        title=f"Super-NaturalInstructions, {len(files)} tasks, definition and {shots} examples",
        questions=limited(questions, limit, seed),
        mark=partial(_mark, stem),
        metrics=(
            Metric(name="rouge_l", title="ROUGE-L"),
            Metric(name="by_task", title="ROUGE-L, mean over tasks", statistic=macro("rouge_l")),
            Metric(name="exact_match", title="exact match"),
        ),
        group="Instructions",
        source="Wang et al. 2022",
        note=f"ROUGE-L with{'out' if stem is None else ''} stemming (the paper stems); the first line of the answer "
        "where no reference has two",
    )


def _files(directory: Path, mode: str, tasks: Sequence[str]) -> dict[str, Path]:
    place = directory / "tasks" if (directory / "tasks").is_dir() else directory
    files = {path.stem: path for path in sorted(place.glob("*.json"))}
    if not files:
        raise DataError(f"{directory}: no task files (*.json) in this directory or its folder tasks")
    for name in tasks:
        if name not in files:
            raise ConfigError(f"there is no task {name!r} in {place}.{nearest(name, files)}")
    if tasks:
        return {name: files[name] for name in tasks}
    if mode == "all":
        return files
    listed = find_file(directory, "official_test_tasks.txt", "test_tasks.txt")
    wanted = set(listed.read_text(encoding="utf-8").split())
    chosen = {name: path for name, path in files.items() if name in wanted}
    if not chosen:
        raise DataError(f"{place}: none of the {len(files)} tasks there is among the {len(wanted)} of {listed}")
    return chosen


def _questions(name: str, path: Path, shots: int) -> list[Question]:
    task = read_json(path)
    if not isinstance(task, Mapping):
        raise DataError(f"{path}: {shown(task)}, expected an object with Definition, Positive Examples and Instances")
    definition = _definition(path, task)
    examples = [_example(path, index, row) for index, row in enumerate(_list(path, task, "Positive Examples"))]
    rows = [_instance(path, index, row) for index, row in enumerate(_list(path, task, "Instances"))]
    lines = any("\n" in one.strip() for _, outputs in rows for one in outputs)
    shown_shots = tuple(
        Shot(context=f" Positive Example {number} -\nInput: {_ended(asked)}\n Output:", answer=f" {_ended(answer)}")
        for number, (asked, answer) in enumerate(examples[:shots], start=1)
    )
    categories = task.get("Categories")
    kinds = categories if isinstance(categories, Sequence) and not isinstance(categories, str) else []
    return [
        Question(
            id=f"{name}-{content_id(asked)}",
            context=f"Now complete the following example -\nInput: {_ended(asked)}\nOutput:",
            kind="generate",
            instruction=f"Definition: {_ended(definition)}",
            shots=shown_shots,
            references=tuple(outputs),
            stop=("\n\n",) if lines else ("\n",),
            max_new_tokens=128,
            category=name,
            meta={"kinds": list(kinds)},
        )
        for asked, outputs in dict(rows).items()
    ]


def _ended(text: str) -> str:
    """With a full stop behind it where no punctuation ends it, as Tk-Instruct's collator does."""
    text = text.strip()
    return text if text and text[-1] in string.punctuation else text + "."


def _definition(path: Path, task: Mapping[str, Any]) -> str:
    given = task.get("Definition")
    first = given[0] if isinstance(given, list) and given else given
    if not isinstance(first, str) or not first.strip():
        raise DataError(f"{path}: field 'Definition' is {shown(given)}, expected text, or a list of it")
    return first


def _list(path: Path, task: Mapping[str, Any], name: str) -> list[Any]:
    value = task.get(name)
    if not isinstance(value, list):
        raise DataError(f"{path}: field {name!r} is {shown(value)}, expected a list")
    return value


def _example(path: Path, index: int, row: Any) -> tuple[str, str]:
    output = row.get("output") if isinstance(row, Mapping) else None
    first = output[0] if isinstance(output, list) and output else output
    if not isinstance(first, str) or not isinstance(row["input"], str):
        raise DataError(f"{path}: 'Positive Examples', item {index + 1} is {shown(row)}, expected input and output")
    return row["input"], first


def _instance(path: Path, index: int, row: Any) -> tuple[str, tuple[str, ...]]:
    if not isinstance(row, Mapping) or not isinstance(row.get("input"), str):
        raise DataError(f"{path}: 'Instances', item {index + 1} is {shown(row)}, expected input and output")
    given = row.get("output")
    outputs = given if isinstance(given, list) else [given]
    if not outputs or not all(isinstance(one, str) for one in outputs):
        raise DataError(f"{path}: 'Instances', item {index + 1}: output is {shown(given)}, expected a list of texts")
    return row["input"], tuple(outputs)


def _mark(stem: Stem | None, questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    return mark_each(questions, replies, partial(_metrics, stem))


def _metrics(stem: Stem | None, question: Question, reply: Reply) -> Mapping[str, float]:
    normal = _normal(reply.text)
    return {
        "rouge_l": best_rouge_l(reply.text, question.references, stem),
        "exact_match": float(any(normal == _normal(one) for one in question.references)),
    }


def _normal(text: str) -> str:
    """Lower case, without punctuation, one blank between words: the normal form of the paper's evaluation."""
    return " ".join(text.lower().translate(_PUNCTUATION).split())
