"""What each stage of a recipe computes and holds, from its settings and a sample of its data.

The stages, their order and what differs between the runs of PPO are the recipe's own (:func:`heed.recipes.stages_of`);
here stands how much work each kind of stage is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from heed import stages as works
from heed.config import PPOConfig, RunConfig
from heed.pipeline import Stage
from heed.planning import memory
from heed.planning.batches import draws, example_passes, group_passes, rows_passes, sampling, together
from heed.planning.costs import Head, Pass, Work, decode_work, forward_work, train_work, update_work
from heed.planning.memory import Precision, Trained
from heed.planning.sample import Sample
from heed.planning.shapes import ModelShape

_MINIBATCHES = 3
"""Minibatches that are laid out; the others are taken to be like them on average."""
_SLOTS = 256
"""Answers under way at once in sampling of every kind, see :class:`heed.generation.sampler.LocalSampler`."""
_CHECKED_EVERY = 16
"""In float32 the trainer computes only so many of the policy's log-probabilities, see :mod:`heed.training.rollouts`."""
_PER_ROW = 16
"""Demonstrations or episodes that bring one row of pretraining text with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of a stage's work, done ``times`` over."""

    name: str
    times: float = 1.0
    works: tuple[Work, ...] = ()
    host_seconds: float = 0.0
    """Besides models, all of it: measured on a little of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something in memory at a stage's peak."""

    name: str
    bytes: float
    on_host: bool = False
    """In the machine's own memory even where models are on a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One stage."""

    name: str
    title: str
    after: tuple[str, ...]
    alone: bool
    perhaps: bool
    """Whether it is needed turns out in the run."""
    tokens: float
    """Computed, by whichever model; the same token counts again for each pass over it."""
    parts: tuple[Part, ...]
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What all stages are planned from."""

    config: RunConfig
    shape: ModelShape
    sample: Sample
    precision: Precision
    chunk_numbers: int
    lora_rank: int = 0
    checkpointing: bool = False

    @property
    def adapter(self) -> int:
        """Weights of adapters of this rank beside every matrix of the trunk."""
        shape = self.shape
        width, shared = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        sides = 2 * (shape.hidden + width) + 2 * (shape.hidden + shared)
        sides += (3 if shape.gated else 2) * (shape.hidden + shape.mlp)
        return self.lora_rank * shape.layers * sides

    def trained(self, head: Head, with_lora: bool = True) -> Trained:
        """The model that learns: a language model, or one with a single output."""
        size = self.shape.trunk_parameters if head in ("values", "scores") else self.shape.parameters
        adapters = self.adapter if self.lora_rank and with_lora else 0
        return Trained(parameters=size + adapters, moving=adapters or size)

    def train(self, one: Pass, head: Head, with_lora: bool = True) -> Work:
        """A training pass with these settings."""
        adapters = self.adapter if with_lora else 0
        work = train_work(self.shape, one, head, checkpointing=self.checkpointing, frozen=bool(adapters))
        if not adapters:
            return work
        beside = 6.0 * adapters * one.tokens  # two thin matrices beside each, forward, and backward twice
        return replace(work, linear_flops=work.linear_flops + beside, launches=1.5 * work.launches)

    def weights(self, parameters: float) -> float:
        """Bytes of a model that only reads."""
        return parameters * self.precision.number

    def host(self, name: str) -> float:
        """Seconds of one of something."""
        return self.sample.host.seconds.get(name, 0.0)


def loads(stages: Sequence[Stage], given: Given) -> list[Load]:
    """Every stage of a run."""
    return [_load(stage, given) for stage in stages]


def _load(stage: Stage, given: Given) -> Load:
    work: Any = stage.work
    kind, arguments = (work.func, work.keywords) if isinstance(work, partial) else (work, {})
    makers: dict[Callable[..., object], Callable[[], tuple[list[Part], list[Held]]]] = {
        works.text: lambda: _text(given),
        works.collect: lambda: _collect(given),
        works.pretrain: lambda: _pretrain(given, given.config.pretrain.tokens),
        works.pretrain_on: lambda: _pretrain(given, given.config.pretrain.tokens // 2),
        works.sft: lambda: _sft(given),
        works.rank: lambda: _rank(given, arguments["purpose"], len(arguments.get("groups", ("training",)))),
        works.reward: lambda: _reward(given, arguments["judged"], bool(arguments.get("blind"))),
        works.ppo: lambda: _ppo(given, arguments["adapt"](given.config.ppo), arguments.get("watch") is not None),
    }
    make = makers.get(kind, lambda: _evaluate(given))
    parts, held = make()
    return Load(
        name=stage.name,
        title=stage.title,
        after=stage.after,
        alone=stage.alone,
        perhaps=kind is works.pretrain_on,
        tokens=sum(part.times * sum(work.tokens for work in part.works) for part in parts),
        parts=tuple(part for part in parts if part.works or part.host_seconds),
        held=tuple(one for one in held if one.bytes),
    )


# --- text and people


def _text(given: Given) -> tuple[list[Part], list[Held]]:
    words = given.sample.text_words
    documents = words / given.sample.words_per_document
    parts = [
        Part(name="write", host_seconds=words * given.host("word")),
        Part(name="tokenizer", host_seconds=min(documents, given.sample.tokenizer_documents) * given.host("tokenizer")),
        Part(name="encode", host_seconds=documents * given.host("encode")),
    ]
    return parts, [Held(name="text", bytes=words * given.sample.bytes_per_word, on_host=True)]


def _collect(given: Given) -> tuple[list[Part], list[Held]]:
    sample = given.sample
    parts = [
        Part(name="prompts", host_seconds=sample.drawn_prompts * given.host("prompt")),
        Part(name="demonstrations", host_seconds=sample.num_demonstrations * given.host("demonstration")),
        Part(
            name="database",
            host_seconds=sample.stored_prompts * given.host("store_prompt")
            + sample.num_demonstrations * given.host("store_demonstration"),
        ),
    ]
    return parts, [_prompts_held(given)]


def _prompts_held(given: Given) -> Held:
    return Held(
        name="prompts", bytes=given.sample.stored_prompts * given.sample.host.bytes.get("prompt", 0.0), on_host=True
    )


# --- language models


def _learner(
    given: Given,
    passes: Sequence[tuple[Pass, Head]],
    *,
    steps: float,
    per: float = 1.0,
    with_lora: bool = True,
    name: str = "train",
) -> tuple[list[Part], list[Held]]:
    """A model that takes ``steps`` steps, of which ``per`` are laid out in ``passes``."""
    model = given.trained(passes[0][1], with_lora)
    trained = tuple(given.train(one, head, with_lora) for one, head in passes)
    parts = [
        Part(name=name, times=steps / per, works=trained),
        Part(name="optimizer", times=steps, works=(update_work(given.shape, model.moving),)),
    ]
    return parts, _learning(given, [model], passes)


def _learning(given: Given, models: Sequence[Trained], passes: Sequence[tuple[Pass, Head]]) -> list[Held]:
    """Models that learn, and the larger of what an update and what a checkpoint needs beside them."""
    number = given.precision.number
    kept = max(
        memory.activation_bytes(given.shape, one, head, number, given.checkpointing)
        + (memory.logits_bytes(given.shape, given.chunk_numbers, True) if head in ("loss", "logprobs") else 0.0)
        for one, head in passes
    )
    return [
        Held(name="weights and moments", bytes=sum(memory.trained_bytes(one, given.precision) for one in models)),
        Held(name="gradients", bytes=sum(memory.gradient_bytes(one) for one in models)),
        Held(name="activations", bytes=kept),
        Held(name="checkpoint", bytes=12.0 * sum(one.moving for one in models), on_host=True),
    ]


def _pretrain(given: Given, tokens: int) -> tuple[list[Part], list[Held]]:
    config, length = given.config, given.config.model.context
    if config.base is not None:
        return [], [Held(name="weights", bytes=4.0 * given.shape.parameters)]
    size = config.pretrain.minibatch
    passes = [(one, _loss()) for one in rows_passes(size, length, config.microbatch)]
    steps = max(1, tokens // (size * length))
    parts, held = _learner(given, passes, steps=steps, with_lora=False)
    return parts, [*held, _rows_held(given)]


def _rows_held(given: Given) -> Held:
    return Held(name="text", bytes=4.0 * given.sample.text_words * given.sample.tokens_per_word, on_host=True)


def _sft(given: Given) -> tuple[list[Part], list[Held]]:
    config, sample = given.config, given.sample
    settings = config.sft
    passes: list[tuple[Pass, Head]] = []
    size = min(settings.minibatch, sample.num_demonstrations)
    for number in range(_MINIBATCHES):
        chosen = list(together(sample.prompts, sample.answers, size, seed=number))
        passes += [(one, _loss()) for one in example_passes(chosen, config.model.context, config.microbatch)]
    steps = settings.epochs * -(-sample.num_demonstrations // settings.minibatch)
    parts, held = _learner(given, passes, steps=steps, per=_MINIBATCHES)
    if settings.pretraining_coef:
        rows = -(-settings.minibatch // _PER_ROW)
        text = tuple(given.train(one, "loss") for one in rows_passes(rows, config.model.context, config.microbatch))
        parts.append(Part(name="text", times=steps, works=text))
    count = sample.num_demonstrations
    parts.append(Part(name="encode", host_seconds=count * (given.host("encode_answer") + given.host("read_ranking"))))
    return parts, [*held, _rows_held(given)]


# --- preference


def _answering(given: Given, prompts: int, n: int, *, slots: int = _SLOTS, shot: bool = False) -> tuple[Work, ...]:
    """``n`` answers to each of some prompts by the engine."""
    sample, limit = given.sample, given.config.ppo.max_new_tokens
    lengths = [sample.few_shot] * prompts if shot else draws(sample.prompts, prompts)
    answers = [min(one, limit) for one in draws(sample.answers, prompts * n, seed=1)]
    plan = sampling(lengths, answers, n, slots, limit)
    number = given.precision.number
    done = [decode_work(given.shape, rows, width, number) for rows, width in plan.steps]
    for rows, width in plan.prefilled:
        pairs = rows * width * (width + 1) // 2
        done.append(forward_work(given.shape, Pass(tokens=rows * width, pairs=pairs, targets=0, answers=rows), "cache"))
    return tuple(done)


def _slots_held(given: Given, prompts: int) -> Held:
    longest = max(given.sample.prompts) + given.config.ppo.max_new_tokens
    slots = min(_SLOTS, prompts)
    return Held(name="cache of answers", bytes=memory.slots_bytes(given.shape, slots, longest, given.precision.number))


def _rank(given: Given, purpose: str, judges: int) -> tuple[list[Part], list[Held]]:
    config = given.config
    count = given.sample.ranked_prompts(purpose)
    k = config.labeling.answers_per_prompt
    whole, rest = divmod(count, 1000)
    parts = [Part(name="sample", times=whole, works=_answering(given, 1000, k))] if whole else []
    parts += [Part(name="sample the rest", works=_answering(given, rest, k))] if rest else []
    rankings = 1.15 * judges * count
    host = {
        "judge": rankings * k * given.host("rank"),
        "decode": count * k * given.host("decode_answer"),
        "prompts": given.sample.stored_prompts * given.host("read_prompt"),
        "database": count * k * given.host("store_answer") + rankings * given.host("store_ranking"),
    }
    parts += [Part(name=name, host_seconds=seconds) for name, seconds in host.items()]
    held = [
        Held(name="weights", bytes=given.weights(given.shape.parameters)),
        _slots_held(given, min(1000, count) * k),
        _prompts_held(given),
        Held(name="rankings", bytes=rankings * given.sample.host.bytes.get("ranking", 0.0), on_host=True),
    ]
    return parts, held


def _groups(given: Given, count: int, seed: int, blind: bool = False) -> list[tuple[int, Sequence[int]]]:
    k, limit = given.config.labeling.answers_per_prompt, given.config.ppo.max_new_tokens
    if given.sample.groups:
        return [given.sample.groups[index] for index in draws(range(len(given.sample.groups)), count, seed=seed)]
    prompts = [1] * count if blind else draws(given.sample.prompts, count, seed=seed)
    answers = [min(one, limit) for one in draws(given.sample.answers, count * k, seed=seed + 100)]
    return [(prompt, answers[index * k :][:k]) for index, prompt in enumerate(prompts)]


def _reward(given: Given, judged: Any, blind: bool) -> tuple[list[Part], list[Held]]:
    config = given.config
    settings = config.reward
    arguments = judged.keywords if isinstance(judged, partial) else {}
    rankings, validation = given.sample.rankings(arguments)
    size = min(settings.minibatch, rankings)
    passes: list[tuple[Pass, Head]] = []
    for number in range(_MINIBATCHES):
        groups = _groups(given, size, number, blind)
        passes += [(one, _scores()) for one in group_passes(groups, config.microbatch)]
    steps = settings.epochs * -(-rankings // settings.minibatch)
    parts, held = _learner(given, passes, steps=steps, per=_MINIBATCHES)
    seen = [forward_work(given.shape, one, head) for one, head in passes]
    times = (validation * (settings.epochs + 1) + 1000 / 4) / (_MINIBATCHES * size)
    parts.append(Part(name="validate", times=times, works=tuple(seen)))
    answers = (rankings + 2 * validation) * (sum(len(one[1]) for one in _groups(given, 20, 0)) / 20)
    host = answers * given.host("encode_answer") + (rankings + validation) * given.host("read_ranking")
    host += rankings * given.host("export_ranking")
    parts.append(Part(name="read and encode", host_seconds=host))
    kept = Held(
        name="rankings", bytes=(rankings + validation) * given.sample.host.bytes.get("ranking", 0.0), on_host=True
    )
    return parts, [*held, kept]


# --- reinforcement learning


def _ppo(given: Given, settings: PPOConfig, watched: bool) -> tuple[list[Part], list[Held]]:
    config, sample, shape = given.config, given.sample, given.shape
    count, rounds = settings.prompts_per_round, settings.iterations
    episodes = [
        (prompt, [min(answer, settings.max_new_tokens)])
        for prompt, answer in together(sample.prompts, sample.answers, count * _MINIBATCHES)
    ]
    whole = group_passes(episodes[:count], config.microbatch)
    checked = whole if given.precision.narrow else group_passes(episodes[:count:_CHECKED_EVERY], config.microbatch)
    minibatches: list[Pass] = []
    for number in range(_MINIBATCHES):
        chosen = episodes[number * count :][: min(settings.minibatch, count)]
        minibatches += group_passes(chosen, config.microbatch)
    updates = rounds * settings.epochs * -(-count // settings.minibatch)
    policy, value = given.trained("logprobs"), given.trained("values")
    scores = 1 + (settings.stop_by is not None)
    parts = [
        Part(name="rollout", times=rounds, works=_answering(given, count, 1)),
        Part(name="score", times=rounds * scores, works=tuple(forward_work(shape, one, "scores") for one in whole)),
        Part(
            name="ask",
            times=rounds,
            works=tuple(forward_work(shape, one, head) for one in whole for head in ("logprobs", "values")),
        ),
        Part(name="check", times=rounds, works=tuple(forward_work(shape, one, "logprobs") for one in checked)),
        Part(
            name="update",
            times=updates / _MINIBATCHES,
            works=tuple(given.train(one, "logprobs") for one in minibatches),
        ),
        Part(
            name="value", times=updates / _MINIBATCHES, works=tuple(given.train(one, "values") for one in minibatches)
        ),
        Part(
            name="optimizer",
            times=updates,
            works=(update_work(shape, policy.moving), update_work(shape, value.moving), _averaging(policy)),
        ),
    ]
    rows: list[Pass] = []
    if settings.ptx_coef:
        rows = rows_passes(-(-settings.minibatch // _PER_ROW), config.model.context, config.microbatch)
        parts.append(Part(name="ptx", times=updates, works=tuple(given.train(one, "loss") for one in rows)))
    host = rounds * count * (given.host("decode_answer") + given.host("encode_answer"))
    host += sample.stored_prompts * given.host("read_prompt") + sample.num_policy_prompts * given.host("encode_answer")
    if watched:
        looks = 1 + rounds // max(1, rounds // 5)
        works = _answering(given, sample.num_watched, 1)
        passes = group_passes(episodes[: sample.num_watched], 64)
        works += tuple(forward_work(shape, one, head) for one in passes for head in ("scores", "logprobs"))
        parts.append(Part(name="watch", times=looks, works=works))
        host += looks * (sample.num_watched * given.host("gold") + sample.stored_prompts * given.host("read_prompt"))
    parts.append(Part(name="read, encode, decode", host_seconds=host))
    passes_of = [(one, _logprobs()) for one in minibatches] + [(one, _loss()) for one in rows]
    held = _learning(given, [policy, value], passes_of)
    reference = 0.0 if given.lora_rank else given.weights(shape.parameters)
    held += [
        Held(name="reference", bytes=reference),
        Held(name="reward model", bytes=given.weights(shape.trunk_parameters) * scores),
        Held(name="average of weights", bytes=4.0 * policy.moving),
        _slots_held(given, count),
        _prompts_held(given),
    ]
    return parts, [*held, *([_rows_held(given)] if rows else [])]


def _averaging(model: Trained) -> Work:
    return Work(kind="update", bytes=12.0 * model.moving)


# --- evaluation


def _evaluate(given: Given) -> tuple[list[Part], list[Held]]:
    config, sample, shape = given.config, given.sample, given.shape
    count = config.evaluation.num_prompts
    models, prompted = sample.num_models, bool(sample.few_shot)
    pool = min(250, count)
    parts = [Part(name="answers", times=2 * models + 1, works=_answering(given, count, 1))]
    if prompted:
        parts.append(Part(name="prompted answers", times=2, works=_answering(given, count, 1, shot=True)))
    parts.append(Part(name="pool for best-of-n", works=_answering(given, pool, 32)))
    episodes = [(prompt, [answer]) for prompt, answer in together(sample.prompts, sample.answers, count)]
    passes = group_passes(episodes, 64)
    seen = tuple(forward_work(shape, one, head) for one in passes for head in ("logprobs", "scores"))
    parts.append(Part(name="likelihoods and scores", times=models + 1, works=seen))
    pooled = group_passes([(prompt, [answer] * 32) for prompt, (answer,) in episodes[:pool]], 64)
    parts.append(Part(name="scores of the pool", works=tuple(forward_work(shape, one, "scores") for one in pooled)))
    heldout = round(0.02 * sample.text_words * sample.tokens_per_word / config.model.context)
    text = rows_passes(64, config.model.context, 64)
    parts.append(
        Part(name="text", times=models * heldout / 64, works=tuple(forward_work(shape, one, "loss") for one in text))
    )
    validation = sample.rankings({})[1]
    ranked = tuple(forward_work(shape, one, "scores") for one in group_passes(_groups(given, 200, 5), 64))
    parts.append(Part(name="reward models", times=sample.num_reward_models * 8 * validation / 200, works=ranked))
    answers = (2 * models + 1) * count + 32 * pool
    host = answers * (given.host("decode_answer") + 2 * given.host("encode_answer") + 2 * given.host("gold"))
    host += 6 * sample.stored_prompts * given.host("read_prompt") + validation * given.host("read_ranking")
    parts.append(Part(name="judge, encode, decode", host_seconds=host))
    held = [
        Held(name="weights", bytes=4.0 * (models + 3) * shape.parameters),
        _slots_held(given, pool * 32),
        _prompts_held(given),
        Held(name="rankings", bytes=validation * sample.host.bytes.get("ranking", 0.0), on_host=True),
    ]
    return parts, held


def _loss() -> Head:
    return "loss"


def _scores() -> Head:
    return "scores"


def _logprobs() -> Head:
    return "logprobs"
