"""Models in narrower numbers: weights in bfloat16, for reading and for computing; what must stay float32 does.

bfloat16 has float32's range and eight bits of precision, so nothing has to be scaled. In float32 stay the rotary
frequencies (a position times a rounded frequency is another position), the one-number heads of reward and value models,
and, whatever the weights are in, the sums inside a norm, log-softmax, values, rewards, advantages and losses.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def narrowable(model: nn.Module) -> Iterator[nn.Parameter]:
    """The weights of ``model`` that may be rounded: all but the heads that end in one number. Tied ones come once."""
    heads = {id(head.weight) for head in model.modules() if isinstance(head, nn.Linear) and head.out_features == 1}
    return (one for one in model.parameters() if one.is_floating_point() and id(one) not in heads)


def narrow(model: AnyModule, dtype: torch.dtype) -> AnyModule:
    """Round the weights of ``model`` to ``dtype``, in place, and return it; what was rounded away is lost.

    Unlike ``model.to(dtype)`` it leaves buffers and one-number heads alone.
    """
    for parameter in narrowable(model):
        parameter.data = parameter.data.to(dtype)
    return model


def narrowed(model: AnyModule, dtype: torch.dtype) -> AnyModule:
    """``model`` itself if its weights are of ``dtype``, else a copy of which they are."""
    if all(parameter.dtype == dtype for parameter in narrowable(model)):
        return model
    return narrow(copy.deepcopy(model), dtype)
