"""Pairs of answers with labels of which one is better: what a judge is tested on.

Readers for LLMBar (Zeng et al. 2023, arXiv 2310.07641), PandaLM's human pairs (Wang et al. 2023, arXiv 2306.05087) and
AlpacaEval's GPT-4 annotations (Dubois et al. 2023, arXiv 2305.14387), and for every format of rankings that Heed reads.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from heed.data.formats.instructions import task_prompt
from heed.data.lines import Row, read_rows
from heed.data.readers import READERS, read_rankings
from heed.errors import DataError, nearest
from heed.evaluation.verdicts import Matchup, Verdict, Verdicts
from heed.evaluation.win_rates import num_words
from heed.records import Completion, Prompt, Ranking, content_id

Label: TypeAlias = Literal[0, 1, 2]
"""The better answer, or 0 for a tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """Two answers to a prompt, and what each annotator said."""

    id: str
    subset: str
    prompt: Prompt
    first: Completion
    second: Completion
    labels: tuple[Label, ...]
    annotators: tuple[str, ...] = ()
    """Who gave each label, where known."""

    @property
    def majority(self) -> Label | None:
        """The label that more annotators gave than any other; None where two labels are level."""
        counts = Counter(self.labels).most_common(2)
        return counts[0][0] if len(counts) == 1 or counts[0][1] > counts[1][1] else None

    def matchup(self) -> Matchup:
        """The pair without its labels, as a judge gets it."""
        names = self.first.policy, self.second.policy
        told_apart = all(names) and names[0] != names[1]
        return Matchup(
            prompt=self.prompt,
            first=self.first,
            second=self.second,
            names=names if told_apart else ("first", "second"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSet:
    """A file of judged pairs."""

    name: str
    pairs: tuple[JudgedPair, ...]
    left_out: tuple[str, ...] = ()
    """Rows that are no judged pairs though nothing is wrong with their form, such as a label on an answer that the data
    do not hold; each says where it stands and why."""

    def sample(self, limit: int | None, seed: int = 0) -> JudgedSet:
        """``limit`` of the pairs, drawn by a hash of their ids, in their order; all of them without a limit."""
        if limit is None or limit >= len(self.pairs):
            return self
        places = sorted(range(len(self.pairs)), key=lambda at: content_id(seed, self.pairs[at].id, at))[:limit]
        chosen = tuple(self.pairs[at] for at in sorted(places))
        return JudgedSet(name=self.name, pairs=chosen, left_out=self.left_out)


def read_judged(format: str, path: str | Path) -> JudgedSet:
    """The judged pairs of a file or directory in a named format.

    Raises:
        DataError: there is no such format, a row is not what it should be (with file, line and field), or there are no
            pairs.
    """
    path, known = Path(path), [*PAIR_READERS, *(name for name in READERS if name not in PAIR_READERS)]
    if format not in known:
        raise DataError(f"there is no format {format!r}; formats are {', '.join(known)}.{nearest(format, known)}")
    left_out: list[str] = []
    if format in PAIR_READERS:
        pairs = tuple(PAIR_READERS[format](path, left_out))
    else:
        pairs = tuple(pairs_of_rankings(read_rankings(format, path)))
    if not pairs:
        raise DataError(f"{path}: no judged pairs of the format {format!r} are in it")
    return JudgedSet(name=format, pairs=pairs, left_out=tuple(left_out))


def pairs_of_rankings(rankings: Iterable[Ranking], subset: Callable[[Prompt], str] | None = None) -> list[JudgedPair]:
    """Every two answers that were ranked, with a label of each labeler who ranked both.

    ``subset`` names the part a prompt belongs to; its category by default.
    """
    found: dict[tuple[str, str, str], tuple[Prompt, Completion, Completion]] = {}
    labels: defaultdict[tuple[str, str, str], dict[str, Label]] = defaultdict(dict)
    for ranking in rankings:
        for i, j in combinations(range(len(ranking.completions)), 2):
            first, second = ranking.completions[i], ranking.completions[j]
            tiers = ranking.tiers[i], ranking.tiers[j]
            key = (ranking.prompt.id, first.id, second.id)
            turned = (ranking.prompt.id, second.id, first.id)
            if turned in found and key not in found:
                key, tiers = turned, tiers[::-1]
            found.setdefault(key, (ranking.prompt, first, second))
            label: Label = 0 if tiers[0] == tiers[1] else 1 if tiers[0] < tiers[1] else 2
            labels[key][ranking.labeler] = label
    return [
        JudgedPair(
            id=content_id(*key),
            subset=subset(prompt) if subset else prompt.category,
            prompt=prompt,
            first=first,
            second=second,
            labels=tuple(labels[key].values()),
            annotators=tuple(labels[key]),
        )
        for key, (prompt, first, second) in found.items()
    ]


def _llmbar(path: Path, _: list[str]) -> Iterator[JudgedPair]:
    """Rows of ``subset`` (may be missing), ``input``, ``output_1``, ``output_2`` and ``label``, 1 or 2."""
    for number, row in enumerate(read_rows(path), 1):
        label = row.integer("label")
        if label not in (1, 2):
            raise row.error(f"field 'label' is {label}, expected 1 or 2, the better output")
        yield JudgedPair(
            id=f"llmbar-{number}",
            subset=row.text_or("subset"),
            prompt=task_prompt(row, row.text("input"), "", "llmbar"),
            first=Completion(text=row.text("output_1")),
            second=Completion(text=row.text("output_2")),
            labels=(1 if label == 1 else 2,),
        )


def _pandalm(path: Path, _: list[str]) -> Iterator[JudgedPair]:
    """Rows of ``instruction``, ``input``, ``response1``, ``response2`` and ``annotator1``, ...: 0 tie, 1, 2."""
    for number, row in enumerate(read_rows(path), 1):
        annotators = sorted(name for name in row.value if name.startswith("annotator"))
        if not annotators:
            raise row.error("no annotator, expected the fields 'annotator1', 'annotator2', ...")
        models = row.text_or("cmp_key")
        model, other = models.partition("_")[::2]
        policies = (model, other) if other and "_" not in other else ("", "")
        responses = [_response(row, f"response{side}") for side in (1, 2)]
        yield JudgedPair(
            id=f"pandalm-{row.value.get('idx', number)}",
            subset=models,
            prompt=task_prompt(row, row.text("instruction"), row.text_or("input"), "pandalm"),
            first=Completion(text=responses[0], policy=policies[0]),
            second=Completion(text=responses[1], policy=policies[1]),
            labels=tuple(_label(row, name, row.integer(name)) for name in annotators),
            annotators=tuple(annotators),
        )


def _alpaca_eval(path: Path, left_out: list[str]) -> Iterator[JudgedPair]:
    """AlpacaEval's preferences: one file with the texts in each row, or a directory of files joined by ``id``."""
    if not path.is_dir():
        for number, row in enumerate(read_rows(path), 1):
            prompt = task_prompt(row, row.text("instruction"), "", "alpaca-eval")
            texts = row.text("output_1"), row.text("output_2")
            yield from _preferred(row, number, prompt, texts, row.text_or("dataset"), left_out)
        return
    prompts: dict[str, tuple[Prompt, str]] = {}
    for row in read_rows(_one_of(path, "instructions")):
        prompt = task_prompt(row, row.text("instruction"), "", "alpaca-eval")
        prompts[_id(row)] = (prompt, row.text_or("source"))
    outputs = {(_id(row), row.text("generator")): row.text("output") for row in read_rows(_one_of(path, "outputs"))}
    for number, row in enumerate(read_rows(_one_of(path, "gpt4_preferences")), 1):
        task = _id(row)
        if task not in prompts:
            raise row.error(f"field 'id' is {task}, which is not among the instructions")
        generators = row.text("generator_1"), row.text("generator_2")
        missing = [name for name in generators if (task, name) not in outputs]
        if missing:
            left_out.append(f"{row.where}: there is no output of {missing[0]} for id {task}")
            continue
        prompt, source = prompts[task]
        texts = outputs[task, generators[0]], outputs[task, generators[1]]
        yield from _preferred(row, number, prompt, texts, source, left_out)


def _preferred(
    row: Row, number: int, prompt: Prompt, texts: tuple[str, str], subset: str, left_out: list[str]
) -> Iterator[JudgedPair]:
    """A pair with AlpacaEval's preference: 1 or 2, and 0 or 1.5 for a tie. Null is an annotation that failed."""
    if row.value.get("preference", 0) is None:
        left_out.append(f"{row.where}: field 'preference' is null, there was no annotation")
        return
    value = row.value.get("preference")
    labels: Mapping[object, Label] = {0: 0, 1: 1, 2: 2, 1.5: 0}
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in labels:
        raise row.error(f"field 'preference' is {value!r}, expected 1 or 2, or 0 or 1.5 for a tie")
    yield JudgedPair(
        id=f"alpaca-eval-{number}",
        subset=subset,
        prompt=prompt,
        first=Completion(text=texts[0], policy=row.text_or("generator_1")),
        second=Completion(text=texts[1], policy=row.text_or("generator_2")),
        labels=(labels[value],),
        annotators=("gpt4",),
    )


PAIR_READERS: Mapping[str, Callable[[Path, list[str]], Iterator[JudgedPair]]] = MappingProxyType(
    {"llmbar": _llmbar, "pandalm": _pandalm, "alpaca-eval": _alpaca_eval}
)
"""Name of each format of judged pairs, and the function that reads it and notes what it leaves out."""


def _response(row: Row, name: str) -> str:
    """A response; where the published file has the bare word true or false, that word."""
    value = row.value.get(name)
    return str(value) if isinstance(value, bool) else row.text(name)


def _label(row: Row, name: str, value: int) -> Label:
    labels: Mapping[int, Label] = {0: 0, 1: 1, 2: 2}
    if value not in labels:
        raise row.error(f"field {name!r} is {value}, expected 1 or 2, the better response, or 0 for a tie")
    return labels[value]


def _id(row: Row) -> str:
    value = row.value.get("id")
    return value if isinstance(value, str) and value else str(row.integer("id"))


def _one_of(directory: Path, name: str) -> Path:
    """The file of a name, packed or not."""
    for suffix in (".jsonl", ".jsonl.gz", ".json", ".json.gz"):
        if (directory / f"{name}{suffix}").is_file():
            return directory / f"{name}{suffix}"
    raise DataError(f"{directory}: there is no {name}.jsonl or {name}.jsonl.gz; expected AlpacaEval's files")


def verdicts_of_labels(pairs: Iterable[JudgedPair], *, what: str = "") -> Verdicts:
    """Every label as a verdict, for ``heed.evaluation.preference.summarize``: win rates of the models that answered.

    Pairs whose answers do not name two models are left out.
    """
    outcomes: Mapping[Label, float] = {1: 1.0, 2: 0.0, 0: 0.5}
    verdicts: list[Verdict] = []
    for pair in pairs:
        models = pair.first.policy, pair.second.policy
        if not all(models) or models[0] == models[1]:
            continue
        words = num_words(pair.first.text), num_words(pair.second.text)
        for place, label in enumerate(pair.labels):
            verdicts.append(
                Verdict(
                    prompt_id=pair.prompt.id,
                    first=models[0],
                    second=models[1],
                    outcome=outcomes[label],
                    words=words,
                    judge=pair.annotators[place] if place < len(pair.annotators) else "",
                    item=len(verdicts),
                )
            )
    return Verdicts(verdicts=tuple(verdicts), what=what or "The labels of the file.")


def label_rates(pairs: Sequence[JudgedPair]) -> dict[str, float]:
    """What the labels are: shares of ``first``, ``second`` and ``tie`` among all of them."""
    said = [label for pair in pairs for label in pair.labels]
    names: Mapping[Label, str] = {1: "first", 2: "second", 0: "tie"}
    return {name: said.count(label) / max(len(said), 1) for label, name in names.items()}
