"""A small training and screening set of our own, so that people can be screened from the first day.

It is a beginning, not a standard: too few items for a close decision (the intervals say so), in English, with answers
that are ours. A project should replace it by items from its own prompts that its leads have answered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from heed.errors import DataError
from heed.form_library import LIBRARY
from heed.forms import Form
from heed.records import Completion, Json, Prompt
from heed.store.studio.asks import Ask
from heed.store.studio.said import gold_of

SOURCE: Final = "screening"
"""Source and split of the prompts: nothing is ever trained on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """A campaign to begin with."""

    name: str
    form: Form
    asks: tuple[Ask, ...]


def starter() -> tuple[Starter, ...]:
    """The campaigns, in the order in which they are worked through: training items come first in each."""
    return (
        Starter(name="Screening 1 Sensitive text", form=LIBRARY["sensitive"], asks=_flags(_FLAG_TRAINING, _FLAGS)),
        Starter(name="Screening 2 Ranking", form=LIBRARY["rank"], asks=_rankings(_RANK_TRAINING, _RANKS)),
        Starter(name="Screening 3 Writing", form=LIBRARY["write"], asks=_writing(_WRITING)),
    )


def _prompt(text: str) -> Prompt:
    return Prompt.from_text(text, source=SOURCE, split=SOURCE)


def _flags(training: Sequence[tuple[str, bool, str]], asked: Sequence[tuple[str, bool]]) -> tuple[Ask, ...]:
    known = [(text, flag, reason, "training") for text, flag, reason in training]
    known += [(text, flag, "", "") for text, flag in asked]
    return tuple(
        _ask(_prompt(text), (), {"item": {"sensitive": int(flag)}, "reason": reason}, part, place)
        for place, (text, flag, reason, part) in enumerate(known)
    )


_Ranked = tuple[str, tuple[tuple[str, int], ...]]


def _rankings(training: Sequence[tuple[_Ranked, str]], asked: Sequence[_Ranked]) -> tuple[Ask, ...]:
    known = [(prompt, answers, reason, "training") for (prompt, answers), reason in training]
    known += [(prompt, answers, "", "") for prompt, answers in asked]
    return tuple(
        _ask(
            _prompt(prompt),
            tuple(Completion(text=text) for text, _ in answers),
            {"tiers": [tier for _, tier in answers], "reason": reason},
            part,
            place,
        )
        for place, (prompt, answers, reason, part) in enumerate(known)
    )


def _writing(prompts: Sequence[str]) -> tuple[Ask, ...]:
    return tuple(
        Ask(prompt=_prompt(text), purpose="screening", priority=place / 100) for place, text in enumerate(prompts)
    )


def _ask(prompt: Prompt, candidates: tuple[Completion, ...], gold: dict[str, Json], part: str, place: int) -> Ask:
    known = {**gold, "part": part} if part else gold
    return Ask(prompt=prompt, candidates=candidates, purpose="screening", gold=known, priority=place / 100)


_FLAG_TRAINING: Final = (
    (
        "People from that valley are lazy; do not hire them.",
        True,
        "It says something bad of everyone who comes from a place, and asks to treat them worse for it.",
    ),
    (
        "My knee hurts when I climb stairs. What could it be?",
        False,
        "Somebody speaks of their own body and asks for help. It is private, but it attacks nobody.",
    ),
    (
        "Say that once more and you will not see your children again.",
        True,
        "A threat makes whoever reads it unsafe, even when nothing is said openly about what would happen.",
    ),
)
_FLAGS: Final = (
    ("Women are too emotional to lead a team.", True),
    ("The recipe needs two eggs and a pinch of salt.", False),
    ("Nobody of your weight should be seen on a beach.", True),
    ("He was born deaf and teaches sign language at the university.", False),
    ("Go back to where you came from, nobody wants you here.", True),
    ("The film shows a murder, so it is rated for adults.", False),
    ("I know which bus she takes home, and tonight she will be sorry.", True),
    ("Could you explain how a vaccine trains the immune system?", False),
)

_RANK_TRAINING: Final[tuple[tuple[_Ranked, str], ...]] = (
    (
        (
            "In one sentence: why is the sky blue?",
            (
                ("Air scatters the blue part of sunlight more than the red, so blue reaches us from all sides.", 0),
                ("The sky is blue because it reflects the sea.", 2),
                ("Sunlight holds all colours. Air scatters blue more than red. That is why. There is more to say.", 1),
            ),
        ),
        "The first is right and is one sentence. The third is right but is not one sentence, as was asked. The second "
        "is simply false, and a false answer that sounds sure is the worst of the three.",
    ),
    (
        (
            "Translate into German: Good morning.",
            (("Guten Morgen.", 0), ("Guten Morgen!", 0), ("Good morning means that one wishes a good morning.", 1)),
        ),
        "The first two are equally good: tie them. The third does not do what was asked.",
    ),
    (
        (
            "How many days before the invoice is due should I remind a customer?",
            (
                ("A week before is common; if you know the customer well, three days will do.", 0),
                ("It depends on many things, and every business is different, so I cannot say.", 1),
                ("Send a lawyer's letter a month before.", 2),
            ),
        ),
        "The first helps and says what it depends on. The second is true but helps nobody. The third would do harm.",
    ),
)
_RANKS: Final[tuple[_Ranked, ...]] = (
    (
        "Name three fruits that are not sweet.",
        (("Lemon, lime and olive.", 0), ("Lemon and mango.", 1), ("Sugar, honey and cake.", 2)),
    ),
    (
        "Make this polite: Send me the file now.",
        (
            ("Could you send me the file, please?", 0),
            ("Send me the file now, please.", 1),
            ("I will not wait any longer for your file.", 2),
        ),
    ),
    (
        "My tomato plants have yellow leaves at the bottom. What should I do first?",
        (
            (
                "Check whether the soil is too wet or too dry, and take the yellow leaves off; then feed them lightly.",
                0,
            ),
            ("Feed them.", 1),
            ("Tomatoes are native to South America and were long thought to be poisonous.", 2),
        ),
    ),
    (
        "Summarise in at most ten words: The bridge was closed on Monday after cracks were found in two pillars. "
        "It will stay closed until engineers have examined them, which may take a month.",
        (
            ("Bridge closed, perhaps for a month, after cracks in pillars.", 0),
            ("A bridge was closed.", 1),
            ("The bridge was closed on Tuesday because of a storm.", 2),
        ),
    ),
    (
        "I took twice the dose of my headache tablets by mistake. Is that bad?",
        (
            ("It can be, depending on the tablet. Call a poison line or a doctor now, with the packet at hand.", 0),
            ("Ask a doctor.", 1),
            ("No, tablets are harmless; take another one if your head still hurts.", 2),
        ),
    ),
    (
        "What is 17 times 6?",
        (("102", 0), ("17 times 6 is 102.", 0), ("About 100.", 1)),
    ),
)

_WRITING: Final = (
    "A friend told me that she does not want to live any more and made me promise to tell nobody. What should I do?",
    "Write a joke about my fat colleague that I can read out at the office party.",
    "Before he would show me the flat, the landlord asked where I am really from. Was that wrong, and what can I do?",
    "Which religion is the most violent?",
)


def screening_set(text: str, name: str) -> tuple[Starter, ...]:
    """A screening set from a file of the project's own: one JSON object on each line.

    ``{"task": "sensitive" | "rank" | "write", "prompt": text, "answers": [texts], "gold": {...}}``, where ``gold`` is
    ``{"item": {"sensitive": 0 or 1}}`` or ``{"tiers": [0, 1, ...]}``, with a ``reason``, and ``"part": "training"``
    where the labeler is shown it at once. Demonstrations have none.

    Args:
        name: how the campaigns are called; the task's name is put behind it.

    Raises:
        DataError: which line is wrong, and how.
    """
    asks: dict[str, list[Ask]] = {"sensitive": [], "rank": [], "write": []}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            given = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where} is not JSON: {error}") from error
        if not isinstance(given, dict) or not given.keys() <= {"task", "prompt", "answers", "gold"}:
            raise DataError(f"{where}: expected an object with task, prompt, answers and gold")
        task = given.get("task")
        if task not in asks:
            raise DataError(f"{where}: task is {task!r}, expected one of {', '.join(asks)}")
        ask = _from_line(given, task, where, len(asks[task]))
        ask.check(LIBRARY[task], where)
        asks[task].append(ask)
    if not any(asks.values()):
        raise DataError("the file holds no screening items")
    words = {"sensitive": "1 Sensitive text", "rank": "2 Ranking", "write": "3 Writing"}
    return tuple(
        Starter(name=f"{name} {words[task]}", form=LIBRARY[task], asks=tuple(found))
        for task, found in asks.items()
        if found
    )


def _from_line(given: Mapping[str, Any], task: str, where: str, place: int) -> Ask:
    prompt, answers, gold = given.get("prompt"), given.get("answers") or [], given.get("gold")
    if not isinstance(prompt, str) or not prompt.strip():
        raise DataError(f"{where}: the prompt is {prompt!r}, expected a text")
    if not isinstance(answers, list) or not all(isinstance(one, str) and one.strip() for one in answers):
        raise DataError(f"{where}: the answers are not a list of texts")
    if task != "write":
        known = gold_of(gold, where) if isinstance(gold, dict) else None
        if known is None or not (known.tiers if task == "rank" else known.values):
            raise DataError(f"{where}: the gold is missing; a {task} item needs what the researchers said")
        if task == "rank" and len(known.tiers) != len(answers):
            raise DataError(f"{where}: the gold has {len(known.tiers)} tiers for {len(answers)} answers")
    training = isinstance(gold, dict) and gold.get("part") == "training"
    priority = (place if training else place + 1000) / 100_000  # practice first
    candidates = tuple(Completion(text=one) for one in answers)
    return Ask(prompt=_prompt(prompt), candidates=candidates, purpose="screening", gold=gold or None, priority=priority)
