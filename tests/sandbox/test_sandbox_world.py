"""The world is the same for a seed, its splits never meet, its text teaches what it should."""

import json
import random
import re
from collections import Counter

import pytest

from heed.errors import DataError
from heed.records import Completion, Prompt
from heed.sandbox import KINDS, GoldScorer, World, copied, copy_probe, few_shot, grade
from heed.sandbox.demonstrators import Care, write_answer
from heed.sandbox.web import SHARES
from heed.sandbox.world import specification

WORLD = World(0)


def _tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]|\n", text))


def test_a_seed_gives_the_same_world() -> None:
    again = World(0)
    assert again.facts == WORLD.facts != World(1).facts
    assert again.prompts("train", 50, 7) == WORLD.prompts("train", 50, 7) != WORLD.prompts("train", 50, 8)
    assert list(again.pretraining_text(2000, 1)) == list(WORLD.pretraining_text(2000, 1))
    assert list(again.pretraining_text(2000, 1)) != list(WORLD.pretraining_text(2000, 2))
    prompts = WORLD.prompts("test", 30, 0)
    assert again.demonstrations(prompts, 3) == WORLD.demonstrations(prompts, 3)


def test_fewer_prompts_are_the_first_of_more() -> None:
    assert WORLD.prompts("train", 20, 0) == WORLD.prompts("train", 60, 0)[:20]


def test_prompts_do_not_repeat_and_splits_never_meet() -> None:
    train, test, final = (WORLD.prompts(split, 1000, 0) for split in ("train", "test", "final"))
    for prompts in (train, test, final):
        assert len({prompt.text for prompt in prompts}) == 1000
        assert all(prompt.source == "sandbox" and prompt.id and prompt.user for prompt in prompts)
    assert not {p.text for p in train} & ({p.text for p in test} | {p.text for p in final})
    assert not {p.text for p in test} & {p.text for p in final}
    users = [{prompt.user for prompt in prompts} for prompts in (train, test, final)]
    assert not users[0] & (users[1] | users[2]) and not users[1] & users[2]


def test_all_kinds_are_asked_by_their_share() -> None:
    assert sum(kind.share for kind in KINDS.values()) == pytest.approx(1)
    counts = Counter(prompt.category for prompt in WORLD.prompts("train", 5000, 1))
    for name, kind in KINDS.items():
        assert counts[name] / 5000 == pytest.approx(kind.share, abs=0.015)


def test_a_prompt_is_short_and_its_meta_survives_json() -> None:
    for prompt in WORLD.prompts("train", 1000, 2):
        copy = Prompt.from_text(prompt.text, meta=json.loads(json.dumps(dict(prompt.meta))), category=prompt.category)
        assert copy.id == prompt.id
        answer = WORLD.ideal(copy)
        assert answer == WORLD.ideal(prompt)
        assert grade(WORLD, copy, answer).right
        assert _tokens(prompt.text) <= 40 and _tokens(answer) <= 24 and "\n" not in prompt.text + answer
        assert _tokens(few_shot(WORLD, prompt).text) <= 96


def test_only_prompts_of_the_sandbox_can_be_graded() -> None:
    with pytest.raises(DataError, match="meta names kind None, expected one of story"):
        grade(WORLD, Prompt.from_text("Hello."), "It is good.")


def test_demonstrators_err_by_majority_where_a_kind_is_mirrored() -> None:
    rng = random.Random(0)
    right: dict[str, list[bool]] = {name: [] for name in KINDS}
    for prompt in WORLD.prompts("train", 4000, 3):
        right[prompt.category].append(grade(WORLD, prompt, WORLD.demonstration(prompt, rng)).constraint_ok)
    for name, kind in KINDS.items():
        share = sum(right[name]) / len(right[name])
        assert (0.25 < share < 0.45) if kind.twin else 0.7 < share < 0.95, name


def test_a_careful_writer_is_right() -> None:
    rng = random.Random(0)
    perfect = Care(mistake=0, slip=0, misjudge=0, stray_fact=0, rude=0, rude_back=0)
    for prompt in WORLD.prompts("test", 300, 0):
        kind, spec = specification(prompt)
        assert grade(WORLD, prompt, write_answer(kind, spec, WORLD.facts, perfect, rng)).right


def test_the_gold_scorer_scores_each_answer() -> None:
    prompts = WORLD.prompts("test", 2, 0)
    answers = [[Completion(text=WORLD.ideal(prompt)), Completion(text="")] for prompt in prompts]
    assert GoldScorer(WORLD).score(prompts, answers) == [[4.0, 0.0], [4.0, 0.0]]


def test_worked_examples_stand_before_the_prompt() -> None:
    prompt = WORLD.prompts("test", 1, 0)[0]
    shown = few_shot(WORLD, prompt)
    blocks = shown.text.split("\n\n")
    assert blocks[-1] == prompt.text and len(blocks) == 3
    assert all(len(block.split("\n")) == 2 for block in blocks[:-1])
    assert shown.meta == prompt.meta and shown.category == prompt.category


def test_the_text_has_several_hundred_words_and_every_kind_of_page() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    documents = list(WORLD.pretraining_text(60_000, 0))
    words = Counter(word for document in documents for word in re.findall(r"\w+", document))
    assert 400 <= len(words) <= 700
    assert 60_000 <= sum(len(document.split()) for document in documents) < 60_200
    assert max(map(_tokens, documents)) < 128
    for page in SHARES:
        text = page(WORLD.facts, random.Random(0))
        assert text and not text.endswith("\n") and "{" not in text and "  " not in text


def test_each_page_type_has_its_share_of_the_words() -> None:
    import heed.sandbox.web as web

    documents = list(WORLD.pretraining_text(200_000, 0))
    total = sum(len(document.split()) for document in documents)
    echoed = sum(len(document.split()) for document in documents if "Repeat:" in document or "said: " in document)
    tale = sum(len(document.split()) for document in documents if "In truth:" in document)
    assert tale / total == pytest.approx(SHARES[web.tale_page], abs=0.015)
    assert echoed / total > SHARES[web.echo_page]


def test_the_copy_probe_asks_for_what_was_said() -> None:
    probes = copy_probe(WORLD, 20, 0)
    assert probes == copy_probe(WORLD, 20, 0)
    prompt, expected = probes[0]
    assert prompt.text == f"Repeat: {expected}"
    assert copied(probes, [expected + " More." for _, expected in probes]) == 1
    assert copied(probes, ["Anna" for _ in probes]) == 0
