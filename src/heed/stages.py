"""The works of the loop's stages, shared by all recipes.

Each takes a :class:`~heed.pipeline.Context`, reads rows and files that earlier stages left in the workspace, leaves
its own there, and returns its figures; they meet nowhere else. What differs between recipes (where text, prompts and
judgements come from) comes in as a :class:`Source`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from heed.config import PPOConfig, RunConfig, config_hash
from heed.errors import ConfigError, DataError
from heed.files import atomic_write, read_json, write_json
from heed.records import Completion, Demonstration, Json, LabelerGroup, Prompt, Ranking
from heed.roles import Decoding, Judge, Scorer
from heed.runtime.seeds import derive_seed
from heed.store import Store

if TYPE_CHECKING:
    from heed.data.chat import Codec
    from heed.models.reward_model import RewardModel
    from heed.models.scorer import RewardScorer
    from heed.models.types import CausalLM, Tokenizer
    from heed.pipeline import Context

HELDOUT_SHARE = 0.02
"""Of the pretraining text, kept aside to measure the alignment tax."""


class Source(Protocol):
    """Where text, prompts and judgements come from: the sandbox, files of real data, people."""

    def text(self, config: RunConfig) -> list[str]:
        """Documents to train the tokenizer and the base model on."""
        ...

    def tokenizer(self, config: RunConfig, documents: Sequence[str]) -> Tokenizer:
        """A tokenizer of ``config.model.vocab_size`` for these documents."""
        ...

    def collect(self, context: Context, store: Store) -> Mapping[str, Sequence[Prompt]]:
        """Put prompts, demonstrations and any rankings that exist already into the store, as work of the campaign
        ``context.fingerprint``; returns the prompts by split."""
        ...

    def ranked_prompts(self, context: Context, purpose: str) -> list[Prompt]:
        """Prompts whose answers are ranked by the rank stage for ``purpose``, such as ``"round-1"``."""
        ...

    def policy_prompts(self, context: Context) -> list[Prompt]:
        """Prompts PPO draws from."""
        ...

    def judges(self, config: RunConfig, group: LabelerGroup) -> Sequence[Judge]:
        """The training labelers, or those held out."""
        ...


class Judged(NamedTuple):
    """Rankings for a reward model."""

    training: list[Ranking]
    validation: list[Ranking]
    """Nothing is trained on these but the temperature."""


class Watch(Protocol):
    """Looks at a policy in the middle of PPO, for the record only."""

    def __call__(self, context: Context, made: int, policy: CausalLM, scorer: Scorer) -> Mapping[str, float]:
        """Figures to log, after so many iterations."""
        ...


# --- text and people


def text(context: Context, source: Source) -> Mapping[str, Json]:
    """Train the tokenizer, turn the text into rows of token ids, and keep some of it aside."""
    from heed.data.chat import Codec
    from heed.data.packing import pack_rows
    from heed.data.tokenizer import load_tokenizer, save_tokenizer

    config = context.config
    documents = source.text(config)
    if len(documents) < 2:
        raise DataError(f"{len(documents)} document of pretraining text, expected at least 2: one is kept aside")
    tokenizer = load_tokenizer(config.base) if config.base else source.tokenizer(config, documents)
    save_tokenizer(tokenizer, context.workspace.runs_dir / "text" / "tokenizer")
    codec = Codec(tokenizer, config.model.context)
    kept = max(1, int(len(documents) * HELDOUT_SHARE))
    parts = {"heldout": documents[:kept], "train": documents[kept:]}
    figures: dict[str, Json] = {"documents": len(documents), "vocab_size": codec.vocab_size}
    for name, part in parts.items():
        rows = pack_rows(codec.encode_corpus(part), config.model.context, codec.eos_id)
        with atomic_write(_rows_path(context, name)) as file:
            np.save(file, rows)
        figures[f"{name}_tokens"] = int(rows.size)
    return figures


def collect(context: Context, source: Source) -> Mapping[str, Json]:
    """Fill the store with prompts and demonstrations."""
    with open_store(context) as store:
        splits = source.collect(context, store)
        write_json(context.run.dir / "prompts.json", {name: [one.id for one in some] for name, some in splits.items()})
        return dict(store.counts())


# --- language models


def pretrain(context: Context, name: str = "base") -> Mapping[str, Json]:
    """The base model: trained from nothing, or the one that ``base`` names."""
    import torch

    from heed.models.loading import build_causal_lm, load_causal_lm
    from heed.training.pretrain import pretrain as learn

    config, codec = context.config, load_codec(context)
    if config.base:
        model = load_causal_lm(
            config.base,
            device=str(context.run.runtime.device),
            vocab_size=codec.vocab_size,
            context=codec.context,
        )
        save(context, name, model, parent=config.base)
        return {"parameters": model.num_parameters(), "tokens": 0}
    model = build_causal_lm(
        config.model, eos_id=codec.eos_id, pad_id=codec.pad_id, vocab_size=codec.vocab_size, seed=config.seed
    )
    torch.nn.Module.to(model, context.run.runtime.device)  # the wrapper that transformers puts around it has no types
    result = learn(model, load_rows(context, "train"), config.pretrain, context.run)
    save(context, name, model, metrics=result.metrics)
    return {"parameters": model.num_parameters(), "tokens": result.tokens, **result.metrics}


def pretrain_on(
    context: Context, start: str, name: str, skill: Callable[[Context, CausalLM], float], enough: float
) -> Mapping[str, Json]:
    """The model ``start`` as it is if it has a skill; else after half as much pretraining again.

    A small model learns some things all at once, and when is a matter of luck that all that follows would measure.
    """
    from heed.training.pretrain import pretrain as learn

    config, model = context.config, load_policy(context, start)
    before = skill(context, model)
    if before >= enough or config.base:
        save(context, name, model, parent=start)
        return {"skill": before, "tokens": 0}
    settings = config.pretrain.model_copy(update={"tokens": config.pretrain.tokens // 2})
    run = replace(context.run, seed=derive_seed(config.seed, "pretrain", "on"))
    result = learn(model, load_rows(context, "train"), settings, run)
    save(context, name, model, parent=start, metrics=result.metrics)
    return {"skill_before": before, "skill": skill(context, model), "tokens": result.tokens, **result.metrics}


def sft(context: Context, demonstrated: Callable[[Context], list[Demonstration]] | None = None) -> Mapping[str, Json]:
    """Supervised fine-tuning on the demonstrations that the collect stage put in, or on others."""
    from heed.training.sft import sft as learn

    codec, model = load_codec(context), load_policy(context, "base")
    with_adapter(context, model)
    demonstrations = (demonstrated or collected_demonstrations)(context)
    with open_store(context) as store:
        export = store.freeze_export("demonstrations", context.workspace.exports_dir, demonstrations)
    result = learn(
        model,
        codec.encode_demonstrations(demonstrations),
        load_rows(context, "train") if context.config.sft.pretraining_coef else None,
        context.config.sft,
        codec,
        context.run,
    )
    save(context, "sft", model, parent="base", export=export.hash, metrics=result.metrics)
    return {"demonstrations": len(demonstrations), "tokens": result.tokens, **result.metrics}


# --- preference


def rank(
    context: Context, source: Source, purpose: str, policy: str, groups: Sequence[LabelerGroup] = ("training",)
) -> Mapping[str, Json]:
    """Answer prompts K times with ``policy`` and have the answers ranked, once by each group of labelers."""
    from heed.feedback.collect import rank_with

    config = context.config
    seed = derive_seed(config.seed, "rank", purpose)
    prompts = source.ranked_prompts(context, purpose)
    sampler, decoding = sampler_of(context, policy), decoding_of(config, seed)
    completions: list[list[Completion]] = []
    with context.run.progress.track(len(prompts), "prompts") as tracker:
        for start in range(0, len(prompts), 1000):
            part = prompts[start : start + 1000]
            completions += sampler.sample(part, config.labeling.answers_per_prompt, decoding)
            tracker.advance(len(part))
    rankings = [
        ranking
        for group in groups
        for ranking in rank_with(source.judges(config, group), prompts, completions, seed=seed)
    ]
    with open_store(context) as store:
        store.add_generations(prompts, completions)
        store.add_rankings(rankings, round=round_of(purpose), campaign=context.fingerprint)
    tokens = sum(len(completion.token_ids) for answers in completions for completion in answers)
    pairs = sum(1 for ranking in rankings for _ in ranking.comparisons())
    return {"prompts": len(prompts), "rankings": len(rankings), "pairs": pairs, "tokens": tokens}


def reward(
    context: Context,
    name: str,
    judged: Callable[[Context], Judged],
    blind: bool = False,
    demonstrated: Callable[[Context], list[Demonstration]] | None = None,
) -> Mapping[str, Json]:
    """A reward model from the SFT model, its zero point and its temperature."""
    from heed.models.reward_model import RewardModel
    from heed.models.scorer import encode_groups
    from heed.training.reward_modeling import fit_temperature, ranked_groups, reward_modeling, set_zero_point

    config, codec, runtime = context.config, load_codec(context), context.run.runtime
    rankings, validation = judged(context)
    demonstrations = (demonstrated or collected_demonstrations)(context)[:1000]
    with open_store(context) as store:
        export = store.freeze_export("rankings", context.workspace.exports_dir, rankings)

    def encode(some: Sequence[Ranking]) -> Any:
        groups = encode_groups(codec, [r.prompt for r in some], [r.completions for r in some], blind=blind)
        return ranked_groups(groups, some)

    model = RewardModel.from_causal_lm(load_policy(context, "sft"), seed=config.seed, pad_id=codec.pad_id)
    with_adapter(context, model.classifier)
    result = reward_modeling(model, encode(rankings), config.reward, codec.pad_id, context.run, encode(validation))
    known: Sequence[tuple[Prompt, Sequence[Completion]]]
    known = [(d.prompt, [d.completion]) for d in demonstrations] or [(r.prompt, r.completions) for r in rankings[:1000]]
    written = encode_groups(codec, [prompt for prompt, _ in known], [answers for _, answers in known], blind=blind)
    set_zero_point(model, written, codec.pad_id, runtime)
    fit_temperature(model, encode(validation), codec.pad_id, runtime)
    save(context, name, model, parent="sft", export=export.hash, metrics=result.metrics)
    return {
        "rankings": len(rankings),
        "tokens": result.tokens,
        "zero_point": model.zero_point,
        "temperature": model.temperature,
        **result.metrics,
    }


# --- reinforcement learning


def ppo(
    context: Context,
    name: str,
    reward_model: str,
    adapt: Callable[[PPOConfig], PPOConfig],
    source: Source,
    watch: Watch | None = None,
    blind: bool = False,
) -> Mapping[str, Json]:
    """A policy trained against a reward model, from the SFT model."""
    from heed.models.precision import narrow
    from heed.models.value_model import ValueModel
    from heed.training.ppo import ppo as learn

    config, codec = context.config, load_codec(context)
    dtype = context.run.runtime.dtype
    policy = with_adapter(context, load_policy(context, "sft"))
    reference = policy if config.lora.rank else narrow(load_policy(context, "sft"), dtype)
    scores, scorer = load_scorer(context, reward_model, blind=blind)
    value_model = ValueModel.from_reward_model(scores)
    with_adapter(context, value_model.classifier)
    narrow(scores, dtype)
    prompts = source.policy_prompts(context)
    settings = adapt(config.ppo)
    result = learn(
        policy,
        reference,
        value_model,
        scorer,
        prompts,
        codec,
        settings,
        context.run,
        rows=load_rows(context, "train") if settings.ptx_coef else None,
        heldout=second_opinion(context, settings, reward_model),
        evaluate=None if watch is None else lambda made, model: watch(context, made, model, scorer),
        evaluate_every=max(1, settings.iterations // 5),
    )
    uses = [reward_model] if settings.stop_by is None else [reward_model, settings.stop_by]
    save(context, name, policy, parent="sft", metrics=result.metrics, uses=uses)
    return {
        "stopped": result.stopped,
        "kept_iteration": result.kept,
        "ptx_coef": result.ptx_coef,
        "kl_coef": result.kl_coef,
        "diagnoses": list(result.diagnoses),
        **result.metrics,
        "tokens": result.tokens,  # of all rounds, where the metrics' are of the last one
    }


def second_opinion(context: Context, settings: PPOConfig, reward_model: str) -> Scorer | None:
    """The reward model that ``ppo.stop_by`` names, which says when to stop; None where it names none.

    Raises:
        ConfigError: it is the one that is climbed, or there is no such model.
    """
    if settings.stop_by is None:
        return None
    if settings.stop_by == reward_model:
        raise ConfigError(
            f"ppo.stop_by={reward_model} is the reward model that this run climbs, which likes whatever fools it; name "
            "one that was trained on other comparisons"
        )
    if not model_dir(context, settings.stop_by).is_dir():
        raise ConfigError(f"ppo.stop_by={settings.stop_by}: this workspace has no such reward model")
    return load_scorer(context, settings.stop_by)[1]


# --- what the works share


def open_store(context: Context) -> Store:
    """The workspace's database."""
    return context.workspace.store()


def collected_demonstrations(context: Context) -> list[Demonstration]:
    """The demonstrations of this run's collect stage."""
    with open_store(context) as store:
        return store.demonstrations(campaign=campaign_of(context, "collect"))


def load_codec(context: Context) -> Codec:
    """The tokenizer that the text stage left."""
    from heed.data.chat import Codec
    from heed.data.tokenizer import load_tokenizer

    return Codec(load_tokenizer(context.workspace.runs_dir / "text" / "tokenizer"), context.config.model.context)


def load_rows(context: Context, name: str) -> Any:
    """(rows, T) token ids of the ``train`` or ``heldout`` text."""
    return np.load(_rows_path(context, name))


def model_dir(context: Context, name: str) -> Path:
    """Where the model ``name`` lies."""
    return context.workspace.models_dir / name


def load_policy(context: Context, name: str) -> CausalLM:
    """A language model of this workspace, on the run's device."""
    from heed.models.checkpoints import load_policy as load

    return load(model_dir(context, name), device=context.run.runtime.device)


def with_adapter(context: Context, model: CausalLM) -> CausalLM:
    """The model itself, about to be trained; with an adapter where ``lora.rank`` says so."""
    from heed.models.adapters import add_adapter

    add_adapter(model, context.config.lora, derive_seed(context.config.seed, "lora"))
    return model


def load_scorer(context: Context, name: str, blind: bool = False) -> tuple[RewardModel, RewardScorer]:
    """A reward model of this workspace, and the same as a Scorer."""
    from heed.models.checkpoints import load_reward_model
    from heed.models.scorer import RewardScorer

    runtime = context.run.runtime
    model = load_reward_model(model_dir(context, name), device=runtime.device)
    return model, RewardScorer(model, load_codec(context), microbatch=runtime.microbatch, blind=blind)


def sampler_of(context: Context, name: str) -> Any:
    """A language model of this workspace as a Sampler."""
    from heed.generation.sampler import LocalSampler

    return LocalSampler(load_policy(context, name), load_codec(context), name)


def decoding_of(config: RunConfig, seed: int) -> Decoding:
    """How answers are drawn for labeling and evaluation: as PPO draws them."""
    return Decoding(max_new_tokens=config.ppo.max_new_tokens, temperature=config.ppo.temperature, seed=seed)


def round_of(purpose: str) -> int:
    """1 for ``"round-1"``; 0 for anything that is not a round of the loop."""
    return int(purpose.removeprefix("round-")) if purpose.startswith("round-") else 0


def campaign_of(context: Context, stage: str) -> str:
    """The campaign under which a finished stage of this run put its rows into the store."""
    record = read_json(context.workspace.runs_dir / stage / "stage.json")
    assert isinstance(record, dict)
    return str(record["fingerprint"])


def prompts_of(context: Context, split: str) -> list[Prompt]:
    """The prompts that the collect stage put into ``split``, in its order."""
    splits = read_json(context.workspace.runs_dir / "collect" / "prompts.json")
    assert isinstance(splits, dict)
    with open_store(context) as store:
        by_id = {prompt.id: prompt for prompt in store.prompts()}
    return [by_id[one] for one in splits[split]]


def save(
    context: Context,
    name: str,
    model: CausalLM | RewardModel,
    *,
    parent: str | None = None,
    export: str | None = None,
    metrics: Mapping[str, float] | None = None,
    uses: Sequence[str] = (),
) -> None:
    """Save a model with the card that says what it was made from, and enter it into the lineage."""
    from heed.models.checkpoints import save_model

    stage, settings = context.run.dir.name, config_hash(context.config)
    card: dict[str, Json] = {
        "parent": parent,
        "export_hash": export,
        "config_hash": settings,
        "stage": stage,
        "uses": list(uses),
        "metrics": dict(metrics or {}),
    }
    save_model(model_dir(context, name), model, load_codec(context).tokenizer, card)
    with open_store(context) as store:
        store.register_model(name, parent, export, settings, metrics, stage=stage, uses=uses)


def final_decoding(config: RunConfig) -> Decoding:
    """How answers are drawn for the final evaluation."""
    return decoding_of(config, derive_seed(config.seed, "final"))


def _rows_path(context: Context, name: str) -> Path:
    return context.workspace.runs_dir / "text" / f"{name}.npy"
