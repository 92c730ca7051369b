"""Instructions with an optional input: self-instruct (Wang et al. 2022, arXiv 2212.10560) and Alpaca.

The prompt is the instruction, an empty line, the input. A row whose answer is empty is a prompt, not a demonstration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from heed.data.lines import Row, read_rows, write_rows
from heed.errors import DataError
from heed.records import Completion, Demonstration, Json, Message, Prompt, content_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An instruction and the input it is about, which may be empty."""

    instruction: str
    input: str


def task_prompt(row: Row, instruction: str, text: str, source: str, category: str = "", **meta: Json) -> Prompt:
    """The prompt of an instruction and its input; :func:`task_of` takes it apart again."""
    instruction, text = instruction.strip(), text.strip()
    content = f"{instruction}\n\n{text}" if text else instruction
    about = {**({"input": text} if text else {}), **{name: value for name, value in meta.items() if value}}
    return row.prompt([Message(role="user", content=content)], source=source, category=category, meta=about)


def task_of(prompt: Prompt) -> Task:
    """The instruction and input that a prompt was made from; of any other prompt, its text and no input."""
    text = prompt.meta.get("input")
    if isinstance(text, str) and text and prompt.text.endswith(f"\n\n{text}"):
        return Task(instruction=prompt.text.removesuffix(f"\n\n{text}"), input=text)
    return Task(instruction=prompt.text, input="")


def answered(prompt: Prompt, answer: str) -> Prompt | Demonstration:
    """A demonstration, or the prompt alone if the answer is empty."""
    answer = answer.strip()
    return Demonstration(prompt=prompt, completion=Completion(text=answer)) if answer else prompt


def read_alpaca(path: Path) -> Iterator[Prompt | Demonstration]:
    """Rows of ``instruction``, ``input`` (may be missing) and ``output``, as JSON lines or one array."""
    for row in read_rows(path):
        prompt = task_prompt(row, row.text("instruction"), row.text_or("input"), "alpaca")
        yield answered(prompt, row.text("output"))


def write_alpaca(path: Path, records: Iterable[object]) -> int:
    """Write demonstrations, and prompts with an empty output; how many."""
    return write_rows(path, (_alpaca_row(record) for record in records))


def read_self_instruct(path: Path) -> Iterator[Prompt | Demonstration]:
    """Seed tasks and user-oriented tasks (``instances``), or model predictions (``model``, ``response``).

    Each instance is one demonstration. A prediction names its model as the completion's policy: it is an answer to
    compare or to judge, not one that a person wrote, and may be empty.
    """
    for row in read_rows(path):
        instruction = row.text("instruction")
        if row.has("response"):
            prompt = task_prompt(row, instruction, row.text_or("input"), "self-instruct")
            completion = Completion(text=row.text("response").strip(), policy=row.text_or("model"))
            yield Demonstration(prompt=prompt, completion=completion)
            continue
        category = "classification" if row.value.get("is_classification") else ""
        task, app = row.text_or("id"), row.text_or("motivation_app")
        for instance in row.rows("instances"):
            text = instance.text_or("input")
            prompt = task_prompt(instance, instruction, text, "self-instruct", category, task=task, app=app)
            yield answered(prompt, instance.text("output"))


def write_self_instruct(path: Path, records: Iterable[object]) -> int:
    """Write tasks with their instances, and answers of models as predictions; how many lines.

    Instances of one instruction that follow each other become one task.
    """
    return write_rows(path, _self_instruct_rows(records))


def _self_instruct_rows(records: Iterable[object]) -> Iterator[dict[str, Json]]:
    for (instruction, policy), group in groupby(map(_parts, records), key=lambda p: (p.task.instruction, p.policy)):
        parts = list(group)
        if policy:
            for part in parts:
                layout = f"{instruction}\n\nInput: {part.task.input}\nOutput:"
                yield {
                    "model": policy,
                    "prompt": layout if part.task.input else f"{instruction}\n\nOutput:",
                    "instruction": instruction,
                    "input": part.task.input,
                    "response": part.answer,
                }
            continue
        meta, category = parts[0].prompt.meta, parts[0].prompt.category
        app = {"motivation_app": meta["app"]} if meta.get("app") else {}
        yield {
            "id": meta.get("task") or content_id(instruction),
            **app,
            "instruction": instruction,
            "instances": [{"input": part.task.input, "output": part.answer} for part in parts],
            "is_classification": category == "classification",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What both formats need to know of a record."""

    prompt: Prompt
    task: Task
    answer: str
    policy: str


def _parts(record: object) -> _Parts:
    if isinstance(record, Prompt):
        return _Parts(prompt=record, task=task_of(record), answer="", policy="")
    if isinstance(record, Demonstration):
        completion = record.completion
        task = task_of(record.prompt)
        return _Parts(prompt=record.prompt, task=task, answer=completion.text, policy=completion.policy)
    raise DataError(
        f"alpaca and self-instruct hold demonstrations, a {type(record).__name__.lower()} cannot be written in them"
    )


def _alpaca_row(record: object) -> dict[str, Json]:
    parts = _parts(record)
    return {"instruction": parts.task.instruction, "input": parts.task.input, "output": parts.answer}
