"""PandaLM's human pairs (Wang et al. 2023, arXiv 2306.05087): two answers, judged by three annotators.

Each annotator says 1 or 2 for the better response, or 0 for a tie.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from heed.data.formats.instructions import task_of, task_prompt
from heed.data.lines import Row, read_rows, write_rows
from heed.errors import DataError
from heed.records import Completion, Json, Ranking

SOURCE = "pandalm"
_TIERS = {0: (0, 0), 1: (0, 1), 2: (1, 0)}
_ANNOTATOR = "annotator"


def read(path: Path) -> Iterator[Ranking]:
    """Of each line one ranking for each annotator, who is the labeler ``"pandalm/annotator1"``, ...

    Raises:
        DataError: a missing field, or a judgement that names an answer which is not there.
    """
    for row in read_rows(path):
        annotators = sorted(name for name in row.value if name.startswith(_ANNOTATOR))
        if not annotators:
            raise row.error("no annotator, expected the fields 'annotator1', 'annotator2', ...")
        prompt = task_prompt(row, row.text("instruction"), row.text_or("input"), SOURCE)
        first, _, second = row.text_or("cmp_key").partition("_")
        policies = (first, second) if second and "_" not in second else ("", "")
        texts = _response(row, "response1"), _response(row, "response2")
        completions = [Completion(text=text, policy=policy) for text, policy in zip(texts, policies, strict=True)]
        for name in annotators:
            choice = row.integer(name)
            if choice not in _TIERS:
                raise row.error(f"{name} names answer {choice}, but there are answers 1 and 2 only (0 is a tie)")
            yield row.ranking(prompt, completions, _TIERS[choice], labeler=f"{SOURCE}/{name}")


def write(path: Path, records: Iterable[object]) -> int:
    """Write rankings of two answers; how many lines. Judgements of one pair that follow each other share a line."""
    pairs = groupby(map(_checked, records), key=lambda ranking: (ranking.prompt, ranking.completions))
    return write_rows(path, (_row(index, list(group)) for index, (_, group) in enumerate(pairs)))


def _response(row: Row, name: str) -> str:
    """The text of a response; where the published file has the bare word true or false, that word."""
    value = row.value.get(name)
    return str(value) if isinstance(value, bool) else row.text(name)


def _row(index: int, judgements: list[Ranking]) -> dict[str, Json]:
    task = task_of(judgements[0].prompt)
    first, second = judgements[0].completions
    choices = {tiers: choice for choice, tiers in _TIERS.items()}
    return {
        "idx": index,
        "cmp_key": f"{first.policy}_{second.policy}" if first.policy and second.policy else "",
        "instruction": task.instruction,
        "input": task.input,
        "response1": first.text,
        "response2": second.text,
        **{f"{_ANNOTATOR}{number}": choices[_pair(ranking)] for number, ranking in enumerate(judgements, 1)},
    }


def _pair(ranking: Ranking) -> tuple[int, int]:
    first, second = ranking.tiers
    return first, second


def _checked(record: object) -> Ranking:
    if not isinstance(record, Ranking) or len(record.completions) != 2:
        what = f"a ranking of {len(record.completions)}" if isinstance(record, Ranking) else type(record).__name__
        raise DataError(f"pandalm holds rankings of two answers, {what} cannot be written in it")
    return record
