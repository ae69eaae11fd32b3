"""The recordings of each step, and batches prepared one step ahead."""

import functools
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from jaxtyping import Int64

from mfcl.core.distributed import processes, rank
from mfcl.recipe import TrainSettings
from mfcl.training.budget import Budget
from mfcl.views.batches import batch_indices

T = TypeVar("T")
KEPT = 2
"""Epochs whose batches are kept: near an epoch's end the next one is needed, too."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The recordings of each step of a run; depends on their lengths (in samples), the recipe and the seed only.

    Attributes:
        lengths: Length of each recording in samples.
        batch: Recordings in a batch, over all processes.
        epochs: Epochs of the run, if `length` does not say otherwise.
        seed: The run's seed.
        fill: Use every recording in every epoch; see `mfcl.views.batches.epoch_order`.
        length: Steps of the run; 0: all of the epochs.
        stages: Stages of the run; see `Budget.stages`; 0: one for each epoch.
    """

    lengths: Int64[np.ndarray, " items"]
    batch: int
    epochs: int
    seed: int
    fill: bool = False
    length: int = 0
    stages: int = 0
    _made: dict[tuple[int, int], Int64[np.ndarray, "steps share"]] = field(default_factory=dict, repr=False)
    """Cached batches of the latest epochs, by (epoch, process)."""

    @classmethod
    def of(cls, settings: TrainSettings, lengths: Int64[np.ndarray, " items"], size: Budget, *, seed: int) -> "Plan":
        """Return the plan of a run of this size."""
        return cls(lengths, size.batch, settings.epochs, seed, settings.fill, size.steps, size.stages)

    @functools.cached_property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return len(self._batches(0, 0))

    @property
    def steps(self) -> int:
        """Steps of the run."""
        return self.length or self.epochs * self.epoch_steps

    def epoch(self, step: int) -> int:
        """Return the epoch of a step, both from 0."""
        return step // self.epoch_steps

    def epochs_after(self, step: int) -> int | float:
        """Return how many epochs are over after so many steps: a whole number at an epoch's end.

        Example:
            >>> plan = Plan(np.full(32, 9), 8, 2, 0)
            >>> [plan.epochs_after(step) for step in (1, 4, 8)]
            [0.25, 1, 2]
        """
        whole, rest = divmod(step, self.epoch_steps)
        return round(step / self.epoch_steps, 3) if rest else whole

    @functools.cached_property
    def stage_ends(self) -> tuple[int, ...]:
        """Return the steps done at the end of each stage; they are even, and the last is that of the run."""
        stages = self.stages or self.epochs
        return tuple((stage + 1) * self.steps // stages for stage in range(stages))

    def recordings(self, step: int, *, of: int | None = None) -> Int64[np.ndarray, " batch"]:
        """Return the recordings of a step in this process, or in process `of`."""
        epoch, place = divmod(step, self.epoch_steps)
        batch: Int64[np.ndarray, " batch"] = self._batches(epoch, rank() if of is None else of)[place]
        return batch

    def _batches(self, epoch: int, process: int) -> Int64[np.ndarray, "steps share"]:
        key = (epoch, process)
        if key not in self._made:
            made = batch_indices(
                self.lengths, self.batch, seed=self.seed, epoch=epoch, rank=process, processes=processes(),
                fill=self.fill,
            )  # fmt: skip
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
