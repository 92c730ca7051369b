"""The process behind a :class:`heed.generation.desk.ModelDesk`: JSON lines in, JSON lines out, models in between."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from heed.data.chat import Codec
from heed.data.tokenizer import load_tokenizer
from heed.errors import HeedError, ModelError
from heed.generation.sampler import LocalSampler
from heed.models.checkpoints import load_policy
from heed.records import Message, Prompt
from heed.roles import Decoding

KEPT = 3
"""Models in memory; the one that was not asked for longest goes."""


class Models:
    """The models of a directory, loaded when they are first asked for, and anew when they have changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._loaded: OrderedDict[tuple[str, float], LocalSampler] = OrderedDict()

    def get(self, name: str) -> LocalSampler:
        """The model of that name.

        Raises:
            ModelError: there is none.
        """
        path = self._directory / name
        if not (path / "heed.json").is_file() or path.parent != self._directory:
            raise ModelError(f"there is no model {name!r}")
        key = (name, (path / "heed.json").stat().st_mtime)
        if key not in self._loaded:
            model = load_policy(path)
            codec = Codec(load_tokenizer(path), int(model.config.max_position_embeddings))
            self._loaded[key] = LocalSampler(model, codec, name)
        self._loaded.move_to_end(key)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return self._loaded[key]


def answer(models: Models, request: Mapping[str, Any]) -> dict[str, Any]:
    """Completions for one request, or what is wrong with it in a sentence."""
    try:
        prompts = [
            Prompt(messages=tuple(Message(role=role, content=content) for role, content in messages))
            for messages in request["prompts"]
        ]
        given = request["decoding"]
        decoding = Decoding(**{**given, "stop": tuple(given["stop"])})
        rows = models.get(request["model"]).sample(prompts, request["n"], decoding)
    except HeedError as error:
        return {"error": str(error)}
    return {
        "completions": [
            [{"text": c.text, "token_ids": c.token_ids, "logprobs": c.logprobs, "stop": c.stop} for c in row]
            for row in rows
        ]
    }


def work(directory: Path, requests: IO[str], answers: IO[str]) -> None:
    """Answer until there are no more requests: whoever asked is gone."""
    models = Models(directory)
    for line in requests:
        answers.write(json.dumps(answer(models, json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.stdin, sys.stdout)
