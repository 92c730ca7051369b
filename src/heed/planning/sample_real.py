"""The data of ``heed run real`` before it runs: collected as the run itself would, into a place that is thrown away.

Only the tokenizer differs, which learns from the beginnings of the books; prompts and answers are about as long in it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from heed.config import RunConfig
from heed.data.chat import Codec
from heed.data.tokenizer import load_tokenizer, save_tokenizer
from heed.models.scorer import encode_groups
from heed.pipeline import Context
from heed.planning.sample import Host, Sample
from heed.recipes.real import NUM_WATCHED, RealData
from heed.records import Ranking
from heed.runtime.metrics import MetricLogger
from heed.runtime.progress import SilentProgress
from heed.runtime.run import Run
from heed.store.workspace import Workspace

Result = TypeVar("Result")
_CHARACTERS = 30_000
"""Of each book that the tokenizer learns from here."""
_TAKEN = 400
"""Rankings that are tokenized."""
_TOKENIZER_BOOKS = 60


def sample_real(config: RunConfig) -> Sample:
    """The real data that ``data`` names.

    Raises:
        ConfigError: the directory lacks a file.
    """
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        began = time.process_time()
        result = work()
        seconds[name] = time.process_time() - began
        return result

    source = RealData()
    books = timed("read", lambda: source.text(config))
    parts = [book[:_CHARACTERS] for book in books]
    share = sum(map(len, parts)) / sum(map(len, books))
    tokenizer = timed(
        "tokenizer", lambda: load_tokenizer(config.base) if config.base else source.tokenizer(config, parts)
    )
    codec = Codec(tokenizer, config.model.context)
    tokens = sum(map(len, timed("encode", lambda: list(codec.encode_corpus(parts)))))
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace.create(Path(place))
        save_tokenizer(tokenizer, workspace.runs_dir / "text" / "tokenizer")
        directory = workspace.runs_dir / "collect"
        directory.mkdir(parents=True)
        run = Run(
            dir=directory,
            runtime=None,  # type: ignore[arg-type]  # nothing is computed
            metrics=MetricLogger(directory / "metrics.jsonl"),
            progress=SilentProgress(),
            seed=config.seed,
        )
        context = Context(config=config, workspace=workspace, run=run, fingerprint="plan")
        with workspace.store() as store:
            prompts = timed("prompt", lambda: source.collect(context, store))
            demonstrations = store.demonstrations(campaign="plan")
            stored = timed("read_prompt", lambda: len(list(store.prompts())))
            halves = {
                half: timed("read_ranking", lambda half=half: list(store.rankings(campaign="plan", split=half)))  # type: ignore[misc]
                for half in ("half-a", "half-b", "validation")
            }
    taken = halves["half-a"][:_TAKEN]
    groups = timed(
        "encode_answer", lambda: encode_groups(codec, [one.prompt for one in taken], [one.completions for one in taken])
    )
    written = codec.encode_demonstrations(demonstrations)
    answers = [sum(one.loss_mask) for one in written]
    num_answers = max(1, sum(len(group.completion_ids) for group in groups))
    timed("decode_answer", lambda: codec.decode_many([list(ids) for group in groups for ids in group.completion_ids]))

    def learned(arguments: Mapping[str, Any]) -> tuple[int, int]:
        count = len(halves[arguments.get("half", "half-a")])
        return (count if arguments.get("part") is None else count // 2), len(halves["validation"])

    documents = len(books)
    per = {
        "word": seconds["read"] / documents,  # of a document: here words are counted as whole books
        "tokenizer": seconds["tokenizer"] / share / documents,
        "encode": seconds["encode"] / share / documents,
        "prompt": seconds["prompt"],
        "read_prompt": seconds["read_prompt"] / max(1, stored),
        "read_ranking": seconds["read_ranking"] / max(1, len(halves["validation"])),
        "encode_answer": seconds["encode_answer"] / num_answers,
        "decode_answer": seconds["decode_answer"] / num_answers,
        "export_ranking": seconds["read_ranking"] / max(1, len(halves["validation"])),
    }
    sizes = {"prompt": 2000.0, "ranking": _bytes_of(halves["half-a"])}
    return Sample(
        vocab=codec.vocab_size,
        tokens_per_word=tokens / share / documents,
        words_per_document=1.0,
        prompts=tuple(len(one.ids) - answer for one, answer in zip(written, answers, strict=True)),
        answers=tuple(answers),
        few_shot=0,
        host=Host(seconds=per, bytes=sizes),
        text_words=documents,
        tokenizer_documents=_TOKENIZER_BOOKS,
        bytes_per_word=sum(map(sys.getsizeof, books)) / documents,
        drawn_prompts=1,
        stored_prompts=stored,
        num_demonstrations=len(demonstrations),
        num_policy_prompts=len(prompts["policy"]),
        num_watched=min(NUM_WATCHED, len(prompts["watched"])),
        num_models=4,
        num_reward_models=4,
        ranked_prompts=lambda purpose: 0,
        rankings=learned,
        groups=tuple((len(group.prompt_ids), tuple(map(len, group.completion_ids))) for group in groups),
    )


def _bytes_of(rankings: list[Ranking]) -> float:
    """Memory of one ranking as it is read, text and all; Python's own objects around it are most of it."""
    some = rankings[:100]
    text = sum(len(answer.text) for one in some for answer in one.completions) + sum(
        len(one.prompt.text) for one in some
    )
    return 2000.0 + text / max(1, len(some))
