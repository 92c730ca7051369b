"""Models compared by judges whose faults are known, and by people."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from heed.errors import DataError
from heed.evaluation.judged_items import items_of, rate_of
from heed.evaluation.model_ratings import ratings_by_model
from heed.evaluation.preference import compare_models, matchups, summarize, verdicts_of_rankings
from heed.evaluation.verdicts import (
    Decide,
    Matchup,
    Undecided,
    Verdict,
    Verdicts,
    ai_decides,
    chance_decides,
    judge_decides,
    scorer_decides,
)
from heed.feedback.ai_judge import AIJudge
from heed.feedback.scorer_judge import ScorerJudge
from heed.records import Completion, Labeler, Prompt, Ranking, Rating
from heed.roles import Decoding
from heed.stats.power import comparisons_needed
from heed.store import Store
from judge_fakes import FakeJudge, FragileJudge, Say, best, favouring, leaning, longer, nonsense


class Lengths:
    """A Scorer that counts characters, and cannot bear one text."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        if any("poison" in one.text for row in completions for one in row):
            raise DataError("poison")
        return [[float(len(one.text)) for one in row] for row in completions]


def prompts_of(number: int) -> list[Prompt]:
    return [Prompt.from_text(f"Request {n}") for n in range(number)]


def answers_of(name: str, number: int, seed: int = 0) -> list[Completion]:
    draw = random.Random(f"{name} {seed}")
    words = [" ".join(["word"] * draw.randint(1, 30)) for _ in range(number)]
    return [Completion(text=f"{name} q1 {n} {words[n]}", policy=name) for n in range(number)]


def asked(say: Say, number: int = 400, **settings: object) -> tuple[Verdicts, list[Prompt]]:
    prompts = prompts_of(number)
    answers = {name: answers_of(name, number) for name in ("new", "old")}
    judge = AIJudge(FakeJudge(say), name="fake", **settings)  # type: ignore[arg-type]
    return compare_models(prompts, answers, ai_decides(judge), "old"), prompts


def verdict(prompt: str, first: str, second: str, outcome: float, **fields: object) -> Verdict:
    return Verdict(prompt_id=prompt, first=first, second=second, outcome=outcome, **fields)  # type: ignore[arg-type]


def both(item: int, given: float, swapped: float, prompt: str = "", words: tuple[int, int] = (5, 5)) -> list[Verdict]:
    """The verdicts on new against old in both orders, each for the answer shown first."""
    prompt = prompt or f"p{item}"
    return [
        verdict(prompt, "new", "old", given, order="given", item=item, words=words),
        verdict(prompt, "old", "new", swapped, order="swapped", item=item, words=words[::-1]),
    ]


def test_by_hand() -> None:
    # For new: 1 and 1; 1 and 0 (first place both times); tie and tie; 0 and 0; 1 and a tie.
    said = [both(0, 1, 0), both(1, 1, 1), both(2, 0.5, 0.5), both(3, 0, 1), both(4, 1, 0.5)]
    found = summarize(Verdicts(verdicts=tuple(one for pair in said for one in pair)), "old")
    new = found.standings["new"]
    assert new.win_rate.value == pytest.approx((1 + 0.5 + 0.5 + 0 + 0.75) / 5)
    assert (new.win_rate.better, new.win_rate.worse, new.win_rate.n) == (0.4, 0.2, 5)
    assert new.verdict_ties == pytest.approx(3 / 10)
    assert found.order_bias is not None
    assert found.order_bias.first.value == pytest.approx((1 + 0 + 1 + 1 + 0.5 + 0.5 + 0 + 1 + 1 + 0.5) / 10)
    assert found.order_bias.consistency.value == pytest.approx(3 / 5)
    assert found.head_to_head[("new", "old")] == new.win_rate
    assert found.elo["old"].value == 0.0
    assert found.elo["new"].value == pytest.approx(400 * math.log10(0.55 / 0.45), rel=0.02)  # a little prior
    assert new.needed == comparisons_needed(0.05, ties=0.4)
    assert {name: one.value for name, one in found.words.items()} == {"new": 5.0, "old": 5.0}


def test_a_judge_that_sees_quality_finds_the_better_model() -> None:
    prompts = prompts_of(40)
    answers = {
        "good": [Completion(text=f"{n} q{5 + n % 3}", policy="good") for n in range(40)],
        "middling": [Completion(text=f"{n} q{4 + n % 3}", policy="middling") for n in range(40)],
        "bad": [Completion(text=f"{n} q1", policy="bad") for n in range(40)],
    }
    verdicts = compare_models(prompts, answers, ai_decides(AIJudge(FakeJudge(best), name="fake")))
    assert len(verdicts.verdicts) == 3 * 40 * 2
    found = summarize(verdicts, "middling")
    assert found.standings["good"].win_rate.value == 1.0 and found.standings["bad"].win_rate.value == 0.0
    assert found.elo["good"].value > 100 > 0 > found.elo["bad"].value
    assert found.order_bias is not None and not found.order_bias.biased
    pairs = {(one.a, one.b): one for one in found.differences}
    assert set(pairs) == {("good", "bad"), ("good", "middling"), ("bad", "middling")}
    assert pairs["good", "bad"].estimate.value == 1.0
    assert pairs["bad", "middling"].estimate.value == -0.5
    assert all(one.p_holm < 0.01 and one.p <= one.p_holm for one in pairs.values())


@pytest.mark.parametrize(("share", "found"), [(0.5, False), (0.55, True)])
def test_a_small_preference_is_found_and_none_is_not(share: float, found: bool) -> None:
    decoding = Decoding(max_new_tokens=4, temperature=1.0, seed=11)
    page = summarize(asked(favouring("new", share), 2000, decoding=decoding)[0], "old")
    rate = page.standings["new"].win_rate
    assert rate.low <= share <= rate.high
    assert (not rate.low <= 0.5 <= rate.high) == found
    (difference,) = page.differences
    assert (difference.p_holm < 0.05) == found
    assert page.order_bias is not None and not page.order_bias.biased


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = 0
    for seed in range(60):
        draw = random.Random(seed)
        said = [both(n, float(draw.random() < 0.6), float(draw.random() < 0.4)) for n in range(60)]
        items, _ = items_of([one for pair in said for one in pair])
        rate = rate_of(items)
        held += rate.low <= 0.6 <= rate.high
    assert held >= 53


def test_a_judge_of_length_is_seen_through() -> None:
    number = 300
    draw = random.Random(0)
    answers = {
        "new": [Completion(text=f"new q1 {' word' * draw.randint(10, 40)}") for _ in range(number)],
        "old": [Completion(text=f"old q1 {' word' * draw.randint(5, 35)}") for _ in range(number)],
    }

    def drawn_to_length(request: str, a: str, b: str, draw: random.Random) -> str:
        return "A" if draw.random() < 1 / (1 + (len(b) / len(a)) ** 2) else "B"

    judge = AIJudge(FakeJudge(drawn_to_length), name="fake")
    found = summarize(compare_models(prompts_of(number), answers, ai_decides(judge), "old"), "old")
    new = found.standings["new"]
    assert new.win_rate.low > 0.53
    assert new.length_controlled.low <= 0.5 <= new.length_controlled.high
    assert abs(new.length_controlled_linear.value - 0.5) < 0.05
    assert new.length_controlled.n == new.win_rate.n and new.length_controlled.better == new.win_rate.better
    assert found.words["new"].low > found.words["old"].high


def test_a_judge_that_likes_the_first_place_is_found_and_does_not_move_the_rate() -> None:
    decoding = Decoding(max_new_tokens=4, temperature=1.0)
    found = summarize(asked(leaning(0.7), 600, decoding=decoding)[0], "old")
    assert found.order_bias is not None and found.order_bias.biased
    assert found.order_bias.first.low < 0.7 < found.order_bias.first.high
    rate = found.standings["new"].win_rate
    assert rate.low <= 0.5 <= rate.high
    assert found.order_bias.consistency.value == pytest.approx(2 * 0.7 * 0.3, abs=0.06)


def test_nonsense_is_no_figure() -> None:
    verdicts, _ = asked(nonsense, 20)
    assert not verdicts.verdicts and len(verdicts.failures) == 40
    with pytest.raises(DataError, match="no verdicts to summarize; the first failure: no verdict, also when asked"):
        summarize(verdicts, "old")


def test_failures_are_counted_and_the_rest_is_summarized() -> None:
    prompts = [*prompts_of(10), Prompt.from_text("poison")]
    answers = {name: answers_of(name, 11) for name in ("new", "old")}
    verdicts = compare_models(prompts, answers, ai_decides(AIJudge(FragileJudge(longer), name="fake")), "old")
    page = summarize(verdicts, "old").as_json()
    assert page["failures"] == 2 and page["num_prompts"] == 10 and page["win_rates"]["new"]["n"] == 10
    assert page["failure_reasons"] == [{"reason": "cannot bear poison", "count": 2}]


def test_scores_become_outcomes_and_close_ones_tie() -> None:
    prompts = prompts_of(3)
    answers = {
        "new": [Completion(text="aaaa"), Completion(text="aa"), Completion(text="a b")],
        "old": [Completion(text="aa"), Completion(text="aaa"), Completion(text="b a")],
    }
    verdicts = compare_models(prompts, answers, scorer_decides(Lengths(), "length"), "old")
    assert [one.outcome for one in verdicts.verdicts] == [1.0, 0.0, 0.5]
    assert {one.order for one in verdicts.verdicts} == {"none"}
    wide = compare_models(prompts, answers, scorer_decides(Lengths(), "length", tolerance=1.0), "old")
    assert [one.outcome for one in wide.verdicts] == [1.0, 0.5, 0.5]
    assert summarize(verdicts, "old").order_bias is None


def test_an_answer_that_cannot_be_scored_is_one_failure() -> None:
    prompts = prompts_of(9)
    answers = {name: answers_of(name, 9) for name in ("new", "old")}
    answers["new"][4] = Completion(text="poison")
    verdicts = compare_models(prompts, answers, scorer_decides(Lengths(), "length"), "old")
    assert len(verdicts.verdicts) == 8
    assert [(one.prompt_id, one.reason) for one in verdicts.failures] == [(prompts[4].id, "poison")]


def test_a_score_that_is_no_number_is_a_failure() -> None:
    class Broken:
        def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
            return [[float("nan") for _ in row] for row in completions]

    verdicts = compare_models(prompts_of(1), {"a": answers_of("a", 1), "b": answers_of("b", 1)},
                              scorer_decides(Broken(), "broken"))  # fmt: skip
    assert [one.reason for one in verdicts.failures] == ["the score is nan"]


def test_any_judge_can_decide() -> None:
    judge = ScorerJudge(Lengths(), Labeler(id="length", kind="model"))
    answers = {"new": [Completion(text="long one")], "old": [Completion(text="short")]}
    verdicts = compare_models(prompts_of(1), answers, judge_decides(judge, "length"), "old")
    assert [(one.first, one.outcome, one.order) for one in verdicts.verdicts] == [
        ("new", 1.0, "given"), ("old", 0.0, "swapped"),
    ]  # fmt: skip


def test_a_coin_has_no_preference_and_is_the_same_each_time() -> None:
    answers = {name: answers_of(name, 500) for name in ("new", "old")}
    once, again = (compare_models(prompts_of(500), answers, chance_decides(3), "old") for _ in range(2))
    assert once == again
    found = summarize(once, "old")
    assert found.standings["new"].win_rate.low < 0.5 < found.standings["new"].win_rate.high
    assert found.order_bias is not None and 0.4 < found.order_bias.consistency.value < 0.6


def test_peoples_rankings_count_by_the_models_that_answered() -> None:
    prompt, other = prompts_of(2)
    new, old, third = (Completion(text=name, policy=name) for name in ("new", "old", "third"))
    written, another = Completion(text="by hand"), Completion(text="x", policy="new")
    rankings = [
        Ranking(prompt=prompt, completions=(new, old, third, written), tiers=(0, 1, 1, 2), labeler="ann"),
        Ranking(prompt=prompt, completions=(new, old), tiers=(1, 0), labeler="bob"),
        Ranking(prompt=other, completions=(old, new, another), tiers=(1, 0, 2), labeler="ann"),
    ]  # fmt: skip
    verdicts = verdicts_of_rankings(rankings)
    assert len(verdicts.verdicts) == 6 + 1 + 2
    found = summarize(verdicts, "old")
    assert found.standings["new"].win_rate.value == pytest.approx((1 + 0 + 1 + 0) / 4)
    assert found.standings["third"].win_rate.value == 0.5 and found.standings["people"].win_rate.value == 0.0
    assert found.judge == "2 judges" and found.order_bias is None and found.prompts == 2
    only = verdicts_of_rankings(rankings, ["new", "old"])
    assert {name for one in only.verdicts for name in (one.first, one.second)} == {"new", "old"}


def test_labels_in_a_store_count_by_model(tmp_path: Path) -> None:
    prompts = prompts_of(8)
    new, old = answers_of("new", 8), answers_of("old", 8)
    with Store.open(tmp_path / "heed.db") as store:
        store.add_prompts(prompts)
        store.add_labelers([Labeler(id="ann"), Labeler(id="gone")])
        pairs = list(zip(prompts, new, old, strict=True))
        for place, (prompt, ours, theirs) in enumerate(pairs):
            tiers = (0, 1) if place < 6 else (1, 0)
            store.add_rankings([Ranking(prompt=prompt, completions=(ours, theirs), tiers=tiers, labeler="ann")])
            store.add_ratings([Rating(prompt=prompt, completion=ours, overall=5, flags={"fails_task": place < 2},
                                      labeler="ann")])  # fmt: skip
        store.add_rankings([Ranking(prompt=prompts[0], completions=(new[0], old[0]), tiers=(1, 0), labeler="gone")])
        store.withdraw_labeler("gone")
        found = summarize(verdicts_of_rankings(store.rankings()), "old")
        rated = ratings_by_model(store.ratings())
    assert found.standings["new"].win_rate.value == 0.75 and found.standings["new"].win_rate.n == 8
    assert found.judge == "ann" and found.words["new"].value > 3
    assert rated["new"].overall.mean.value == 5 and rated["new"].figure_4["attempts_instruction"].value == 0.75


def test_models_that_never_met_the_baseline_have_no_rate_but_strengths_if_they_are_connected() -> None:
    said = [
        verdict("1", "a", "base", 1.0), verdict("2", "a", "base", 0.0), verdict("1", "b", "a", 1.0),
        verdict("2", "b", "a", 0.0), verdict("3", "x", "y", 1.0),
    ]  # fmt: skip
    found = summarize(Verdicts(verdicts=tuple(said)), "base")
    assert list(found.standings) == ["a"] and set(found.elo) == {"a", "base", "b"}
    assert ("x", "y") in found.head_to_head and found.head_to_head["x", "y"].value == 1.0


def test_json_is_json() -> None:
    page = summarize(asked(best, 12)[0], "old").as_json()  # all ties
    text = json.dumps(page, allow_nan=False)
    assert json.loads(text)["win_rates"]["new"] == {
        "value": 0.5, "low": page["win_rates"]["new"]["low"], "high": page["win_rates"]["new"]["high"], "n": 12,
        "better": 0.0, "worse": 0.0, "ties": 1.0,
    }  # fmt: skip
    assert page["needed"] == {"new": None} and page["verdict_ties"] == {"new": 1.0}
    assert set(page["order_bias"]) == {"first_share", "consistency"}


def test_verdicts_of_several_judges_are_counted_on() -> None:
    first = Verdicts(verdicts=tuple(both(0, 1, 0)), what="One.")
    second = Verdicts(verdicts=(), failures=(Undecided(prompt_id="p", first="a", second="b", reason="r", item=0),))
    added = first + second + first
    assert [one.item for one in added.verdicts] == [0, 0, 2, 2] and added.failures[0].item == 1
    assert added.what == "One."


def test_mistakes_are_named() -> None:
    prompts, answers = prompts_of(2), {"new": answers_of("new", 2), "old": answers_of("old", 2)}
    with pytest.raises(DataError, match=r"the baseline 'odl' is not among new, old\. Did you mean 'old'"):
        matchups(prompts, answers, "odl")
    with pytest.raises(DataError, match="old has 1 answers to 2 prompts"):
        matchups(prompts, {**answers, "old": answers["old"][:1]})
    with pytest.raises(DataError, match="no verdict is about the baseline 'sft', only new, old"):
        summarize(Verdicts(verdicts=tuple(both(0, 1, 0))), "sft")
    with pytest.raises(DataError, match="both answers are by 'a', expected two models"):
        Matchup(prompt=prompts[0], first=answers["new"][0], second=answers["old"][0], names=("a", "a"))
    decide: Decide = chance_decides()
    assert decide([]).verdicts == ()
