"""Compute cheap operations on large grids again in the backward pass, instead of keeping what they made.

`torch.utils.checkpoint` does the same, but its first call loads torch's compiler: 70 MB, and two seconds.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


def recomputed(function: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """Return `function(*inputs)`; for the backward pass only the inputs are kept, and the rest is computed again.

    For cheap operations on large grids: what autograd would keep of these is most of a step's memory. The result and
    its gradient are the same. The function must be without random draws and without any other effect, and must not
    call this itself. On a GPU, which has memory enough and spends a step's time on starting operations, nothing is
    computed again.

    Source: Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", arXiv:1604.06174.
    """
    if not torch.is_grad_enabled() or any(given is not None and not given.is_cpu for given in inputs):
        return function(*inputs)
    again = _Again(function, inputs)
    with saved_tensors_hooks(again.place, again.tensor):
        return function(*inputs)


class _Enough(Exception):  # noqa: N818 (no error: all is found, and the rest need not be computed)
    pass


class _Again:
    """The inputs of a function in place of what autograd keeps of it, which is numbered in the order of keeping."""

    def __init__(self, function: Callable[..., Tensor], inputs: Sequence[Tensor | None]) -> None:
        self.function = function
        # detached, as what a graph keeps must not refer to the graph
        self.inputs = [
            None if given is None else given.detach().requires_grad_(given.requires_grad) for given in inputs
        ]
        self.versions = self._versions()
        self.half = (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"))
        self.places = 0
        self.found: dict[int, Tensor] = {}

    def place(self, kept: Tensor) -> int:
        """Return the number of a tensor that autograd keeps, in place of it."""
        self.places += 1
        return self.places - 1

    def tensor(self, place: int) -> Tensor:
        """Return the tensor of that number; the first time, all are computed."""
        if place not in self.found:
            self._compute()
        return self.found.pop(place)

    def _versions(self) -> list[int]:
        return [0 if given is None else given._version for given in self.inputs]

    def _compute(self) -> None:
        if self._versions() != self.versions:
            raise RuntimeError("what is computed again has been changed in place since")
        found: dict[int, Tensor] = {}

        def find(kept: Tensor) -> None:
            found[len(found)] = kept.detach()
            if len(found) == self.places:
                raise _Enough

        enabled, dtype = self.half
        try:
            with (
                torch.enable_grad(), torch.autocast("cpu", dtype, enabled=enabled),
                saved_tensors_hooks(find, lambda nothing: nothing),
            ):  # fmt: skip
                self.function(*self.inputs)
        except _Enough:
            pass
        self.found = found
