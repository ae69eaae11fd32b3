"""The recordings of each step, and batches prepared one step ahead."""

import functools
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from jaxtyping import Int64

from mfcl.core.distributed import processes, rank
from mfcl.views.batches import batch_indices

T = TypeVar("T")
KEPT = 2
"""Epochs whose batches are kept: near an epoch's end the next one is needed, too."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The recordings of each step of a run; depends on their lengths (in samples) and the seed only."""

    lengths: Int64[np.ndarray, " items"]
    batch: int
    epochs: int
    seed: int
    _made: dict[tuple[int, int], Int64[np.ndarray, "steps share"]] = field(default_factory=dict, repr=False)
    """Cached batches of the latest epochs, by (epoch, process)."""

    @functools.cached_property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return len(self._batches(0, 0))

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self.epochs * self.epoch_steps

    def epoch(self, step: int) -> int:
        """Return the epoch of a step, both from 0."""
        return step // self.epoch_steps

    def recordings(self, step: int, *, of: int | None = None) -> Int64[np.ndarray, " batch"]:
        """Return the recordings of a step in this process, or in process `of`."""
        epoch, place = divmod(step, self.epoch_steps)
        batch: Int64[np.ndarray, " batch"] = self._batches(epoch, rank() if of is None else of)[place]
        return batch

    def _batches(self, epoch: int, process: int) -> Int64[np.ndarray, "steps share"]:
        key = (epoch, process)
        if key not in self._made:
            made = batch_indices(
                self.lengths, self.batch, seed=self.seed, epoch=epoch, rank=process, processes=processes()
            )
            while len(self._made) >= KEPT:
                self._made.pop(next(iter(self._made)), None)
            self._made[key] = made
        return self._made[key]


def ahead(make: Callable[[int], T], steps: range) -> Generator[tuple[int, T], None, None]:
    """Yield each step with `make(step)`; the next one is made in a thread while this one is used.

    Example:
        >>> list(ahead(lambda step: step * 10, range(2, 4)))
        [(2, 20), (3, 30)]
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as worker:
        coming = [worker.submit(make, step) for step in steps[:1]]
        for step in steps:
            made = coming.pop().result()
            if step + 1 in steps:
                coming.append(worker.submit(make, step + 1))
            yield step, made
