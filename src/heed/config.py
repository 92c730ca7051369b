"""What a run is made of: one frozen value that says everything, printed, hashed and saved with the run.

A recipe (``heed.recipes``) is a function that returns a :class:`RunConfig`. ``--set section.name=value`` changes one
field; types are checked, and an unknown name is refused with the nearest one. Nothing is read from anywhere else.

Three words for batches, the same everywhere: *prompts per round* are what PPO samples before it updates; a
*minibatch* is what one optimizer step sees; a *microbatch* is what fits through the model at once and never changes
a result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from heed.errors import ConfigError, nearest
from heed.records import content_id

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Coefficient = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Base of all settings: immutable, and a name it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelConfig(Settings):
    """A small language model from nothing. Ignored when ``base`` names an existing one."""

    architecture: Literal["llama", "qwen3", "gpt2", "gpt_neox"] = "llama"
    """Which family of Hugging Face models it is."""
    hidden_size: Positive = 64
    """Width of the hidden states."""
    num_layers: Positive = 2
    """Transformer blocks."""
    num_heads: Positive = 4
    """Attention heads; they share ``hidden_size`` evenly."""
    context: Positive = 128
    """Longest sequence in tokens, prompt and answer together."""
    vocab_size: Positive = 2048
    """Tokens of the tokenizer that is trained with it."""


class PretrainConfig(Settings):
    """Next-token prediction on plain text."""

    tokens: Positive = 6_000_000
    """Tokens seen in all; the text is repeated or cut to that length."""
    learning_rate: Rate = 3e-3
    """Peak; after a short warm-up, half a cosine down to a tenth of it."""
    minibatch: Positive = 8
    """Rows of ``model.context`` tokens in one optimizer step."""


class SFTConfig(Settings):
    """Supervised fine-tuning on demonstrations."""

    epochs: Positive = 8
    """Passes over the demonstrations."""
    learning_rate: Rate = 1e-3
    """At the start; half a cosine down to a tenth of it."""
    minibatch: Positive = 16
    """Demonstrations in one optimizer step."""
    pretraining_coef: Coefficient = 0.3
    """Weight of the pretraining loss mixed into every step (InstructGPT mixes 10 % into PPO's starting point)."""


class RewardConfig(Settings):
    """Reward modelling: all pairs of a prompt are one batch element (InstructGPT Equation 1)."""

    epochs: Positive = 1
    """Passes over the rankings. InstructGPT makes one, because more overfit there."""
    learning_rate: Rate = 1e-3
    """At the start; half a cosine down to a tenth of it."""
    minibatch: Positive = 16
    """Prompts, each with all its K answers, in one optimizer step."""


class PPOConfig(Settings):
    """PPO against a Scorer with a per-token KL penalty and a pretraining-gradient mix (InstructGPT Equation 2)."""

    iterations: Positive = 60
    """Rounds of sampling, scoring and updating."""
    prompts_per_round: Positive = 128
    """Episodes that are sampled before the policy is updated."""
    minibatch: Positive = 64
    """Episodes in one optimizer step."""
    epochs: Positive = 1
    """Passes over each round's episodes."""
    learning_rate: Rate = 4e-4
    """The policy's, reached after ten iterations of warm-up and then constant."""
    value_learning_rate: Rate = 1e-3
    """The value model's, constant."""
    kl_coef: Coefficient = 0.2
    """Beta: what a nat of divergence from the SFT model costs, in units of the score."""
    kl_target: Rate | None = None
    """Nats per episode. When set, ``kl_coef`` is where an adaptive coefficient starts from."""
    ptx_coef: Coefficient | Literal["auto"] = 1.0
    """Weight of the pretraining loss: 0 is plain PPO, "auto" sets it once by the ratio of the gradient norms."""
    clip_range: Rate = 0.2
    """Epsilon: how far a ratio (and a value) may move in one round before its gradient is cut."""
    gae_lambda: Share = 0.95
    """0 trusts the value model wholly, 1 not at all."""
    temperature: Rate = 1.0
    """Of sampling, and of the log-probabilities that are trained."""
    max_new_tokens: Positive = 48
    """Longest answer in tokens, in sampling of every kind."""
    missing_eos_penalty: Coefficient = 1.0
    """Taken from the score of an answer that does not end by itself."""
    max_kl: Rate | None = None
    """Nats per episode. When set, the run ends with the first round that is measured further from the SFT model."""
    stop_by: str | None = None
    """A second reward model, never the one that is climbed. When set, its score ends the run and chooses the policy."""
    patience: Positive = 10
    """Rounds over which that model's score is averaged, and rounds without a new best after which the run ends."""


class LoraConfig(Settings):
    """Training through low-rank adapters, in all stages after the base model. Models are saved with them merged in."""

    rank: Count = 0
    """Of each linear layer's adapter. 0 trains all weights, and PPO then needs a second copy for its reference."""
    alpha: Rate = 32.0
    """Scale: an adapter's output is multiplied by alpha / rank, so that learning rates do not depend on the rank."""


class LabelingConfig(Settings):
    """How much feedback is collected, and from whom."""

    num_demonstrations: Positive = 4000
    """Answers written by labelers."""
    num_ranked_prompts: Positive = 10_000
    """Prompts whose answers are ranked, over all rounds."""
    answers_per_prompt: Annotated[int, Field(ge=2, le=9)] = 4
    """K of the answer group."""


class EvaluationConfig(Settings):
    """How the models are measured."""

    num_prompts: Positive = 700
    """Prompts of the final evaluation, read for no other choice."""


class LabelsConfig(Settings):
    """What people said, as frozen data sets of the workspace. ``heed train`` fills these in."""

    demonstrations: str | None = None
    """Hash of the frozen demonstrations that ``heed run labels`` learns from."""
    rankings: str | None = None
    """Hash of the frozen rankings that its reward model learns from."""
    heldout: str | None = None
    """Hash of the frozen rankings by held-out labelers, which only measure."""
    validation_share: Share = 0.1
    """Of the prompts, whose rankings are kept from training and measure the reward model."""
    reward_models: Positive = 1
    """Reward models from different seeds. With two or more, ``heed prioritize`` finds where they differ."""
    random_arm: str | None = None
    """Hash of the frozen rankings of items whose turn was random, where others were chosen by reward models."""
    ensemble_arm: str | None = None
    """Hash of the frozen rankings of items chosen because reward models differed on them."""
    learning_curve: bool = False
    """Whether reward models on parts of the rankings are trained too, to say what more labels would add."""


class RunConfig(Settings):
    """One run of the loop, whole."""

    recipe: str = "sandbox"
    """Where the other settings come from."""
    seed: Count = 0
    """Every random stream of the run is derived from it."""
    rounds: Positive = 1
    """How often fresh comparisons are collected from the newest policy."""
    base: str | None = None
    """Directory or hub name of a causal language model to start from, instead of pretraining one."""
    data: str | None = None
    """Directory of the real data that ``heed run real`` reads; for ``heed run labels`` a file of plain text, if any."""
    microbatch: Positive = 64
    """Sequences that go through a model at once. It bounds memory and never changes a result."""
    activation_checkpointing: bool = False
    """Whether the backward pass computes each layer again instead of keeping what it computed. Less memory,
    about a third more time in updates, the same result."""
    lora: LoraConfig = LoraConfig()
    model: ModelConfig = ModelConfig()
    pretrain: PretrainConfig = PretrainConfig()
    labeling: LabelingConfig = LabelingConfig()
    labels: LabelsConfig = LabelsConfig()
    sft: SFTConfig = SFTConfig()
    reward: RewardConfig = RewardConfig()
    ppo: PPOConfig = PPOConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


S = TypeVar("S", bound=Settings)


def config_hash(config: Settings) -> str:
    """Sixteen hexadecimal digits: equal for equal settings."""
    return content_id(config.model_dump(mode="json"))


def flatten(config: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting as ``("ppo.kl_coef", 0.2)``, in the order of definition."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Settings):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def override(config: S, assignments: Sequence[str]) -> S:
    """``config`` with some settings replaced, each given as ``"section.name=value"``; the types are checked.

    Raises:
        ConfigError: an unknown name (the nearest one is suggested), no ``=``, or a value of the wrong kind.
    """
    data = config.model_dump()
    known = [name for name, _ in flatten(config)]
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals:
            raise ConfigError(f"--set {assignment}: expected NAME=VALUE, such as ppo.kl_coef=0.05")
        if name not in known:
            raise ConfigError(f"--set {assignment}: there is no setting {name!r}.{nearest(name, known)}")
        *sections, last = name.split(".")
        target = data
        for section in sections:
            target = target[section]
        target[last] = _parse(text.strip())
    return parse(type(config), data, where="--set")


def parse(kind: type[S], data: object, where: str) -> S:
    """Build ``kind`` from plain data, as read from JSON.

    Raises:
        ConfigError: one line for each wrong field: where, which name, what was given, what was expected.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError("; ".join(_sentence(kind, detail, where) for detail in error.errors())) from error


def _parse(text: str) -> Any:
    """A value typed on a command line: JSON where it is JSON (numbers, true, null), else the string itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def _sentence(kind: type[Settings], detail: Any, where: str) -> str:
    name = ".".join(
        str(part) for part in detail["loc"] if not str(part).startswith(("constrained", "literal", "float"))
    )
    if detail["type"] == "extra_forbidden":
        return f"{where}: there is no setting {name!r}.{nearest(name, [known for known, _ in flatten(kind())])}"
    return f"{where}: {name} is {detail['input']!r}: {detail['msg'].lower()}"
