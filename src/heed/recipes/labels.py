"""The loop on people's own labels: what was written and ranked in the studio, or imported into the workspace.

What a model learns from is frozen first (``heed train`` does that), and the settings name the frozen data by their
hashes, so that a stage runs again when people have said more and never otherwise. Prompts are cut by a hash of their
content: a share of those with rankings is kept to validate. What held-out labelers said measures and never trains.

Left out: an evaluation stage. Who is preferred is for people to say; put answers of two models into a comparison
campaign, or compare them with ``heed compare``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from heed.config import PPOConfig, RunConfig
from heed.data.readers import read_demonstrations, read_rankings, read_texts
from heed.errors import ConfigError, DataError
from heed.evaluation.preference_accuracy import accuracy, score_pairs
from heed.files import write_json
from heed.pipeline import Stage
from heed.recipes.curves import curves
from heed.records import Demonstration, Json, LabelerGroup, Prompt, Ranking
from heed.runtime.seeds import derive_seed, numpy_generator
from heed.stages import Judged, load_codec, open_store, ppo, pretrain, reward, sft, text

if TYPE_CHECKING:
    from heed.models.types import Tokenizer
    from heed.pipeline import Context
    from heed.roles import Judge, Scorer
    from heed.store import Store


def config() -> RunConfig:
    """Settings of ``heed run labels``; ``base`` names the model to start from."""
    return RunConfig(recipe="labels")


def stages(config: RunConfig) -> list[Stage]:
    """Text and base model, then what there are labels for."""
    if config.base is None:
        raise ConfigError("heed run labels starts from an existing model; name it with --set base=DIR_OR_HUB_NAME")
    source = Labels()
    origin = ("base", "data", "model.context")
    listed = [
        Stage(name="text", title="Tokenizer and text", work=partial(read_text, source=source), settings=origin),
        Stage(name="base", title="Base model", work=pretrain, settings=origin, after=("text",)),
        Stage(
            name="sft",
            title="Supervised fine-tuning",
            work=sft_from_labels,
            settings=("seed", "lora", "sft", "labels.demonstrations"),
            after=("base", "text"),
            alone=True,
        ),
        Stage(
            name="reward",
            title="Reward model",
            work=reward_from_labels,
            settings=("seed", "lora", "reward", "labels.rankings", "labels.heldout", "labels.validation_share"),
            after=("sft", "text"),
            alone=True,
        ),
    ]
    for number in range(2, config.labels.reward_models + 1):
        listed.append(
            Stage(
                name=f"reward-{number}",
                title=f"Reward model from another seed, {number} of {config.labels.reward_models}",
                work=partial(another_reward, number=number),
                settings=("seed", "lora", "reward", "labels.rankings", "labels.validation_share"),
                after=("sft", "text"),
                alone=True,
            )
        )
    if config.labels.learning_curve:
        listed.append(
            Stage(
                name="reward-curve",
                title="What more labels would add",
                work=partial(curves, judged=judged, arms=arms),
                settings=("seed", "lora", "reward", "labels"),
                after=("sft", "reward"),
                alone=True,
            )
        )
    second = config.ppo.stop_by
    others = [f"reward-{number}" for number in range(2, config.labels.reward_models + 1)]
    if second is not None and second not in others:
        raise ConfigError(
            f"ppo.stop_by is {second!r}, expected {' or '.join(others) or 'none'}: heed run labels trains such models "
            "from other seeds where labels.reward_models is two or more"
        )
    listed.append(
        Stage(
            name="ppo-ptx",
            title="PPO-ptx" if config.data else "PPO",
            work=partial(
                ppo, name="ppo-ptx", reward_model="reward", adapt=partial(_adapt, data=config.data), source=source
            ),
            settings=("seed", "lora", "ppo"),
            after=("text", "sft", "reward", *(() if second is None else (second,))),
            alone=True,
        )
    )
    return listed


class Labels:
    """What people wrote into the workspace as a :class:`heed.stages.Source`."""

    def text(self, config: RunConfig) -> list[str]:
        """Plain text for the pretraining mix: the file that ``data`` names."""
        return [] if config.data is None else list(read_texts(*text_file(config.data)))

    def tokenizer(self, config: RunConfig, documents: Sequence[str]) -> Tokenizer:
        """The base model's, which is read where it lies."""
        raise ConfigError("the tokenizer is the base model's")

    def collect(self, context: Context, store: Store) -> Mapping[str, Sequence[Prompt]]:
        """Everything is in the store already."""
        return {}

    def ranked_prompts(self, context: Context, purpose: str) -> list[Prompt]:
        """People rank in the studio, not in a stage."""
        return []

    def policy_prompts(self, context: Context) -> list[Prompt]:
        """Training prompts that fit, in an order that depends on the seed alone.

        Raises:
            DataError: there are none.
        """
        from heed.data.chat import Codec
        from heed.data.hygiene import drop_longer_than_context

        codec = load_codec(context)
        room = Codec(codec.tokenizer, codec.context - context.config.ppo.max_new_tokens)
        with open_store(context) as store:
            prompts = drop_longer_than_context(store.prompts(split="train"), room).kept
        if not prompts:
            raise DataError(
                "there are no training prompts in this workspace that leave room for an answer; import some"
            )
        order = numpy_generator(context.config.seed, "labels", "policy-prompts").permutation(len(prompts))
        return [prompts[index] for index in order]

    def judges(self, config: RunConfig, group: LabelerGroup) -> Sequence[Judge]:
        """People, who are not called but come to the studio."""
        return ()


def read_text(context: Context, source: Labels) -> Mapping[str, Json]:
    """The base model's tokenizer, and the plain text in rows if there is any."""
    if context.config.data is not None:
        return text(context, source)
    from heed.data.tokenizer import load_tokenizer, save_tokenizer

    assert context.config.base is not None
    tokenizer = load_tokenizer(context.config.base)
    save_tokenizer(tokenizer, context.workspace.runs_dir / "text" / "tokenizer")
    return {"documents": 0, "vocab_size": len(tokenizer)}


def text_file(path: str) -> tuple[str, Path]:
    """Format and path of a file of plain text: ``FORMAT:PATH``, or a path to text files."""
    form, colon, rest = path.partition(":")
    return (form, Path(rest)) if colon else ("text", Path(path))


# --- what people said


def demonstrations(context: Context) -> list[Demonstration]:
    """The frozen demonstrations.

    Raises:
        ConfigError: none are frozen.
    """
    path = frozen(context, context.config.labels.demonstrations, "demonstrations")
    return list(read_demonstrations("heed", path))


def judged(context: Context) -> Judged:
    """The frozen rankings, cut in two by prompt."""
    labels = context.config.labels
    rankings = list(read_rankings("heed", frozen(context, labels.rankings, "rankings")))
    kept = [one for one in rankings if kept_aside(one.prompt, labels.validation_share)]
    training = [one for one in rankings if not kept_aside(one.prompt, labels.validation_share)]
    if not training or not kept:
        raise DataError(
            f"{len(rankings)} rankings leave {len(training)} to train on and {len(kept)} to validate with; "
            "collect more, or change labels.validation_share"
        )
    return Judged(training=training, validation=kept)


def arms(context: Context) -> Judged | None:
    """Rankings of items that reward models chose, and of items that chance chose; None where nobody chose any.

    Both without validation prompts, in that order: ``training`` is the chosen ones, ``validation`` the others.
    """
    labels = context.config.labels
    if labels.random_arm is None or labels.ensemble_arm is None:
        return None
    chosen, others = (
        [
            one
            for one in read_rankings("heed", frozen(context, name, "rankings"))
            if not kept_aside(one.prompt, labels.validation_share)
        ]
        for name in (labels.ensemble_arm, labels.random_arm)
    )
    return Judged(training=chosen, validation=others)


def kept_aside(prompt: Prompt, share: float) -> bool:
    """Whether a prompt validates: by its content alone, so that it always stays on its side."""
    return int(hashlib.sha256(prompt.id.encode()).hexdigest()[:8], 16) / 16**8 < share


def frozen(context: Context, export_hash: str | None, kind: str) -> Path:
    """The file of a frozen data set.

    Raises:
        ConfigError: none is named, or it is not in this workspace.
    """
    if export_hash is None:
        raise ConfigError(f"no {kind} are frozen for this run; heed train freezes what there is, or set labels.{kind}")
    path = context.workspace.exports_dir / export_hash[:16] / "data.jsonl"
    if not path.is_file():
        raise ConfigError(f"labels.{kind}={export_hash}: there is no such frozen data set at {path.parent}")
    return path


# --- stages of its own


def sft_from_labels(context: Context) -> Mapping[str, Json]:
    """Supervised fine-tuning; without text there is no pretraining mix."""
    settings = context.config
    if settings.data is None:
        alone = settings.sft.model_copy(update={"pretraining_coef": 0.0})
        context = replace(context, config=settings.model_copy(update={"sft": alone}))
    return sft(context, demonstrations)


def reward_from_labels(context: Context) -> Mapping[str, Json]:
    """A reward model, with its accuracy on validation prompts for each labeler, and on held-out labelers."""
    from heed.stages import load_scorer

    figures = dict(reward(context, "reward", judged, demonstrated=known_demonstrations))
    _, scorer = load_scorer(context, "reward")
    validation = judged(context).validation
    report: dict[str, Json] = {"ties": "dropped", "validation": accuracy_of(scorer, validation)}
    report["by_labeler"] = {
        labeler: accuracy_of(scorer, [one for one in validation if one.labeler == labeler])
        for labeler in sorted({one.labeler for one in validation})
    }
    if context.config.labels.heldout is not None:
        heldout = list(read_rankings("heed", frozen(context, context.config.labels.heldout, "heldout")))
        report["heldout"] = accuracy_of(scorer, heldout)
        report["heldout_by_labeler"] = {
            labeler: accuracy_of(scorer, [one for one in heldout if one.labeler == labeler])
            for labeler in sorted({one.labeler for one in heldout})
        }
    write_json(context.run.dir / "accuracy.json", report)
    return {**figures, "accuracy": report}


def another_reward(context: Context, number: int) -> Mapping[str, Json]:
    """A reward model like the first, from another seed."""
    seed = derive_seed(context.config.seed, "labels", "reward", number)
    config = context.config.model_copy(update={"seed": seed})
    other = replace(context, config=config, run=replace(context.run, seed=seed))
    return reward(other, f"reward-{number}", judged, demonstrated=known_demonstrations)


def known_demonstrations(context: Context) -> list[Demonstration]:
    """The frozen demonstrations, or none where there are none: a reward model's zero point can do without."""
    return demonstrations(context) if context.config.labels.demonstrations is not None else []


def accuracy_of(scorer: Scorer, rankings: Sequence[Ranking]) -> Json:
    """Share of the pairs that a scorer orders as the labelers did, ties dropped; None where there are no pairs."""
    if not any(True for one in rankings for _ in one.comparisons()):
        return None
    return accuracy(score_pairs(scorer, rankings)).as_json()


def _adapt(settings: PPOConfig, data: str | None) -> PPOConfig:
    """Without text there is no pretraining mix."""
    return settings if data else settings.model_copy(update={"ptx_coef": 0.0})
