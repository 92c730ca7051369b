"""Mixed precision: the forward pass in the runtime's dtype, weights and optimizer in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from heed.runtime.device import Runtime


def autocast(runtime: Runtime) -> AbstractContextManager[object]:
    """A context in which models compute in ``runtime.dtype``; it does nothing for float32."""
    return torch.autocast(runtime.device.type, dtype=runtime.dtype, enabled=runtime.dtype != torch.float32)
