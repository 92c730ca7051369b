"""Checkpoints from which a killed run goes on as if nothing had happened.

Whatever a learner carries from one step to the next is a :class:`Part`: the models, the optimizers, the KL controller,
the weight average, the best weights so far. Randomness and the position in the data are not among them, because both
are functions of the seed and the number of steps made.
"""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from heed.config import Settings
from heed.errors import WorkspaceError
from heed.files import atomic_write
from heed.records import Json, content_id
from heed.runtime.metrics import MetricLogger
from heed.runtime.run import Run


class Part(Protocol):
    """Something with a state: modules, optimizers, and our own small classes."""

    def state_dict(self) -> Any:
        """Tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Take over what ``state_dict`` gave."""
        ...


class Checkpointer:
    """Keeps the last checkpoint of a run in ``checkpoints/last.pt``, whole or not at all."""

    def __init__(
        self,
        run: Run,
        parts: Mapping[str, Part],
        fingerprint: str,
        logs: Sequence[MetricLogger] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            parts: everything that changes while the learner runs, by name.
            fingerprint: of settings, data and initial weights; see :func:`fingerprint`.
            logs: what the learner writes besides the run's metrics.
        """
        self._every = run.checkpoint_every
        self._logs = (run.metrics, *logs)
        self._parts = parts
        self._fingerprint = fingerprint
        self._path = run.dir / "checkpoints" / "last.pt"
        self._saved_at = 0
        self._clock = clock
        self._rest_until = clock()

    def restore(self) -> int:
        """Load the last checkpoint into the parts and forget what was logged after it.

        Returns:
            The number of optimizer steps (PPO: iterations) already made: 0 if there is no checkpoint.

        Raises:
            WorkspaceError: the checkpoint was made with other settings, dtype, data or initial weights.
        """
        done = 0
        if self._path.exists():
            saved = torch.load(self._path, map_location="cpu", weights_only=True)
            if saved["fingerprint"] != self._fingerprint:
                raise WorkspaceError(
                    f"{self._path}: this checkpoint was made with other settings, data or initial weights than this "
                    f"run has, or in another dtype (fingerprint {saved['fingerprint']}, expected {self._fingerprint}). "
                    f"To start anew, remove {self._path.parent}."
                )
            for name, part in self._parts.items():
                part.load_state_dict(saved["parts"][name])
            done = self._saved_at = int(saved["done"])
        for log in self._logs:
            log.truncate_after(done if done else -1)
        return done

    def after(self, done: int, steps_each: int = 1, last: bool = False) -> None:
        """Call when ``done`` steps (iterations of ``steps_each`` optimizer steps) are made: saves if it is time to.

        A large model's checkpoint takes long to write; then they are further apart, so that they cost 5 % at most.
        """
        due = (done - self._saved_at) * steps_each >= self._every and self._clock() >= self._rest_until
        if not (due or last):
            return
        began = self._clock()
        self.save(done)
        seconds = self._clock() - began
        if seconds > 1:
            self._rest_until = self._clock() + 20 * seconds

    def save(self, done: int) -> None:
        """Write a checkpoint now; it replaces the one before."""
        buffer = io.BytesIO()
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        torch.save({"done": done, "fingerprint": self._fingerprint, "parts": parts}, buffer)
        with atomic_write(self._path) as file:
            file.write(buffer.getbuffer())
        self._saved_at = done


class Memory(dict[str, Any]):
    """Plain values that a learner carries from step to step."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return dict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.clear()
        self.update(state)


class BestWeights:
    """The weights of the moment with the highest score."""

    def __init__(self) -> None:
        self.score = float("-inf")
        self.at = -1
        self._weights: dict[str, Tensor] = {}

    def consider(self, score: float, at: int, model: Part) -> None:
        """Keep a copy of the weights of ``model`` if ``score`` is the highest so far."""
        if score > self.score:
            self.score, self.at = score, at
            self._weights = _copied(model.state_dict())

    def put_into(self, model: Part) -> None:
        """Give ``model`` the best weights, if any were ever considered."""
        if self._weights:
            model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"score": self.score, "at": self.at, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.score, self.at, self._weights = state["score"], state["at"], state["weights"]


class WeightAverage:
    """Exponential moving average of a model's weights over optimizer steps (InstructGPT C.4: decay 0.992).

    Bias-corrected as Adam's moments are: the initial weights have no part in it, and after one update the average is
    the weights after that update. With plain averaging, a short run's average would be mostly its starting point.
    """

    def __init__(self, model: Part, decay: float = 0.992) -> None:
        self._decay = decay
        self._updates = 0
        self._weights = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
        self.average = _copied(self._weights)
        self._pairs = {id(copy): (copy, self._weights[name]) for name, copy in self.average.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the average."""
        self._updates += 1
        share = (1 - self._decay) / (1 - self._decay**self._updates)
        averages, weights = zip(*self._pairs.values(), strict=True)
        torch._foreach_lerp_(averages, weights, share)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"updates": self._updates, "average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._updates = state["updates"]
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of every tensor. One that has two names, as tied embeddings have, is copied once."""
    originals = {tensor.data_ptr(): tensor for tensor in state.values()}
    copies = {place: tensor.detach().clone() for place, tensor in originals.items()}
    return {name: copies[tensor.data_ptr()] for name, tensor in state.items()}


def fingerprint(config: Settings, run: Run, models: Iterable[nn.Module], *data: Json) -> str:
    """Sixteen hexadecimal digits that tell a checkpoint whose it is.

    Args:
        run: its seed and the dtype it computes in count.
        models: with their initial weights.
        data: anything else that must be the same, such as checksums of the data.
    """
    weights = [checksum(tensor) for model in models for tensor in model.state_dict().values()]
    return content_id(config.model_dump(mode="json"), run.seed, str(run.runtime.dtype), weights, list(data))


def checksum(tensor: Tensor) -> int:
    """CRC-32 of a tensor's bytes."""
    flat = tensor.detach().cpu().contiguous().view(-1)
    return zlib.crc32(flat.view(torch.uint8).numpy().data) if flat.numel() else 0
