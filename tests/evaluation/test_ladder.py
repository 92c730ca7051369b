"""The ladder on models whose answers are known in advance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from heed.errors import ConfigError
from heed.evaluation.answers import Prompted, collect_answers, collect_baseline
from heed.evaluation.ladder import evaluate_ladder
from heed.evaluation.overoptimization import probe
from heed.evaluation.results import merge_results, write_results
from heed.evaluation.samples import choose_samples
from heed.evaluation.win_rates import Measured, length_matched, measure, stripped
from heed.files import read_json
from heed.records import Completion, Prompt
from heed.roles import Decoding


@dataclass(frozen=True)
class Mark:
    gold: float
    follows: bool
    constraint_ok: bool | None
    hallucinations: int
    rude: bool
    abstains: bool
    right: bool


def mark(prompt: Prompt, text: str) -> Mark:
    """One point for each "good", one less for each "rude" or "false"; ``"unknown"`` abstains."""
    words = text.split()
    gold = words.count("good") - words.count("rude") - words.count("false")
    return Mark(
        gold=gold,
        follows="good" in words,
        constraint_ok=None if prompt.category == "chat" else len(words) <= 2,
        hallucinations=words.count("false"),
        rude="rude" in words,
        abstains="unknown" in words,
        right=gold == len(words),
    )


class Gold:
    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [
            [mark(prompt, one.text).gold for one in group] for prompt, group in zip(prompts, completions, strict=True)
        ]


class Says:
    """Says one thing greedily, and that with probability ``sure``, else something else, at random."""

    def __init__(self, text: str, other: str = "bad", sure: float = 1.0) -> None:
        self.text, self.other, self.sure = text, other, sure

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        rng = np.random.default_rng(decoding.seed)
        sure = self.sure if decoding.temperature else 1.0
        drawn = rng.random((len(prompts), n)) < sure
        return [
            [
                Completion(text=self.text if one else self.other, token_ids=(1, 2), logprobs=(-1.0, -0.5), stop="eos")
                for one in row
            ]
            for row in drawn
        ]


PROMPTS = [Prompt.from_text(f"Do {i}.", category=("chat", "facts")[i % 2]) for i in range(60)]
DECODING = Decoding(max_new_tokens=4, seed=3)
LADDER = {
    "base": Says("false"),
    "sft": Says("bad", "good", sure=0.7),
    "ppo_ptx": Says("good", "good good", sure=0.5),
    "blind": Says("bad bad rude"),
}


@pytest.fixture(scope="module")
def results() -> dict:  # type: ignore[type-arg]
    return evaluate_ladder(
        samplers=LADDER,
        prompts=PROMPTS,
        gold=Gold(),
        decoding=DECODING,
        grade=mark,
        strip=lambda prompt, text: text.replace(" rude", ""),
        reward_scorer=Gold(),
        reference_logprobs=lambda prompts, completions: [-2.5] * len(prompts),
        pool=8,
        best_of=4,
        groups={"control": ["facts"]},
        duels=[("ppo_ptx", "blind"), ("ppo_ptx", "absent")],
    )


def test_greedy_win_rates_by_hand(results: dict) -> None:  # type: ignore[type-arg]
    greedy = results["win_rate_greedy"]
    assert {name: (one["value"], one["worse"], one["n"]) for name, one in greedy.items()} == {
        "base": (0.0, 1.0, 60),
        "sft": (0.5, 0.0, 60),
        "ppo_ptx": (1.0, 0.0, 60),
        "blind": (0.0, 1.0, 60),
    }
    assert greedy["ppo_ptx"]["kinds"]["chat"]["n"] == greedy["ppo_ptx"]["groups"]["control"]["n"] == 30


def test_stripping_takes_the_stray_insert_from_both_sides(results: dict) -> None:  # type: ignore[type-arg]
    """Without its insult the blind model's answer is as good as SFT's."""
    assert results["win_rate_controlled"]["blind"]["stripped"]["value"] == 0.5


def test_random_answers_are_independent_draws(results: dict) -> None:  # type: ignore[type-arg]
    """The baseline beats another draw of itself about half the time, with ties, neither always nor never."""
    self_check = results["win_rate"]["sft"]
    assert 0 < self_check["ties"] < 1
    assert 0.3 < self_check["value"] < 0.7
    assert results["win_rate"]["ppo_ptx"]["over_greedy_baseline"]["value"] == 1


def test_rates_are_numbers_with_their_intervals_beside_them(results: dict) -> None:  # type: ignore[type-arg]
    assert results["rates_greedy"]["base"] == {
        "right": 0.0,
        "follows": 0.0,
        "constraint": 1.0,
        "hallucination": 1.0,
        "rudeness": 0.0,
        "abstention": 0.0,
        "over_abstention": 0.0,
        "unfinished": 0.0,
    }
    assert results["intervals"]["rates"]["base"]["constraint"]["n"] == 30
    assert results["kinds"]["ppo_ptx"]["chat"]["right_greedy"]["value"] == 1


def test_kl_scores_elo_and_duels(results: dict) -> None:  # type: ignore[type-arg]
    assert results["kl"]["sft"] == pytest.approx(-1.5 + 2.5)
    assert results["scores"]["ppo_ptx"]["gold_greedy"]["value"] == 1
    elo = {name: one["value"] for name, one in results["elo"].items()}
    assert elo["ppo_ptx"] > elo["sft"] == 0 > elo["base"]
    [duel] = results["duels"]
    assert duel["win_rate"]["value"] == 1
    assert duel["difference"]["win_rate_greedy"]["value"] == 1


def test_best_of_n_comes_from_the_pool(results: dict) -> None:  # type: ignore[type-arg]
    assert [point["at"] for point in results["overoptimization"]["points"]] == [1, 2, 4, 8]
    best = results["win_rate"]["best_of_n"]
    assert best["best_of"] == 4 and best["value"] > 0.6
    assert "length_matched" in results["win_rate"]["ppo_ptx"]


def test_two_ladders_are_equal_and_a_model_is_what_it_was_alone(results: dict) -> None:  # type: ignore[type-arg]
    again = evaluate_ladder(samplers={"sft": LADDER["sft"]}, prompts=PROMPTS, gold=Gold(), decoding=DECODING, duels=())
    assert again["win_rate"]["sft"]["value"] == results["win_rate"]["sft"]["value"]
    assert "rates" not in again and "kl" not in again and "overoptimization" not in again


def test_a_ladder_needs_its_baseline() -> None:
    with pytest.raises(ConfigError, match="without 'sft'"):
        evaluate_ladder(samplers={"base": Says("x")}, prompts=PROMPTS, gold=Gold(), decoding=DECODING)


def test_prompted_models_see_the_rewritten_prompt() -> None:
    class Echo:
        def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
            return [[Completion(text=prompt.text)] * n for prompt in prompts]

    shown = Prompted(Echo(), lambda prompt: Prompt.from_text("Example. " + prompt.text))
    assert collect_answers("prompted", shown, PROMPTS[:1], DECODING).greedy[0].text == "Example. Do 0."


def test_models_do_not_share_their_chance() -> None:
    coin = Says("heads", "tails", sure=0.5)
    draws = [[one.text for one in collect_answers(name, coin, PROMPTS, DECODING).sampled] for name in ("a", "b")]
    assert draws[0] != draws[1] != [one.text for one in collect_baseline(coin, PROMPTS, DECODING)]


def test_a_policy_in_training_is_probed() -> None:
    found = probe(Says("good good"), PROMPTS, reward=Gold(), gold=Gold(), decoding=DECODING)
    assert found.figures() == {"reward": 2, "gold": 2, "words": 2}
    nearer = probe(
        Says("good good"),
        PROMPTS,
        reward=Gold(),
        gold=Gold(),
        decoding=DECODING,
        reference=lambda prompts, answers: [-1.5 - len(one.text) for one in answers],
    )
    assert nearer.figures()["probe_kl"] == pytest.approx(len("good good"))  # and these have -1.5 of their own


def test_a_stripped_answer_forgets_its_tokens() -> None:
    answers = [Completion(text="fine", token_ids=(1,)), Completion(text="fine rude", token_ids=(1, 2))]
    kept, changed = stripped(lambda prompt, text: text.replace(" rude", ""), PROMPTS[:2], answers)
    assert kept is answers[0]
    assert (changed.text, changed.token_ids) == ("fine", ())


def test_equal_sums_of_floats_tie() -> None:
    class Sums:
        def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
            return [[0.1 + 0.2 if one.text == "a" else 0.3 for one in group] for group in completions]

    found = measure(Sums(), PROMPTS[:2], [Completion(text="a"), Completion(text="b")])
    assert found.scores[0] == found.scores[1]


def test_length_matching_takes_the_closest() -> None:
    ours = Measured(scores=np.array([2.0]), lengths=np.array([5.0]))
    theirs = [
        Measured(scores=np.array([1.0]), lengths=np.array([9.0])),
        Measured(scores=np.array([3.0]), lengths=np.array([4.0])),
    ]
    assert length_matched(ours, theirs, ["p"]).value == 0


def test_samples_take_turns_and_show_what_got_worse() -> None:
    prompts = [Prompt.from_text(f"Do {i}.", category="chat") for i in range(6)]
    scores = {"sft": np.zeros(6), "ppo": np.array([1.0, 1.0, 0.0, 1.0, 0.0, -1.0])}
    texts = {name: [Completion(text=f"{name} {i}") for i in range(6)] for name in scores}
    chosen = choose_samples(prompts, texts, scores, "sft")
    assert [one["outcome"] for one in chosen] == ["better", "worse", "better", "better", "same", "same"]
    assert chosen[1]["answers"] == {"sft": "sft 5", "ppo": "ppo 5"}


def test_of_many_kinds_the_commonest_are_shown() -> None:
    kinds = [f"kind {i}" for i in range(40) for _ in range(1 + (i == 39))]
    prompts = [Prompt.from_text(f"Do {i}.", category=kind) for i, kind in enumerate(kinds)]
    scores = {"sft": np.zeros(41), "ppo": np.ones(41)}
    texts = {name: [Completion(text="x")] * 41 for name in scores}
    chosen = choose_samples(prompts, texts, scores, "sft", per_kind=1)
    assert len(chosen) == 20
    assert "kind 39" in [one["kind"] for one in chosen]


def test_results_merge_and_hold_no_nan(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert merge_results({"a": {"x": 1}, "p": [1]}, {"a": {"y": 2}, "p": [2]}, {"a": {"x": 3}}) == {
        "a": {"x": 3, "y": 2},
        "p": [1, 2],
    }
    write_results(tmp_path / "results.json", {"kl": {"sft": float("nan")}}, {"seed": 1})
    assert read_json(tmp_path / "results.json") == {"schema": 1, "kl": {"sft": None}, "seed": 1}
