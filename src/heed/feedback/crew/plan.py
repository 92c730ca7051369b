"""How much overlap, how many gold items, how many labels: tried on simulated people before anyone is hired.

Items are compared by people of one accuracy, so that two honest ones agree as often as assumed. What comes out is read
by the same functions as real work: the interval on agreement, and whom the signs name.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from heed.errors import ConfigError
from heed.feedback.concord import meetings, pairwise
from heed.feedback.crew.characters import SECONDS
from heed.feedback.crew.hiring import Hiring
from heed.feedback.quality import judged_of
from heed.feedback.suspicion import suspicions
from heed.store.studio.said import Gold, Said

REPEATS = 20
"""Simulated projects behind each row."""
_HONEST_MS, _LAZY_MS = 20_000, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is assumed."""

    hiring: Hiring
    agreement: float = 0.726
    """Of two honest labelers on one comparison (InstructGPT, 72.6 %)."""
    seconds: float = SECONDS["compare"]
    """Work for one comparison."""
    labels_in_pool: int = 3
    hourly: float | None = None
    """Pay for an hour, in any currency."""
    repeats: int = REPEATS
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one choice of overlap, gold rate and number of labels leads to."""

    labels: int
    overlap: float
    gold_share: float
    items: int
    """Different items that get a label, which is what a reward model learns from."""
    agreement: float | None
    """As it would be measured, with everyone in it; None where no two people meet."""
    half_width: float | None
    """Of its 95 % interval, on average."""
    caught: float | None
    """Chance that a hostile labeler is named; None if there is none."""
    lazy_caught: float | None
    wronged: float
    """Chance that an honest labeler is named."""
    hours: float
    cost: float | None


def expect(terms: Terms, *, labels: int, overlap: float, gold_share: float) -> Expected:
    """Try one choice on simulated projects.

    Raises:
        ConfigError: a number is out of its range.
    """
    for name, value, low, high in (
        ("labels", labels, 1, 10**6),
        ("overlap", overlap, 0, 1),
        ("gold", gold_share, 0, 0.9),
        ("agreement", terms.agreement, 0.5, 1),
        ("seconds", terms.seconds, 0, 86400),
    ):
        if not low <= value <= high:
            raise ConfigError(f"{name} is {value}, expected {low} to {high}")
    people = _people(terms.hiring)
    if not people:
        raise ConfigError("a crew of nobody; give at least one labeler")
    values, widths = [], []
    named: dict[str, list[bool]] = {"honest": [], "noisy": [], "lazy": [], "hostile": []}
    items = 0
    for repeat in range(terms.repeats):
        rng = random.Random(f"plan/{terms.seed}/{labels}/{overlap}/{gold_share}/{repeat}")
        said = list(_project(terms, people, rng, labels, overlap, gold_share))
        items = len({one.item_id for one in said if one.gold is None})
        figure = pairwise(meetings(judged_of(one for one in said if one.gold is None)), "drop").estimate
        if figure is not None:
            values.append(figure.value)
            widths.append((figure.high - figure.low) / 2)
        found = {one.labeler for one in suspicions(said)}
        for person in people:
            named[person.split()[0]].append(person in found)
    hours = labels * terms.seconds / 3600
    return Expected(
        labels=labels,
        overlap=overlap,
        gold_share=gold_share,
        items=items,
        agreement=_mean(values),
        half_width=_mean(widths),
        caught=_mean(named["hostile"]),
        lazy_caught=_mean(named["lazy"]),
        wronged=_mean(named["honest"]) or 0.0,
        hours=hours,
        cost=None if terms.hourly is None else hours * terms.hourly,
    )


def accuracy_of(agreement: float) -> float:
    """How often one person is right, if two agree so often: ``a² + (1 - a)²``."""
    return (1 + sqrt(2 * agreement - 1)) / 2


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _people(hiring: Hiring) -> list[str]:
    return [
        f"{name} {index:02d}"
        for name, number in (
            ("honest", hiring.honest + hiring.heldout),
            ("noisy", hiring.noisy),
            ("lazy", hiring.lazy),
            ("hostile", hiring.hostile),
        )
        for index in range(number)
    ]


def _project(
    terms: Terms, people: Sequence[str], rng: random.Random, labels: int, overlap: float, gold_share: float
) -> Iterator[Said]:
    """Everything that is said until the labels are used up, everybody doing the same amount."""
    right = accuracy_of(terms.agreement)
    gold_items = range(1, 10**6)
    turns = [people[index % len(people)] for index in range(labels)]
    gold = {person: iter(gold_items) for person in people}
    pool: list[tuple[int, list[str]]] = []
    item_id = 10**6
    for number, person in enumerate(turns):
        if rng.random() < gold_share:
            yield _said(number, next(gold[person]), person, rng, right, known=True)
            continue
        waiting = next((one for one in pool if person not in one[1]), None)
        if waiting is None:
            item_id += 1
            waiting = (item_id, [])
            if rng.random() < overlap:
                pool.append(waiting)
        waiting[1].append(person)
        if len(waiting[1]) >= min(terms.labels_in_pool, len(people)) and waiting in pool:
            pool.remove(waiting)
        yield _said(number, waiting[0], person, rng, right)


def _said(number: int, item: int, person: str, rng: random.Random, right: float, known: bool = False) -> Said:
    """One comparison; the first answer is the better one. An honest person's known answers are easier: unambiguous."""
    order = rng.choice(((0, 1), (1, 0)))
    ability = (1 + right) / 2 if known else right
    kind = person.split()[0]
    if kind == "lazy":
        better = order[0]
    else:
        share = {"honest": ability, "noisy": (ability + 0.5) / 2, "hostile": 1 - ability}[kind]
        better = 0 if rng.random() < share else 1
    typical = _LAZY_MS if kind == "lazy" else _HONEST_MS
    return Said(
        response_id=number,
        item_id=item,
        unit=item,
        labeler=person,
        task="compare",
        purpose="gold" if known else "ordinary",
        order=order,
        tiers=(0, 1) if better == 0 else (1, 0),
        active_ms=round(typical * rng.lognormvariate(0, 0.5)),
        gold=Gold(tiers=(0, 1)) if known else None,
    )
