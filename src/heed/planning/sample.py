"""A little of a recipe's data, made or read as the run itself would: how long prompts and answers are in tokens, and
what each costs besides models (writing text, drawing prompts, judging, rows of the database, tokenizing).
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from heed.config import RunConfig
from heed.data.chat import Codec
from heed.data.tokenizer import load_tokenizer, train_tokenizer
from heed.feedback.collect import OVERLAP, rank_with
from heed.models.scorer import encode_groups
from heed.recipes.sandbox import NUM_VALIDATION, NUM_WATCHED
from heed.records import Completion, Demonstration, Labeler, Prompt, Ranking
from heed.runtime.seeds import derive_seed
from heed.sandbox import GoldScorer, World, crew, few_shot
from heed.store.workspace import Workspace

Result = TypeVar("Result")
_WORDS, _PROMPTS = 60_000, 300
"""How much is made."""
SHARED = 1 + OVERLAP
"""Rankings for each prompt: some are ranked twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What Python's side of a run costs here: seconds for one of each, and bytes that one takes while it is held."""

    seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Of a recipe's data."""

    vocab: int
    """Tokens its tokenizer really has."""
    tokens_per_word: float
    words_per_document: float
    prompts: tuple[int, ...]
    """Tokens of some prompts."""
    answers: tuple[int, ...]
    """Tokens of answers that were written to them, the end included."""
    few_shot: int
    """Tokens of a prompt with worked examples before it, on average."""
    host: Host
    text_words: float
    """Of the pretraining text."""
    tokenizer_documents: float
    """Documents that the tokenizer is trained on, at most."""
    bytes_per_word: float
    """Of text that is held as strings."""
    drawn_prompts: float
    """Prompts that are made to find those that are kept."""
    stored_prompts: int
    num_demonstrations: int
    num_policy_prompts: int
    num_watched: int
    """Prompts that are answered in the middle of PPO."""
    num_models: int
    num_reward_models: int
    """How many of each the evaluation compares."""
    ranked_prompts: Callable[[str], int]
    """Prompts whose answers a rank stage has ranked, by its purpose."""
    rankings: Callable[[Mapping[str, Any]], tuple[int, int]]
    """Rankings that a reward model learns from and is validated with, by the arguments of the stage's ``judged``."""
    groups: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Tokens of prompts and answers of rankings that exist already; without them answers are like demonstrations."""


def sample_sandbox(config: RunConfig) -> Sample:
    """A little of the sandbox."""
    seconds: dict[str, float] = {}
    sizes: dict[str, float] = {}
    world = World(config.seed)

    def timed(name: str, count: float, work: Callable[[], Result]) -> Result:
        began = time.process_time()
        result = work()
        seconds[name] = (time.process_time() - began) / count
        return result

    documents = timed("word", _WORDS, lambda: list(world.pretraining_text(_WORDS, seed=config.seed)))
    tokenizer = timed(
        "tokenizer",
        len(documents),
        lambda: (
            load_tokenizer(config.base)
            if config.base
            else train_tokenizer(documents, config.model.vocab_size, line_prefix_space=True)
        ),
    )
    codec = Codec(tokenizer, config.model.context)
    list(codec.encode_corpus(documents))  # the encoder remembers words: a long text is like the second time
    encoded = timed("encode", len(documents), lambda: list(codec.encode_corpus(documents)))
    num_tokens = sum(map(len, encoded)) + len(encoded)

    prompts = timed("prompt", _PROMPTS * 8 / 6, lambda: world.prompts("train", _PROMPTS, seed=config.seed))
    rng = random.Random(derive_seed(config.seed, "plan"))
    texts = timed("demonstration", _PROMPTS, lambda: [world.demonstration(prompt, rng) for prompt in prompts])
    groups = [[_sampled(codec, world.demonstration(prompt, rng)) for _ in range(4)] for prompt in prompts]
    judges = [one for one in crew(world, seed=config.seed) if one.labeler.group == "training"]
    rankings = timed("rank", 4.6 * _PROMPTS, lambda: rank_with(judges, prompts, groups, seed=0))
    timed("gold", 4 * _PROMPTS, lambda: GoldScorer(world).score(prompts, groups))
    ids = timed("encode_answer", 4 * _PROMPTS, lambda: encode_groups(codec, prompts, groups))
    answers = [answer for group in ids for answer in group.completion_ids]
    timed("decode_answer", len(answers), lambda: codec.decode_many([list(answer) for answer in answers]))
    longer = codec.encode_prompts([few_shot(world, prompt) for prompt in prompts[:30]])
    demonstrations = [
        Demonstration(prompt=prompt, completion=Completion(text=text), labeler="d")
        for prompt, text in zip(prompts, texts, strict=True)
    ]
    _store(prompts, demonstrations, groups, rankings, timed, sizes)
    labeling, rounds = config.labeling, config.rounds
    episodes = min(config.ppo.iterations * config.ppo.prompts_per_round, 20_000)
    drawn = labeling.num_demonstrations + labeling.num_ranked_prompts + episodes
    tested = NUM_VALIDATION + NUM_WATCHED

    def ranked(purpose: str) -> int:
        each = labeling.num_ranked_prompts // rounds
        return {"validation": NUM_VALIDATION, "static": labeling.num_ranked_prompts - each}.get(purpose, each)

    def learned(arguments: Mapping[str, Any]) -> tuple[int, int]:
        count = sum(ranked(name.removeprefix("rank-")) for name in arguments.get("ranked", ()))
        share = 0.5 if arguments.get("half") is not None else 1.0
        return round(SHARED * share * count), round(SHARED * NUM_VALIDATION)

    return Sample(
        vocab=codec.vocab_size,
        tokens_per_word=num_tokens / _WORDS,
        words_per_document=_WORDS / len(documents),
        prompts=tuple(len(group.prompt_ids) for group in ids),
        answers=tuple(len(answer) for answer in codec.encode_completions(texts)),
        few_shot=round(sum(map(len, longer)) / len(longer)),
        host=Host(seconds=seconds, bytes=sizes),
        text_words=int(config.pretrain.tokens * 0.9),
        tokenizer_documents=20_000,
        bytes_per_word=sum(map(sys.getsizeof, documents)) / _WORDS,
        drawn_prompts=drawn * 8 / 6 + 8 * (tested + config.evaluation.num_prompts),
        stored_prompts=drawn + tested + config.evaluation.num_prompts,
        num_demonstrations=labeling.num_demonstrations,
        num_policy_prompts=episodes,
        num_watched=NUM_WATCHED,
        num_models=6 if rounds == 1 else 8,
        num_reward_models=2,
        ranked_prompts=ranked,
        rankings=learned,
    )


def _sampled(codec: Codec, text: str) -> Completion:
    """An answer as the engine gives it."""
    ids = tuple(codec.encode_completion(text))
    return Completion(text=text, token_ids=ids, logprobs=tuple(-0.1 * one for one in range(len(ids))), stop="eos")


def _store(
    prompts: Sequence[Prompt],
    demonstrations: Sequence[Demonstration],
    groups: Sequence[Sequence[Completion]],
    rankings: Sequence[Ranking],
    timed: Callable[[str, float, Callable[[], object]], object],
    sizes: dict[str, float],
) -> None:
    """What rows of the database cost, and what they take in memory when they are read back."""
    with tempfile.TemporaryDirectory() as place, Workspace.create(Path(place)).store() as store:
        timed("store_prompt", len(prompts), lambda: store.add_prompts(prompts))
        people = [*{one.labeler for one in rankings}, "d"]
        store.add_labelers([Labeler(id=name, kind="simulated") for name in people])
        timed("store_demonstration", len(prompts), lambda: store.add_demonstrations(demonstrations, campaign="plan"))
        timed("store_answer", 4 * len(prompts), lambda: store.add_generations(prompts, groups))
        timed("store_ranking", len(rankings), lambda: store.add_rankings(rankings, round=1, campaign="plan"))
        timed("read_prompt", len(prompts), lambda: list(store.prompts()))
        exports = Path(place) / "exported"
        timed("export_ranking", len(rankings), lambda: store.freeze_export("rankings", exports, rankings))
        timed("read_ranking", len(rankings), lambda: list(store.rankings(campaign="plan")))
        for name, count, read in (
            ("prompt", len(prompts), lambda: list(store.prompts())),
            ("ranking", len(rankings), lambda: list(store.rankings(campaign="plan"))),
        ):
            tracemalloc.start()
            kept = read()
            sizes[name] = tracemalloc.get_traced_memory()[0] / count
            tracemalloc.stop()
            del kept
