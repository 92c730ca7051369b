"""Where tensors live and how many processes there are: one value, made once at the start and passed to everything."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Literal

import torch

from heed.errors import ConfigError, nearest
from heed.runtime.allocation import keep_freed_memory

DTypeName = Literal["float32", "bfloat16"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
DTYPES = (*_DTYPES, "auto")
"""What may be asked for; :mod:`heed.training.precision` makes ``"auto"`` one of the others."""
_DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The machine as a learner sees it."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    """What models compute in while they are trained; the weights that are kept, and the optimizer, stay in float32."""
    microbatch: int = 64
    """Sequences that go through a model at once. It bounds memory and never changes a result."""
    activation_checkpointing: bool = False
    """Whether the backward pass computes each layer again, so that what it computed need not be kept."""
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True in the one process that writes files and draws progress."""
        return self.rank == 0


def start_runtime(
    device: str = "auto", dtype: str = "float32", microbatch: int = 64, threads: int | None = None
) -> Runtime:
    """Look at the machine once, and settle how this process uses it.

    Args:
        device: ``"auto"`` takes a CUDA device when there is one, else the CPU; or ``"cpu"``, ``"cuda"``, ``"mps"``,
            with an index if wanted (``"cuda:1"``).
        dtype: ``"float32"`` or ``"bfloat16"``. Not ``"float16"``: its range is so small that losses would have to be
            scaled.
        microbatch: sequences that go through a model at once.
        threads: CPU threads for one operation; None leaves PyTorch's own choice (``OMP_NUM_THREADS``, else the cores).

    ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE`` are read from the environment, as ``torchrun`` sets them.

    Raises:
        ConfigError: an unknown or absent device, an unknown dtype, or a number below 1.
    """
    if dtype == "auto":
        raise ConfigError("dtype is 'auto', which a run settles by measuring before it starts; here it must be settled")
    if dtype not in _DTYPES:
        scaled = (
            " float16 would need its losses scaled; bfloat16 is as fast and does not." if dtype == "float16" else ""
        )
        raise ConfigError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}.{scaled or nearest(dtype, DTYPES)}")
    if microbatch < 1:
        raise ConfigError(f"microbatch is {microbatch}, expected at least 1")
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"threads is {threads}, expected at least 1")
        torch.set_num_threads(threads)
    keep_freed_memory()
    return Runtime(
        device=_device(device),
        dtype=_DTYPES[dtype],
        microbatch=microbatch,
        rank=int(os.environ.get("RANK", "0")),
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
    )


def torch_version() -> str:
    """The version of PyTorch and its build, such as ``"2.13.0+cpu"``."""
    return str(torch.__version__)


def accelerators() -> dict[str, str]:
    """What PyTorch sees besides the CPU: each device's name for ``--device``, and what it is."""
    found = {}
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = f"{device.name}, {device.total_memory // 2**20:,} MiB"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def matmul_gflops(size: int = 512, repeats: int = 10) -> float:
    """How fast the CPU multiplies matrices in float32: billions of operations in a second."""
    matrix = torch.ones(size, size)
    torch.mm(matrix, matrix)
    began = time.perf_counter()
    for _ in range(repeats):
        torch.mm(matrix, matrix)
    return 2 * size**3 * repeats / (time.perf_counter() - began) / 1e9


def forget_device_peak(device: torch.device) -> None:
    """From now on :func:`device_peak_mib` looks back no further than this moment."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def device_peak_mib(device: torch.device) -> float | None:
    """The most memory that tensors of this process took on a CUDA device, in MiB; None on any other."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None


def _device(name: str) -> torch.device:
    kind = name.partition(":")[0]
    if kind not in _DEVICES:
        raise ConfigError(f"device is {name!r}, expected one of {', '.join(_DEVICES)}.{nearest(kind, _DEVICES)}")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {name!r}, but PyTorch sees no CUDA device here; use device=auto or device=cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"device is {name!r}, but PyTorch sees no MPS device here; use device=auto or device=cpu")
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return torch.device(name)
