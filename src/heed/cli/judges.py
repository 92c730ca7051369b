"""Whoever decides which of two answers is better, by the name that the command line gives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heed.cli.common import open_workspace
from heed.errors import ConfigError, DataError

if TYPE_CHECKING:
    from heed.evaluation.tasks.cache import Cache
    from heed.evaluation.verdicts import Decide
    from heed.feedback.ai_judge import Orders, Price
    from heed.roles import Sampler
    from heed.runtime.progress import Progress, Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """How a judge is asked; all but ``device`` and ``seed`` is for language models."""

    server: str | None = None
    """Address of an OpenAI-compatible server."""
    device: str = "auto"
    template: str = "plain"
    """A name or a file, see ``heed.feedback.judge_templates.find_template``."""
    guideline: Path | None = None
    samples: int = 1
    by: str = "reply"
    """``reply``, or ``likelihood`` of the two verdicts."""
    orders: str = "both"
    price: Price | None = None
    timeout: float = 120.0
    seed: int = 0


def decider(workspace: Path, name: str, settings: JudgeSettings, progress: Progress) -> Decide:
    """``length``, ``random``, a reward model, or a language model, on this machine or behind a server.

    Replies of language models are kept under ``evaluations/judge/`` of the workspace, where there is one.

    Raises:
        ModelError: there is no model of that name.
        ConfigError: the settings make no sense together.
    """
    from heed.evaluation.verdicts import chance_decides, scorer_decides

    if name == "random":
        return chance_decides(settings.seed)
    if name == "length":
        from heed.evaluation.baselines import LengthScorer

        return scorer_decides(LengthScorer(1.0), name, what="The longer answer, in words.")
    if settings.by not in ("reply", "likelihood"):
        raise ConfigError(f"by is {settings.by!r}, expected 'reply' or 'likelihood'")
    if settings.server is None:
        return _local(workspace, name, settings, progress)
    if settings.by == "likelihood":
        raise ConfigError("a server does not weigh given texts: --by likelihood needs the model on this machine")
    from heed.generation.client import OpenAISampler
    from heed.records import content_id

    key = os.environ.get("OPENAI_API_KEY")
    sampler = OpenAISampler(settings.server, name, api_key=key, timeout_seconds=settings.timeout)
    kept = _kept(workspace, content_id(sampler.url, sampler.model))
    return _by_replies(sampler, name, settings, kept, progress)


def _local(workspace: Path, name: str, settings: JudgeSettings, progress: Progress) -> Decide:
    from heed.cli.models import context_of, find_model
    from heed.data.chat import Codec
    from heed.data.tokenizer import load_tokenizer
    from heed.evaluation.tasks.model import LocalModel, fingerprint_of, layout_of
    from heed.models.checkpoints import CARD_FILE, load_policy, load_reward_model, model_kind
    from heed.models.loading import load_causal_lm
    from heed.runtime.device import start_runtime

    path = find_model(workspace, name)
    device = start_runtime(settings.device).device
    ours = (path / CARD_FILE).is_file()
    if ours and model_kind(path) == "reward":
        from heed.evaluation.verdicts import scorer_decides
        from heed.models.scorer import RewardScorer

        scores = load_reward_model(path, device=device)
        scorer = RewardScorer(scores, Codec(load_tokenizer(path), context_of(scores)))
        return scorer_decides(scorer, name, what=f"The reward model {name}.")
    model = load_policy(path, device=device) if ours else load_causal_lm(path, device=str(device))
    codec = Codec(load_tokenizer(path), context_of(model))
    if settings.by == "reply":
        from heed.generation.sampler import LocalSampler

        kept = _kept(workspace, fingerprint_of(path))
        return _by_replies(LocalSampler(model, codec, name), name, settings, kept, progress)
    if settings.orders == "random" or settings.samples > 1:
        raise ConfigError("likelihoods are not drawn: leave out --samples, and --orders is both or given")
    from heed.evaluation.likelihood_judge import likelihood_decides
    from heed.feedback.judge_templates import find_template

    weigher = LocalModel(model, codec, name, fingerprint_of(path), layout=layout_of(codec, "auto", name))
    return likelihood_decides(
        weigher,
        template=find_template(settings.template),
        criteria=_criteria(settings.guideline),
        both_orders=settings.orders == "both",
    )


def _by_replies(sampler: Sampler, name: str, settings: JudgeSettings, kept: Cache | None, progress: Progress) -> Decide:
    from heed.evaluation.verdicts import ai_decides
    from heed.feedback.ai_judge import AIJudge
    from heed.feedback.judge_templates import find_template
    from heed.roles import Decoding

    template = find_template(settings.template)
    temperature = 0.0 if settings.samples == 1 else 1.0
    orders: Orders = settings.orders  # type: ignore[assignment]  # checked by the judge
    judge = AIJudge(
        sampler,
        name=name,
        template=template,
        criteria=_criteria(settings.guideline),
        samples=settings.samples,
        orders=orders,
        decoding=Decoding(max_new_tokens=template.max_new_tokens, temperature=temperature, seed=settings.seed),
        price=settings.price,
        kept=kept,
        progress=_Bar(progress, name),
    )
    return ai_decides(judge)


def _kept(workspace: Path, fingerprint: str) -> Cache | None:
    from heed.evaluation.tasks.cache import Cache

    if not workspace.exists():
        return None
    return Cache(open_workspace(workspace).root / "evaluations" / "judge" / f"{fingerprint}.jsonl")


def _criteria(guideline: Path | None) -> str:
    if guideline is None:
        return ""
    try:
        return guideline.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{guideline}: the guideline cannot be read ({error})") from error


class _Bar:
    """Tells how far a judge is; the total is known when it begins."""

    def __init__(self, progress: Progress, heading: str) -> None:
        self._progress, self._heading, self._done = progress, heading, 0
        self._tracker: Tracker | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._tracker is None:
            self._tracker = self._progress.track(total, "judgements", heading=self._heading).__enter__()
        self._tracker.advance(done - self._done)
        self._done = done
        if done == total:
            self._tracker.__exit__(None, None, None)
            self._tracker, self._done = None, 0
