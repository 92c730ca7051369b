"""Answers from the workspace's models for a process that must not load them itself, such as a web app.

One worker process holds the models (``desk_worker``); requests and answers are JSON lines over its pipes. It starts at
the first request, dies with whoever started it, and is started anew after a crash or when it does not answer in time.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from heed.errors import EndpointError, HeedError, ModelError, nearest
from heed.files import read_json
from heed.records import Completion, Prompt
from heed.roles import Decoding

TIMEOUT_SECONDS = 120.0


class ModelDesk:
    """Hands questions to a worker process, one at a time."""

    def __init__(
        self, models_dir: Path, *, command: Sequence[str] | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        """``command`` starts another worker than Heed's own, for tests."""
        self._models_dir = models_dir
        self._command = list(command or [sys.executable, "-m", "heed.generation.desk_worker", str(models_dir)])
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def models(self) -> list[str]:
        """Names of the language models there are, newest first."""
        cards = sorted(self._models_dir.glob("*/heed.json"), key=lambda path: -path.stat().st_mtime)
        return [path.parent.name for path in cards if _kind(path) == "policy"]

    def sampler(self, model: str) -> DeskSampler:
        """One model as a Sampler.

        Raises:
            ModelError: there is no such model.
        """
        known = self.models()
        if model not in known:
            raise ModelError(f"there is no model {model!r} to talk to.{nearest(model, known)}")
        return DeskSampler(self, model)

    def ask(self, model: str, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each prompt.

        Raises:
            DataError, ModelError: as the model says.
            EndpointError: the worker crashed or did not answer in time; the next request gets a new one.
        """
        request = {
            "model": model,
            "prompts": [[[message.role, message.content] for message in prompt.messages] for prompt in prompts],
            "n": n,
            "decoding": asdict(decoding),
        }
        with self._lock:
            reply = self._exchange(json.dumps(request))
        if "error" in reply:
            raise HeedError(str(reply["error"]))
        return [[_completion(one, model) for one in row] for row in reply["completions"]]

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            self._end()

    def _exchange(self, line: str) -> Mapping[str, Any]:
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = self._lines.get(timeout=self._timeout)
        except queue.Empty as error:
            self._end()
            raise EndpointError(f"the model did not answer within {self._timeout:g} s; try again") from error
        except OSError as error:
            self._end()
            raise EndpointError("the models' process has ended; try again") from error
        if answer is None:
            self._end()
            raise EndpointError("the models' process has crashed; try again")
        reply = json.loads(answer)
        assert isinstance(reply, Mapping)
        return reply

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._lines = queue.Queue()
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert self._process.stdout is not None
            threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True).start()
        return self._process

    def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written has no reader any more
                    continue


class DeskSampler:
    """Plays ``Sampler`` with one model behind a desk."""

    def __init__(self, desk: ModelDesk, model: str) -> None:
        self._desk, self._model = desk, model

    def sample(self, prompts: Sequence[Prompt], n: int, decoding: Decoding) -> list[list[Completion]]:
        """``n`` completions of each prompt."""
        return self._desk.ask(self._model, prompts, n, decoding)


def _read(pipe: IO[str], lines: queue.Queue[str | None]) -> None:
    """Lines as they come; None where they end."""
    try:
        for line in pipe:
            lines.put(line)
    except ValueError:  # closed while we read
        pass
    lines.put(None)


def _kind(card: Path) -> str:
    content = read_json(card)
    return str(content.get("kind", "")) if isinstance(content, Mapping) else ""


def _completion(one: Mapping[str, Any], model: str) -> Completion:
    return Completion(
        text=one["text"],
        token_ids=tuple(one["token_ids"]),
        logprobs=tuple(one["logprobs"]),
        stop=one["stop"],
        policy=model,
    )
