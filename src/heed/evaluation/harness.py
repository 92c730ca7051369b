"""Heed's models in the common evaluation harness (``lm-eval``), so that each of its tasks runs on them.

The harness is an optional extra, ``pip install heed[lm-eval]``: its tasks bring hundreds of benchmarks, and most of
them data from a hub. Here its requests become questions, so that the same code, with the prompt computed once for all
its continuations and replies kept by content, answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed.data.batches import EncodedGroup
from heed.errors import ConfigError, DataError
from heed.evaluation.tasks.items import Question, Reply
from heed.evaluation.tasks.model import LocalModel
from heed.roles import Decoding

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

Answer = Callable[[Sequence[Question]], list[Reply]]
"""Answers questions, by asking the model or from a cache."""
DEFAULT_NEW_TOKENS = 256
"""Where a task does not say how long an answer may be; the harness's own default."""


def run_harness(
    model: LocalModel,
    tasks: Sequence[str],
    *,
    include: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
    answer: Answer | None = None,
    samples: bool = False,
) -> Mapping[str, Any]:
    """Run tasks of the harness on a model, and return what the harness reports.

    Args:
        model: in the plain layout, made with ``with_greedy=True`` (the harness asks for it).
        tasks: names as the harness knows them, or as the files in ``include`` define them.
        include: a directory with task definitions (YAML) of your own.
        shots: examples in front of each question; None leaves it to the task.
        limit: questions of each task.
        answer: how choices are answered; by default the model is asked.
        samples: also give every single question with its replies.

    Raises:
        ConfigError: the harness is not installed, or knows no such task.
    """
    try:
        import lm_eval
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ConfigError(f"{error}; install the harness with: pip install 'heed[lm-eval]'") from error
    if include is not None and not include.is_dir():
        raise ConfigError(f"{include}: not a directory; expected one with task definitions (*.yaml)")
    manager = TaskManager(include_path=None if include is None else str(include))
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise ConfigError(f"the harness has no task {unknown[0]!r}; lm-eval ls tasks lists those it has")
    report = lm_eval.simple_evaluate(
        model=as_harness_model(model, answer),
        tasks=list(tasks),
        num_fewshot=shots,
        limit=limit,
        task_manager=manager,
        log_samples=samples,
        bootstrap_iters=1000,
    )
    if report is None:
        raise DataError("the harness gave no results")
    return dict(report)


def as_harness_model(model: LocalModel, answer: Answer | None = None) -> Any:
    """The model as an ``lm_eval.api.model.LM``."""
    from lm_eval.api.model import LM

    reply = answer or model.likelihoods

    class HeedModel(LM):  # type: ignore[misc]  # untyped base class of an optional library
        """Answers the harness's three kinds of requests."""

        def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            """(log-probability, whether greedy decoding gives it) of each continuation of a context."""
            return weigh(reply, [request.args for request in requests])

        def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
            """Log-probability of whole texts of any length."""
            return [weigh_text(model, request.args[0]) for request in requests]

        def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
            """Greedy answers, ended by the task's stop strings."""
            return write(model, [request.args for request in requests])

    return HeedModel()


def weigh(answer: Answer, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
    """Each (context, continuation); neighbours of one context become one question.

    Raises:
        DataError: one of them cannot be weighed.
    """
    questions = [
        Question(id=str(number), context=context, kind="choice", choices=tuple(pair[1] for pair in some))
        for number, (context, some) in enumerate(groupby(pairs, key=lambda pair: pair[0]))
    ]
    results: list[tuple[float, bool]] = []
    for question, reply in zip(questions, answer(questions), strict=True):
        if reply.error:
            raise DataError(f"the request with the context {question.context[:40]!r}: {reply.error}")
        results += [(one.logprob, one.greedy) for one in reply.likelihoods]
    return results


def weigh_text(model: LocalModel, text: str) -> float:
    """Log-probability of a text in nats, in windows as long as the model's context, each token counted once."""
    (group,) = model.codec.encode_continuations([""], [[text]])
    (ids,) = group.completion_ids
    room = model.codec.context - len(group.prompt_ids)
    windows = [EncodedGroup(prompt_ids=group.prompt_ids, completion_ids=[ids[:room]])]
    # Later windows are filled up with the tokens before them, which are given and not counted.
    for start in range(room, len(ids), model.codec.context - 1):
        part = ids[start : start + model.codec.context - 1]
        before = ids[max(0, start - (model.codec.context - len(part))) : start]
        windows.append(EncodedGroup(prompt_ids=before, completion_ids=[part]))
    return sum(logprob for ((logprob, _),) in model.weigh(windows))


def write(model: LocalModel, pairs: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Answers to contexts, each with the harness's settings of generation.

    Raises:
        ConfigError: a task asks for sampling at a temperature.
    """
    texts = []
    for context, settings in pairs:
        if settings.get("do_sample") and float(settings.get("temperature", 1.0)) > 0:
            raise ConfigError("a task of the harness asks for random answers; only greedy ones are supported")
        until = settings.get("until", ["\n\n"])
        decoding = Decoding(
            max_new_tokens=min(int(settings.get("max_gen_toks", DEFAULT_NEW_TOKENS)), model.codec.context - 1),
            temperature=0.0,
            stop=tuple([until] if isinstance(until, str) else until),
        )
        (group,) = model.codec.encode_continuations([context], [[]])
        room = max(1, model.codec.context - decoding.max_new_tokens)
        texts.append(model.go_on(list(group.prompt_ids)[-room:], decoding))
    return texts
