"""Supervised fine-tuning on demonstrations, with a share of pretraining text mixed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import torch

from heed.config import SFTConfig
from heed.data.batches import Example, SequenceBatch, make_sequence_batch
from heed.data.chat import Codec
from heed.data.packing import pack_examples
from heed.errors import DataError
from heed.models.types import CausalLM
from heed.runtime.run import Run
from heed.runtime.seeds import derive_seed, numpy_generator
from heed.training.lm import Rows, RowStream, lm_losses, row_batches
from heed.training.results import TrainResult
from heed.training.schedule import cosine
from heed.training.state import BestWeights, Checkpointer, Memory, checksum, fingerprint
from heed.training.step import Tally, Update, make_optimizer, make_ready, take_step
from heed.training.weights import Weights

_DEMONSTRATIONS_PER_ROW = 16
"""So many demonstrations in a minibatch bring one row of pretraining text with them."""


def sft(
    model: CausalLM,
    examples: Sequence[Example],
    rows: Rows | None,
    config: SFTConfig,
    codec: Codec,
    run: Run,
    select: Callable[[CausalLM], float] | None = None,
) -> TrainResult:
    """Train ``model`` in place on demonstrations.

    The loss is the mean over the answers' tokens, end of sequence included, plus ``config.pretraining_coef`` times the
    mean loss of a few rows of pretraining text. Adam, cosine to 10 % without warm-up (InstructGPT C.1), gradients
    clipped at norm 1, dropout off (0.2 in InstructGPT: a run that can be repeated to the bit is worth more here).

    Args:
        model: a causal language model.
        examples: encoded demonstrations, see :meth:`heed.data.chat.Codec.encode_demonstration`.
        rows: (num_rows, T) packed pretraining text; None trains on demonstrations alone.
        codec: what the examples were encoded with.
        select: scores the model after each epoch, higher is better, and the best epoch's weights are the final ones.
            InstructGPT takes the reward model's mean score of answers to validation prompts, which says more about
            preference than the validation loss does. It has to be a function of the model alone.

    Raises:
        DataError: there are no examples.
        NonFiniteError: the loss or a gradient is not finite; the weights are those of the step before.
    """
    if not examples:
        raise DataError("supervised fine-tuning: no demonstrations to train on, expected at least one")
    steps_per_epoch = -(-len(examples) // config.minibatch)
    num_steps = config.epochs * steps_per_epoch
    rows_per_step = -(-config.minibatch // _DEMONSTRATIONS_PER_ROW) if config.pretraining_coef else 0

    make_ready(run.runtime, model)
    weights = Weights(model, run.runtime.dtype)
    optimizer = make_optimizer(weights)
    text = RowStream(rows, derive_seed(run.seed, "sft", "text")) if rows is not None and rows_per_step else None
    best = BestWeights()
    memory = Memory(metrics={})
    identity = fingerprint(config, run, [model], [checksum(torch.tensor(example.ids)) for example in examples])
    checkpoint = Checkpointer(run, {"model": weights, "optimizer": optimizer, "best": best, "memory": memory}, identity)
    done = checkpoint.restore()

    with weights, run.progress.track(num_steps, "steps", done=done) as tracker:
        for step in range(done, num_steps):
            # 1. The next demonstrations of this epoch's shuffle, and rows of pretraining text.
            epoch, place = divmod(step, steps_per_epoch)
            order = numpy_generator(run.seed, "sft", epoch).permutation(len(examples))
            chosen = [examples[i] for i in order[place * config.minibatch :][: config.minibatch]]
            minibatch = _packed(chosen, codec, run.runtime.microbatch)
            ptx = row_batches(text.draw(step * rows_per_step, rows_per_step), run.runtime.microbatch) if text else []

            # 2. The gradient of both losses, and the step.
            tally = Tally()
            learning_rate = cosine(step, num_steps, config.learning_rate)
            losses = chain(
                lm_losses(model, minibatch, run.runtime, tally),
                lm_losses(model, ptx, run.runtime, tally, "pretraining_loss", config.pretraining_coef),
            )
            update = Update(name="language model", optimizer=optimizer, losses=losses, learning_rate=learning_rate)
            [report] = take_step(f"SFT step {step + 1}", update)
            metrics = {
                **tally.figures,
                "grad_norm": report.grad_norm,
                "learning_rate": learning_rate,
                "epoch": epoch + 1,
            }

            # 3. After an epoch: is it the best so far?
            if select is not None and place == steps_per_epoch - 1:
                metrics["selection_score"] = select(model)
                best.consider(metrics["selection_score"], epoch + 1, weights)

            # 4. Tell and keep.
            run.metrics.log(step + 1, metrics)
            memory["metrics"] = metrics
            tracker.advance(1, figure=f"loss {tally['loss']:.3f}")
            checkpoint.after(step + 1, last=step + 1 == num_steps)

    if select is not None:
        best.put_into(weights)
        memory["metrics"] |= {"selected_epoch": best.at, "selection_score": best.score}
    tokens = config.epochs * sum(len(example.ids) for example in examples)
    tokens += num_steps * rows_per_step * rows.shape[1] if rows is not None else 0
    return TrainResult(steps=num_steps, tokens=tokens, metrics=memory["metrics"])


def _packed(examples: Sequence[Example], codec: Codec, microbatch: int) -> list[SequenceBatch]:
    """Examples side by side in rows, at most ``microbatch`` rows in a batch.

    Rows have room for two of the longest: longer ones waste less, but attention grows with the square of the length.
    """
    bins = pack_examples(examples, min(codec.context, 2 * max(len(example.ids) for example in examples)))
    return [
        make_sequence_batch(examples, bins[start : start + microbatch], codec.pad_id)
        for start in range(0, len(bins), microbatch)
    ]
