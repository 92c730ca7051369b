"""All tasks that a directory of published data sets allows, in the order in which a report shows them.

A set lies in a directory of its own, under the name by which it is known (``truthfulqa``, ``mmlu``, ...), in the files
as they were published. What is not there is left out, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from heed.errors import ConfigError, nearest
from heed.evaluation.calibration import lettered
from heed.evaluation.tasks.bbh import load_bbh
from heed.evaluation.tasks.bbh_choices import load_bbh_choices
from heed.evaluation.tasks.benchmarks import load_benchmark, load_choices, load_hellaswag
from heed.evaluation.tasks.crows_pairs import load_crows_pairs
from heed.evaluation.tasks.gsm8k import load_gsm8k
from heed.evaluation.tasks.items import Task, TextScorer
from heed.evaluation.tasks.mmlu import load_mmlu
from heed.evaluation.tasks.prefixes import PrefixMode
from heed.evaluation.tasks.reading import find_file, read_rows
from heed.evaluation.tasks.reading_comprehension import load_reading_comprehension
from heed.evaluation.tasks.summaries import load_summaries
from heed.evaluation.tasks.super_natural import load_super_natural
from heed.evaluation.tasks.toxicity import load_toxicity
from heed.evaluation.tasks.translation import load_translation
from heed.evaluation.tasks.truthfulqa import Mode, load_truthfulqa
from heed.evaluation.tasks.truthfulqa_written import load_truthfulqa_written
from heed.evaluation.tasks.winogender import load_winogender
from heed.evaluation.tasks.wsc import load_wsc

SETS = ("rte", "sst2", "boolq", "mnli", "cb", "copa", "wic", "qqp")
"""Of ``nlp-benchmarks``, and each by itself in a directory of its name."""
SHARED = ("nlp-benchmarks", "nlp-benchmarks-sample")
"""Directories with one file for several sets."""
PREFIX_MODES: tuple[PrefixMode, ...] = ("basic", "respectful", "biased")
MOST_SHOTS = {"mmlu": 5, "bbh": 3}
"""Examples that come with a set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is the same for all tasks."""

    shots: tuple[int, ...] = (0,)
    """Tasks with worked examples are there once for each number; a set that has fewer shows as many as it has."""
    limit: int | None = None
    """Questions of each task; None: all."""
    seed: int = 0
    """Of the choice of questions and shots."""
    toxicity: TextScorer | None = None
    """A word list if not given."""
    truth: TextScorer | None = None
    """Similarity to published answers if not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Tasks that are ready, and why others are not."""

    tasks: tuple[Task, ...] = ()
    left_out: tuple[str, ...] = ()


Load: TypeAlias = Callable[[Path, Options], Iterator[Task]]


def load_suite(data: Path, wanted: Sequence[str], options: Options) -> Suite:
    """Read the tasks of a directory.

    Args:
        data: the directory with a directory for each set.
        wanted: names of tasks, or how they begin; empty: all.
        options: for all of them.

    Raises:
        ConfigError: there is no such directory, or nothing of a wanted name.
        DataError: a file is not as published; with line and field.
    """
    if not data.is_dir():
        raise ConfigError(f"data is {data}, expected a directory with a directory for each data set")
    tasks: list[Task] = []
    missing: list[str] = []
    shared = {data / one: _sets_in(data / one) for one in SHARED if (data / one).is_dir()}
    for name, places, load in sets():
        if wanted and not any(one.startswith(name) or name.startswith(one) for one in wanted):
            continue
        place = next((data / one for one in places if (data / one).exists()), None)
        if place is not None and name not in shared.get(place, (name,)):
            missing.append(f"{name}: not measured, as {place} has no rows of it")
        elif place is None:
            missing.append(f"{name}: not measured, as there is no {' or '.join(places)} in {data}")
        else:
            tasks += load(place, options)
    for path in sorted((data / "choices").glob("*.jsonl*")):
        name = path.name.split(".jsonl")[0]
        tasks += _by_shots(lambda shots: load_choices(path, name=name, shots=shots, **_common(options)), options)  # noqa: B023
    chosen = [task for task in tasks if not wanted or any(task.name.startswith(one) for one in wanted)]
    for one in wanted:
        if not any(task.name.startswith(one) for task in chosen) and not any(line.startswith(one) for line in missing):
            known = [task.name for task in tasks] + [name for name, _, _ in sets()]
            raise ConfigError(
                f"{data} has no task {one!r}; heed evaluate --list names those there are.{nearest(one, known)}"
            )
    return Suite(tasks=tuple(chosen), left_out=tuple(missing))


def _sets_in(place: Path) -> frozenset[str]:
    """The sets that the one file of a shared directory has rows of."""
    path = find_file(place, "dev.jsonl", "validation.jsonl", "val.jsonl")
    return frozenset(row["task"] for _, row in read_rows(path, {"task": str}))


def sets() -> list[tuple[str, tuple[str, ...], Load]]:
    """How the tasks of each set begin, the directories it may lie in, and how its tasks are made."""
    return [
        ("truthfulqa", ("truthfulqa",), _truthfulqa),
        ("toxicity", ("real-toxicity-prompts", "instructgpt-samples/real_toxicity_samples.csv.gz"), _toxicity),
        ("winogender", ("winogender",), _winogender),
        ("crows-pairs", ("crows-pairs",), _crows_pairs),
        *((name, (name, *SHARED), _benchmark(name)) for name in SETS),
        ("wsc", ("wsc",), _few(load_wsc)),
        ("hellaswag", ("hellaswag",), _few(load_hellaswag)),
        ("mmlu", ("mmlu",), _mmlu),
        ("gsm8k", ("gsm8k",), _few(load_gsm8k)),
        ("bbh", ("bbh",), _bbh),
        ("super-natural", ("super-natural-instructions",), _super_natural),
        ("squad", ("squadv2", "squad"), _written(load_reading_comprehension)),
        ("drop", ("drop",), _written(partial(load_reading_comprehension, mode="drop"))),
        ("quac", ("quac",), _written(partial(load_reading_comprehension, mode="quac"))),
        ("french-english", ("wmt15", "translation"), _written(load_translation)),
        ("tldr", ("tldr",), _written(load_summaries)),
        ("cnn-dm", ("cnn-dm",), _written(partial(load_summaries, name="cnn-dm"))),
    ]


def _truthfulqa(place: Path, options: Options) -> Iterator[Task]:
    modes: tuple[Mode, ...] = ("qa", "instruction", "qa-instruction")
    for mode in modes:
        yield load_truthfulqa(place, mode=mode, **_common(options))
    for mode in modes:
        yield load_truthfulqa_written(place, mode=mode, truth=options.truth, **_common(options))
    one_right = load_truthfulqa(place, target="mc1", **_common(options))
    for shots in options.shots:
        yield lettered(one_right, shots=shots, seed=options.seed, name=f"truthfulqa-lettered-{shots}shot")


def _toxicity(place: Path, options: Options) -> Iterator[Task]:
    for mode in PREFIX_MODES:
        yield load_toxicity(place, mode=mode, scorer=options.toxicity, **_common(options))


def _winogender(place: Path, options: Options) -> Iterator[Task]:
    for mode in PREFIX_MODES:
        yield load_winogender(place, mode=mode, **_common(options))


def _crows_pairs(place: Path, options: Options) -> Iterator[Task]:
    for mode in PREFIX_MODES:
        yield load_crows_pairs(place, mode=mode, **_common(options))


def _benchmark(name: str) -> Load:
    def load(place: Path, options: Options) -> Iterator[Task]:
        yield from _by_shots(lambda shots: load_benchmark(place, name, shots=shots, **_common(options)), options)

    return load


def _few(loader: Callable[..., Task]) -> Load:
    """A set that is one task for each number of shots."""

    def load(place: Path, options: Options) -> Iterator[Task]:
        yield from _by_shots(lambda shots: loader(place, shots=shots, **_common(options)), options)

    return load


def _written(loader: Callable[..., Task]) -> Load:
    """A set in files of one's own: questions in ``test`` or ``dev``, worked examples in ``train`` beside them."""

    def load(place: Path, options: Options) -> Iterator[Task]:
        file = find_file(place, *_named("test", "dev", "validation", "val"))
        train = find_file(place, *_named("train")) if any(options.shots) else None
        yield from _by_shots(lambda shots: loader(file, shots=shots, examples=train, **_common(options)), options)

    return load


def _named(*stems: str) -> list[str]:
    return [f"{stem}.{form}" for stem in stems for form in ("jsonl", "json", "csv")]


def _mmlu(place: Path, options: Options) -> Iterator[Task]:
    yield from _by_shots(lambda shots: load_mmlu(place, shots=shots, **_common(options)), options, MOST_SHOTS["mmlu"])
    plain = load_mmlu(place, shots=0, **_common(options))
    examples = load_mmlu(place, shots=0, split="dev").questions if any(options.shots) else ()
    for shots in options.shots:
        for none in (False, True):
            yield lettered(plain, shots=shots, seed=options.seed, none_of_above=none, pool=examples)


def _bbh(place: Path, options: Options) -> Iterator[Task]:
    most = MOST_SHOTS["bbh"]
    yield from _by_shots(lambda shots: load_bbh_choices(place, shots=shots, **_common(options)), options, most)
    for mode in ("direct", "chain"):
        yield from _by_shots(lambda shots: load_bbh(place, shots=shots, mode=mode, **_common(options)), options, most)  # noqa: B023


def _super_natural(place: Path, options: Options) -> Iterator[Task]:
    yield from _by_shots(lambda shots: load_super_natural(place, shots=shots, **_common(options)), options)


def _by_shots(load: Callable[[int], Task], options: Options, most: int | None = None) -> Iterator[Task]:
    """One task for each different number of shots."""
    for shots in dict.fromkeys(min(one, most) if most is not None else one for one in options.shots):
        yield load(shots)


def _common(options: Options) -> dict[str, Any]:
    return {"limit": options.limit, "seed": options.seed}
