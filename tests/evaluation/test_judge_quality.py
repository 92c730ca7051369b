"""Judges with known faults on made-up pairs, and plain judges on the published ones."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from heed.errors import DataError
from heed.evaluation.baselines import LengthScorer
from heed.evaluation.judge_quality import JudgeQuality, compare_judges, judge_quality, quality_of
from heed.evaluation.judged_pairs import JudgedPair, Label, read_judged
from heed.evaluation.verdicts import Verdict, Verdicts, ai_decides, chance_decides, scorer_decides
from heed.feedback.ai_judge import AIJudge, Price
from heed.records import Completion, Prompt
from heed.roles import Decoding
from judge_fakes import FakeJudge, FragileJudge, Say, best, first, leaning, longer, nonsense, quality


def pair(number: int, a: str, b: str, *labels: Label, subset: str = "") -> JudgedPair:
    return JudgedPair(
        id=str(number),
        subset=subset,
        prompt=Prompt.from_text(f"Request {number}"),
        first=Completion(text=a),
        second=Completion(text=b),
        labels=labels,
    )


def made_up(number: int = 200) -> list[JudgedPair]:
    """The better answer carries the higher number and is the longer one in three of four pairs; it is first or second
    as often as not."""
    pairs = []
    for n in range(number):
        good = f"q9 {n}" + " word" * (9 if n % 4 else 3)
        bad = f"q1 {n}" + " word" * 6
        label: Label = 1 if n % 2 else 2
        texts = (good, bad) if label == 1 else (bad, good)
        pairs.append(pair(n, *texts, label, label, label, subset="easy" if n % 4 else "hard"))
    return pairs


def judged(say: Say = best, pairs: Sequence[JudgedPair] = (), **settings: object) -> JudgeQuality:
    judge = AIJudge(FakeJudge(say), name="fake", **settings)  # type: ignore[arg-type]
    return judge_quality(ai_decides(judge), pairs or made_up())


def test_a_perfect_judge() -> None:
    found = judged(best)
    for one in (found.accuracy, found.exact, found.agreement, found.accuracy_longer_worse):
        assert one.value == 1.0 and one.low > 0.9
    assert found.order_bias is not None and found.order_bias.consistency.value == 1.0
    assert found.prefers_longer.value == found.people_prefer_longer.value == 0.75
    assert found.self_consistency is None and found.cost_per_1000 is None and found.ties.value == 0.0


def test_a_judge_of_length() -> None:
    found = judged(longer)
    assert found.prefers_longer.value == 1.0 and found.accuracy.value == 0.75
    assert found.accuracy_longer_better.value == 1.0 and found.accuracy_longer_worse.value == 0.0
    assert {name: one.value for name, one in found.accuracy_by_subset.items()} == {"easy": 1.0, "hard": 0.0}


def test_a_judge_of_place() -> None:
    found = judged(first)
    assert found.accuracy.value == 0.5 and found.exact.value == 0.0
    assert found.order_bias is not None
    assert found.order_bias.first.value == 1.0 and found.order_bias.consistency.value == 0.0 and found.order_bias.biased


def test_votes_that_differ_are_seen() -> None:
    found = judged(leaning(0.6), samples=5, decoding=Decoding(max_new_tokens=4, temperature=1.0))
    assert found.self_consistency is not None
    assert found.self_consistency.value == pytest.approx(0.6**2 + 0.4**2, abs=0.03)
    assert found.order_bias is not None and found.order_bias.first.value > 0.6  # the majority leans further than a vote


def test_by_hand_against_people_who_differ() -> None:
    pairs = [
        pair(0, "a a", "b", 1, 1, 2),  # the judge says 1: right; agrees with two of three
        pair(1, "a", "b b", 1, 0, 0),  # most say tie, the judge says 2
        pair(2, "a", "b", 2, 2, 2),  # the judge says tie: half right
        pair(3, "a a", "b", 1, 2, 0),  # no majority; agrees with one of two
    ]
    outcomes = [1.0, 0.0, 0.5, 1.0]
    verdicts = tuple(
        Verdict(prompt_id=one.prompt.id, first="first", second="second", outcome=outcome, item=number)
        for number, (one, outcome) in enumerate(zip(pairs, outcomes, strict=True))
    )
    found = quality_of(Verdicts(verdicts=verdicts, seconds=0.5), pairs)
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(1.5 / 2), 2)
    assert found.exact.value == pytest.approx(1 / 3) and found.exact.n == 3
    assert found.agreement.n == 3 + 1 + 3 + 2
    assert found.agreement.value == pytest.approx((2 + 0 + 1.5 + 1) / 9)
    assert found.people_agreement is not None and found.bound is not None and found.people_exact is not None
    assert (found.people_agreement.value, found.people_agreement.n) == (pytest.approx((1 + 0 + 0 + 3 + 0) / 7), 7)
    # Each against the two others where these agree: (2 | 1 1), (1 | 0 0), three of pair 2.
    assert (found.people_exact.value, found.people_exact.n) == (pytest.approx(3 / 5), 5)
    # Pairs 0, 1 and 3 differ in words: the longer is taken in all; people, ties half: 1 1 0, 0 .5 .5, 1 0 .5.
    assert found.prefers_longer.value == 1.0
    assert found.people_prefer_longer.value == pytest.approx((2 + 1 + 1.5) / 9)
    assert found.ties.value == 0.25 and found.seconds_per_1000 == 125.0 and found.order_bias is None


def test_failures_are_counted_and_not_taken_for_wrong() -> None:
    pairs = [*made_up(20), pair(99, "poison q9", "q1", 1)]
    found = judge_quality(ai_decides(AIJudge(FragileJudge(best), name="fake")), pairs)
    assert found.accuracy.value == 1.0 and (found.pairs, found.judged, len(found.failures)) == (21, 20, 2)
    page = found.as_json()
    assert page["failures"] == 2 and page["failure_reasons"] == [{"reason": "cannot bear poison", "count": 2}]


def test_a_judge_of_nonsense_has_no_quality() -> None:
    with pytest.raises(DataError, match="not one of 200 pairs got a verdict; the first failure: no verdict"):
        judged(nonsense)
    with pytest.raises(DataError, match="no judged pairs"):
        judge_quality(chance_decides(), [])


def test_the_price_of_a_thousand() -> None:
    class Metered(FakeJudge):
        def sample(self, prompts, n, decoding):  # type: ignore[no-untyped-def]
            usage = {"usage": {"prompt_tokens": 400, "completion_tokens": 1}}
            return [[Completion(text="A", meta=usage)] for _ in prompts]

    judge = AIJudge(Metered(first), name="fake", price=Price(prompt=0.5, completion=2.0))
    found = judge_quality(ai_decides(judge), made_up(10))
    assert found.tokens_per_1000 == 401_000 and found.cost_per_1000 == pytest.approx(0.5 * 0.4 + 2.0 * 0.001)


def test_judges_are_compared_on_the_pairs_that_both_judged() -> None:
    pairs = [*made_up(80), pair(99, "poison q9", "q1", 1)]
    matchups = [one.matchup() for one in pairs]
    said = {
        "perfect": ai_decides(AIJudge(FragileJudge(best), name="perfect"))(matchups),
        "length": ai_decides(AIJudge(FakeJudge(longer), name="length"))(matchups),
        "place": ai_decides(AIJudge(FakeJudge(first), name="place"))(matchups),
    }
    found = {(one.a, one.b): one for one in compare_judges(said, pairs)}
    assert found["perfect", "length"].estimate.value == pytest.approx(0.25)
    assert found["perfect", "length"].estimate.n == 80 and found["length", "place"].estimate.n == 81
    assert found["perfect", "place"].estimate.value == 0.5 and found["perfect", "place"].p_holm < 0.001
    nothing = compare_judges({"a": said["place"], "b": Verdicts(verdicts=())}, pairs)
    assert nothing == []


def test_json_is_json() -> None:
    ties = [pair(n, f"a {n}", f"b {n}", 0) for n in range(4)]
    page = judge_quality(chance_decides(), ties).as_json()
    assert json.loads(json.dumps(page, allow_nan=False))["accuracy"] is None  # nobody prefers anything
    assert page["exact"]["value"] == 0.0 and page["prefers_longer"] is None


def test_answers_of_one_model_are_told_apart() -> None:
    one = pair(0, "q9", "q1", 1)
    same = JudgedPair(
        id="0", subset="", prompt=one.prompt, labels=(1,),
        first=Completion(text="q9", policy="sft"), second=Completion(text="q1", policy="sft"),
    )  # fmt: skip
    assert judged(best, [same]).accuracy.value == 1.0


def test_scorers_at_every_level_of_noise() -> None:
    """A scorer that is right on 80 % of pairs is measured at 80 %."""

    class Noisy:
        def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
            signs = [1 if random.Random(prompt.id).random() < 0.8 else -1 for prompt in prompts]
            return [
                [sign * float(quality(one.text)) for one in row] for sign, row in zip(signs, completions, strict=True)
            ]

    found = judge_quality(scorer_decides(Noisy(), "noisy"), made_up(1000))
    assert found.accuracy.low < 0.8 < found.accuracy.high and found.order_bias is None


@pytest.mark.parametrize(
    ("format", "name", "accuracy", "longer_preferred"),
    [
        ("llmbar", "llmbar/pairs.jsonl.gz", 0.450, 0.449),
        ("pandalm", "pandalm-human-pairs/pairs.jsonl", 0.656, 0.648),
        ("alpaca-eval", "alpaca-eval", 0.755, 0.760),
    ],
)
def test_length_and_chance_on_the_published_pairs(
    public_data: Callable[[str], Path], format: str, name: str, accuracy: float, longer_preferred: float
) -> None:
    pairs = read_judged(format, public_data(name)).sample(2000).pairs
    tolerance = 0.001 if len(pairs) < 2000 else 0.02  # figures are of all pairs
    length = judge_quality(scorer_decides(LengthScorer(1.0), "length"), pairs)
    assert length.accuracy.value == pytest.approx(accuracy, abs=tolerance) and length.prefers_longer.value == 1.0
    assert length.people_prefer_longer.value == pytest.approx(longer_preferred, abs=tolerance)
    chance = judge_quality(chance_decides(), pairs[:700])
    assert chance.accuracy.value == pytest.approx(0.5, abs=0.04) and chance.order_bias is not None
    assert chance.order_bias.first.value == pytest.approx(0.5, abs=0.04)  # three standard errors of 700 pairs
