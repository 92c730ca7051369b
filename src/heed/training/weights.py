"""The weights of a model while it is trained: in float32, whatever the model computes in.

A step moves a weight by about the learning rate, often a thousandth of its size or less. Neighbours in bfloat16 are
1/256 to 1/128 apart, so most steps would be rounded away. So the optimizer moves float32 weights, the *masters*
(Micikevicius et al. 2018, section 3.1), and the model computes with what they round to. Everything that is kept comes
from the masters: checkpoints, averages, the best weights so far, and the model itself when training is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from heed.models.precision import narrowable


class Weights:
    """The weights of one model, which computes in ``dtype`` inside a ``with`` block of this and in float32 outside.

    In the block each gradient is added to its master's in float32 as soon as it is there, and the narrow one is
    dropped: microbatches are summed in float32, and there is no second set of gradients. The masters are the model's
    own tensors, lent back to it when the block ends, also by an exception. For float32 all this is the model as it is.
    Weights that never move, those beside an adapter, have no master: they stay what they were rounded to.

    Args:
        model: with weights in float32.
        dtype: what it is to compute in.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self._model, self._dtype = model, dtype
        narrow = [] if dtype == torch.float32 else list(narrowable(model))
        self._masters = {parameter: parameter.detach().float() for parameter in narrow if parameter.requires_grad}
        self._frozen = [parameter for parameter in narrow if not parameter.requires_grad]
        self._handles: list[RemovableHandle] = []

    def parameters(self) -> list[Tensor]:
        """What an optimizer moves, float32."""
        return [self._masters.get(one, one) for one in self._model.parameters() if one.requires_grad]

    @torch.no_grad()
    def publish(self) -> None:
        """Round the masters into the model. To be called after each step."""
        if self._handles:
            torch._foreach_copy_(list(self._masters), list(self._masters.values()))

    def state_dict(self) -> dict[str, Any]:
        """The model's, in float32, but those that never move. The tensors are the weights themselves, and move."""
        state = self._model.state_dict(keep_vars=True)
        frozen = {id(one) for one in self._model.parameters() if not one.requires_grad}
        return {
            name: self._masters.get(tensor, tensor).detach()
            for name, tensor in state.items()
            if id(tensor) not in frozen
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])
        self.publish()

    def __enter__(self) -> Weights:
        for parameter in self._frozen:
            parameter.data = parameter.data.to(self._dtype)
        for parameter, master in self._masters.items():
            parameter.data = master.to(self._dtype)
            if parameter.requires_grad:
                handle = parameter.register_post_accumulate_grad_hook(self._take_gradient)  # type: ignore[no-untyped-call]
                self._handles.append(handle)
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for parameter in self._frozen:
            parameter.data = parameter.data.float()
        for parameter, master in self._masters.items():
            parameter.data = master

    def _take_gradient(self, parameter: Tensor) -> None:
        assert isinstance(parameter, nn.Parameter)
        master, gradient = self._masters[parameter], parameter.grad
        assert gradient is not None
        parameter.grad = None
        if master.grad is None:
            master.grad = gradient.float()
        else:
            master.grad.add_(gradient)
