"""Training steps of a GPU, recorded once for each shape of batch and then replayed.

A step starts some thousand operations of a few microseconds each. Started one by one, they keep a GPU waiting for the
processor; a recorded step is started as a whole.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mfcl.training.adam import Adam
from mfcl.views.random_draws import Numbers

WARM_UPS = 2
"""Steps done before the first is recorded: libraries set themselves up, and moments are made. They are undone."""
MOST = 64
"""Most shapes that are recorded; batches of further ones are learned from as they come."""

Step = Callable[[Any], dict[str, Tensor]]
"""Learns from a batch and returns its figures; all operations on the device, none of which waits for it."""


class Recorded:
    """A training step that is replayed, for batches of tensors.

    Args:
        step: The step; it must do the same operations for all batches of one shape.
        task: Its weights and buffers, and
        optimiser: its moments and rates, are what a step changes; the rates become tensors.
        say: Called with a line if steps cannot be recorded; they are then done one by one.

    Source: Ng and others, "Accelerating PyTorch with CUDA graphs", PyTorch blog, 2021 (recording a whole step).
    """

    def __init__(self, step: Step, task: nn.Module, optimiser: Adam, *, say: Callable[[str], None] = print) -> None:
        self.step, self.task, self.optimiser, self.say = step, task, optimiser, say
        self.graphs: dict[tuple[Any, ...], tuple[torch.cuda.CUDAGraph, list[Tensor], dict[str, Tensor]]] = {}
        self.beside: Any = None  # the stream of all recordings: memory is shared between those of one stream
        self.pool: Any = None
        self.failed = False
        self.device = next(task.parameters()).device
        for group in optimiser.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=self.device)

    def __call__(self, batch: Any) -> dict[str, Tensor]:
        """Learn from a batch and return its figures."""
        key, values = shape_of(batch), tensors_of(batch)
        if key not in self.graphs and not self.failed and len(self.graphs) < MOST:
            try:
                with torch.cuda.device(self.device):  # else the first card would record, which does nothing of the step
                    self.graphs[key] = self._record(batch)
            except RuntimeError as error:
                self.failed = True
                self.say(f"steps are not recorded, which is slower: {' '.join(str(error).split())[:200]}")
        if key not in self.graphs:
            self.optimiser.zero_grad()
            return self.step(batch)
        graph, given, figures = self.graphs[key]
        for mine, theirs in zip(given, values, strict=True):
            mine.copy_(theirs, non_blocking=True)
        graph.replay()
        return {name: value.clone() for name, value in figures.items()}  # the next replay writes into the same place

    def _record(self, batch: Any) -> tuple[torch.cuda.CUDAGraph, list[Tensor], dict[str, Tensor]]:
        """Record a step on a batch; weights, moments and buffers are afterwards as before."""
        given = mapped(batch, lambda value: value.clone() if isinstance(value, Tensor) else value)
        before = [value.clone() for value in self._changed()]
        # torch's own would be of the card that was the first to record in this process
        beside = self.beside = self.beside or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        graph = torch.cuda.CUDAGraph()
        try:
            try:
                with torch.cuda.stream(beside):
                    for _ in range(1 if self.graphs else WARM_UPS):
                        self.optimiser.zero_grad()
                        self.step(given)
            finally:
                torch.cuda.current_stream().wait_stream(beside)
            self.optimiser.zero_grad()
            with torch.cuda.graph(graph, pool=self.pool, stream=beside, capture_error_mode="thread_local"):
                figures = self.step(given)
        finally:
            self.optimiser.zero_grad()
            changed = self._changed()
            with torch.no_grad():
                for value, old in zip(changed, before, strict=False):
                    value.copy_(old)
                for value in changed[len(before) :]:
                    value.zero_()  # moments that the first of all steps has made
        self.pool = graph.pool()
        return graph, tensors_of(given), {name: value.detach() for name, value in figures.items()}

    def _changed(self) -> list[Tensor]:
        """Return what a step changes: weights and buffers, then moments."""
        weights = [weight for group in self.optimiser.param_groups for weight in group["params"]]
        moments = [self.optimiser.state[weight] for weight in weights if weight in self.optimiser.state]
        return [
            *(value.detach() for value in self.task.state_dict(keep_vars=True).values()),
            *(value for moment in moments for value in moment.values()),
        ]


def streams_of(see: Callable[[Any], Any], batch: Any) -> tuple[str, ...]:
    """Return the names of the random numbers that are asked for when a batch is seen."""
    heard: list[str] = []

    def listening(value: Any) -> Any:
        return dataclasses.replace(value, heard=heard) if isinstance(value, Numbers) else value

    see(mapped(batch, listening))
    return tuple(heard)


def on_gpu(batch: Any, streams: tuple[str, ...], device: torch.device) -> Any:
    """Return a batch of crops as tensors on a GPU: its samples, its indices and its random numbers."""

    def moved(value: Any) -> Any:
        if isinstance(value, Numbers):
            return value.table(streams, device)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(np.ascontiguousarray(value))
        return value.to(device, non_blocking=True) if isinstance(value, Tensor) else value

    return mapped(batch, moved)


def tensors_of(batch: Any) -> list[Tensor]:
    """Return the tensors of a batch in a fixed order.

    Raises:
        RuntimeError: there is something in it, other than tensors, names and None, that a recording could not renew.
    """
    found: list[Tensor] = []

    def seen(value: Any) -> Any:
        if isinstance(value, Tensor):
            found.append(value)
        elif not (value is None or isinstance(value, str)):
            raise RuntimeError(f"a batch has a {type(value).__name__}, which is no tensor")
        return value

    mapped(batch, seen)
    return found


def shape_of(batch: Any) -> tuple[Any, ...]:
    """Return what all batches of one recording share: shapes and types of tensors, names, and what is absent."""
    found: list[Any] = []

    def seen(value: Any) -> Any:
        found.append((tuple(value.shape), value.dtype) if isinstance(value, Tensor) else value)
        return value

    mapped(batch, seen)
    return tuple(found)


def mapped(batch: Any, change: Callable[[Any], Any]) -> Any:
    """Return a batch with each value changed that is no dataclass, mapping or tuple; random numbers are a value."""
    if isinstance(batch, Numbers):
        return change(batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = {field.name: mapped(getattr(batch, field.name), change) for field in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **fields)
    if isinstance(batch, Mapping):
        return {name: mapped(value, change) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(mapped(value, change) for value in batch)
    return change(batch)
