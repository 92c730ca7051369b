"""PPO that ends by itself: at a KL bound, or when a second reward model stops liking what the first one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from fakes import tiny_lm
from heed.config import PPOConfig
from heed.errors import ConfigError, NonFiniteError
from heed.records import Completion, Prompt
from heed.training.stopping import Stopping
from training_fakes import TokenScorer, make_run, read_log, run_ppo

CONFIG = PPOConfig(
    iterations=14,
    prompts_per_round=8,
    minibatch=4,
    ptx_coef=0,
    kl_coef=0,
    learning_rate=2e-2,
    max_new_tokens=5,
    patience=2,
)


class Scripted:
    """A second reward model whose opinion of each round is written down."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        score = self.scores.pop(0)
        return [[score] for _ in prompts]


class Broken:
    """Plays Scorer, and gives no numbers."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[float("nan")] for _ in prompts]


def with_(**changes: object) -> PPOConfig:
    return PPOConfig(**{**CONFIG.model_dump(), **changes})  # type: ignore[arg-type]


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_it_ends_with_the_first_round_beyond_the_bound(tmp_path: Path) -> None:
    free = tiny_lm()
    run_ppo(free, CONFIG, make_run(tmp_path / "free"))
    kl = [row["kl"] for row in read_log(tmp_path / "free")]
    ends = next(index for index in range(3, len(kl)) if kl[index] > max(kl[:index]))
    bound = (kl[ends] + max(kl[:ends])) / 2

    policy = tiny_lm()
    result = run_ppo(policy, with_(max_kl=bound), make_run(tmp_path / "bound"))
    assert (result.stopped, result.iterations, result.kept) == ("max_kl", ends + 1, ends)
    assert [row["kl"] for row in read_log(tmp_path / "bound")] == kl[: ends + 1]
    [row] = [row for row in read_log(tmp_path / "bound", "diagnoses") if row["name"].startswith("stopped")]
    assert (row["step"], row["metric"], row["value"], row["high"], row["low"]) == (
        ends + 1,
        "kl",
        kl[ends],
        bound,
        None,
    )

    shorter = tiny_lm()
    run_ppo(shorter, with_(iterations=ends), make_run(tmp_path / "shorter"))
    assert same(weights(policy), weights(shorter)), "kept is the policy that was measured"


def test_a_bound_that_is_never_reached_changes_nothing(tmp_path: Path) -> None:
    one, other = tiny_lm(), tiny_lm()
    run_ppo(one, with_(iterations=3), make_run(tmp_path / "a"))
    result = run_ppo(other, with_(iterations=3, max_kl=1e6), make_run(tmp_path / "b"))
    assert (result.stopped, result.iterations, result.kept) == ("", 3, 3)
    assert same(weights(one), weights(other))


def test_the_policy_kept_is_the_one_the_second_model_liked_best(tmp_path: Path) -> None:
    """Averages of two rounds: 0.5, 2, 3.5, 3, 2.5: the best ends with round 3, and the run with round 5."""
    policy, other = tiny_lm(), Scripted(0, 1, 3, 4, 2, 3)
    result = run_ppo(policy, with_(stop_by="other"), make_run(tmp_path / "run"), heldout=other)
    assert (result.stopped, result.kept, result.iterations, other.scores) == ("stop_by", 3, 6, [])
    assert [row["heldout_score"] for row in read_log(tmp_path / "run")] == [0, 1, 3, 4, 2, 3]
    [row] = [row for row in read_log(tmp_path / "run", "diagnoses") if row["name"].startswith("stopped")]
    assert (row["metric"], row["value"], row["low"], row["high"]) == ("heldout_score", 2.5, 3.5, None)

    again = tiny_lm()
    run_ppo(again, with_(iterations=3), make_run(tmp_path / "again"))
    assert same(weights(policy), weights(again))


def test_the_second_model_sees_the_answers_of_the_round(tmp_path: Path) -> None:
    config = with_(iterations=3, stop_by="other")
    run_ppo(tiny_lm(), config, make_run(tmp_path), heldout=TokenScorer(sign=-2.0))
    rows = read_log(tmp_path)
    assert [row["heldout_score"] for row in rows] == pytest.approx([-2 * row["score"] for row in rows], abs=1e-6)


def test_a_second_model_that_is_content_ends_nothing(tmp_path: Path) -> None:
    result = run_ppo(tiny_lm(), with_(iterations=4, stop_by="other"), make_run(tmp_path), heldout=Scripted(1, 2, 3, 4))
    assert (result.stopped, result.iterations, result.kept) == ("", 4, 3)


def test_a_stopped_run_called_again_is_as_it_was(tmp_path: Path) -> None:
    first, second = tiny_lm(), tiny_lm()
    config = with_(stop_by="other")
    one = run_ppo(first, config, make_run(tmp_path), heldout=Scripted(5, 5, 0, 0))
    log = (tmp_path / "metrics.jsonl").read_bytes()
    other = run_ppo(second, config, make_run(tmp_path), heldout=Scripted())
    assert same(weights(first), weights(second)) and (tmp_path / "metrics.jsonl").read_bytes() == log
    assert (one.stopped, one.kept, one.iterations) == (other.stopped, other.kept, other.iterations)


def test_the_scorer_and_its_setting_come_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ppo\.stop_by is other and, of second reward models, none was given"):
        run_ppo(tiny_lm(), with_(stop_by="other"), make_run(tmp_path))
    with pytest.raises(ConfigError, match=r"ppo\.stop_by is None and, of second reward models, one was given"):
        run_ppo(tiny_lm(), CONFIG, make_run(tmp_path), heldout=TokenScorer())


def test_a_second_model_without_numbers_stops_it_before_the_weights_move(tmp_path: Path) -> None:
    policy = tiny_lm()
    with pytest.raises(NonFiniteError, match="second reward model's mean score of a round is nan"):
        run_ppo(policy, with_(stop_by="other"), make_run(tmp_path), heldout=Broken())
    assert same(weights(policy), weights(tiny_lm()))


def test_averages_by_hand() -> None:
    """Scores 1, 3, 4, 0, 1: averages of two are 2, 3.5, 2, 0.5; the best is of round 2, two rounds before 4."""
    stopping, model = Stopping(with_(stop_by="other")), nn.Linear(1, 1)
    said = []
    for iteration, score in enumerate([1.0, 3.0, 4.0, 0.0, 1.0]):
        with torch.no_grad():
            model.weight.fill_(iteration)
        said += stopping.look(iteration, {"kl": 0.0, "heldout_score": score}, model)
    [diagnosis] = said
    assert (stopping.reason, stopping.kept(5)) == ("stop_by", 2)
    assert (diagnosis.value, diagnosis.low) == (0.5, 3.5)
    assert str(diagnosis).startswith("stopped by the held-out reward model: heldout_score is 0.5, healthy is at least")
    stopping.put_back(model)
    assert model.weight.item() == 2
    fresh = Stopping(with_(stop_by="other"))
    fresh.load_state_dict(stopping.state_dict())
    assert (fresh.reason, fresh.kept(9)) == ("stop_by", 2)


def test_at_the_bound_the_second_model_still_chooses() -> None:
    stopping, model = Stopping(with_(stop_by="other", max_kl=1.0)), nn.Linear(1, 1)
    for iteration, (kl, score) in enumerate([(0.0, 5.0), (0.5, 5.0), (2.0, 1.0)]):
        with torch.no_grad():
            model.weight.fill_(iteration)
        said = stopping.look(iteration, {"kl": kl, "heldout_score": score}, model)
    assert [one.name for one in said] == ["stopped at the KL bound"]
    assert (stopping.reason, stopping.kept(3)) == ("max_kl", 1)


def test_at_the_bound_before_the_second_model_has_chosen_the_measured_policy_is_kept() -> None:
    stopping, model = Stopping(with_(stop_by="other", max_kl=1.0, patience=5)), nn.Linear(1, 1)
    stopping.look(0, {"kl": 0.0, "heldout_score": 1.0}, model)
    with torch.no_grad():
        model.weight.fill_(7.0)
    stopping.look(1, {"kl": 3.0, "heldout_score": 1.0}, model)
    with torch.no_grad():
        model.weight.fill_(9.0)
    stopping.put_back(model)
    assert (stopping.reason, stopping.kept(2), model.weight.item()) == ("max_kl", 1, 7.0)
