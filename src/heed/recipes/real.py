"""The loop on real data: books, demonstrations and comparisons that people wrote, from a directory of public sets.

No gold exists here. The comparisons are cut in two by prompt; PPO climbs a reward model trained on one half, and a
second reward model trained on the other half judges (Bai et al. 2022, section 4.2). Both read the same base model, so
they may share failures: the figures say how far they agree, not that people would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

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
from heed.data.readers import read_demonstrations, read_prompts, read_rankings, read_texts
from heed.errors import ConfigError, DataError
from heed.evaluation.baselines import fit_bag_of_words, fit_length_scorer
from heed.evaluation.reward_accuracy import compare_scorers, evaluate_reward_model
from heed.pipeline import Stage
from heed.recipes.measure import measure_run
from heed.records import Demonstration, Json, Labeler, LabelerGroup, Prompt, Ranking, content_id
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
    reward,
    sft,
    text,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from heed.pipeline import Context
    from heed.roles import Judge
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
WORLD = ("seed", "model", "pretrain.tokens", "base", "data")
CHARACTERS_PER_TOKEN = 3.6
"""Of English prose in a byte-pair encoding of a few thousand tokens; only says how many books to read."""


def config() -> RunConfig:
    """Settings of ``heed run real``: small enough for an hour on two cores."""
    return RunConfig(
        recipe="real",
        model=ModelConfig(hidden_size=192, num_layers=4, num_heads=6, context=512, vocab_size=4096),
        pretrain=PretrainConfig(tokens=10_000_000, learning_rate=2e-3, minibatch=8),
        labeling=LabelingConfig(),
        sft=SFTConfig(epochs=4, learning_rate=1e-3, minibatch=16, pretraining_coef=0.3),
        reward=RewardConfig(epochs=1, learning_rate=3e-4, minibatch=16),
        ppo=PPOConfig(
            iterations=60, prompts_per_round=64, minibatch=32, learning_rate=1e-4, kl_coef=0.1, max_new_tokens=64
        ),
        evaluation=EvaluationConfig(num_prompts=400),
        microbatch=16,
    )


def stages(config: RunConfig) -> list[Stage]:
    """The loop, and the second reward model that judges it."""
    if config.data is None:
        raise ConfigError("heed run real reads a directory of data sets; name it with --set data=DIR")
    source = RealData()
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
            settings=("seed", "sft"),
            after=("base", "text", "collect"),
            alone=True,
        ),
        _reward("reward", "half-a", "Reward model, first half of the comparisons"),
        _reward("reward-judge", "half-b", "Reward model that judges, second half"),
        _ppo(source, "ppo-ptx", "PPO-ptx", lambda settings: settings),
        _ppo(source, "ppo", "PPO without the pretraining mix", _without_ptx),
        Stage(
            name="evaluate",
            title="Evaluation",
            work=evaluate,
            settings=("seed", "evaluation"),
            after=("text", "collect", "base", "sft", "reward", "reward-judge", "ppo-ptx", "ppo"),
            alone=True,
        ),
    ]


def _reward(name: str, half: str, title: str) -> Stage:
    return Stage(
        name=name,
        title=title,
        work=partial(reward, name=name, judged=partial(judged, half=half)),
        settings=("seed", "reward"),
        after=("sft", "collect"),
    )


def _ppo(source: RealData, name: str, title: str, adapt: Callable[[PPOConfig], PPOConfig]) -> Stage:
    return Stage(
        name=name,
        title=title,
        work=partial(ppo, name=name, reward_model="reward", adapt=adapt, source=source),
        settings=("seed", "ppo"),
        after=("collect", "text", "sft", "reward"),
    )


def _without_ptx(settings: PPOConfig) -> PPOConfig:
    return settings.model_copy(update={"ptx_coef": 0.0})


def judged(context: Context, half: str) -> Judged:
    """Half of the comparisons, and those kept aside."""
    with open_store(context) as store:
        campaign = campaign_of(context, "collect")
        return Judged(
            training=store.rankings(campaign=campaign, split=half),
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
        wanted, chosen = config.pretrain.tokens * CHARACTERS_PER_TOKEN, []
        for index in order:
            if sum(map(len, chosen)) > 1.1 * wanted:
                break
            chosen.append(books[index])
        return chosen

    def tokenizer(self, config: RunConfig, documents: Sequence[str]) -> PreTrainedTokenizerBase:
        """A byte-pair encoding of the books, with tokens for the roles of a conversation."""
        from heed.data.tokenizer import ROLES_TEMPLATE, train_tokenizer

        return train_tokenizer(documents[:60], config.model.vocab_size, chat_template=ROLES_TEMPLATE)

    def collect(self, context: Context, store: Store) -> Mapping[str, Sequence[Prompt]]:
        """Demonstrations, comparisons in two halves and a part kept aside, and prompts for PPO and the evaluation."""
        root, fits = _directory(context.config), _Fits(context)
        demonstrations = list(fits.demonstrations(_read(read_demonstrations, root, DEMONSTRATIONS)))
        rankings = [_placed(one) for one in fits.rankings(_read(read_rankings, root, COMPARISONS))]
        taught = [one for one in demonstrations if not _kept_for_evaluation(one.prompt)]
        held = [one.prompt for one in demonstrations if _kept_for_evaluation(one.prompt)]
        held += fits.prompts(_read(read_prompts, root, MORE_PROMPTS))
        names = {one.labeler for one in taught} | {one.labeler for one in rankings}
        store.add_labelers(Labeler(id=name) for name in sorted(names))
        store.add_demonstrations(taught, campaign=context.fingerprint)
        store.add_rankings(rankings, campaign=context.fingerprint)
        final = _distinct(held)[: context.config.evaluation.num_prompts]
        store.add_prompts(final)
        policy = _distinct([one.prompt for one in taught if one.prompt.source == "self-instruct"])
        context.run.progress.note(f"left out because they do not fit the context: {fits.left_out}")
        return {"policy": policy, "final": final}

    def ranked_prompts(self, context: Context, purpose: str) -> list[Prompt]:
        """Nothing is ranked here: the comparisons exist already."""
        return []

    def policy_prompts(self, context: Context) -> list[Prompt]:
        """Instructions of Self-Instruct that were not kept for the evaluation."""
        from heed.stages import prompts_of

        return prompts_of(context, "policy")

    def judges(self, config: RunConfig, group: LabelerGroup) -> Sequence[Judge]:
        """Nobody is asked."""
        return ()


class _Fits:
    """Leaves out what does not fit the context, and counts it.

    As in InstructGPT, a prompt may take at most half of the context; an answer may take what a prompt leaves.
    """

    def __init__(self, context: Context) -> None:
        self._codec = load_codec(context)
        self._room = self._codec.context - context.config.ppo.max_new_tokens
        self.left_out = 0

    def demonstrations(self, records: Iterator[Demonstration]) -> Iterator[Demonstration]:
        for record in records:
            if self._fits(record.prompt, [record.completion.text]):
                yield record

    def rankings(self, records: Iterator[Ranking]) -> Iterator[Ranking]:
        for record in records:
            if self._fits(record.prompt, [completion.text for completion in record.completions]):
                yield record

    def prompts(self, records: Iterator[Prompt]) -> list[Prompt]:
        return [prompt for prompt in records if self._fits(prompt, [])]

    def _fits(self, prompt: Prompt, answers: Sequence[str]) -> bool:
        try:
            length = len(self._codec.encode_prompt(prompt))
        except DataError:
            self.left_out += 1
            return False
        longest = max((len(ids) for ids in self._codec.encode_completions(answers)), default=0) if answers else 0
        fits = length <= self._room and length + longest <= self._codec.context
        self.left_out += not fits
        return fits


def _read(reader: Callable[..., Iterator], root: Path, files: Sequence[tuple[str, str]]) -> Iterator:  # type: ignore[type-arg]
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


def _share(prompt: Prompt, purpose: str) -> float:
    """A number in [0, 1) that depends on the words of the first turn alone, the same in every set."""
    words = "".join(character for character in prompt.messages[0].content.lower() if character.isalnum())
    return int(content_id(purpose, words), 16) / 16**16


def _placed(ranking: Ranking) -> Ranking:
    share = _share(ranking.prompt, "comparisons")
    split = "half-a" if share < 0.425 else "half-b" if share < 0.85 else "validation"
    return replace(ranking, prompt=replace(ranking.prompt, split=split))


def _kept_for_evaluation(prompt: Prompt) -> bool:
    return _share(prompt, "evaluation") < 0.2


def _distinct(prompts: Sequence[Prompt]) -> list[Prompt]:
    return list({prompt.id: prompt for prompt in prompts}.values())


# --- measuring


def evaluate(context: Context) -> Mapping[str, Json]:
    """The ladder as the second reward model judges it; both reward models beside what sees less."""
    model, scorer = load_scorer(context, "reward")
    judge_model, judge = load_scorer(context, "reward-judge")
    training, validation = judged(context, "half-a")
    scorers = {
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
