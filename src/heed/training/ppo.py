"""Proximal policy optimisation from a Scorer's feedback (Ouyang et al. 2022, Equation 2), PPO-ptx included.

The policy answers prompts; an answer's score, less a penalty at each token for leaving the reference, is its reward; a
separate value model says what was to be expected; a clipped surrogate (Schulman et al. 2017) makes better-than-expected
tokens likelier. PPO-ptx adds the gradient of pretraining text to every step. Each prompt is one episode, discount 1.

A run can end by itself where it would only fool its Scorer, see :mod:`heed.training.stopping`.

Left out on purpose: entropy bonus, reward whitening, early stopping within a round, discounting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain

import torch
from torch import Tensor

from heed.config import PPOConfig
from heed.data.chat import Codec
from heed.data.mixtures import Order
from heed.errors import ConfigError, DataError
from heed.generation.engine import Engine
from heed.models.adapters import as_reference
from heed.models.forward import response_loss
from heed.models.types import CausalLM
from heed.models.value_model import ValueModel
from heed.ops.advantages import generalized_advantages, whiten
from heed.ops.logprobs import TokenLoss
from heed.ops.losses import policy_loss, value_loss
from heed.ops.rewards import penalized_scores, token_rewards
from heed.records import Prompt
from heed.roles import Decoding, Scorer
from heed.runtime.device import Runtime
from heed.runtime.metrics import MetricLogger
from heed.runtime.run import Run
from heed.runtime.seeds import derive_seed, numpy_generator
from heed.training.diagnostics import Watch, check_exactness, healthy_bands
from heed.training.figures import heldout_figures, round_figures, update_figures
from heed.training.lm import Rows
from heed.training.ptx import PretrainingMix
from heed.training.results import PPOResult
from heed.training.rollouts import Round, Slice, ask, sample_episodes, slices
from heed.training.schedule import KLController, warm_up
from heed.training.state import Checkpointer, Memory, WeightAverage, fingerprint
from heed.training.step import Tally, Update, make_optimizer, make_ready, take_step
from heed.training.stopping import Stopping
from heed.training.weights import Weights

_MAX_SLOTS = 256
"""Answers sampled at once, at most: bounds memory."""
_SAMPLES_KEPT = 4
"""Answers of each round that are kept as text."""


def ppo(
    policy: CausalLM,
    ref_policy: CausalLM,
    value_model: ValueModel,
    scorer: Scorer,
    prompts: Sequence[Prompt],
    codec: Codec,
    config: PPOConfig,
    run: Run,
    *,
    rows: Rows | None = None,
    heldout: Scorer | None = None,
    evaluate: Callable[[int, CausalLM], Mapping[str, float]] | None = None,
    evaluate_every: int = 0,
) -> PPOResult:
    """Train ``policy`` and ``value_model`` in place.

    Args:
        policy: starts with the weights of ``ref_policy``.
        ref_policy: what the KL penalty is against; it is not changed. A policy with an adapter is also its own
            reference: given here again, it is asked with the adapter off, and no second copy is held.
        value_model: starts from the reward model, see :meth:`heed.models.value_model.ValueModel.from_reward_model`.
        scorer: gets completions with ``token_ids``.
        prompts: each round takes the next ``config.prompts_per_round`` of a shuffled order without end.
        rows: (num_rows, T) packed pretraining text; needed unless ``config.ptx_coef`` is 0.
        heldout: what ``config.stop_by`` names. It is never a reward, nor may it judge the run afterwards.
        evaluate: called with the number of iterations made and the policy, before the first iteration, after every
            ``evaluate_every`` and after the last; what it returns is logged. It must not change the policy.

    Raises:
        ConfigError: ``config.ptx_coef`` is not 0 and there are no rows, or there is no scorer for ``config.stop_by``.
        DataError: there are no prompts, or one leaves no room for an answer in the context.
        ExactnessError: a check that must hold before the first update does not.
        NonFiniteError: a loss or gradient is not finite; all weights are those of the step before.
    """
    _check_inputs(config, prompts, rows, heldout)
    ref_policy = as_reference(ref_policy, policy, run.runtime.dtype)
    runtime, pad_id, num_episodes = run.runtime, codec.pad_id, config.prompts_per_round
    prompt_ids = codec.encode_prompts(prompts)
    engine = Engine(policy, eos_id=codec.eos_id, max_slots=min(num_episodes, _MAX_SLOTS), context=codec.context)
    ptx = PretrainingMix(rows, config.ptx_coef, config.minibatch, derive_seed(run.seed, "ppo", "text"), runtime)
    make_ready(runtime, policy, ref_policy, value_model)
    policy_weights, value_weights = Weights(policy, runtime.dtype), Weights(value_model, runtime.dtype)
    policy_optimizer, value_optimizer = make_optimizer(policy_weights), make_optimizer(value_weights)
    order = Order(len(prompts), derive_seed(run.seed, "ppo", "prompts"))
    kl, stopping = KLController(config.kl_coef, config.kl_target), Stopping(config)
    average, watch = WeightAverage(policy_weights), Watch(healthy_bands(runtime.dtype))
    memory = Memory(tokens=0, metrics={})
    samples, diagnoses = MetricLogger(run.dir / "samples.jsonl"), MetricLogger(run.dir / "diagnoses.jsonl")
    checkpoint = Checkpointer(
        run,
        {
            "policy": policy_weights,
            "value_model": value_weights,
            "policy_optimizer": policy_optimizer,
            "value_optimizer": value_optimizer,
            "kl": kl,
            "ptx": ptx,
            "average": average,
            "watch": watch,
            "stopping": stopping,
            "memory": memory,
        },
        fingerprint(config, run, [policy, ref_policy, value_model], [prompt.id for prompt in prompts]),
        logs=(samples, diagnoses),
    )
    done = checkpoint.restore()
    if evaluate is not None and not done:
        run.metrics.log(0, evaluate(0, policy))

    with policy_weights, value_weights, run.progress.track(config.iterations, "iterations", done=done) as tracker:
        for iteration in range(done, done if stopping.reason else config.iterations):
            # 1. Draw prompts; answer each once; score the answers.
            chosen = order.take(iteration * num_episodes, num_episodes)
            drawn, drawn_ids = [prompts[i] for i in chosen], [prompt_ids[i] for i in chosen]
            decoding = _decoding(config, derive_seed(run.seed, "ppo", "sampling", iteration))
            episodes = sample_episodes(engine, drawn, drawn_ids, codec, decoding, scorer, runtime)

            # 2. What do policy, reference and value model say of every token?
            networks, first = (policy, ref_policy, value_model), iteration == 0
            opinions = ask(*networks, episodes, config.temperature, pad_id, runtime, check_all=first)

            # 3. A reward for each token, and how much better than expected it went on from there.
            scores = penalized_scores(episodes.scores, episodes.ended, config.missing_eos_penalty)
            rewards = token_rewards(scores, opinions.logprobs, opinions.ref_logprobs, episodes.mask, kl.coef)
            targets = generalized_advantages(rewards, opinions.values, episodes.mask, gae_lambda=config.gae_lambda)
            targets = targets._replace(advantages=whiten(targets.advantages, episodes.mask))
            this = Round(episodes=episodes, opinions=opinions, scores=scores, rewards=rewards, targets=targets)

            # 4. Before the first update: is everything exactly as it must be?
            if first:
                check_exactness(policy, scorer, this, kl.coef, config.temperature, pad_id, runtime)

            # 5. Is this policy to be kept, and is it far enough?
            metrics = round_figures(this, kl.coef) | heldout_figures(heldout, episodes)
            ends = stopping.look(iteration, metrics, policy_weights)

            # 6. Updates: clipped surrogate and pretraining mix for the policy, clipped squared error for the values.
            tally, reports = Tally(), []
            for number, minibatch in _minibatches(iteration, config, run.seed):
                parts = list(slices(episodes, minibatch, pad_id, runtime))
                ptx.balance(policy, policy_optimizer, _policy_losses(policy, parts, this, config, runtime, Tally()))
                policy_losses = _policy_losses(policy, parts, this, config, runtime, tally)
                policy_update = Update(
                    name="policy",
                    optimizer=policy_optimizer,
                    losses=chain(policy_losses, ptx.losses(policy, number, tally)),
                    learning_rate=warm_up(iteration, config.learning_rate),
                )
                value_update = Update(
                    name="value model",
                    optimizer=value_optimizer,
                    losses=_value_losses(value_model, parts, this, config, runtime, tally),
                    learning_rate=config.value_learning_rate,
                )
                reports.append(take_step(f"PPO iteration {iteration + 1}", policy_update, value_update))
                average.update()
            metrics |= {**update_figures(tally, reports), "ptx_coef": ptx.coef}

            # 7. Steer the KL coefficient; is every figure where it should be?
            kl.update(metrics["kl"], num_episodes)
            for diagnosis in chain(watch.look(iteration, metrics), ends):
                diagnoses.log(iteration + 1, asdict(diagnosis))
                run.progress.note(f"iteration {iteration + 1}: {diagnosis}")

            # 8. Tell and keep.
            done, finished = iteration + 1, iteration + 1 == config.iterations or bool(ends)
            if evaluate is not None and (finished or (evaluate_every and done % evaluate_every == 0)):
                metrics |= evaluate(done, policy)
            for sample in episodes.samples(_SAMPLES_KEPT):
                samples.log(done, sample)
            run.metrics.log(done, metrics | {"diagnoses": watch.active})
            memory.update(tokens=memory["tokens"] + episodes.num_tokens, metrics=metrics)
            tracker.advance(1, figure=f"score {metrics['score']:.2f}  KL {metrics['kl']:.2f}")
            checkpoint.after(done, len(reports), last=finished)
            if finished:
                break

    stopping.put_back(policy_weights)
    return PPOResult(
        iterations=done,
        tokens=memory["tokens"],
        metrics=memory["metrics"],
        average_weights=average.average,
        ptx_coef=ptx.coef,
        kl_coef=kl.coef,
        diagnoses=tuple(watch.seen),
        stopped=stopping.reason,
        kept=stopping.kept(done),
    )


def _check_inputs(config: PPOConfig, prompts: Sequence[Prompt], rows: Rows | None, heldout: Scorer | None) -> None:
    if config.ptx_coef != 0 and rows is None:
        raise ConfigError(
            f"ppo.ptx_coef is {config.ptx_coef} and there is no pretraining text; give rows, or set it to 0"
        )
    if (config.stop_by is None) != (heldout is None):
        given = "none was given" if heldout is None else "one was given"
        raise ConfigError(
            f"ppo.stop_by is {config.stop_by} and, of second reward models, {given}; expected both or none"
        )
    if not prompts:
        raise DataError("PPO has no prompts to answer, expected at least one")


def _decoding(config: PPOConfig, seed: int) -> Decoding:
    return Decoding(max_new_tokens=config.max_new_tokens, temperature=config.temperature, seed=seed)


def _minibatches(iteration: int, config: PPOConfig, seed: int) -> Iterator[tuple[int, list[int]]]:
    """The episodes of each update of a round, and the update's number in the whole run: a fresh shuffle each epoch."""
    update = iteration * config.epochs * -(-config.prompts_per_round // config.minibatch)
    for epoch in range(config.epochs):
        shuffled = numpy_generator(seed, "ppo", "minibatches", iteration, epoch).permutation(config.prompts_per_round)
        for start in range(0, len(shuffled), config.minibatch):
            yield update, shuffled[start : start + config.minibatch].tolist()
            update += 1


def _policy_losses(
    policy: CausalLM, parts: Sequence[Slice], this: Round, config: PPOConfig, runtime: Runtime, tally: Tally
) -> Iterator[Tensor]:
    """The clipped surrogate of a minibatch, in pieces; the mean is over its response tokens."""
    tokens = sum(int(part.batch.response_mask.sum()) for part in parts)
    for part in parts:
        loss = _surrogate(part, this, config, tokens, tally)
        yield response_loss(policy, part.batch, loss, temperature=config.temperature)
    tally.add("tokens", tokens)


def _surrogate(part: Slice, this: Round, config: PPOConfig, tokens: int, tally: Tally) -> TokenLoss:
    """What some of a slice's response tokens add to the clipped surrogate, ``tokens`` of which are in the minibatch."""
    mask = part.batch.response_mask
    old_logprobs, advantages = part.of(this.opinions.logprobs)[mask], part.of(this.targets.advantages)[mask]

    def loss(logprobs: Tensor, rows: slice) -> Tensor:
        result = policy_loss(
            logprobs,
            old_logprobs[rows],
            advantages[rows],
            torch.ones_like(logprobs, dtype=torch.bool),
            clip_range=config.clip_range,
            denominator=tokens,
        )
        tally.add("policy_loss", result.loss.detach())
        tally.add("clipped", result.clipped_sum)
        tally.add("approx_kl", result.approx_kl_sum)
        tally.least("ratio_min", result.ratio_min)
        tally.most("ratio_max", result.ratio_max)
        return result.loss

    return loss


def _value_losses(
    value_model: ValueModel, parts: Sequence[Slice], this: Round, config: PPOConfig, runtime: Runtime, tally: Tally
) -> Iterator[Tensor]:
    """The clipped squared error of a minibatch, in pieces; the mean is over its response tokens."""
    tokens = sum(int(part.batch.response_mask.sum()) for part in parts)
    for part in parts:
        result = value_loss(
            value_model(part.batch),
            part.of(this.opinions.values),
            part.of(this.targets.returns),
            part.batch.response_mask,
            clip_range=config.clip_range,
            denominator=tokens,
        )
        tally.add("value_loss", result.loss.detach())
        tally.add("value_clipped", result.clipped_sum)
        yield result.loss
