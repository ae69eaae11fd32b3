"""How large a batch is and how many steps a run has: a function of the recipe and the recordings, not of the clock."""

import dataclasses
import math
from dataclasses import dataclass

from mfcl.recipe import LIMITS, TrainSettings
from mfcl.views.batches import batch_size

EPOCH_STEPS = 4
"""Steps that an epoch of a small set has at least, as far as `SMALLEST` allows."""
SMALLEST = 16
"""Smallest batch that a small set, or long recordings, are given: each recording needs others to differ from."""
EVEN = 8
"""Batches that are made smaller are a multiple of it, so that 2, 4 or 8 processes have the batches of one."""
STAGES, STAGE_STEPS = 12, 15
"""Most stages of a run, and fewest steps of one; see `Budget.stages`."""


@dataclass(frozen=True)
class Budget:
    """The size of a run.

    Attributes:
        batch: Recordings in a batch, over all processes.
        epoch_steps: Steps in which every recording is used (with `fill`).
        steps: Steps of the run.
        stages: Equal parts of the run. Each begins with what `Task.begin` does, such as a search for neighbours, and
            ends with validation and a line in the log. A run that its epochs alone size has one for each epoch.
    """

    batch: int
    epoch_steps: int
    steps: int
    stages: int


def budget(settings: TrainSettings, count: int, *, seconds: float = 0.0, processes: int = 1) -> Budget:
    """Return the size of a run over `count` recordings.

    Args:
        settings: Epochs and batch, and the limits of steps.
        count: Training recordings.
        seconds: Mean seconds of sound that a step takes of a recording, for `most_sound`.
        processes: Number of processes that train together.

    Raises:
        TrainingError: a batch would have fewer than two recordings, or the processes cannot share it equally.

    Example:
        >>> few = TrainSettings(epochs=24, batch=64, fill=True, least_steps=300, most_steps=800)
        >>> budget(few, 48)
        Budget(batch=16, epoch_steps=3, steps=300, stages=12)
        >>> budget(few, 18_000)
        Budget(batch=64, epoch_steps=282, steps=800, stages=12)
        >>> budget(TrainSettings(epochs=24, batch=64), 48)
        Budget(batch=48, epoch_steps=1, steps=24, stages=24)
    """
    batch = batch_size(count, _fitting(settings, count, seconds, processes), processes)
    epoch_steps = math.ceil(count / batch) if settings.fill else count // batch
    steps = max(settings.epochs * epoch_steps, settings.least_steps)
    if settings.most_steps:
        steps = min(steps, settings.most_steps)
    if settings.most_sound and seconds > 0:
        steps = max(int(min(steps, settings.most_sound / (batch * seconds))), 1)
    by_epochs = not settings.fill and steps == settings.epochs * epoch_steps
    stages = settings.epochs if by_epochs else min(max(steps // STAGE_STEPS, 1), STAGES)
    return Budget(batch, epoch_steps, steps, stages)


def shortened(settings: TrainSettings, epochs: int) -> TrainSettings:
    """Return settings of a run of `epochs` epochs, with limits of steps that are smaller by the same factor.

    Example:
        >>> short = shortened(TrainSettings(epochs=24, least_steps=300, most_steps=800), 6)
        >>> short.epochs, short.least_steps, short.most_steps
        (6, 75, 200)
    """
    share = epochs / settings.epochs
    limits = {name: type(limit)(math.ceil(share * limit)) for name in LIMITS if (limit := getattr(settings, name))}
    return dataclasses.replace(settings, epochs=epochs, **limits)


def _fitting(settings: TrainSettings, count: int, seconds: float, processes: int) -> int:
    """Return the recipe's batch; with `fill`, a smaller one for a small set or long recordings."""
    if not settings.fill:
        return settings.batch
    most = max(count // EPOCH_STEPS, SMALLEST)
    if settings.most_sound and seconds > 0:
        most = max(int(min(most, settings.most_sound / (seconds * max(settings.least_steps, 1)))), SMALLEST)
    if settings.batch <= min(most, count):
        return settings.batch
    size = min(settings.batch, most, count)
    even = 2 ** int(math.log2(min(EVEN, max(size, 1))))
    shared = math.lcm(even, processes)
    unit = shared if shared <= size else processes
    return size // unit * unit
