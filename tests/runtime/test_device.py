from __future__ import annotations

import pytest
import torch

from heed.errors import ConfigError
from heed.runtime.device import start_runtime


def test_the_cpu_is_always_there() -> None:
    runtime = start_runtime("cpu", "bfloat16", microbatch=8)
    assert (runtime.device, runtime.dtype, runtime.microbatch) == (torch.device("cpu"), torch.bfloat16, 8)
    assert runtime.is_main and runtime.world_size == 1


def test_processes_started_by_torchrun_know_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    runtime = start_runtime("cpu")
    assert (runtime.rank, runtime.world_size, runtime.is_main) == (1, 4, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "device is 'gpu', expected one of auto, cpu, cuda, mps. Did you mean 'cpu'?"),
        (
            {"dtype": "float23"},
            "dtype is 'float23', expected one of float32, bfloat16, auto. Did you mean 'float32'?",
        ),
        (
            {"dtype": "float16"},
            "dtype is 'float16', expected one of float32, bfloat16, auto. float16 would need its losses scaled; "
            "bfloat16 is as fast and does not.",
        ),
        (
            {"dtype": "auto"},
            "dtype is 'auto', which a run settles by measuring before it starts; here it must be settled",
        ),
        ({"device": "cpu", "microbatch": 0}, "microbatch is 0, expected at least 1"),
        ({"device": "cpu", "threads": 0}, "threads is 0, expected at least 1"),
    ],
)
def test_a_mistake_is_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        start_runtime(**arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_gpu_is_said_plainly() -> None:
    with pytest.raises(ConfigError, match="PyTorch sees no CUDA device here; use device=auto or device=cpu"):
        start_runtime("cuda")
