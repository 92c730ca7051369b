"""What each stage of a recipe computes and holds, from its settings and a sample of its data.

The stages, their order and what differs between the runs of PPO are the recipe's own (:func:`heed.recipes.stages_of`);
here stands how much work each kind of stage is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from heed import stages as works
from heed.config import PPOConfig
from heed.pipeline import Stage
from heed.planning.batches import draws, example_passes, group_passes, rows_passes, together
from heed.planning.costs import Head, Pass, Work, forward_work, update_work
from heed.planning.loads import (
    Given,
    Held,
    Load,
    Part,
    answering,
    learner,
    learning,
    prompts_held,
    rows_held,
    sampling_held,
)
from heed.planning.memory import Trained

_MINIBATCHES = 3
"""Minibatches that are laid out; the others are taken to be like them on average."""
_CHECKED_EVERY = 16
"""In float32 the trainer computes only so many of the policy's log-probabilities, see :mod:`heed.training.rollouts`."""
_PER_ROW = 16
"""Demonstrations or episodes that bring one row of pretraining text with them."""


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
        works.rank: lambda: _rank(given.in_float32, arguments["purpose"], len(arguments.get("groups", ("training",)))),
        works.reward: lambda: _reward(given, arguments["judged"], bool(arguments.get("blind"))),
        works.ppo: lambda: _ppo(given, arguments["adapt"](given.config.ppo), arguments.get("watch") is not None),
    }
    make = makers.get(kind, lambda: _evaluate(given.in_float32))
    parts, held = make()
    return Load(
        name=stage.name,
        title=stage.title,
        after=stage.after,
        alone=stage.alone,
        perhaps=kind is works.pretrain_on,
        in_float32=kind is works.rank or kind not in makers,
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
    return parts, [prompts_held(given)]


# --- language models


def _pretrain(given: Given, tokens: int) -> tuple[list[Part], list[Held]]:
    config, length = given.config, given.config.model.context
    if config.base is not None:
        return [], [Held(name="weights", bytes=4.0 * given.shape.parameters)]
    size = config.pretrain.minibatch
    passes: list[tuple[Pass, Head]] = [(one, "logprobs") for one in rows_passes(size, length, config.microbatch)]
    steps = max(1, tokens // (size * length))
    parts, held = learner(given, passes, steps=steps, with_lora=False)
    return parts, [*held, rows_held(given)]


def _sft(given: Given) -> tuple[list[Part], list[Held]]:
    config, sample = given.config, given.sample
    settings = config.sft
    passes: list[tuple[Pass, Head]] = []
    size = min(settings.minibatch, sample.num_demonstrations)
    for number in range(_MINIBATCHES):
        chosen = list(together(sample.prompts, sample.answers, size, seed=number))
        passes += [(one, "logprobs") for one in example_passes(chosen, config.model.context, config.microbatch)]
    steps = settings.epochs * -(-sample.num_demonstrations // settings.minibatch)
    parts, held = learner(given, passes, steps=steps, per=_MINIBATCHES)
    if settings.pretraining_coef:
        rows = -(-settings.minibatch // _PER_ROW)
        text = tuple(given.train(one, "logprobs") for one in rows_passes(rows, config.model.context, config.microbatch))
        parts.append(Part(name="text", times=steps, works=text))
    count = sample.num_demonstrations
    parts.append(Part(name="encode", host_seconds=count * (given.host("encode_answer") + given.host("read_ranking"))))
    return parts, [*held, rows_held(given)]


# --- preference


def _rank(given: Given, purpose: str, judges: int) -> tuple[list[Part], list[Held]]:
    config = given.config
    count = given.sample.ranked_prompts(purpose)
    k = config.labeling.answers_per_prompt
    whole, rest = divmod(count, 1000)
    parts = [Part(name="sample", times=whole, works=answering(given, 1000, k))] if whole else []
    parts += [Part(name="sample the rest", works=answering(given, rest, k))] if rest else []
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
        *sampling_held(given, min(1000, count) * k),
        prompts_held(given),
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
        passes += [(one, "scores") for one in group_passes(groups, config.microbatch)]
    steps = settings.epochs * -(-rankings // settings.minibatch)
    parts, held = learner(given, passes, steps=steps, per=_MINIBATCHES)
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
        Part(name="rollout", times=rounds, works=answering(given, count, 1)),
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
        parts.append(Part(name="ptx", times=updates, works=tuple(given.train(one, "logprobs") for one in rows)))
    host = rounds * count * (given.host("decode_answer") + given.host("encode_answer"))
    host += sample.stored_prompts * given.host("read_prompt") + sample.num_policy_prompts * given.host("encode_answer")
    if watched:
        looks = 1 + rounds // max(1, rounds // 5)
        works = answering(given, sample.num_watched, 1)
        passes = group_passes(episodes[: sample.num_watched], 64)
        works += tuple(forward_work(shape, one, head) for one in passes for head in ("scores", "logprobs"))
        parts.append(Part(name="watch", times=looks, works=works))
        host += looks * (sample.num_watched * given.host("gold") + sample.stored_prompts * given.host("read_prompt"))
    parts.append(Part(name="read, encode, decode", host_seconds=host))
    passes_of: list[tuple[Pass, Head]] = [(one, "logprobs") for one in [*minibatches, *rows]]
    held = learning(given, [policy, value], passes_of)
    reference = 0.0 if given.lora_rank else given.weights(shape.parameters)
    held += [
        Held(name="reference", bytes=reference),
        Held(name="reward model", bytes=given.weights(shape.trunk_parameters) * scores),
        Held(name="average of weights", bytes=4.0 * policy.moving),
        *sampling_held(given, count),
        prompts_held(given),
    ]
    return parts, [*held, *([rows_held(given)] if rows else [])]


def _averaging(model: Trained) -> Work:
    return Work(kind="update", bytes=12.0 * model.moving)


# --- evaluation


def _evaluate(given: Given) -> tuple[list[Part], list[Held]]:
    config, sample, shape = given.config, given.sample, given.shape
    count = config.evaluation.num_prompts
    models, prompted = sample.num_models, bool(sample.few_shot)
    pool = min(250, count)
    parts = [Part(name="answers", times=2 * models + 1, works=answering(given, count, 1))]
    if prompted:
        parts.append(Part(name="prompted answers", times=2, works=answering(given, count, 1, shot=True)))
    parts.append(Part(name="pool for best-of-n", works=answering(given, pool, 32)))
    episodes = [(prompt, [answer]) for prompt, answer in together(sample.prompts, sample.answers, count)]
    passes = group_passes(episodes, 64)
    seen = tuple(forward_work(shape, one, head) for one in passes for head in ("logprobs", "scores"))
    parts.append(Part(name="likelihoods and scores", times=models + 1, works=seen))
    pooled = group_passes([(prompt, [answer] * 32) for prompt, (answer,) in episodes[:pool]], 64)
    parts.append(Part(name="scores of the pool", works=tuple(forward_work(shape, one, "scores") for one in pooled)))
    heldout = round(0.02 * sample.text_words * sample.tokens_per_word / config.model.context)
    text = rows_passes(64, config.model.context, 64)
    read = tuple(forward_work(shape, one, "logprobs") for one in text)
    parts.append(Part(name="text", times=models * heldout / 64, works=read))
    validation = sample.rankings({})[1]
    ranked = tuple(forward_work(shape, one, "scores") for one in group_passes(_groups(given, 200, 5), 64))
    parts.append(Part(name="reward models", times=sample.num_reward_models * 8 * validation / 200, works=ranked))
    answers = (2 * models + 1) * count + 32 * pool
    host = answers * (given.host("decode_answer") + 2 * given.host("encode_answer") + 2 * given.host("gold"))
    host += 6 * sample.stored_prompts * given.host("read_prompt") + validation * given.host("read_ranking")
    parts.append(Part(name="judge, encode, decode", host_seconds=host))
    held = [
        Held(name="weights", bytes=4.0 * (models + 3) * shape.parameters),
        *sampling_held(given, pool * 32),
        prompts_held(given),
        Held(name="rankings", bytes=validation * sample.host.bytes.get("ranking", 0.0), on_host=True),
    ]
    return parts, held
