"""Reward-model accuracy: by hand on three answers, and on labelers whose noise is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from heed.evaluation.baselines import fit_bag_of_words, fit_length_scorer
from heed.evaluation.preference_accuracy import (
    accuracy,
    accuracy_by_gap,
    accuracy_by_kind,
    accuracy_by_labeler,
    accuracy_by_length,
    accuracy_where_both_high,
    labeler_agreement,
    pair_calibration,
    prefers_longer,
    score_pairs,
    sureness,
    temperature_of,
)
from heed.evaluation.reward_accuracy import compare_scorers, evaluate_reward_model
from heed.records import Completion, Prompt, Ranking


class Table:
    """A Scorer that looks each text up."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[self.scores[one.text] for one in group] for group in completions]


def prompt(number: int = 0, kind: str = "chat") -> Prompt:
    return Prompt.from_text(f"Say {number}.", category=kind)


def ranking(texts: Sequence[str], tiers: Sequence[int], number: int = 0, labeler: str = "ann") -> Ranking:
    answers = tuple(Completion(text=text) for text in texts)
    kind = "chat" if number % 2 == 0 else "story"
    return Ranking(prompt=prompt(number, kind), completions=answers, tiers=tuple(tiers), labeler=labeler)


ORDER = ranking(["a", "b c", "d e f"], [0, 1, 2])


def test_accuracy_by_hand() -> None:
    """a > b c and a > d e f are right, b c > d e f is wrong: two of three."""
    pairs = score_pairs(Table({"a": 3.0, "b c": 1.0, "d e f": 2.0}), [ORDER])
    assert pairs.gaps.tolist() == [2.0, 1.0, -1.0]
    assert pairs.length_gaps.tolist() == [-1, -2, -1]
    found = accuracy(pairs)
    assert found.value == pytest.approx(2 / 3) and found.n == 3
    assert accuracy_by_length(pairs)["preferred_shorter"].value == pytest.approx(2 / 3)
    assert accuracy_by_length(pairs)["preferred_longer"].n == 0
    assert prefers_longer(pairs).value == pytest.approx(1 / 3)


def test_a_labelers_tie_is_no_pair_and_a_scorers_tie_is_half() -> None:
    pairs = score_pairs(Table({"a": 1.0, "b": 1.0, "c": 1.0}), [ranking(["a", "b", "c"], [0, 0, 1])])
    assert len(pairs) == 2
    assert accuracy(pairs).value == 0.5


def test_by_kind_and_by_gap() -> None:
    scores = Table({"a": 9.0, "b": 0.0, "c": 0.1, "d": 0.2})
    pairs = score_pairs(scores, [ranking(["a", "b"], [0, 1], 0), ranking(["c", "d"], [0, 1], 1)])
    assert {kind: one.value for kind, one in accuracy_by_kind(pairs).items()} == {"chat": 1.0, "story": 0.0}
    (small, unsure), (large, sure) = accuracy_by_gap(pairs, num_bins=2)
    assert (small, unsure.value) == (pytest.approx(0.1), 0.0)
    assert (large, sure.value) == (9.0, 1.0)


def noisy_rankings(number: int, noise: float, labelers: Sequence[str] = ("ann",)) -> tuple[list[Ranking], Table]:
    """Pairs of answers with known scores; each labeler errs with the probability that a logistic model gives."""
    rng = np.random.default_rng(1)
    rankings, scores = [], {}
    for index in range(number):
        texts = [f"{index} yes", f"{index} no"]
        values = rng.normal(size=2)
        scores |= dict(zip(texts, values.tolist(), strict=True))
        for labeler in labelers:
            first = rng.random() < 1 / (1 + np.exp(-(values[0] - values[1]) / noise))
            rankings.append(ranking(texts, [0, 1] if first else [1, 0], index, labeler))
    return rankings, Table(scores)


def test_the_true_scores_are_calibrated_and_inflated_ones_are_not() -> None:
    rankings, truth = noisy_rankings(4000, noise=1.0)
    assert pair_calibration(score_pairs(truth, rankings)).ece < 0.025
    inflated = Table({text: 4 * score for text, score in truth.scores.items()})
    assert pair_calibration(score_pairs(inflated, rankings)).ece > 0.1
    assert pair_calibration(score_pairs(inflated, rankings), temperature=4.0).ece < 0.025


def test_no_scorer_passes_the_noise_bound() -> None:
    rankings, truth = noisy_rankings(1000, noise=0.7, labelers=("ann", "ben"))
    found = evaluate_reward_model(truth, labels=rankings)
    low, high = found["agreement"]["best_scorer"]
    assert low <= found["accuracy_labels"] <= high == found["noise_bound"]
    with_gold = evaluate_reward_model(truth, labels=rankings, heldout_labels=rankings[:10], gold=truth)
    assert with_gold["accuracy_gold"] == 1
    assert with_gold["noise_bound"] == with_gold["accuracy_labels"] == found["accuracy_labels"]
    assert with_gold["intervals"]["accuracy_heldout_labelers"]["n"] == 10


def test_agreement_needs_the_same_answers_in_any_order() -> None:
    ann, ben = ranking(["x", "y"], [0, 1]), ranking(["y", "x"], [1, 0], labeler="ben")
    assert labeler_agreement([ann, ben]).value == 1
    assert labeler_agreement([ann, ranking(["x", "z"], [0, 1], labeler="ben")]).n == 0
    assert labeler_agreement([ann]).n == 0


def test_baselines_learn_what_they_can_see() -> None:
    """Labels by length: both baselines get it. Labels by one word: only the bag of words does."""
    rng = np.random.default_rng(2)
    words = ["red", "blue", "green", "fine"]
    by_length, by_word = [], []
    for index in range(600):
        one, two = (" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(2))
        if len(one.split()) != len(two.split()):
            by_length.append(ranking([one, two], [0, 1] if len(one.split()) > len(two.split()) else [1, 0], index))
        if one.count("fine") != two.count("fine"):
            by_word.append(ranking([one, two], [0, 1] if one.count("fine") > two.count("fine") else [1, 0], index))
    length = fit_length_scorer(by_length[:300])
    assert length.weight > 0
    assert accuracy(score_pairs(length, by_length[300:])).value == 1
    bag = fit_bag_of_words(by_word[:300])
    found = compare_scorers({"bag": bag, "length": fit_length_scorer(by_word[:300])}, by_word[300:])
    assert found["bag"]["value"] > 0.95 > 0.8 > found["length"]["value"]


def test_a_bag_of_words_scores_nothing_known_and_nothing_at_all() -> None:
    bag = fit_bag_of_words([ranking(["good", "bad"], [0, 1])])
    [[good, bad, other]] = bag.score([prompt()], [[Completion(text=t) for t in ("good", "bad", "unheard")]])
    assert good > other > bad
    assert bag.score([], []) == []


def test_by_labeler_and_where_both_are_good_by_hand() -> None:
    """Ann prefers the lower of two scores at the top, ben the higher of two at the bottom."""
    scores = Table({"a": 9.0, "b": 8.0, "c": 0.1, "d": 0.0, "e": 5.0})
    pairs = score_pairs(scores, [ranking(["a", "b"], [1, 0], 0, "ann"), ranking(["c", "d"], [0, 1], 1, "ben")])
    assert {name: one.value for name, one in accuracy_by_labeler(pairs, least=1).items()} == {"ann": 0.0, "ben": 1.0}
    assert accuracy_by_labeler(pairs) == {} and list(accuracy_by_labeler(pairs, least=1, most=1)) == ["ann"]
    assert pairs.lower.tolist() == [8.0, 0.0]
    (low, everything), (high, best) = accuracy_where_both_high(pairs, (0.0, 1.0))
    assert (low, everything.value, everything.n) == (0.0, 0.5, 2)
    assert (high, best.value, best.n) == (8.0, 0.0, 1)
    assert accuracy_where_both_high(score_pairs(scores, [])) == []


def test_accuracy_falls_where_both_are_good_if_good_answers_are_alike() -> None:
    """Quality saturates: scores are noisy views of it, and the labeler sees only what is below the ceiling."""
    rng = np.random.default_rng(0)
    rankings, scores = [], {}
    for index in range(2000):
        true = rng.normal(size=2)
        texts = [f"{index} one", f"{index} two"]
        scores |= dict(zip(texts, (true + rng.normal(scale=0.5, size=2)).tolist(), strict=True))
        seen = np.minimum(true, 0.5)
        first = seen[0] > seen[1] or (seen[0] == seen[1] and rng.random() < 0.5)
        rankings.append(ranking(texts, [0, 1] if first else [1, 0], index))
    (_, everything), *_, (_, best) = accuracy_where_both_high(score_pairs(Table(scores), rankings))
    assert everything.low > best.high


def test_sureness_finds_the_temperature_on_other_prompts() -> None:
    rankings, truth = noisy_rankings(3000, noise=1.0)
    inflated = score_pairs(Table({text: 3 * score for text, score in truth.scores.items()}), rankings)
    assert temperature_of(inflated) == pytest.approx(3, rel=0.15)
    found = sureness(inflated)
    assert found.temperature == temperature_of(inflated)
    assert found.before.ece > 0.1 > 0.04 > found.after.ece
    assert found.log_loss_after < found.log_loss_before and found.after.brier < found.before.brier
    assert found.floor_after < 0.02 and found.after.ece < 3 * found.floor_after
    assert found.as_json()["ece_before"] == found.before.ece


def test_log_loss_by_hand() -> None:
    """Gaps of ln 3 and -ln 3: probabilities of three quarters and one quarter."""
    gap = float(np.log(3))
    pairs = score_pairs(
        Table({"a": gap, "b": 0.0, "c": 0.0, "d": gap}),
        [ranking(["a", "b"], [0, 1], 0), ranking(["c", "d"], [0, 1], 1)],
    )
    assert sureness(pairs).log_loss_before == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    assert sureness(pairs).before.brier == pytest.approx((0.0625 + 0.5625) / 2)


def test_a_reward_model_is_measured_in_full() -> None:
    rankings, truth = noisy_rankings(60, noise=0.7, labelers=("ann", "ben"))
    found = evaluate_reward_model(truth, labels=rankings, heldout_labels=rankings)
    assert set(found["by_labeler"]) == {"training", "heldout"} and set(found["by_labeler"]["heldout"]) == {"ann", "ben"}
    assert {"ece_before", "ece_after", "floor_after", "temperature"} <= found["sureness"].keys()
    assert all(one["holds"] for one in found["invariance"].values())
    assert found["both_high"][0]["n"] == 120


def test_what_several_labelers_ranked_is_scored_once() -> None:
    class Counting(Table):
        asked = 0

        def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
            Counting.asked += sum(len(group) for group in completions)
            return super().score(prompts, completions)

    one = ranking(["a", "b"], [0, 1], labeler="ann")
    other = Ranking(prompt=one.prompt, completions=one.completions, tiers=(1, 0), labeler="ben")
    pairs = score_pairs(Counting({"a": 2.0, "b": 1.0}), [one, other])
    assert (pairs.gaps.tolist(), pairs.labelers, Counting.asked) == ([1.0, -1.0], ("ann", "ben"), 2)
