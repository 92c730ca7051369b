"""Answers that were paid for once: a file of keys and values that only grows.

The key is a hash of all that the value depends on, so nothing is ever out of date; a value that is needed again, in
this run, after an interruption, or for another report, is read and not computed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from heed.evaluation.tasks.items import Failure, Likelihood, Question, Reply, TextScorer
from heed.records import Json, content_id


class Cache:
    """Values by key, in one file of JSON lines.

    A value is safe on disk when :meth:`put` returns. A line that a crash cut off is dropped when the file is opened
    next. Several processes may use one file: each sees what was there when it opened it.

    Args:
        path: the file; it is made when the first value is put in.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: dict[str, Json] = {}
        if path.exists():
            for line in path.read_bytes().split(b"\n"):
                if (entry := _entry(line)) is not None:
                    self._values[entry[0]] = entry[1]

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Json:
        """The value, or None."""
        return self._values.get(key)

    def put(self, values: Mapping[str, Json]) -> None:
        """Keep some values."""
        if not values:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps([key, value], ensure_ascii=False) + "\n" for key, value in values.items())
        with self.path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _drop_cut_line(file)
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
        self._values.update(values)


def _entry(line: bytes) -> tuple[str, Json] | None:
    try:
        key, value = json.loads(line)
    except (ValueError, TypeError):
        return None
    return (key, value) if isinstance(key, str) else None


def _drop_cut_line(file: IO[bytes]) -> None:
    """Begin a new line after one that a crash cut off."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


# --- what is kept of replies


def reply_key(question: Question) -> str:
    """Hash of everything that a reply depends on besides the model."""
    asked: list[Json] = [question.layout(), [shot.text for shot in question.shots], question.context, question.kind]
    if question.kind == "choice":
        return content_id(*asked, list(question.choices))
    draw = question.meta.get("draw")  # one of several samples of the same question
    return content_id(*asked, list(question.stop), question.max_new_tokens, *([] if draw is None else [draw]))


def reply_json(reply: Reply) -> Json:
    """A reply as plain data; likelihoods as rows to save room."""
    value: dict[str, Any] = asdict(reply)
    value["likelihoods"] = [[one.logprob, one.tokens, one.characters, one.greedy] for one in reply.likelihoods]
    return {name: field for name, field in value.items() if field}


def reply_from_json(value: Json) -> Reply:
    """What :func:`reply_json` made."""
    assert isinstance(value, Mapping)
    fields: dict[str, Any] = dict(value)
    rows: Sequence[Sequence[Any]] = fields.pop("likelihoods", [])
    likelihoods = tuple(
        Likelihood(logprob=float(row[0]), tokens=int(row[1]), characters=int(row[2]), greedy=bool(row[3]))
        for row in rows
    )
    return Reply(likelihoods=likelihoods, **fields)


# --- what is kept of scores


class CachedScorer:
    """A :class:`TextScorer` that asks for each text once. Failures are not kept: the next run asks again."""

    def __init__(self, scorer: TextScorer, cache: Cache) -> None:
        self.name = scorer.name
        self._scorer, self._cache = scorer, cache

    def describe(self) -> str:
        """What the scorer says of itself."""
        return self._scorer.describe()

    def score_texts(self, texts: Sequence[str]) -> list[float | Failure]:
        """Scores in [0, 1], each text's asked for once."""
        keys = [content_id(self.name, text) for text in texts]
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if self._cache.get(key) is None}
        fresh = dict(zip(wanted, self._scorer.score_texts(list(wanted.values())), strict=True)) if wanted else {}
        self._cache.put({key: score for key, score in fresh.items() if not isinstance(score, Failure)})
        return [fresh[key] if key in fresh else float(self._cache.get(key)) for key in keys]  # type: ignore[arg-type]
