"""Around prompts: worked examples before one, stray sentences taken out of an answer, and a probe for copying."""

from __future__ import annotations

import random
from collections.abc import Sequence

from heed.records import Prompt
from heed.sandbox.facts import pick
from heed.sandbox.grading import sort_out
from heed.sandbox.kind import changed
from heed.sandbox.language import FACTS_FORM, RUDE_FORMS, read, say
from heed.sandbox.lexicon import CITIES, OBJECTS, PAST, PEOPLE
from heed.sandbox.world import World, prompt_of, specification

NUM_EXAMPLES = 2


def few_shot(world: World, prompt: Prompt) -> Prompt:
    """The prompt after worked examples of its kind, as plain text: how one asks a model that was only pretrained.

    Each example is a prompt and a right answer on two lines, followed by an empty line. The result has the same
    ``meta``, so an answer to it can be graded; an answer ends at its line's end (sample with ``stop=("\\n",)``).
    """
    kind, spec = specification(prompt)
    rng = random.Random(f"examples/{prompt.id}")
    blocks = []
    for index in range(NUM_EXAMPLES):
        example = kind.draw(rng, world.facts)
        if "style" in spec:
            example = changed(example, style=spec["style"])
        if kind.twin is not None and index % 2:
            example = kind.twin(example, rng)
        shown = prompt_of(example)
        blocks.append(f"{shown.text}\n{world.ideal(shown)}\n\n")
    return Prompt.from_text(
        "".join(blocks) + prompt.text,
        source=prompt.source,
        category=prompt.category,
        user=prompt.user,
        split=prompt.split,
        meta=prompt.meta,
    )


def strip_strays(prompt: Prompt, text: str) -> str:
    """``text`` without the sentences nobody asked for: rude remarks, and facts about something else.

    For the controlled comparison of two models, from both sides alike: what is left to prefer is the answer itself.
    """
    kind, spec = specification(prompt)
    core, rest = sort_out(kind, spec, read(text))
    strays = {sentence.text for sentence in rest if sentence.form in (*RUDE_FORMS, FACTS_FORM)}
    if not core or not strays:
        return text
    return " ".join(sentence.text for sentence in read(text) if sentence.text not in strays)


def copy_probe(world: World, n: int, seed: int) -> list[tuple[Prompt, str]]:
    """Sentences to be repeated, with names drawn afresh: (prompt, the words that must follow).

    A model that cannot do this cannot answer from a passage, rewrite or sum up.
    """
    rng = random.Random(f"probe/{world.seed}/{seed}")
    probes = []
    for _ in range(n):
        event = say(
            "event",
            person=pick(PEOPLE, rng),
            deed=pick(PAST, rng),
            object=pick(OBJECTS, rng),
            city=pick(CITIES, rng),
        )
        probes.append((Prompt.from_text(f"Repeat: {event}", source="sandbox", category="copy"), event))
    return probes


def copied(probes: Sequence[tuple[Prompt, str]], answers: Sequence[str]) -> float:
    """The share of probes whose answer begins with the expected words."""
    hits = sum(answer.strip().startswith(expected) for (_, expected), answer in zip(probes, answers, strict=True))
    return hits / len(probes)
