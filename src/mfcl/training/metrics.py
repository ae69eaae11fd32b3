"""Figures of a run, read from the device once in many steps, as each read waits for the device."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfcl.core.console import worded
from mfcl.training.budget import Budget
from mfcl.training.resume_state import Progress

ENOUGH_STEPS = 100
"""Steps after which a loss at chance level is a fault."""
ADVISED_STEPS = 300
"""Steps that are advised where there are too few; the recipes have no fewer."""
FEW = 100
"""Recordings below which there are few to differ from and few that say the same."""
ADVICE = "try a lower train.learning_rate or other crops"
COLLAPSED = 0.01
"""Spread of projections below which they are taken to be one point; see `mfcl.models.losses.spread`."""


class Watch:
    """Collect the figures of steps on the device, and average them to lines of `metrics.jsonl`.

    Args:
        progress: Keeps the figures of no line yet, so that a resumed run writes the same lines.
        fault: Called with step, name and value of a figure that is NaN or infinite; must raise.
    """

    def __init__(self, progress: Progress, fault: Callable[[int, str, float], None]) -> None:
        self.progress, self.fault = progress, fault
        self.waiting: list[tuple[int, dict[str, Tensor]]] = []
        self.before, self.since = progress.seconds, time.perf_counter()
        self.counted = (progress.step, self.since)

    def add(self, step: int, figures: dict[str, Tensor]) -> None:
        """Keep the figures of a step, on the device."""
        self.waiting.append((step, {name: value.detach() for name, value in figures.items()}))

    def settle(self) -> None:
        """Read the waiting figures in one transfer into the progress; call `fault` at one that is not finite."""
        if not self.waiting:
            return
        names = list(self.waiting[0][1])
        read = torch.stack([torch.stack([figures[name].float() for name in names]) for _, figures in self.waiting])
        for (step, _), row in zip(self.waiting, read.cpu().tolist(), strict=True):
            figures = dict(zip(names, row, strict=True))
            for name, value in figures.items():
                if not math.isfinite(value):
                    self.fault(step, name, value)
            self.progress.recent.append(figures)
        self.waiting.clear()
        self.progress.seconds = self.seconds()

    def line(self, batch: int) -> dict[str, Any]:
        """Return the means since the last line, with seconds and recordings per second; begin the next line."""
        self.settle()
        rows, now = self.progress.recent, time.perf_counter()
        means = {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]}
        rate = (self.progress.step - self.counted[0]) * batch / max(now - self.counted[1], 1e-9)
        self.restart_clock()
        self.progress.latest, self.progress.recent = means, []
        return {**means, "seconds": round(self.seconds(), 3), "recordings_per_second": round(rate, 1)}

    def restart_clock(self) -> None:
        """Measure recordings per second from now on; leaves out validation time."""
        self.counted = (self.progress.step, time.perf_counter())

    def seconds(self) -> float:
        """Return the seconds spent on the run, including those before a resume."""
        return self.before + time.perf_counter() - self.since


def cautions(size: Budget, count: int) -> list[str]:
    """Return what should be known before a pre-training of this size is begun; nothing if all is well.

    Args:
        size: Batch, steps and epochs of the run.
        count: Training recordings.

    Example:
        >>> cautions(Budget(batch=64, epoch_steps=27, steps=648, stages=12), 1716)
        []
        >>> print(*cautions(Budget(batch=128, epoch_steps=2, steps=20, stages=10), 256))
        only 20 steps with 256 recordings in batches of 128, too few to learn much: set train.least_steps=300
    """
    found = []
    if count < FEW:
        found.append(
            f"{count} training recordings are few to learn from without labels: see in a study whether this is better "
            "than the same encoders untrained, and add recordings if you can, labelled or not"
        )
    if size.steps < ENOUGH_STEPS:
        found.append(
            f"only {worded(size.steps, 'step')} with {worded(count, 'recording')} in batches of {size.batch}, too "
            f"few to learn much: set train.least_steps={ADVISED_STEPS}"
        )
    used = size.steps * size.batch
    if size.steps < size.epoch_steps:
        found.append(
            f"the {size.steps} steps of this recipe use {used} of {count} recordings: raise train.most_steps (and "
            "train.most_sound, if it is set) to use all"
        )
    return found


def collapse(figures: dict[str, float], chance: float, *, step: int, steps: int, count: int, batch: int) -> str | None:
    """Return a warning if the loss is not below chance level or the projections have collapsed; None if all is well.

    A loss near chance gives no warning before `ENOUGH_STEPS` steps, unless the run ends there.

    Args:
        figures: The latest figures of the run.
        chance: The loss of projections without information.
        step: Steps done.
        steps: Steps of the whole run.
        count: Training recordings.
        batch: Recordings in a batch.

    Example:
        >>> collapse({"loss": 2.0, "spread": 0.9}, 5.5, step=200, steps=200, count=500, batch=64) is None
        True
        >>> collapse({"loss": 5.5, "spread": 0.9}, 5.5, step=1, steps=3, count=48, batch=48) is None
        True
        >>> print(collapse({"loss": 5.5, "spread": 0.9}, 5.5, step=3, steps=3, count=48, batch=48))
        nothing is learned: loss 5.500 is not below its chance line 5.500 after only 3 steps of 48 recordings; set \
train.least_steps=300
    """
    if figures.get("spread", 1.0) < COLLAPSED:
        return f"collapse: all recordings are projected to one point (spread {figures['spread']:.4f}); {ADVICE}"
    if figures["loss"] < 0.99 * chance or (step < ENOUGH_STEPS and step < steps):
        return None
    found = f"nothing is learned: loss {figures['loss']:.3f} is not below its chance line {chance:.3f}"
    if step < ENOUGH_STEPS:
        return f"{found} after only {worded(step, 'step')} of {batch} recordings; set train.least_steps={ADVISED_STEPS}"
    if count < FEW:
        return f"{found}; {count} recordings in batches of {batch} may be too few: add recordings, or {ADVICE}"
    return f"{found}; {ADVICE}"
