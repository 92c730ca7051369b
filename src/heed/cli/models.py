"""A model by name: one of the workspace, a directory, a name on the Hugging Face hub, or one behind a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from heed.cli.common import open_workspace
from heed.errors import ModelError, nearest

if TYPE_CHECKING:
    from heed.data.chat import Codec
    from heed.generation.sampler import LocalSampler
    from heed.models.scorer import RewardScorer
    from heed.roles import Sampler


def find_model(workspace: Path, name: str) -> Path:
    """The directory of ``name``: a model of the workspace, or a path.

    Raises:
        ModelError: there is no such model; the nearest name of the workspace is suggested.
    """
    place = open_workspace(workspace) if workspace.exists() else None
    if place is not None and (place.models_dir / name / "heed.json").is_file():
        return place.models_dir / name
    if Path(name).is_dir():
        return Path(name)
    known = sorted(path.parent.name for path in place.models_dir.glob("*/heed.json")) if place else []
    there = f"models of {workspace} are {', '.join(known)}" if known else f"{workspace} has no models yet"
    raise ModelError(f"there is no model {name!r}; {there}.{nearest(name, known)}")


def open_sampler(workspace: Path, name: str, server: str | None = None) -> Sampler:
    """A language model as a Sampler: local, or behind an OpenAI-compatible server at the URL ``server``."""
    if server is not None:
        from heed.generation.client import OpenAISampler

        return OpenAISampler(server, name, api_key=os.environ.get("OPENAI_API_KEY"))
    return open_local_sampler(workspace, name)


def open_local_sampler(workspace: Path, name: str) -> LocalSampler:
    """A language model on this machine as a Sampler."""
    from heed.data.chat import Codec
    from heed.data.tokenizer import load_tokenizer
    from heed.generation.sampler import LocalSampler
    from heed.models.checkpoints import load_policy
    from heed.models.loading import load_causal_lm

    path = find_model(workspace, name)
    ours = (path / "heed.json").is_file()
    model = load_policy(path) if ours else load_causal_lm(path)
    return LocalSampler(model, Codec(load_tokenizer(path), context_of(model)), name)


def open_reward_scorer(workspace: Path, name: str) -> RewardScorer:
    """A reward model of the workspace as a Scorer."""
    from heed.data.chat import Codec
    from heed.data.tokenizer import load_tokenizer
    from heed.models.checkpoints import load_reward_model
    from heed.models.scorer import RewardScorer

    path = find_model(workspace, name)
    model = load_reward_model(path)
    codec: Codec = Codec(load_tokenizer(path), context_of(model))
    return RewardScorer(model, codec)


def context_of(model: object) -> int:
    """Longest sequence in tokens that a model was made for."""
    config = getattr(model, "config")  # noqa: B009 - models of several libraries, one attribute
    return int(config.max_position_embeddings)
