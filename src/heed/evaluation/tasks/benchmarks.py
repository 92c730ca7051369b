"""Classification sets (RTE, SST-2, BoolQ and others), HellaSwag, and any questions with choices a user brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from heed.errors import ConfigError, DataError, nearest
from heed.evaluation.tasks.benchmark_layouts import BENCHMARKS, Benchmark, Laid, hellaswag_text
from heed.evaluation.tasks.choices import Rule, choice_task, limited, numbered, with_drawn_shots
from heed.evaluation.tasks.items import Question, Task
from heed.evaluation.tasks.reading import field_error, find_file, place, read_rows, shown, texts_of
from heed.records import content_id

GROUP = "Language tasks"


def load_benchmark(
    directory: str | Path,
    name: str,
    *,
    shots: int = 0,
    train: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    rule: Rule = "token",
) -> Task:
    """One set of :data:`BENCHMARKS`: ``rte``, ``sst2``, ``boolq``, ``mnli``, ``cb``, ``copa``, ``wic`` or ``qqp``.

    Args:
        directory: with ``dev.jsonl``, ``{name}.jsonl``, ``validation.jsonl``, ``val.jsonl`` or ``dev.tsv``, plain or
            .gz, or the file itself: rows of ``task, input, output`` (those of other tasks are left out), or in the
            columns of GLUE and SuperGLUE.
        name: which set.
        shots: worked examples in front of each question; 15 in InstructGPT.
        train: where they are drawn from: a file, or a directory with ``train.jsonl``; without it from the same file,
            never the question's own passage.
        limit: at most so many questions.
        seed: of the choice of questions and of shots.
        rule: what makes a choice the answer.

    Raises:
        ConfigError: there is no such set.
        DataError: a file is not as expected, or has too few examples; with line and field.
    """
    known = BENCHMARKS.get(name)
    if known is None:
        raise ConfigError(f"benchmark is {name!r}, expected one of {', '.join(BENCHMARKS)}.{nearest(name, BENCHMARKS)}")
    path = _file(directory, name)
    every, unlabelled = _labelled(path, known)
    source = path if train is None else find_file(train, "train.jsonl", "train.tsv", f"{name}.jsonl")
    pool = every if train is None else _labelled(source, known)[0]
    return choice_task(
        f"{name}-{shots}shot",
        f"{known.title}, {_shots_said(shots)}",
        with_drawn_shots(limited(every, limit, seed), pool, shots, seed, str(source)),
        rule=rule,
        group=GROUP,
        source="InstructGPT appendix D" if name in ("rte", "sst2") else "Layout after Brown et al. 2020, appendix G",
        note=f"{unlabelled} rows without a label are left out." if unlabelled else "",
    )


def load_hellaswag(
    directory: str | Path,
    *,
    shots: int = 0,
    train: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    rule: Rule = "token",
) -> Task:
    """HellaSwag: which of four endings a paragraph has. Settings as for :func:`load_benchmark`.

    Rows have ``ctx, endings, label`` and may have ``activity_label`` and ``source_id``, as published.

    Raises:
        DataError: a file is not as expected; with line and field.
    """
    path = find_file(directory, "hellaswag_val.jsonl", "hellaswag.jsonl", "validation.jsonl", "val.jsonl")
    every = _hellaswag(path)
    pool, source = (every, path)
    if train is not None:
        source = find_file(train, "hellaswag_train.jsonl", "train.jsonl")
        pool = _hellaswag(source)
    return choice_task(
        f"hellaswag-{shots}shot",
        f"HellaSwag: the right ending, {_shots_said(shots)}",
        with_drawn_shots(limited(every, limit, seed), pool, shots, seed, str(source)),
        rule=rule,
        group=GROUP,
        source="Zellers et al. 2019; layout of InstructGPT appendix D",
        alone_after="",
    )


def load_choices(
    file: str | Path,
    *,
    name: str,
    title: str = "",
    instruction: str = "",
    shots: int = 0,
    train: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    rule: Rule = "token",
    group: str = GROUP,
    source: str = "",
) -> Task:
    """Any questions with choices: JSON lines of ``context``, ``choices`` and ``answer``.

    ``answer`` is the number of the right choice from 0, its text, or a list of these. A row may have ``id``,
    ``category``, and ``cluster`` for what it shares with others, such as a passage. A choice gets a blank in front
    unless the context ends, or the choice begins, with one.

    Args:
        file: the questions, plain or .gz.
        name: of the task; letters, digits and dashes.
        title: for people; the name if not given.
        instruction: in front of everything.
        shots: worked examples in front of each question.
        train: a file like the first where they are drawn from; without it from the same file.
        limit: at most so many questions.
        seed: of the choice of questions and of shots.
        rule: what makes a choice the answer.
        group: the heading it comes under.
        source: where it comes from.

    Raises:
        DataError: a row is not as above; with line and field.
    """
    path = Path(file)
    every = _general(path, instruction)
    pool = every if train is None else _general(Path(train), instruction)
    return choice_task(
        f"{name}-{shots}shot",
        f"{title or name}, {_shots_said(shots)}",
        with_drawn_shots(limited(every, limit, seed), pool, shots, seed, str(train or path)),
        rule=rule,
        group=group,
        source=source,
    )


# --- rows to questions


def _labelled(path: Path, known: Benchmark) -> tuple[list[Question], int]:
    """The questions of a set, and how many rows nobody labelled."""
    questions, unlabelled, others = [], 0, set()
    for number, row in read_rows(path, {}):
        one_text = "input" in row
        if one_text and row.get("task", known.name) != known.name:
            others.add(str(row["task"]))
            continue
        label = _label(path, number, row, ("output",) if one_text else known.label_columns)
        if label in ("-", "-1"):
            unlabelled += 1
            continue
        if label not in known.labels:
            expected = ", ".join(known.labels)
            raise DataError(f"{place(path, number)}: the label is {label!r}, expected one of {expected}")
        laid = known.lay(_fields(path, number, row, known))
        questions.append(_question(laid, known.labels[label], numbered(row, number), known.instruction))
    if not questions:
        seen = f"; it has {', '.join(sorted(others))}" if others else ""
        raise DataError(f"{path}: no labelled rows of {known.name!r}{seen}")
    return _unique(questions), unlabelled


def _fields(path: Path, number: int, row: Mapping[str, Any], known: Benchmark) -> dict[str, str]:
    if "input" in row:
        fields = known.fields_of(row["input"]) if isinstance(row["input"], str) else None
        if fields is None:
            expected = f"a text with {', '.join(known.columns)}"
            raise field_error(path, number, "input", f"is {shown(row['input'])}, expected {expected}")
        return fields
    fields = {}
    for name, names in known.columns.items():
        column = next((one for one in names if one in row), names[0])
        value = row.get(column)
        if not isinstance(value, str):
            problem = (
                f"is {shown(value)}, expected text" if column in row else f"is missing; there are {', '.join(row)}"
            )
            raise field_error(path, number, column, problem)
        fields[name] = value.strip()
    return fields


def _label(path: Path, number: int, row: Mapping[str, Any], names: Iterable[str]) -> str:
    names = tuple(names)
    column = next((one for one in names if one in row), None)
    if column is None:
        raise field_error(path, number, names[0], f"is missing; there are {', '.join(row) or 'no fields'}")
    if not isinstance(row[column], str | int | float):
        raise field_error(path, number, column, f"is {shown(row[column])}, expected a label")
    return str(row[column]).strip().lower()


def _question(laid: Laid, right: int, id: str, instruction: str) -> Question:
    return Question(
        id=id,
        context=laid.context,
        kind="choice",
        choices=laid.choices,
        right=(right,),
        cluster=content_id(laid.passage) if laid.passage else "",
        instruction=instruction,
    )


def _hellaswag(path: Path) -> list[Question]:
    questions = []
    for number, row in read_rows(path, {"ctx": str, "endings": list, "label": (int, str)}):
        endings = [hellaswag_text(one) for one in texts_of(path, number, row, "endings", least=2)]
        label = str(row["label"])
        if not label.isdecimal() or int(label) >= len(endings):
            raise field_error(path, number, "label", f"is {label!r}, expected 0 to {len(endings) - 1}")
        activity, parts = row.get("activity_label"), (row.get("ctx_a"), row.get("ctx_b"))
        text = row["ctx"]
        if all(isinstance(part, str) for part in parts):  # the second part begins a sentence, in small letters
            text = f"{parts[0]} {str(parts[1]).capitalize()}"
        context = hellaswag_text(text)
        questions.append(
            Question(
                id=numbered({"id": row.get("ind")}, number),
                context=f"{activity}: {context}" if isinstance(activity, str) and activity else context,
                kind="choice",
                choices=tuple(f" {ending}" for ending in endings),
                right=(int(label),),
                cluster=str(row.get("source_id") or ""),
                instruction="Complete each independent paragraph using common-sense reasoning.",
            )
        )
    return _unique(questions)


def _general(path: Path, instruction: str) -> list[Question]:
    questions = []
    for number, row in read_rows(path, {"context": str, "choices": list, "answer": (int, str, list)}):
        context, texts = row["context"], texts_of(path, number, row, "choices", least=2)
        answers = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
        right = tuple(dict.fromkeys(_place(path, number, answer, texts) for answer in answers))
        if not right:
            raise field_error(path, number, "answer", "is empty, expected the number of a choice from 0, or its text")
        if len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
            raise field_error(path, number, "choices", f"is {shown(texts)}, expected texts that differ, none empty")
        questions.append(
            Question(
                id=numbered(row, number),
                context=context,
                kind="choice",
                choices=tuple(text if context[-1:].isspace() or text[:1].isspace() else f" {text}" for text in texts),
                right=right,
                cluster=str(row.get("cluster") or ""),
                category=str(row.get("category") or ""),
                instruction=instruction,
            )
        )
    return _unique(questions)


def _place(path: Path, number: int, answer: object, texts: list[str]) -> int:
    if isinstance(answer, str) and answer in texts:
        return texts.index(answer)
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(texts):
        return answer
    expected = f"0 to {len(texts) - 1}, or the text of a choice"
    raise field_error(path, number, "answer", f"is {shown(answer)}, expected {expected}")


def _unique(questions: list[Question]) -> list[Question]:
    """Rows that share an id (the same number in two merged files) get their place as well."""
    seen: dict[str, int] = {}
    found = []
    for question in questions:
        seen[question.id] = seen.get(question.id, 0) + 1
        found.append(question if seen[question.id] == 1 else replace(question, id=f"{question.id}.{seen[question.id]}"))
    return found


def _file(directory: str | Path, name: str) -> Path:
    return find_file(directory, f"{name}.jsonl", "dev.jsonl", "validation.jsonl", "val.jsonl", f"{name}.tsv", "dev.tsv")


def _shots_said(shots: int) -> str:
    return "no shots" if shots == 0 else "1 shot" if shots == 1 else f"{shots} shots"
