"""Pretraining: next-token prediction on packed rows of plain text."""

from __future__ import annotations

import torch

from heed.config import PretrainConfig
from heed.models.types import CausalLM
from heed.runtime.run import Run
from heed.runtime.seeds import derive_seed
from heed.training.lm import Rows, RowStream, lm_losses, row_batches
from heed.training.results import TrainResult
from heed.training.schedule import cosine
from heed.training.state import Checkpointer, Memory, checksum, fingerprint
from heed.training.step import Tally, Update, make_optimizer, make_ready, take_step
from heed.training.weights import Weights


def pretrain(model: CausalLM, rows: Rows, config: PretrainConfig, run: Run) -> TrainResult:
    """Train ``model`` in place on ``config.tokens`` tokens of text.

    Adam, 2 % of the steps for warm-up, cosine to 10 %, gradients clipped at norm 1, dropout off. Rows come in a
    shuffled order, again and again if the text is shorter than ``config.tokens``.

    Args:
        model: a causal language model.
        rows: (num_rows, T) token ids, see :func:`heed.data.packing.pack_rows`.

    Raises:
        NonFiniteError: the loss or a gradient is not finite; the weights are those of the step before.
    """
    row_length = rows.shape[1]
    num_steps = max(1, config.tokens // (config.minibatch * row_length))

    make_ready(run.runtime, model)
    weights = Weights(model, run.runtime.dtype)
    optimizer = make_optimizer(weights)
    text = RowStream(rows, derive_seed(run.seed, "pretrain"))
    memory = Memory(metrics={})
    identity = fingerprint(config, run, [model], checksum(torch.from_numpy(rows)))
    checkpoint = Checkpointer(run, {"model": weights, "optimizer": optimizer, "memory": memory}, identity)
    done = checkpoint.restore()

    with weights, run.progress.track(num_steps, "steps", done=done) as tracker:
        for step in range(done, num_steps):
            # 1. The next rows.
            minibatch = row_batches(text.draw(step * config.minibatch, config.minibatch), run.runtime.microbatch)

            # 2. The gradient of their mean loss, and the step.
            learning_rate = cosine(step, num_steps, config.learning_rate, warmup_steps=num_steps // 50)
            losses = lm_losses(model, minibatch, run.runtime, Tally())
            update = Update(name="language model", optimizer=optimizer, losses=losses, learning_rate=learning_rate)
            [report] = take_step(f"pretraining step {step + 1}", update)

            # 3. Tell and keep.
            metrics = {"loss": report.loss, "grad_norm": report.grad_norm, "learning_rate": learning_rate}
            run.metrics.log(step + 1, metrics)
            memory["metrics"] = metrics
            tracker.advance(1, figure=f"loss {report.loss:.3f}")
            checkpoint.after(step + 1, last=step + 1 == num_steps)

    return TrainResult(steps=num_steps, tokens=num_steps * config.minibatch * row_length, metrics=memory["metrics"])
