"""Super-NaturalInstructions (Wang et al. 2022, arXiv 2204.07705): one JSON file for each task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from heed.data.formats.instructions import answered, task_of, task_prompt
from heed.data.lines import Row, read_document
from heed.errors import DataError
from heed.files import write_json
from heed.records import Demonstration, Json, Prompt

SOURCE = "natural-instructions"


def read(path: Path, num_examples: int = 0) -> Iterator[Prompt | Demonstration]:
    """The instances of a task file, or of all task files in a directory, as demonstrations.

    The prompt is the definition, then ``num_examples`` of the task's positive examples, then the input. An instance
    with several outputs is demonstrated by the first; all of them are in the prompt's ``meta["references"]``.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: no task files in this directory, expected *.json")
    for file in files:
        yield from _read_task(file, read_document(file), num_examples)


def write(path: Path, records: Iterable[object]) -> int:
    """Write one file for each task into the directory ``path``; how many instances."""
    tasks: dict[str, list[Demonstration]] = {}
    for record in records:
        if not isinstance(record, Demonstration):
            raise DataError(
                f"natural-instructions holds demonstrations, a {type(record).__name__.lower()} cannot be written in it"
            )
        task = record.prompt.meta.get("task")
        tasks.setdefault(task if isinstance(task, str) else record.prompt.id, []).append(record)
    for name, demonstrations in tasks.items():
        write_json(path / f"{name}.json", _task_json(name, demonstrations))
    return sum(map(len, tasks.values()))


def _read_task(file: Path, task: Row, num_examples: int) -> Iterator[Prompt | Demonstration]:
    definition = "\n".join(_one_or_more(task, "Definition"))
    categories = _one_or_more(task, "Categories") if task.has("Categories") else []
    for example in task.rows("Positive Examples")[:num_examples] if num_examples else ():
        output = " ".join(_one_or_more(example, "output"))
        definition += f"\n\nInput: {example.text('input')}\nOutput: {output}"
    for instance in task.rows("Instances"):
        outputs = _one_or_more(instance, "output")
        references: list[Json] = list(outputs) if len(outputs) > 1 else []
        prompt = task_prompt(
            instance,
            definition,
            instance.text("input"),
            SOURCE,
            category=categories[0] if categories else "",
            task=file.stem,
            instance=instance.text_or("id"),
            references=references,
        )
        yield answered(prompt, outputs[0] if outputs else "")


def _one_or_more(row: Row, name: str) -> list[str]:
    """A field that is text or a list of texts."""
    return [row.text(name)] if isinstance(row.value.get(name), str) else row.texts(name)


def _task_json(name: str, demonstrations: list[Demonstration]) -> dict[str, Json]:
    prompt = demonstrations[0].prompt
    instances: list[Json] = []
    for index, demonstration in enumerate(demonstrations):
        meta = demonstration.prompt.meta
        instances.append(
            {
                "id": meta.get("instance") or f"{name}-{index}",
                "input": task_of(demonstration.prompt).input,
                "output": meta.get("references") or [demonstration.completion.text],
            }
        )
    return {
        "Categories": [prompt.category] if prompt.category else [],
        "Definition": [task_of(prompt).instruction],
        "Positive Examples": [],
        "Negative Examples": [],
        "Instances": instances,
    }
