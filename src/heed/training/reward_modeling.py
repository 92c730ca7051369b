"""Reward modelling: all pairs of a prompt's ranking as one batch element (Ouyang et al. 2022, Equation 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from heed.config import RewardConfig
from heed.data.batches import EncodedGroup, make_group_batch, microbatches
from heed.errors import DataError
from heed.models.reward_model import RewardModel
from heed.models.scorer import score_groups
from heed.ops.losses import ranking_loss
from heed.records import Ranking
from heed.runtime.device import Runtime
from heed.runtime.run import Run
from heed.runtime.seeds import numpy_generator
from heed.training.results import TrainResult
from heed.training.schedule import cosine
from heed.training.state import Checkpointer, Memory, checksum, fingerprint
from heed.training.step import Tally, Update, make_optimizer, make_ready, take_step
from heed.training.weights import Weights

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedGroup:
    """A prompt's answers as token ids, and their order."""

    group: EncodedGroup
    tiers: tuple[int, ...]
    """One for each answer, 0 is best, equal tiers are ties; see :class:`heed.records.Ranking`."""

    @property
    def has_pair(self) -> bool:
        """Whether any two answers differ in tier."""
        return len(set(self.tiers)) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingFigures:
    """How well scores agree with rankings."""

    loss: float
    """Mean over prompts of the mean over their pairs, in nats; ln 2 is chance."""
    accuracy: float
    """Share of pairs whose better answer has the higher score; equal scores count half."""
    num_pairs: int


def ranked_groups(groups: Sequence[EncodedGroup], rankings: Sequence[Ranking]) -> list[RankedGroup]:
    """Join encoded groups with the rankings of the same answers, in the same order."""
    return [RankedGroup(group=group, tiers=ranking.tiers) for group, ranking in zip(groups, rankings, strict=True)]


def reward_modeling(
    reward_model: RewardModel,
    groups: Sequence[RankedGroup],
    config: RewardConfig,
    pad_id: int,
    run: Run,
    validation: Sequence[RankedGroup] = (),
) -> TrainResult:
    """Train ``reward_model`` in place on rankings.

    Ties are dropped; the loss is the mean over a prompt's remaining pairs, then over the minibatch's prompts. Adam,
    cosine to 10 % without warm-up, gradients clipped at norm 1, dropout off. One epoch is InstructGPT's choice, because
    more overfit there (C.2). Afterwards call :func:`set_zero_point` and :func:`fit_temperature`.

    Args:
        groups: prompts whose answers are all ties are left out.
        pad_id: the padding token.
        validation: rankings to measure loss and accuracy on at the end of each epoch.

    Raises:
        DataError: no group has a pair of answers that differ in tier.
        NonFiniteError: the loss or a gradient is not finite; the weights are those of the step before.
    """
    usable = [ranked for ranked in groups if ranked.has_pair]
    if not usable:
        raise DataError(f"reward modelling: none of {len(groups)} rankings has two answers that are not tied")
    steps_per_epoch = -(-len(usable) // config.minibatch)
    num_steps = config.epochs * steps_per_epoch

    make_ready(run.runtime, reward_model)
    weights = Weights(reward_model, run.runtime.dtype)
    optimizer = make_optimizer(weights)
    memory = Memory(metrics={})
    identity = fingerprint(config, run, [reward_model], _checksums(usable))
    checkpoint = Checkpointer(run, {"model": weights, "optimizer": optimizer, "memory": memory}, identity)
    done = checkpoint.restore()

    with weights, run.progress.track(num_steps, "steps", done=done) as tracker:
        for step in range(done, num_steps):
            # 1. The next prompts of this epoch's shuffle, each with all its answers.
            epoch, place = divmod(step, steps_per_epoch)
            order = numpy_generator(run.seed, "reward", epoch).permutation(len(usable))
            minibatch = [usable[i] for i in order[place * config.minibatch :][: config.minibatch]]

            # 2. The gradient of the ranking loss, and the step.
            tally = Tally()
            learning_rate = cosine(step, num_steps, config.learning_rate)
            losses = _ranking_losses(reward_model, minibatch, pad_id, run.runtime, tally)
            update = Update(name="reward model", optimizer=optimizer, losses=losses, learning_rate=learning_rate)
            [report] = take_step(f"reward modelling step {step + 1}", update)
            metrics = {
                "loss": report.loss,
                "accuracy": tally["correct"] / tally["pairs"],
                "grad_norm": report.grad_norm,
                "learning_rate": learning_rate,
                "epoch": epoch + 1,
            }

            # 3. After an epoch: loss and accuracy on rankings it has not seen.
            if validation and place == steps_per_epoch - 1:
                figures = measure_ranking(reward_model, validation, pad_id, run.runtime)
                metrics |= {"validation_loss": figures.loss, "validation_accuracy": figures.accuracy}

            # 4. Tell and keep.
            run.metrics.log(step + 1, metrics)
            memory["metrics"] = metrics
            right = metrics.get("validation_accuracy")
            tracker.advance(
                1, figure=f"loss {report.loss:.3f}" if right is None else f"validation accuracy {right:.1%}"
            )
            checkpoint.after(step + 1, last=step + 1 == num_steps)

    tokens = config.epochs * sum(ranked.group.num_tokens for ranked in usable)
    return TrainResult(steps=num_steps, tokens=tokens, metrics=memory["metrics"])


def set_zero_point(
    reward_model: RewardModel, demonstrations: Sequence[EncodedGroup], pad_id: int, runtime: Runtime
) -> float:
    """Shift the reward so that demonstrations score 0 on average (InstructGPT section 3.5), and return the shift."""
    if not demonstrations:
        raise DataError("zero point of the reward model: no demonstrations to average over, expected at least one")
    reward_model.zero_point = 0.0
    scores = score_groups(reward_model, demonstrations, pad_id=pad_id, microbatch=runtime.microbatch)
    reward_model.zero_point = float(np.concatenate(scores).mean())
    return reward_model.zero_point


def fit_temperature(
    reward_model: RewardModel, validation: Sequence[RankedGroup], pad_id: int, runtime: Runtime
) -> float:
    """Fit the temperature that makes ``sigmoid(gap / temperature)`` the likeliest account of held-out pairs.

    Minimises the mean negative log-likelihood over all pairs that are not ties (Guo et al. 2017), between 0.01 and 100.
    Sets ``reward_model.temperature`` and returns it.
    """
    groups = [ranked.group for ranked in validation]
    scores = score_groups(reward_model, groups, pad_id=pad_id, microbatch=runtime.microbatch)
    gaps = _gaps(scores, validation)
    if not len(gaps):
        raise DataError("temperature of the reward model: no held-out pair that is not a tie, expected at least one")

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -gaps / math.exp(log_temperature)).mean())

    best = minimize_scalar(loss, bounds=(math.log(0.01), math.log(100)), method="bounded")
    reward_model.temperature = math.exp(best.x)
    return reward_model.temperature


def measure_ranking(
    reward_model: RewardModel, groups: Sequence[RankedGroup], pad_id: int, runtime: Runtime
) -> RankingFigures:
    """Loss and accuracy of the model as it is on rankings."""
    usable = [ranked for ranked in groups if ranked.has_pair]
    tally = Tally()
    with torch.no_grad():
        for _ in _ranking_losses(reward_model, usable, pad_id, runtime, tally):
            pass
    pairs = max(1, round(tally["pairs"]))
    return RankingFigures(loss=tally["loss"], accuracy=tally["correct"] / pairs, num_pairs=pairs)


def _ranking_losses(
    reward_model: RewardModel, minibatch: Sequence[RankedGroup], pad_id: int, runtime: Runtime, tally: Tally
) -> Iterator[Tensor]:
    """The minibatch's loss in pieces, one for each microbatch. Every group has a pair."""
    for indices in microbatches([ranked.group for ranked in minibatch], runtime.microbatch):
        chosen = [minibatch[i] for i in indices]
        batch = make_group_batch([ranked.group for ranked in chosen], pad_id).to(runtime.device)
        tiers = torch.tensor([tier for ranked in chosen for tier in ranked.tiers], device=runtime.device)
        result = ranking_loss(reward_model(batch), tiers, batch.group_index, denominator=len(minibatch))
        tally.add("loss", result.loss.detach())
        tally.add("correct", result.num_correct)
        tally.add("pairs", result.num_pairs)
        yield result.loss


def _gaps(scores: Sequence[Sequence[float]], groups: Sequence[RankedGroup]) -> Floats:
    """Score of the better answer less that of the worse, for all pairs that are not ties."""
    gaps = [
        values[i] - values[j]
        for values, ranked in zip(scores, groups, strict=True)
        for i, better in enumerate(ranked.tiers)
        for j, worse in enumerate(ranked.tiers)
        if better < worse
    ]
    return np.array(gaps, dtype=np.float64)


def _checksums(groups: Sequence[RankedGroup]) -> list[int]:
    flat = [
        [*ranked.tiers, *ranked.group.prompt_ids, *(token for ids in ranked.group.completion_ids for token in ids)]
        for ranked in groups
    ]
    return [checksum(torch.tensor(ids)) for ids in flat]
