"""The whole loop on the sandbox: a small English world whose true preferences are a known program.

Everything a real run needs people and months for happens here in minutes, and can be measured exactly. The gold score
is read by the evaluation and by nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from heed.config import PPOConfig, RewardConfig, RunConfig
from heed.evaluation.reward_accuracy import evaluate_reward_model
from heed.pipeline import Stage
from heed.recipes.measure import measure_run, watch_policy
from heed.recipes.second import SECOND, check_name, checked, half_of, unchecked
from heed.records import Completion, Demonstration, Json, Labeler, LabelerGroup, Prompt
from heed.roles import Decoding
from heed.runtime.seeds import derive_seed
from heed.sandbox import (
    KINDS,
    MIRRORED,
    GoldScorer,
    Split,
    World,
    copied,
    copy_probe,
    crew,
    few_shot,
    grade,
    strip_strays,
)
from heed.stages import (
    Judged,
    campaign_of,
    collect,
    load_codec,
    load_scorer,
    open_store,
    ppo,
    pretrain,
    pretrain_on,
    prompts_of,
    rank,
    reward,
    sft,
    text,
)

if TYPE_CHECKING:
    from heed.models.types import CausalLM, Tokenizer
    from heed.pipeline import Context
    from heed.roles import Judge, Scorer
    from heed.store import Store

NUM_VALIDATION, NUM_WATCHED = 600, 250
"""Prompts of the test split: ranked to validate reward models, and answered in the middle of PPO for its record."""
NUM_PROBES, COPYING = 200, 0.9
"""Sentences to repeat, and the share of them that the base model has to get right."""
BLIND = "reward_model_blind"
VALIDATION = "rank-validation"
"""The stage whose rankings nothing is trained on."""
WORLD = ("seed", "model", "pretrain.tokens", "base")
"""Settings the text depends on."""


def config() -> RunConfig:
    """Settings of ``heed run sandbox``."""
    return RunConfig(recipe="sandbox", reward=RewardConfig(epochs=2), ppo=PPOConfig(iterations=150))


def stages(config: RunConfig) -> list[Stage]:
    """The loop, and the two controls that the report shows beside it: the blind one and the one without KL penalty."""
    source = Sandbox()
    people = ("seed", "labeling", "ppo.iterations", "ppo.prompts_per_round", "evaluation")
    listed = [
        Stage(name="text", title="Text and tokenizer", work=partial(text, source=source), settings=WORLD),
        Stage(
            name="collect", title="Prompts and demonstrations", work=partial(collect, source=source), settings=people
        ),
        Stage(
            name="base-start",
            title="Pretraining",
            work=partial(pretrain, name="base-start"),
            settings=(*WORLD, "pretrain"),
            after=("text",),
            alone=True,
        ),
        Stage(
            name="base",
            title="More pretraining, if it cannot copy yet",
            work=partial(pretrain_on, start="base-start", name="base", skill=copying, enough=COPYING),
            after=("base-start", "text"),
            alone=True,
        ),
        Stage(
            name="sft",
            title="Supervised fine-tuning",
            work=sft,
            settings=("seed", "lora", "sft"),
            after=("base", "text", "collect"),
            alone=True,
        ),
        _ranking(source, "validation", "sft", "Ranking answers to validate with", ("training", "heldout")),
    ]
    check_name(config)
    for number in range(1, config.rounds + 1):
        listed += _round(source, number, config)
    listed += _controls(source, config)
    listed.append(
        Stage(
            name="evaluate",
            title="Evaluation",
            work=partial(evaluate, rounds=config.rounds),
            settings=("seed", "evaluation"),
            after=tuple(stage.name for stage in listed),
            alone=True,
        )
    )
    return listed


def _round(source: Sandbox, number: int, config: RunConfig) -> list[Stage]:
    """Fresh comparisons from the newest policy, a reward model from all so far, and PPO from the SFT model again.

    With ``ppo.stop_by`` the comparisons are shared between the reward model and the one that checks it.
    """
    policy = "sft" if number == 1 else named("ppo-ptx", number - 1)
    ranked = tuple(f"rank-round-{earlier}" for earlier in range(1, number + 1))
    scorer, second = named("reward", number), named(SECOND, number)
    listed = [
        _ranking(source, f"round-{number}", policy, f"Ranking answers, round {number}"),
        _reward(scorer, ranked, f"Reward model, round {number}", config, half=0),
    ]
    if config.ppo.stop_by is not None:
        listed.append(_reward(second, ranked, f"Reward model that checks the first, round {number}", config, half=1))
    adapt = partial(checked, adapt=with_ptx, second=second)
    listed.append(
        _ppo(source, named("ppo-ptx", number), scorer, adapt, f"PPO-ptx, round {number}", config, watched=True)
    )
    return listed


def _controls(source: Sandbox, config: RunConfig) -> list[Stage]:
    ranked = tuple(f"rank-round-{number}" for number in range(1, config.rounds + 1))
    scorer, second = named("reward", config.rounds), named(SECOND, config.rounds)
    plain = partial(checked, adapt=without_ptx, second=second)
    listed = [
        _ppo(source, "ppo", scorer, plain, "PPO without the pretraining mix", config, watched=True),
        _ppo(source, "ppo-kl-free", scorer, without_kl, "Control: PPO without KL penalty", config, watched=True),
        _reward("reward-blind", ranked, "Control: blind reward model", config, half=0, blind=True),
        _ppo(
            source,
            "ppo-blind",
            "reward-blind",
            unchecked,
            "Control: PPO-ptx on the blind reward model",
            config,
            blind=True,
        ),
    ]
    if config.rounds > 1:  # as many comparisons in all, none of them fresh
        rest = _ranking(source, "static", "sft", "Control: ranking as many answers of the SFT model")
        listed += [
            rest,
            _reward("reward-static", ("rank-round-1", rest.name), "Control: reward model of a single round", config, 0),
            _ppo(source, "ppo-ptx-static", "reward-static", unchecked, "Control: PPO-ptx of a single round", config),
        ]
    return listed


def _ranking(
    source: Sandbox, purpose: str, policy: str, title: str, groups: Sequence[LabelerGroup] = ("training",)
) -> Stage:
    return Stage(
        name=f"rank-{purpose}",
        title=title,
        work=partial(rank, source=source, purpose=purpose, policy=policy, groups=groups),
        settings=("seed", "labeling", "rounds", "ppo.max_new_tokens", "ppo.temperature"),
        after=("collect", policy),
    )


def _reward(name: str, ranked: Sequence[str], title: str, config: RunConfig, half: int, blind: bool = False) -> Stage:
    """``half`` matters only where the comparisons are shared."""
    shared = config.ppo.stop_by is not None
    chosen = partial(judged, ranked=ranked, half=half if shared else None)
    return Stage(
        name=name,
        title=title,
        work=partial(reward, name=name, judged=chosen, blind=blind),
        settings=("seed", "lora", "reward", *(("ppo.stop_by",) if shared else ())),
        after=("sft", VALIDATION, *ranked),
    )


def _ppo(
    source: Sandbox,
    name: str,
    scorer: str,
    adapt: Callable[[PPOConfig], PPOConfig],
    title: str,
    config: RunConfig,
    blind: bool = False,
    watched: bool = False,
) -> Stage:
    second = adapt(config.ppo).stop_by
    return Stage(
        name=name,
        title=title,
        work=partial(
            ppo,
            name=name,
            reward_model=scorer,
            adapt=adapt,
            source=source,
            watch=watch if watched else None,
            blind=blind,
        ),
        settings=("seed", "lora", "ppo"),
        after=("collect", "text", "sft", scorer, *(() if second is None else (second,))),
    )


def judged(context: Context, ranked: Sequence[str], half: int | None = None) -> Judged:
    """What the training labelers said in these rank stages, or on half of their prompts."""
    with open_store(context) as store:
        training = [one for stage in ranked for one in store.rankings(campaign=campaign_of(context, stage))]
        validation = store.rankings(campaign=campaign_of(context, VALIDATION), labeler_group="training")
    return Judged(training=half_of(training, half), validation=validation)


def named(name: str, number: int) -> str:
    """``"reward"`` for the first round's, ``"reward-2"`` for the second's."""
    return name if number == 1 else f"{name}-{number}"


# --- the ways PPO is run


def with_ptx(settings: PPOConfig) -> PPOConfig:
    """As configured."""
    return settings


def without_ptx(settings: PPOConfig) -> PPOConfig:
    """Without the pretraining mix."""
    return settings.model_copy(update={"ptx_coef": 0.0})


def without_kl(settings: PPOConfig) -> PPOConfig:
    """With nothing that holds the policy back: what over-optimisation looks like."""
    update = {"ptx_coef": 0.0, "kl_coef": 0.0, "kl_target": None, "learning_rate": 2.5 * settings.learning_rate}
    update |= {"max_kl": None, "stop_by": None}
    return settings.model_copy(update=update | {"iterations": min(settings.iterations, 100)})


# --- where everything comes from


class Sandbox:
    """The sandbox as a :class:`heed.stages.Source`."""

    def text(self, config: RunConfig) -> list[str]:
        """About as many words as pretraining reads tokens, a third less, for most words are one token."""
        num_words = int(config.pretrain.tokens * 0.9)
        return list(World(config.seed).pretraining_text(num_words, seed=config.seed))

    def tokenizer(self, config: RunConfig, documents: Sequence[str]) -> Tokenizer:
        """A tokenizer in which every word of the world is one token."""
        from heed.data.tokenizer import train_tokenizer

        return train_tokenizer(documents[:20_000], config.model.vocab_size, line_prefix_space=True)

    def collect(self, context: Context, store: Store) -> Mapping[str, Sequence[Prompt]]:
        """Prompts of all splits, demonstrations, and the crew."""
        config = context.config
        world = World(config.seed)
        wanted: dict[Split, int] = {
            "train": sum(_train_parts(config)),
            "test": NUM_VALIDATION + NUM_WATCHED,
            "final": config.evaluation.num_prompts,
        }
        prompts = {split: world.prompts(split, n, seed=config.seed) for split, n in wanted.items()}
        for some in prompts.values():
            store.add_prompts(some)
        rng = random.Random(derive_seed(config.seed, "demonstrations"))
        written = [
            Demonstration(
                prompt=prompt,
                completion=Completion(text=world.demonstration(prompt, rng)),
                labeler=f"demonstrator-{index % 20}",
            )
            for index, prompt in enumerate(prompts["train"][: config.labeling.num_demonstrations])
        ]
        writers = (Labeler(id=name, kind="simulated") for name in sorted({one.labeler for one in written}))
        store.add_labelers([*writers, *(one.labeler for one in crew(world, seed=config.seed))])
        store.add_demonstrations(written, campaign=context.fingerprint)
        return dict(prompts.items())

    def ranked_prompts(self, context: Context, purpose: str) -> list[Prompt]:
        """A slice of the training prompts for each round, the test prompts for validation."""
        if purpose == "validation":
            return prompts_of(context, "test")[:NUM_VALIDATION]
        config = context.config
        demonstrated, ranked, _ = _train_parts(config)
        each = ranked // config.rounds
        if purpose == "static":  # the prompts of all rounds but the first
            return prompts_of(context, "train")[demonstrated + each : demonstrated + ranked]
        start = demonstrated + each * (int(purpose.removeprefix("round-")) - 1)
        return prompts_of(context, "train")[start : start + each]

    def policy_prompts(self, context: Context) -> list[Prompt]:
        """Training prompts that nobody demonstrated or ranked."""
        return prompts_of(context, "train")[-_train_parts(context.config)[2] :]

    def judges(self, config: RunConfig, group: LabelerGroup) -> Sequence[Judge]:
        """The simulated crew, or its held-out part."""
        return [one for one in crew(World(config.seed), seed=config.seed) if one.labeler.group == group]


def _train_parts(config: RunConfig) -> tuple[int, int, int]:
    """How many training prompts are demonstrated, ranked, and left to PPO."""
    episodes = config.ppo.iterations * config.ppo.prompts_per_round
    return config.labeling.num_demonstrations, config.labeling.num_ranked_prompts, min(episodes, 20_000)


# --- measuring


def copying(context: Context, model: CausalLM) -> float:
    """The share of sentences that the model can repeat word for word. Without that it cannot answer from a passage,
    rewrite or sum up, and nobody's preference would be about content."""
    from heed.generation.sampler import LocalSampler

    probes = copy_probe(World(context.config.seed), NUM_PROBES, seed=context.config.seed)
    decoding = Decoding(max_new_tokens=context.config.ppo.max_new_tokens, temperature=0.0, stop=("\n",))
    answers = LocalSampler(model, load_codec(context), "base").sample([prompt for prompt, _ in probes], 1, decoding)
    return copied(probes, [one.text for (one,) in answers])


def watch(context: Context, made: int, policy: CausalLM, scorer: Scorer) -> Mapping[str, float]:
    """Reward and gold of a policy in training, on test prompts. For the record: nothing is chosen by it."""
    prompts = prompts_of(context, "test")[-NUM_WATCHED:]
    return watch_policy(context, made, policy, scorer, prompts, GoldScorer(World(context.config.seed)))


def evaluate(context: Context, rounds: int) -> Mapping[str, Json]:
    """The ladder and everything around it, on prompts that nothing was chosen by."""
    world = World(context.config.seed)
    models = {"base": "base", "sft": "sft", "ppo": "ppo", "ppo_ptx": named("ppo-ptx", rounds), "blind": "ppo-blind"}
    models |= {"kl_free": "ppo-kl-free"}
    if rounds > 1:
        models |= {"ppo_ptx_round_1": "ppo-ptx", "ppo_ptx_static": "ppo-ptx-static"}
    with open_store(context) as store:
        campaign = campaign_of(context, VALIDATION)
        labels, heldout = (store.rankings(campaign=campaign, labeler_group=group) for group in ("training", "heldout"))
    gold = GoldScorer(world)
    measured = {}
    for section, name, blind in (("reward_model", named("reward", rounds), False), (BLIND, "reward-blind", True)):
        scores, scorer = load_scorer(context, name, blind=blind)
        measured[section] = evaluate_reward_model(
            scorer, labels=labels, heldout_labels=heldout, gold=gold, temperature=scores.temperature
        )
    _, scorer = load_scorer(context, named("reward", rounds))
    return measure_run(
        context,
        models=models,
        reward_scorer=scorer,
        gold=gold,
        judged_by="gold",
        sections=measured,
        grade=partial(grade, world),
        strip=strip_strays,
        few_shot=partial(few_shot, world),
        stop=("\n",),
        groups={"mirrored": MIRRORED, "not_mirrored": tuple(kind for kind in KINDS if kind not in MIRRORED)},
    )
