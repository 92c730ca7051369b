"""Files of texts and what is to be made of each: summaries, translations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from heed.errors import ConfigError
from heed.evaluation.tasks.choices import limited
from heed.evaluation.tasks.choosing import examples_of
from heed.evaluation.tasks.items import Question, Shot
from heed.evaluation.tasks.reading import find_file, read_rows, texts_of
from heed.records import content_id


def load_pairs(
    file: str | Path,
    fields: tuple[str, str],
    layout: str,
    *,
    shots: int = 0,
    limit: int | None = None,
    seed: int = 0,
    examples: str | Path | None = None,
    instruction: str = "",
    separator: str = "\n\n",
    max_new_tokens: int = 128,
) -> tuple[Question, ...]:
    """Every row of a file as a question.

    Args:
        file: JSON lines, a JSON array or CSV.
        fields: the names of the text and of what is to be made of it; the latter a text, or a list of references.
        layout: of the text in front of the answer, ``{}`` in place of the text.
        shots: rows of ``examples`` in front of each question.
        limit: so many questions; all by default.
        seed: of the draws.
        examples: where the shots come from.
        instruction: in front of everything.
        separator: between the parts.
        max_new_tokens: of an answer.

    Raises:
        DataError: a file is missing or damaged; with line and field.
        ConfigError: shots without a file of examples, or more than it has.
    """
    questions = {one.id: one for one in _read(find_file(file), fields, layout)}
    worked: tuple[Shot, ...] = ()
    if shots:
        if examples is None:
            raise ConfigError(f"shots is {shots}, but there is no file of examples to take them from")
        fresh = [one for one in _read(find_file(examples), fields, layout) if one.id not in questions]
        worked = tuple(
            Shot(context=one.context, answer=f" {one.references[0]}")
            for one in examples_of(fresh, shots, seed, *fields)
        )
    built = [
        replace(one, shots=worked, instruction=instruction, separator=separator, max_new_tokens=max_new_tokens)
        for one in questions.values()
    ]
    return limited(built, limit, seed)


def _read(path: Path, fields: tuple[str, str], layout: str) -> list[Question]:
    text, made = fields
    found = []
    for number, row in read_rows(path, {text: str, made: (str, list)}):
        references = [row[made]] if isinstance(row[made], str) else texts_of(path, number, row, made)
        before, _, behind = layout.partition("{}")
        found.append(
            Question(
                id=content_id(row[text], references),
                cluster=content_id(row[text]),
                context=before + row[text].strip() + behind,
                kind="generate",
                references=tuple(one.strip() for one in references),
                category=str(row.get("category") or ""),
            )
        )
    return found
