"""The loop on real data: books, demonstrations and comparisons that people wrote, from a directory of public sets.

No gold exists here. The comparisons are cut in two by prompt; PPO climbs a reward model trained on one half, and a
second reward model trained on the other half judges (Bai et al. 2022, section 4.2). Both read the same base model, so
they may share failures: the figures say how far they agree, not that people would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from heed.config import (
    EvaluationConfig,
    LabelingConfig,
    ModelConfig,
    PPOConfig,
    PretrainConfig,
    RewardConfig,
    RunConfig,
    SFTConfig,
)
from heed.data.chat import Codec
from heed.data.hygiene import (
    cap_per_user,
    drop_longer_than_context,
    drop_shared_prefixes,
    redact_personal_data,
    split_by_user,
)
from heed.data.readers import read_demonstrations, read_prompts, read_rankings, read_texts
from heed.errors import ConfigError
from heed.evaluation.baselines import fit_bag_of_words, fit_length_scorer
from heed.evaluation.reward_accuracy import compare_scorers, evaluate_reward_model
from heed.files import write_json
from heed.pipeline import Stage
from heed.recipes.measure import measure_run, watch_policy
from heed.recipes.second import SECOND, check_name, checked, half_of
from heed.records import Demonstration, Json, Labeler, LabelerGroup, Prompt, Ranking
from heed.runtime.seeds import numpy_generator
from heed.stages import (
    Judged,
    campaign_of,
    collect,
    load_codec,
    load_scorer,
    open_store,
    ppo,
    pretrain,
    prompts_of,
    reward,
    sft,
    text,
)

if TYPE_CHECKING:
    from heed.models.types import CausalLM, Tokenizer
    from heed.pipeline import Context
    from heed.roles import Judge, Scorer
    from heed.store import Store

BOOKS = ("english-books/simple_books.jsonl.gz", "english-books/classic_books.jsonl.gz")
DEMONSTRATIONS = (
    ("self-instruct", "self-instruct/seed_tasks.jsonl"),
    ("self-instruct", "self-instruct/user_oriented_instructions.jsonl"),
    ("alpaca", "alpaca-sample/train.jsonl.gz"),
    ("open-assistant", "oasst-ranked-trees/trees.jsonl.gz"),
)
COMPARISONS = (
    ("open-assistant", "oasst-ranked-trees/trees.jsonl.gz"),
    ("hh-rlhf", "hh-rlhf-harmless/train.jsonl.gz"),
    ("hh-rlhf", "hh-rlhf-harmless/dev.jsonl.gz"),
    ("pandalm", "pandalm-human-pairs/pairs.jsonl"),
)
MORE_PROMPTS = (("open-assistant", "oasst-ranked-trees/prompts.jsonl"),)
"""Prompts without answers; they go to the final evaluation."""
NUM_WATCHED = 100
"""Prompts, none of them of the final evaluation, that are answered in the middle of PPO for its record."""
PROMPT_SHARES = {"train": 0.8, "final": 0.2}
COMPARISON_SHARES = {"half-a": 0.425, "half-b": 0.425, "validation": 0.15}
WORLD = ("seed", "model", "pretrain.tokens", "base", "data")
Item = TypeVar("Item", Demonstration, Ranking, Prompt)
CHARACTERS_PER_TOKEN = 3.6
"""Of English prose in a byte-pair encoding of a few thousand tokens; only says how many books to read."""


def config() -> RunConfig:
    """Settings of ``heed run real``: small enough for an hour on two cores."""
    return RunConfig(
        recipe="real",
        model=ModelConfig(hidden_size=128, num_layers=4, num_heads=4, context=512, vocab_size=4096),
        pretrain=PretrainConfig(tokens=4_000_000, learning_rate=3e-3, minibatch=8),
        labeling=LabelingConfig(),
        sft=SFTConfig(epochs=4, learning_rate=1e-3, minibatch=16, pretraining_coef=0.3),
        reward=RewardConfig(epochs=1, learning_rate=3e-4, minibatch=16),
        ppo=PPOConfig(
            iterations=60, prompts_per_round=64, minibatch=32, learning_rate=1e-4, kl_coef=0.1, max_new_tokens=64
        ),
        evaluation=EvaluationConfig(num_prompts=300),
        microbatch=16,
    )


def stages(config: RunConfig) -> list[Stage]:
    """The loop, and the second reward model that judges it."""
    if config.data is None:
        raise ConfigError("heed run real reads a directory of data sets; name it with --set data=DIR")
    check_name(config)
    source = RealData()
    shared = config.ppo.stop_by is not None
    return [
        Stage(name="text", title="Text and tokenizer", work=partial(text, source=source), settings=WORLD, alone=True),
        Stage(
            name="collect",
            title="Prompts, demonstrations and comparisons",
            work=partial(collect, source=source),
            settings=("seed", "data", "ppo.max_new_tokens", "evaluation"),
            after=("text",),
        ),
        Stage(
            name="base", title="Base model", work=pretrain, settings=(*WORLD, "pretrain"), after=("text",), alone=True
        ),
        Stage(
            name="sft",
            title="Supervised fine-tuning",
            work=sft,
            settings=("seed", "lora", "sft"),
            after=("base", "text", "collect"),
            alone=True,
        ),
        _reward("reward", "half-a", "Reward model, first half of the comparisons", 0 if shared else None),
        *([_reward(SECOND, "half-a", "Reward model that checks the first", 1)] if shared else []),
        _reward("reward-judge", "half-b", "Reward model that judges, second half"),
        _ppo(source, "ppo-ptx", "PPO-ptx", partial(checked, adapt=_with_ptx, second=SECOND), shared),
        _ppo(
            source,
            "ppo",
            "PPO without the pretraining mix",
            partial(checked, adapt=_without_ptx, second=SECOND),
            shared,
        ),
        Stage(
            name="evaluate",
            title="Evaluation",
            work=evaluate,
            settings=("seed", "evaluation"),
            after=("text", "collect", "base", "sft", "reward", "reward-judge", "ppo-ptx", "ppo"),
            alone=True,
        ),
    ]


def _reward(name: str, half: str, title: str, part: int | None = None) -> Stage:
    """``part`` is which half of that half, where a second reward model has to learn from the other."""
    return Stage(
        name=name,
        title=title,
        work=partial(reward, name=name, judged=partial(judged, half=half, part=part)),
        settings=("seed", "lora", "reward", *(() if part is None else ("ppo.stop_by",))),
        after=("sft", "collect"),
    )


def _ppo(source: RealData, name: str, title: str, adapt: Callable[[PPOConfig], PPOConfig], shared: bool) -> Stage:
    return Stage(
        name=name,
        title=title,
        work=partial(ppo, name=name, reward_model="reward", adapt=adapt, source=source, watch=watch),
        settings=("seed", "lora", "ppo"),
        after=("collect", "text", "sft", "reward", "reward-judge", *((SECOND,) if shared else ())),
    )


def _with_ptx(settings: PPOConfig) -> PPOConfig:
    return settings


def _without_ptx(settings: PPOConfig) -> PPOConfig:
    return settings.model_copy(update={"ptx_coef": 0.0})


def judged(context: Context, half: str, part: int | None = None) -> Judged:
    """Half of the comparisons, or half of that half, and those kept aside."""
    with open_store(context) as store:
        campaign = campaign_of(context, "collect")
        return Judged(
            training=half_of(store.rankings(campaign=campaign, split=half), part),
            validation=store.rankings(campaign=campaign, split="validation"),
        )


# --- where everything comes from


class RealData:
    """A directory of public data sets as a :class:`heed.stages.Source`."""

    def text(self, config: RunConfig) -> list[str]:
        """Whole books in a shuffled order, as many as pretraining reads."""
        root = _directory(config)
        books = list(chain.from_iterable(read_texts("text", root / name) for name in BOOKS))
        order = numpy_generator(config.seed, "books").permutation(len(books))
        lengths = np.cumsum([len(books[index]) for index in order])
        wanted = 1.1 * config.pretrain.tokens * CHARACTERS_PER_TOKEN
        return [books[index] for index in order[: max(2, int(np.searchsorted(lengths, wanted)) + 1)]]

    def tokenizer(self, config: RunConfig, documents: Sequence[str]) -> Tokenizer:
        """A byte-pair encoding of the books, with tokens for the roles of a conversation."""
        from heed.data.tokenizer import ROLES_TEMPLATE, train_tokenizer

        return train_tokenizer(documents[:60], config.model.vocab_size, chat_template=ROLES_TEMPLATE)

    def collect(self, context: Context, store: Store) -> Mapping[str, Sequence[Prompt]]:
        """Demonstrations, comparisons in two halves and a part kept aside, and prompts for PPO and the evaluation.

        What was left out and which personal data was removed, and why, is in ``hygiene.json``.
        """
        config, sieve = context.config, _Sieve(context)
        root = _directory(config)
        demonstrations = split_by_user(
            sieve.clean("demonstrations", _read(read_demonstrations, root, DEMONSTRATIONS)), PROMPT_SHARES
        )
        rankings = split_by_user(
            sieve.clean("comparisons", _read(read_rankings, root, COMPARISONS)), COMPARISON_SHARES, seed=1
        )
        more = sieve.clean("prompts", _read(read_prompts, root, MORE_PROMPTS))
        taught = [one for one in demonstrations if one.prompt.split == "train"]
        names = {one.labeler for one in taught} | {one.labeler for one in rankings}
        store.add_labelers(Labeler(id=name) for name in sorted(names))
        store.add_demonstrations(taught, campaign=context.fingerprint)
        store.add_rankings(rankings, campaign=context.fingerprint)
        kept = [*(one.prompt for one in demonstrations if one.prompt.split == "final"), *more]
        prompts = {
            "policy": sieve.answerable([one.prompt for one in taught if one.prompt.source == "self-instruct"]),
            "final": (answerable := sieve.answerable(kept))[: config.evaluation.num_prompts],
            "watched": answerable[config.evaluation.num_prompts :][:NUM_WATCHED],
        }
        store.add_prompts([*prompts["final"], *prompts["watched"]])
        write_json(context.run.dir / "hygiene.json", sieve.report)
        return prompts

    def ranked_prompts(self, context: Context, purpose: str) -> list[Prompt]:
        """Nothing is ranked here: the comparisons exist already."""
        return []

    def policy_prompts(self, context: Context) -> list[Prompt]:
        """Instructions of Self-Instruct that were not kept for the evaluation."""
        return prompts_of(context, "policy")

    def judges(self, config: RunConfig, group: LabelerGroup) -> Sequence[Judge]:
        """Nobody is asked."""
        return ()


class _Sieve:
    """InstructGPT's hygiene (section 3.2 and appendix A), with a report of what it did."""

    def __init__(self, context: Context) -> None:
        self._codec = load_codec(context)
        self._max_new_tokens = context.config.ppo.max_new_tokens
        self.report: dict[str, Json] = {}

    def clean(self, name: str, records: Iterable[Item]) -> list[Item]:
        """No personal data, no two prompts with a long common start, no user with too many, nothing too long."""
        redacted = redact_personal_data(list(records))
        distinct = drop_shared_prefixes(redacted.records)
        capped = cap_per_user(distinct.kept)
        fitting = drop_longer_than_context(capped.kept, self._codec)
        self.report[name] = {
            "read": len(redacted.records),
            "left_out": {**distinct.reasons(), **capped.reasons(), **fitting.reasons()},
            "kept": len(fitting.kept),
            "personal_data_removed": redacted.kinds(),
        }
        return fitting.kept

    def answerable(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """Different prompts that leave room for an answer."""
        codec = Codec(self._codec.tokenizer, self._codec.context - self._max_new_tokens)
        return drop_longer_than_context(list({prompt.id: prompt for prompt in prompts}.values()), codec).kept


def _read(
    reader: Callable[[str, Path], Iterator[Item]], root: Path, files: Sequence[tuple[str, str]]
) -> Iterator[Item]:
    return chain.from_iterable(reader(form, root / name) for form, name in files)


def _directory(config: RunConfig) -> Path:
    """The directory of ``data``, checked.

    Raises:
        ConfigError: a file is missing.
    """
    assert config.data is not None
    root = Path(config.data)
    for name in (*BOOKS, *(name for _, name in (*DEMONSTRATIONS, *COMPARISONS, *MORE_PROMPTS))):
        if not (root / name).exists():
            raise ConfigError(f"data={root}: {name} is not there; heed run real expects it in that directory")
    return root


# --- measuring


def watch(context: Context, made: int, policy: CausalLM, scorer: Scorer) -> Mapping[str, float]:
    """Where a policy in training stands, as the second reward model judges it. For the record: nothing is chosen by
    it. Empty where there are no prompts left over for it."""
    prompts = prompts_of(context, "watched")
    return (
        watch_policy(context, made, policy, scorer, prompts, load_scorer(context, "reward-judge")[1]) if prompts else {}
    )


def evaluate(context: Context) -> Mapping[str, Json]:
    """The ladder as the second reward model judges it; both reward models beside what sees less."""
    model, scorer = load_scorer(context, "reward")
    judge_model, judge = load_scorer(context, "reward-judge")
    training, validation = judged(context, "half-a")
    scorers: dict[str, Scorer] = {
        "reward": scorer,
        "judge": judge,
        "length_only": fit_length_scorer(training),
        "bag_of_words": fit_bag_of_words(training),
    }
    by_source = {
        source: compare_scorers(scorers, [one for one in validation if one.prompt.source == source])
        for source in sorted({one.prompt.source for one in validation})
    }
    return measure_run(
        context,
        models={"base": "base", "sft": "sft", "ppo": "ppo", "ppo_ptx": "ppo-ptx"},
        reward_scorer=scorer,
        gold=judge,
        judged_by="a second reward model, trained on the other half of the comparisons",
        sections={
            "reward_model": evaluate_reward_model(scorer, labels=validation, temperature=model.temperature),
            "judge": evaluate_reward_model(judge, labels=validation, temperature=judge_model.temperature),
            "reward_model_baselines": {"all": compare_scorers(scorers, validation), **by_source},
        },
    )
