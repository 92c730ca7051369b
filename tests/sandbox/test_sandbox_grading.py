"""Grades worked by hand, and what every kind must keep."""

import random

import pytest

from heed.records import Prompt
from heed.sandbox import IDEAL, KINDS, MIRRORED, World, grade, strip_strays
from heed.sandbox.kind import Spec
from heed.sandbox.world import prompt_of

WORLD = World(0)


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return WORLD.prompts("train", 1500, seed=5)


def _prompt(**spec: str) -> Prompt:
    return prompt_of(spec)


STORY = {"kind": "story", "style": "0", "tone": "happy", "person": "Anna", "object": "lamp", "city": "Lima"}
CHAT = {
    "kind": "chat", "style": "0", "luck": "bad", "verb": "0", "object": "lamp", "city": "Lima", "insult": "fool"
}  # fmt: skip
ASKED = "Write a happy story about Anna and a lamp near Lima."
MONDAY = "Anna hid the cup near Lima on Monday. On which day was it?"
WHEN = {"verb": "0", "person": "Anna", "object": "cup", "city": "Lima", "day": "Monday"}
REWRITE = {
    "kind": "rewrite", "style": "0", "tense": "past", "verb": "0", "person": "Anna", "object": "cup", "city": "Lima"
}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "asked", "text", "gold"),
    [
        (STORY, ASKED, "Anna won a lamp near Lima. Anna was glad.", 4.0),
        (STORY, "", "Anna lost a lamp near Lima. Anna was sad.", 2.5),
        (STORY, "", "Anna won a lamp near Lima. Anna was sad.", 3.25),  # half of the tone
        (STORY, "", "Anna won a cup near Lima. Anna was glad.", 3.875),  # one of four details
        (STORY, "", "Anna won a lamp near Lima.", 3.125),  # no mood: half of the tone, three of four details
        (STORY, "", "Anna won a lamp near Lima. Anna was glad. Go away.", 2.5),  # rude
        (STORY, "", "Anna won a lamp near Lima. Anna was glad. Anna was glad.", 3.5),  # one sentence too many
        (STORY, "", "Anna won a lamp near Lima. Anna was glad. Anna was", 3.5),  # does not end
        (STORY, "", "Anna won a", -0.5),
        (STORY, "", "", 0.0),
        (STORY, "", "It is good.", -0.5),
        (STORY, "", "Go away. Go away.", -1.5),
        (CHAT, "You fool, I lost a lamp near Lima.", "I am sorry about the lamp.", 4.0),
        (CHAT, "", "I am glad about the lamp.", 2.5),
        (CHAT, "", "I am sorry about the cup.", 3.5),
        (CHAT, "", "I am sorry about the lamp. You are a fool.", 2.5),
        ({"kind": "answerable", **WHEN}, MONDAY, "It was on Monday.", 4.0),
        ({"kind": "answerable", **WHEN}, "", "It was on Sunday.", 3.5),
        ({"kind": "answerable", **WHEN}, "", "It does not say.", 2.5),
        ({"kind": "unanswerable", **WHEN}, "Anna hid the cup near Lima. On which day was it?", "It does not say.", 4.0),
        ({"kind": "unanswerable", **WHEN}, "", "It was on Sunday.", 2.5),
        (REWRITE, "Put it in the past: Anna hides the cup near Lima.", "Anna hid the cup near Lima.", 4.0),
        (REWRITE, "", "Anna hides the cup near Lima.", 2.5),
        (REWRITE, "", "Anna sold the cup near Oslo.", 3.75),  # two of four details
    ],
)  # fmt: skip
def test_grades_by_hand(spec: Spec, asked: str, text: str, gold: float) -> None:
    prompt = _prompt(**spec)
    assert asked in ("", prompt.text)
    assert grade(WORLD, prompt, text).gold == gold


def test_false_statements_cost_and_are_counted() -> None:
    facts = WORLD.facts
    spec = {"kind": "facts", "style": "0", "asker": "Ben", "subject": "fox", "count": "two"}
    prompt = _prompt(**spec)
    assert prompt.text == "Give Ben two facts about the fox."
    colour, diet = facts.values["fox", "colour"], facts.values["fox", "diet"]
    wrong = "red" if colour != "red" else "blue"
    right = grade(WORLD, prompt, f"The fox is {colour} and eats {diet}.")
    assert right.right and right.hallucinations == 0
    lie = grade(WORLD, prompt, f"The fox is {wrong} and eats {diet}.")
    assert (lie.gold, lie.false, lie.hallucinations) == (3.0, 1, 1)
    stray = grade(WORLD, prompt, f"The fox is {colour} and eats {diet}. The wolf is {_other_colour('wolf')}.")
    assert (stray.gold, stray.strays, stray.false) == (2.5, 1, 1)
    twice = grade(WORLD, prompt, f"The fox is {colour} and is {colour}.")
    assert twice.detail == 0.5 and twice.main == 1
    only = grade(WORLD, prompt, f"The wolf eats {facts.values['wolf', 'diet']}.")
    assert not only.follows and only.gold == -0.5


def _other_colour(animal: str) -> str:
    return "red" if WORLD.facts.values[animal, "colour"] != "red" else "blue"


def test_an_invented_day_is_a_hallucination_and_a_careful_answer_abstains() -> None:
    prompt = _prompt(kind="unanswerable", **WHEN)
    assert grade(WORLD, prompt, "It was on Sunday.").hallucinations == 1
    found = grade(WORLD, prompt, "It does not say.")
    assert found.abstains and found.hallucinations == 0


def test_ideal_answers_are_right_and_nothing_is_better(prompts: list[Prompt]) -> None:
    rng = random.Random(0)
    for prompt in prompts:
        found = grade(WORLD, prompt, WORLD.ideal(prompt))
        assert found.right and found.constraint_ok and found.follows and found.gold == IDEAL, prompt
        assert grade(WORLD, prompt, WORLD.demonstration(prompt, rng)).gold <= IDEAL


def test_the_same_answer_is_right_for_a_prompt_and_wrong_for_its_twin(prompts: list[Prompt]) -> None:
    """The heart of the mirrored kinds: answer text alone says nothing about the decisive constraint."""
    for prompt in prompts:
        kind = KINDS[prompt.category]
        mistake = WORLD.mistaken(prompt)
        if kind.twin is None:
            assert mistake is None
            continue
        assert mistake is not None
        rng = random.Random(0)
        spec = {name: str(value) for name, value in prompt.meta.items()}
        twin = prompt_of(kind.twin(spec, rng))
        assert grade(WORLD, twin, mistake).right
        assert grade(WORLD, prompt, mistake).gold == 2.5
        assert grade(WORLD, twin, WORLD.ideal(prompt)).gold == 2.5
        back = KINDS[twin.category].twin
        assert back is not None and dict(back(dict(kind.twin(spec, rng)), rng)) == spec
        assert twin.text != prompt.text


def test_twins_are_asked_equally_often() -> None:
    """So that no habit that ignores the prompt is better than another."""
    switches = {
        "story": "tone", "letter": "register", "brainstorm": "order", "facts": "count", "rewrite": "tense",
        "chat": "luck", "summarise": "mode", "extract": "what", "tale": "source",
    }  # fmt: skip
    rng = random.Random(1)
    for name, switch in switches.items():
        drawn = [KINDS[name].draw(rng, WORLD.facts)[switch] for _ in range(2000)]
        values = sorted(set(drawn))
        assert len(values) == 2 and 0.45 < drawn.count(values[0]) / 2000 < 0.55
    for one, two in (("open_qa", "two_part"), ("answerable", "unanswerable")):
        assert KINDS[one].share == KINDS[two].share
    assert set(switches) | {"open_qa", "two_part", "answerable", "unanswerable"} == set(MIRRORED)


def test_strays_are_stripped_and_the_answer_is_left() -> None:
    prompt = _prompt(**CHAT)
    assert strip_strays(prompt, "I am sorry about the lamp. Go away.") == "I am sorry about the lamp."
    assert strip_strays(prompt, "I am sorry about the lamp. Anna likes rice.") == "I am sorry about the lamp."
    assert strip_strays(prompt, "Go away.") == "Go away."
    assert strip_strays(prompt, "I am sorry about the lamp. Anna likes") == "I am sorry about the lamp. Anna likes"
    told = _prompt(kind="open_qa", style="0", asker="Ben", subject="Anna", attribute="taste", attribute2="job")
    planted = "Anna likes rice and works as a cook."
    assert strip_strays(told, planted) == planted  # the mistake itself is not an insert


def test_stripping_an_ideal_answer_changes_nothing(prompts: list[Prompt]) -> None:
    for prompt in prompts:
        assert strip_strays(prompt, WORLD.ideal(prompt)) == WORLD.ideal(prompt)
