"""PPO that tells when it is wrong: each check fails on what it is for, and each band names what left it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fakes import PAD_ID, tiny_codec, tiny_lm, tiny_reward_model
from heed.config import PPOConfig
from heed.errors import ExactnessError, NonFiniteError
from heed.generation.engine import Engine
from heed.models.precision import narrow
from heed.models.scorer import RewardScorer
from heed.models.types import CausalLM
from heed.models.value_model import ValueModel
from heed.ops.rewards import token_rewards
from heed.records import Completion, Prompt
from heed.roles import Decoding, Scorer
from heed.runtime.device import Runtime
from heed.training.diagnostics import (
    Watch,
    check_ratio,
    check_reference,
    check_rewards,
    check_sampler,
    check_scorer,
    healthy_bands,
    tolerances,
)
from heed.training.rollouts import Episodes, Opinions, ask, sample_episodes
from training_fakes import TokenScorer, make_prompts, make_run, read_log, run_ppo

RUNTIME = Runtime(device=torch.device("cpu"), microbatch=5)
CONFIG = PPOConfig(iterations=2, prompts_per_round=8, minibatch=4, ptx_coef=0, max_new_tokens=6)


def make_episodes(policy: CausalLM, scorer: Scorer, *, temperature: float = 1.0) -> Episodes:
    codec = tiny_codec()
    engine = Engine(policy, eos_id=codec.eos_id, context=codec.context)
    decoding = Decoding(max_new_tokens=12, temperature=temperature)
    prompts = make_prompts(12)
    return sample_episodes(engine, prompts, codec.encode_prompts(prompts), codec, decoding, scorer, RUNTIME)


def make_opinions(policy: CausalLM, ref_policy: CausalLM, episodes: Episodes, temperature: float = 1.0) -> Opinions:
    value_model = ValueModel.from_reward_model(tiny_reward_model())
    return ask(policy, ref_policy, value_model, episodes, temperature, PAD_ID, RUNTIME)


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_sound_start_passes_every_check(architecture: str, temperature: float) -> None:
    policy = tiny_lm(architecture)
    scorer = RewardScorer(tiny_reward_model(architecture), tiny_codec(), microbatch=5)
    episodes = make_episodes(policy, scorer, temperature=temperature)
    opinions = make_opinions(policy, tiny_lm(architecture), episodes, temperature)
    rewards = token_rewards(episodes.scores, opinions.logprobs, opinions.ref_logprobs, episodes.mask, 0.2)
    check_ratio(policy, episodes, opinions, temperature, PAD_ID, RUNTIME)
    check_reference(episodes, opinions)
    check_sampler(episodes, opinions, tolerances(torch.float32))
    check_rewards(episodes, opinions, rewards, episodes.scores, 0.2)
    check_scorer(scorer, episodes, tolerances(torch.float32))


def test_another_reference_is_refused() -> None:
    policy = tiny_lm()
    episodes = make_episodes(policy, TokenScorer())
    with pytest.raises(ExactnessError, match=r"'reference KL'.*expected exactly 0"):
        check_reference(episodes, make_opinions(policy, tiny_lm(seed=1), episodes))


def test_dropout_is_noticed() -> None:
    policy = tiny_lm("gpt2")
    episodes = make_episodes(policy, TokenScorer())
    opinions = make_opinions(policy, tiny_lm("gpt2"), episodes)
    for module in policy.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.1
    policy.train()
    with pytest.raises(ExactnessError, match=r"'ratio'.*dropout"):
        check_ratio(policy, episodes, opinions, 1.0, PAD_ID, RUNTIME)


def test_a_sampler_with_a_temperature_of_its_own_is_noticed() -> None:
    policy = tiny_lm()
    episodes = make_episodes(policy, TokenScorer(), temperature=0.8)
    with pytest.raises(ExactnessError, match=r"'sampler'.*temperature"):
        check_sampler(episodes, make_opinions(policy, tiny_lm(), episodes, temperature=1.0), tolerances(torch.float32))


def test_a_reward_on_the_padding_is_noticed() -> None:
    policy = tiny_lm()
    episodes = make_episodes(policy, TokenScorer())
    opinions = make_opinions(policy, tiny_lm(), episodes)
    rewards = token_rewards(episodes.scores, opinions.logprobs, opinions.ref_logprobs, episodes.mask, 0.2)
    with pytest.raises(ExactnessError, match="'reward on the last token'"):
        check_rewards(episodes, opinions, rewards.roll(1, dims=1), episodes.scores, 0.2)


class Company:
    """A Scorer that depends on its batch."""

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        return [[float(len(prompts))] for _ in completions]


def test_a_scorer_that_depends_on_its_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExactnessError, match="'score': the same answer scores"):
        run_ppo(tiny_lm(), CONFIG, make_run(tmp_path), scorer=Company())


def test_ppo_refuses_to_start_from_another_model_than_its_reference(tmp_path: Path) -> None:
    policy = tiny_lm(seed=3)
    before = [parameter.clone() for parameter in policy.parameters()]
    with pytest.raises(ExactnessError, match="'reference KL'"):
        run_ppo(policy, CONFIG, make_run(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


class Breaking(TokenScorer):
    """A Scorer that after some rounds says NaN."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        self.calls -= 1
        scores = super().score(prompts, completions)
        if self.calls < 0:
            scores[3] = [math.nan]
        return scores


def test_a_score_that_is_not_a_number_stops_ppo_before_the_weights_move(tmp_path: Path) -> None:
    policy, kept = tiny_lm(), []
    with pytest.raises(NonFiniteError, match=r"the Scorer gave nan to the answer"):
        run_ppo(
            policy,
            CONFIG,
            make_run(tmp_path),
            scorer=Breaking(calls=9),  # one round and eight answers alone
            evaluate=lambda iteration, model: kept.append([p.detach().clone() for p in model.parameters()]) or {},
            evaluate_every=1,
        )
    assert len(kept) == 2, "before, and after the first iteration"
    assert all(torch.equal(a, b) for a, b in zip(kept[-1], policy.parameters(), strict=True))


HEALTHY = {
    "kl_per_token": 0.05,
    "sampler_gap": 1e-6,
    "entropy": 2.0,
    "clip_fraction": 0.02,
    "ratio_max": 1.5,
    "explained_variance": 0.4,
    "length": 12.0,
    "length_score_correlation": 0.0,
    "eos_rate": 0.98,
    "score_std": 0.8,
}


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"kl_per_token": 0.9}, "policy runs away from the reference"),
        ({"kl_per_token": -0.1}, "negative KL"),
        ({"sampler_gap": 0.2}, "sampler and trainer disagree"),
        ({"entropy": 0.1}, "entropy collapses"),
        ({"entropy": 6.0}, "entropy explodes"),
        ({"clip_fraction": 0.5}, "updates too large"),
        ({"ratio_max": 40.0}, "drastic ratio"),
        ({"explained_variance": -0.5}, "value model does not predict"),
        ({"length": 20.0, "length_score_correlation": 0.6}, "length is being rewarded"),
        ({"length": 20.0, "length_score_correlation": -0.1}, "answers grow"),
        ({"length": 4.0}, "brevity is being rewarded"),
        ({"eos_rate": 0.5}, "answers do not end"),
        ({"score_std": 0.0}, "nothing to learn from"),
        ({"entropy": math.nan}, "entropy collapses"),
    ],
)
def test_each_band_has_a_name(figures: dict[str, float], name: str) -> None:
    watch = Watch(healthy_bands(torch.float32))
    assert watch.look(0, HEALTHY) == []
    found = [watch.look(iteration, HEALTHY | figures) for iteration in range(1, 40)]
    assert name in [diagnosis.name for diagnoses in found for diagnosis in diagnoses]
    assert sum(diagnosis.name == name for diagnoses in found for diagnosis in diagnoses) == 1, "said once"
    assert name in watch.active and name in watch.seen
    assert watch.look(40, HEALTHY) == [] and watch.active == []
    assert name in watch.seen


def test_a_short_excursion_is_no_diagnosis() -> None:
    watch = Watch(healthy_bands(torch.float32))
    for iteration in range(30):
        assert watch.look(iteration, HEALTHY | ({"clip_fraction": 0.5} if iteration % 3 else {})) == []


def test_a_diagnosis_is_a_sentence() -> None:
    watch = Watch(healthy_bands(torch.float32))
    watch.look(0, HEALTHY)
    [diagnosis] = watch.look(1, HEALTHY | {"sampler_gap": 0.2})
    assert str(diagnosis).startswith(
        "sampler and trainer disagree: sampler_gap is 0.2, healthy is at most 0.001. Tokens are drawn"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_band_is_named_once_and_explained(dtype: torch.dtype) -> None:
    bands = healthy_bands(dtype)
    assert len({band.name for band in bands}) == len(bands)
    assert all(band.meaning.endswith((".", "?")) and band.metric in HEALTHY for band in bands)


def test_a_diagnosis_reaches_the_log(tmp_path: Path) -> None:
    config = replace_config(iterations=8, learning_rate=0.05, kl_coef=0.0)
    result = run_ppo(tiny_lm(), config, make_run(tmp_path))
    rows = read_log(tmp_path, "diagnoses")
    assert {row["name"] for row in rows} == set(result.diagnoses) != set()
    assert {"step", "name", "metric", "value", "low", "high", "meaning"} <= set(rows[0])
    assert read_log(tmp_path)[-1]["diagnoses"]
    samples = read_log(tmp_path, "samples")
    assert {"step", "prompt", "completion", "score"} == set(samples[0])


def replace_config(**changes: object) -> PPOConfig:
    return PPOConfig(**{**CONFIG.model_dump(), **changes})  # type: ignore[arg-type]


def test_episodes_keep_the_sampled_tokens() -> None:
    episodes = make_episodes(tiny_lm(), TokenScorer())
    for i, (group, completion) in enumerate(zip(episodes.groups, episodes.completions, strict=True)):
        assert tuple(group.completion_ids[0]) == completion.token_ids
        assert int(episodes.lengths[i]) == len(completion.token_ids) == len(completion.logprobs)
        assert bool(episodes.ended[i]) == (completion.token_ids[-1] == 0)
        assert torch.allclose(
            episodes.sampler_logprobs[i][episodes.mask[i]], torch.tensor(completion.logprobs), atol=1e-7
        )
    changed = replace(episodes, ended=~episodes.ended)
    assert changed.num_tokens == sum(group.num_tokens for group in episodes.groups)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_sound_start_in_bfloat16_passes_every_check(temperature: float) -> None:
    """Rounding apart: policy and reference are rounded alike, so their ratio and their divergence are still exact."""
    policy, reference = narrow(tiny_lm(), torch.bfloat16), narrow(tiny_lm(), torch.bfloat16)
    scorer = RewardScorer(narrow(tiny_reward_model(), torch.bfloat16), tiny_codec(), microbatch=5)
    episodes = make_episodes(policy, scorer, temperature=temperature)
    opinions = make_opinions(policy, reference, episodes, temperature)
    allowed = tolerances(torch.bfloat16)
    check_ratio(policy, episodes, opinions, temperature, PAD_ID, RUNTIME)
    check_reference(episodes, opinions)
    check_sampler(episodes, opinions, allowed)
    check_scorer(scorer, episodes, allowed)
    assert opinions.logprobs.dtype == opinions.values.dtype == torch.float32


def test_bfloat16_does_not_hide_a_sampler_with_a_temperature_of_its_own() -> None:
    policy = narrow(tiny_lm(), torch.bfloat16)
    episodes = make_episodes(policy, TokenScorer(), temperature=0.8)
    with pytest.raises(ExactnessError, match=r"'sampler'.*on average, expected at most 0\.5 and 0\.02"):
        check_sampler(episodes, make_opinions(policy, policy, episodes), tolerances(torch.bfloat16))
