"""Models of a workspace on tasks: what ``heed evaluate`` and ``heed compare`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed.cli.common import open_workspace
from heed.errors import ConfigError

if TYPE_CHECKING:
    from heed.evaluation.tasks.items import Task, TextScorer
    from heed.evaluation.tasks.model import EndpointModel, LocalModel
    from heed.evaluation.tasks.run import TaskResult
    from heed.evaluation.tasks.suite import Suite
    from heed.runtime.progress import Progress

EVALUATIONS = "evaluations"
"""The directory of a workspace with a directory for each model, and the caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How models are asked."""

    layout: str = "auto"
    server: str | None = None
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model that is measured."""

    name: str
    model: LocalModel | EndpointModel
    about: Mapping[str, Any]
    """What ``comparison.json`` says of it."""


def open_subject(workspace: Path, name: str, asked: Asked, *, with_greedy: bool = False) -> Subject:
    """A model of the workspace, a directory, or one behind a server, ready to be asked.

    Raises:
        ModelError: there is no such model, or it is no language model.
        ConfigError: the layout is not to be had from it.
    """
    import os

    from heed.evaluation.tasks.model import EndpointModel, LocalModel, fingerprint_of, layout_of

    if asked.server is not None:
        from heed.generation.client import OpenAISampler

        sampler = OpenAISampler(asked.server, name, api_key=os.environ.get("OPENAI_API_KEY"))
        endpoint = EndpointModel(sampler, name)
        return Subject(name=name, model=endpoint, about=_about(name, "chat", endpoint.fingerprint, None, {}))

    from heed.cli.models import context_of, find_model
    from heed.data.chat import Codec
    from heed.data.tokenizer import load_tokenizer
    from heed.models.checkpoints import load_policy, read_card
    from heed.models.loading import load_causal_lm
    from heed.runtime.device import start_runtime

    path = find_model(workspace, name)
    device = start_runtime(asked.device).device
    ours = (path / "heed.json").is_file()
    model = load_policy(path, device=device) if ours else load_causal_lm(path, device=str(device))
    tokenizer = load_tokenizer(path)
    layout = layout_of(Codec(tokenizer, context_of(model)), asked.layout, name)
    local = LocalModel(
        model,
        Codec(tokenizer, context_of(model)),
        path.name,
        fingerprint_of(path),
        layout=layout,
        seed=asked.seed,
        with_greedy=with_greedy,
    )
    card = read_card(path) if ours else {}
    about = _about(path.name, layout, local.fingerprint, model.num_parameters(), card)
    return Subject(name=path.name, model=local, about=about)


def _about(
    name: str, layout: str, fingerprint: str, parameters: int | None, card: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "name": name,
        "layout": layout,
        "fingerprint": fingerprint,
        "parameters": parameters,
        "parent": card.get("parent"),
        "stage": card.get("stage"),
        "made_from": dict(card),
    }


def measure(workspace: Path, subject: Subject, tasks: Sequence[Task], progress: Progress) -> list[TaskResult]:
    """Run all tasks on one model; replies are cached and results saved in the workspace."""
    from heed.evaluation.tasks.cache import Cache
    from heed.evaluation.tasks.run import run_task, save_result

    root = open_workspace(workspace).root / EVALUATIONS
    cache = Cache(root / "cache" / f"{subject.model.fingerprint}.jsonl")
    results = []
    for task in tasks:
        if task_needs_likelihoods(task) and not can_weigh(subject):
            progress.note(f"{subject.name}: {task.name} is left out; a server does not weigh given texts")
            continue
        heading = f"{subject.name}: {task.name}"
        progress.begin(heading)
        result = run_task(task, subject.model, cache, progress)
        save_result(result, root / subject.name)
        progress.end(heading, result.seconds, headline(result))
        results.append(result)
    return results


def headline(result: TaskResult) -> str:
    """The main figure with its interval, and what went wrong, in a few words."""
    metric = result.task.metrics[0]
    text = f"{metric.title} {shown(result.figures[metric.name].as_json(), metric.percent)}"
    notes = [f"{result.failed} failed"] * bool(result.failed) + [f"{result.cut} cut"] * bool(result.cut)
    return ", ".join([text, *notes])


def shown(estimate: Mapping[str, Any], percent: bool) -> str:
    """``71.2 (69.0–73.1)`` per cent, or ``0.712 (0.690–0.731)``."""
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if value is None or value != value:
        return "–"
    if percent:
        return f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"
    return f"{value:.3f} ({low:.3f}–{high:.3f})"


def task_needs_likelihoods(task: Task) -> bool:
    """Whether any of its questions has choices to weigh."""
    return any(question.kind == "choice" for question in task.questions)


def can_weigh(subject: Subject) -> bool:
    """Whether the model is on this machine."""
    from heed.evaluation.tasks.model import LocalModel

    return isinstance(subject.model, LocalModel)


def wanted_suite(
    workspace: Path,
    data: Path | None,
    tasks: Sequence[str],
    *,
    shots: Sequence[int] | None,
    limit: int | None,
    seed: int,
    toxicity: str,
    truth: str,
) -> Suite:
    """The tasks that a command asks for.

    Raises:
        ConfigError: tasks were asked for and no data named; or a scorer is not to be had.
    """
    from heed.evaluation.tasks.suite import Options, Suite, load_suite

    if data is None:
        if tasks:
            raise ConfigError(f"say where the files of the task {tasks[0]!r} lie: --data DIR")
        return Suite()
    options = Options(
        shots=tuple(shots or [0]),
        limit=limit,
        seed=seed,
        toxicity=_kept(workspace, toxicity_scorer(toxicity)),
        truth=_kept(workspace, truth_judge(workspace, truth)),
    )
    return load_suite(data, tasks, options)


def toxicity_scorer(spec: str) -> TextScorer | None:
    """``words``: None, the default of the task; a URL; or the directory of a classifier.

    Raises:
        ConfigError: it is none of these.
    """
    from heed.evaluation.tasks.toxicity_scorers import ClassifierScorer, EndpointScorer

    if spec == "words":
        return None
    if spec.startswith(("http://", "https://")):
        return EndpointScorer(spec)
    if Path(spec).is_dir():
        return ClassifierScorer(Path(spec))
    raise ConfigError(f"toxicity is {spec!r}, expected words, the directory of a classifier, or a URL")


def truth_judge(workspace: Path, spec: str) -> TextScorer | None:
    """``similarity``: None, the default of the task; ``URL#MODEL``; or a judge's name or directory.

    Raises:
        ConfigError: a URL without a model.
        ModelError: there is no such model.
    """
    import os

    from heed.evaluation.tasks.truth_judges import EndpointJudge, LikelihoodJudge

    if spec == "similarity":
        return None
    if spec.startswith(("http://", "https://")):
        from heed.generation.client import OpenAISampler

        url, _, model = spec.partition("#")
        if not model:
            raise ConfigError(f"truth is {spec!r}, expected the model's name after the server: {url}#MODEL")
        return EndpointJudge(OpenAISampler(url, model, api_key=os.environ.get("OPENAI_API_KEY")))
    judge = open_subject(workspace, spec, Asked(layout="plain"))
    return LikelihoodJudge(judge.model.likelihoods, f"{judge.name}-{judge.model.fingerprint}")


def _kept(workspace: Path, scorer: TextScorer | None) -> TextScorer | None:
    """The scorer with its scores kept in the workspace."""
    from heed.evaluation.tasks.cache import Cache, CachedScorer

    if scorer is None:
        return None
    return CachedScorer(scorer, Cache(open_workspace(workspace).root / EVALUATIONS / "cache" / "scores.jsonl"))
