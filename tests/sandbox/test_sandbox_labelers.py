"""Simulated labelers agree as people do, and say the same when asked twice."""

import itertools
import random

from heed.records import Completion
from heed.sandbox import World, crew, grade

WORLD = World(0)


def _written(n: int) -> tuple[list, list]:  # type: ignore[type-arg]
    """Prompts with four demonstrations each."""
    rng = random.Random(1)
    prompts = WORLD.prompts("train", n, 0)
    return prompts, [[Completion(text=WORLD.demonstration(prompt, rng)) for _ in range(4)] for prompt in prompts]


def test_two_labelers_agree_on_about_73_percent_of_pairs() -> None:
    """Over all pairs of different texts, pairs with equal grades among them; labelers never tie different texts."""
    prompts, answers = _written(1000)
    labelers, rng = crew(WORLD, 0), random.Random(2)
    agree = pairs = 0
    for prompt, group in zip(prompts, answers, strict=True):
        one, two = (judge.rank([prompt], [group])[0].tiers for judge in rng.sample(labelers, 2))
        for i, j in itertools.combinations(range(4), 2):
            if group[i].text != group[j].text:
                pairs += 1
                agree += (one[i] < one[j]) == (two[i] < two[j])
    assert 0.70 < agree / pairs < 0.75


def test_labelers_agree_with_the_truth_more_than_with_each_other() -> None:
    prompts, answers = _written(500)
    labeler = crew(WORLD, 0)[0]
    right = pairs = 0
    for prompt, ranking in zip(prompts, labeler.rank(prompts, answers), strict=True):
        gold = [grade(WORLD, prompt, answer.text).gold for answer in ranking.completions]
        for i, j in itertools.combinations(range(4), 2):
            if gold[i] != gold[j]:
                pairs += 1
                right += (gold[i] > gold[j]) == (ranking.tiers[i] < ranking.tiers[j])
    assert 0.8 < right / pairs < 0.95


def test_equal_texts_tie_and_a_labeler_repeats_itself() -> None:
    prompts, answers = _written(50)
    labeler, other = crew(WORLD, 0)[:2]
    doubled = [[*group, group[0]] for group in answers]
    first, again = labeler.rank(prompts, doubled), labeler.rank(prompts, doubled)
    assert first == again
    for ranking in first:
        assert ranking.tiers[0] == ranking.tiers[-1]
        assert ranking.labeler == labeler.labeler.id
        assert len(set(ranking.tiers)) == len({answer.text for answer in ranking.completions})
    assert [r.tiers for r in other.rank(prompts, doubled)] != [r.tiers for r in first]


def test_the_crew_has_two_groups_with_tastes_of_their_own() -> None:
    labelers = crew(WORLD, 0)
    assert [judge.labeler.group for judge in labelers] == ["training"] * 12 + ["heldout"] * 5
    assert len({judge.labeler.id for judge in labelers}) == 17
    assert len({judge.taste for judge in labelers}) == 17
    assert all(judge.labeler.kind == "simulated" for judge in labelers)
    assert [judge.taste for judge in crew(WORLD, 0)] == [judge.taste for judge in labelers]
    assert [judge.taste for judge in crew(WORLD, 1)] != [judge.taste for judge in labelers]
