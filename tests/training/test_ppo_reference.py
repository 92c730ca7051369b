"""One PPO iteration against the same thing written out slowly: one episode, one token, one formula at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fakes import EOS_ID, tiny_codec, tiny_lm, tiny_reward_model
from heed.config import PPOConfig
from heed.models.value_model import ValueModel
from heed.records import Completion, Prompt
from heed.training.ppo import ppo
from training_fakes import make_prompts, make_run, read_log

CONFIG = PPOConfig(
    iterations=2,
    prompts_per_round=6,
    minibatch=6,
    epochs=3,
    clip_range=0.02,
    learning_rate=1e-2,
    value_learning_rate=3e-3,
    kl_coef=0.3,
    ptx_coef=0,
    gae_lambda=0.9,
    temperature=0.8,
    max_new_tokens=10,
    missing_eos_penalty=0.7,
)


class Recorder:
    """A Scorer that gives each answer the number of its distinct tokens, and remembers the answers of each round."""

    def __init__(self) -> None:
        self.rounds: list[list[tuple[Prompt, Completion, float]]] = []

    def score(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[Completion]]) -> list[list[float]]:
        scores = [[float(len(set(completion.token_ids))) / 4] for [completion] in completions]
        if len(prompts) == CONFIG.prompts_per_round:
            self.rounds.append([(p, c, s) for p, [c], [s] in zip(prompts, completions, scores, strict=True)])
        return scores


class SlowAdam:
    """Adam as its paper has it, with betas .9 and .95."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters = list(model.parameters())
        self.mean = [torch.zeros_like(p) for p in self.parameters]
        self.square = [torch.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def step(self, loss: Tensor, learning_rate: float) -> None:
        gradients = torch.autograd.grad(loss, self.parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        self.steps += 1
        for p, m, v, g in zip(self.parameters, self.mean, self.square, gradients, strict=True):
            g = g * min(1.0, 1.0 / float(norm))
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.95).add_(0.05 * g**2)
            with torch.no_grad():
                p -= learning_rate * (m / (1 - 0.9**self.steps)) / ((v / (1 - 0.95**self.steps)).sqrt() + 1e-8)


def logprobs_of(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> Tensor:
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0] / CONFIG.temperature
    return torch.stack([logits[len(prompt) + t - 1].log_softmax(-1)[token] for t, token in enumerate(answer)])


def values_of(value_model: ValueModel, prompt: list[int], answer: list[int]) -> Tensor:
    hidden = value_model.classifier.model(input_ids=torch.tensor([prompt + answer])).last_hidden_state[0]
    all_values = value_model.classifier.score(hidden)[:, 0] - value_model.zero_point
    return all_values[len(prompt) - 1 : -1]


def slow_iteration(
    policy: PreTrainedModel,
    ref_policy: PreTrainedModel,
    value_model: ValueModel,
    episodes: list[tuple[Prompt, Completion, float]],
    adams: tuple[SlowAdam, SlowAdam],
    learning_rate: float,
) -> None:
    codec = tiny_codec()
    pairs = [(codec.encode_prompt(prompt), list(completion.token_ids)) for prompt, completion, _ in episodes]
    old, values, advantages, returns = [], [], [], []
    for (prompt, answer), (_, _, score) in zip(pairs, episodes, strict=True):
        with torch.no_grad():
            logprobs = logprobs_of(policy, prompt, answer)
            reward = -CONFIG.kl_coef * (logprobs - logprobs_of(ref_policy, prompt, answer))
            value = values_of(value_model, prompt, answer)
        reward[-1] += score if answer[-1] == EOS_ID else score - CONFIG.missing_eos_penalty
        advantage = torch.zeros(len(answer))
        for t in reversed(range(len(answer))):
            following = value[t + 1] if t + 1 < len(answer) else 0.0
            later = advantage[t + 1] if t + 1 < len(answer) else 0.0
            advantage[t] = reward[t] + following - value[t] + CONFIG.gae_lambda * later
        old.append(logprobs)
        values.append(value)
        advantages.append(advantage)
        returns.append(advantage + value)
    flat = torch.cat(advantages)
    mean, deviation = flat.mean(), flat.std(unbiased=False)
    for _ in range(CONFIG.epochs):
        policy_terms, value_terms = [], []
        for i, (prompt, answer) in enumerate(pairs):
            ratio = (logprobs_of(policy, prompt, answer) - old[i]).exp()
            white = (advantages[i] - mean) / deviation
            policy_terms.append(torch.max(-white * ratio, -white * ratio.clamp(0.98, 1.02)))
            value = values_of(value_model, prompt, answer)
            near = torch.min(torch.max(value, values[i] - 0.02), values[i] + 0.02)
            value_terms.append(0.5 * torch.max((value - returns[i]) ** 2, (near - returns[i]) ** 2))
        adams[0].step(torch.cat(policy_terms).mean(), learning_rate)
        adams[1].step(torch.cat(value_terms).mean(), CONFIG.value_learning_rate)


def test_two_iterations_are_those_of_the_slow_reference(tmp_path: Path) -> None:
    reward_model = tiny_reward_model(seed=2)
    reward_model.zero_point = 0.25
    policy, value_model = tiny_lm(), ValueModel.from_reward_model(reward_model)
    slow_policy, slow_value_model = tiny_lm(), copy.deepcopy(value_model)
    recorder = Recorder()
    ppo(policy, tiny_lm(), value_model, recorder, make_prompts(), tiny_codec(), CONFIG, make_run(tmp_path))
    assert min(row["clip_fraction"] for row in read_log(tmp_path)) > 0, "the clipping has to be seen"

    assert len(recorder.rounds) == 2
    ended = [completion.token_ids[-1] == EOS_ID for episodes in recorder.rounds for _, completion, _ in episodes]
    assert any(ended) and not all(ended), "the penalty has to be seen in both ways"
    adams = SlowAdam(slow_policy), SlowAdam(slow_value_model)
    for episodes, learning_rate in zip(recorder.rounds, (1e-3, 1.9e-3), strict=True):  # warming up
        slow_iteration(slow_policy, tiny_lm(), slow_value_model, episodes, adams, learning_rate)

    for fast, slow in ((policy, slow_policy), (value_model, slow_value_model)):
        for (name, a), b in zip(fast.named_parameters(), slow.parameters(), strict=True):
            assert torch.allclose(a, b, atol=2e-5), f"{name}: {(a - b).abs().max():.3g} apart"
    assert not torch.allclose(next(policy.parameters()), next(tiny_lm().parameters()), atol=5e-4), "it did move"
