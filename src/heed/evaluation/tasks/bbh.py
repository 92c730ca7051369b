"""BIG-Bench Hard: tasks on which early models were below people, answered directly or by a chain of thought.

Suzgun et al. 2022 (arXiv 2210.09261). Files: ``TASK.json`` (in ``tasks/`` or ``bbh/``, or by themselves) and
``cot-prompts/TASK.txt`` with the description of the task and three worked examples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from heed.errors import ConfigError, DataError, nearest
from heed.evaluation.tasks.choices import limited, macro
from heed.evaluation.tasks.choosing import check_mode, check_shots
from heed.evaluation.tasks.items import Marked, Metric, Question, Reply, Shot, Task, mark_each
from heed.evaluation.tasks.reading import read_rows
from heed.records import content_id

MODES = ("direct", "chain")
"""The answer alone, or a chain of thought that ends "So the answer is ANSWER."."""
_STEPS = "Let's think step by step."
_ANSWER = re.compile(r"answer is\b:?", re.IGNORECASE)
_END = re.compile(r"\.(?=\s|$)|\n")


def load_bbh(
    directory: str | Path,
    *,
    shots: int = 3,
    limit: int | None = None,
    seed: int = 0,
    mode: str = "direct",
    tasks: Sequence[str] = (),
) -> Task:
    """All tasks of a directory as one, each with its description and its own worked examples.

    Args:
        directory: with ``tasks/*.json`` (or ``bbh/*.json``) and ``cot-prompts/*.txt``.
        shots: 0 to 3 of the published examples; the paper uses all three.
        limit: so many questions, spread over the tasks; all by default.
        seed: of the draws.
        mode: ``"direct"`` or ``"chain"``.
        tasks: only these; all that are there by default.

    Raises:
        DataError: a file is missing or damaged; with the place.
        ConfigError: an unknown mode or task, or a number that makes no sense.
    """
    check_mode(mode, MODES)
    check_shots(shots, 3)
    files = _files(Path(directory), tasks)
    questions: list[Question] = []
    for name, path in files.items():
        description, examples = read_prompt(Path(directory) / "cot-prompts" / f"{name}.txt")
        rows = [(row["input"], row["target"]) for _, row in read_rows(path, _FIELDS, "json", inside="examples")]
        shown = tuple(_shot(question, answer, mode) for question, answer in examples[:shots])
        questions += _questions(name, rows, description, shown, mode)
    return Task(
        name=f"bbh-{mode}-{shots}shot",
        title=f"BIG-Bench Hard, {'answer alone' if mode == 'direct' else 'chain of thought'}, {shots} examples",
        questions=limited(questions, limit, seed),
        mark=_mark,
        metrics=(
            Metric(name="exact_match", title="exact match"),
            Metric(name="by_task", title="exact match, mean over tasks", statistic=macro("exact_match")),
            Metric(name="answered", title="gives an answer in the form asked for", better="none"),
        ),
        group="Reasoning",
        source="Suzgun et al. 2022",
        note=f"{len(files)} tasks; the paper's figure is the mean over tasks",
    )


_FIELDS = {"input": str, "target": str}


def read_prompt(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """The description of a task, and its worked examples as question and solution.

    Raises:
        DataError: the file is missing, or is not of the published form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected the worked examples of the task") from error
    body = text.partition("-----\n")[2] or text  # in front of the line stands the canary
    description, *parts = re.split(r"(?:\n|^)Q: ", body.strip())
    examples = []
    for number, part in enumerate(parts, start=1):
        question, mark, solution = part.partition(f"\nA: {_STEPS}")
        if not mark or answer_in(solution) is None:
            raise DataError(
                f"{path}, example {number}: not of the form 'Q: ...', 'A: {_STEPS}', '... So the answer is ...'"
            )
        examples.append((question.strip(), solution.strip()))
    if not examples:
        raise DataError(f"{path}: no worked examples, expected some that begin with 'Q: '")
    return description.strip(), examples


def answer_in(solution: str) -> str | None:
    """What stands behind the last "answer is" of a chain of thought, up to the full stop or the end of the line."""
    *_, last = [None, *_ANSWER.finditer(solution)]
    return None if last is None else _END.split(solution[last.end() :].strip())[0].strip() or None


def _files(directory: Path, tasks: Sequence[str]) -> dict[str, Path]:
    place = next((directory / name for name in ("tasks", "bbh") if (directory / name).is_dir()), directory)
    files = {path.stem: path for path in sorted(place.glob("*.json"))}
    if not files:
        raise DataError(f"{directory}: no tasks/*.json or bbh/*.json in this directory")
    for name in tasks:
        if name not in files:
            raise ConfigError(f"there is no task {name!r} in {place}.{nearest(name, files)}")
    return {name: path for name, path in files.items() if not tasks or name in tasks}


def _shot(question: str, solution: str, mode: str) -> Shot:
    if mode == "chain":
        return Shot(context=f"Q: {question}\nA: {_STEPS}", answer=f"\n{solution}")
    return Shot(context=f"Q: {question}\nA:", answer=f" {answer_in(solution)}")


def _questions(
    name: str, rows: Sequence[tuple[str, str]], description: str, shots: tuple[Shot, ...], mode: str
) -> list[Question]:
    return [
        Question(
            id=f"{name}-{content_id(asked)}",
            context=f"Q: {asked}\nA:" + (f" {_STEPS}" if mode == "chain" else ""),
            kind="generate",
            instruction=description,
            shots=shots,
            references=(target,),
            stop=("\n\n", "\nQ:") if mode == "chain" else ("\n",),
            max_new_tokens=400 if mode == "chain" else 64,
            category=name,
            meta={"mode": mode},
        )
        for asked, target in dict(rows).items()
    ]


def _mark(questions: Sequence[Question], replies: Sequence[Reply]) -> list[Marked]:
    return mark_each(questions, replies, _metrics)


def _metrics(question: Question, reply: Reply) -> Mapping[str, float]:
    chain = question.meta.get("mode") == "chain"
    answer = answer_in(reply.text) if chain else (reply.text.strip() or None)
    right = answer is not None and _same(answer, question.references[0])
    return {"exact_match": float(right), "answered": float(answer is not None)}


def _same(answer: str, target: str) -> bool:
    """Letter for letter but for case of letters, blanks around, and a full stop behind."""
    return answer.strip().removesuffix(".").casefold() == target.strip().casefold()
