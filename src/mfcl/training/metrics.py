"""Figures of a run, read from the device once in many steps, as each read waits for the device."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mfcl.training.resume_state import Progress

ENOUGH_STEPS = 100
"""Steps after which a loss at chance level is a fault."""
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


def collapse(figures: dict[str, float], chance: float, *, step: int, steps: int) -> str | None:
    """Return a warning if the loss is not below chance level or the projections have collapsed; None if all is well.

    A loss near chance gives no warning before `ENOUGH_STEPS` steps, unless the run ends there.

    Args:
        figures: The latest figures of the run.
        chance: The loss of projections without information.
        step: Steps done.
        steps: Steps of the whole run.

    Example:
        >>> collapse({"loss": 2.0, "spread": 0.9}, 5.5, step=200, steps=200) is None
        True
        >>> collapse({"loss": 5.5, "spread": 0.9}, 5.5, step=1, steps=3) is None
        True
        >>> print(collapse({"loss": 5.5, "spread": 0.9}, 5.5, step=3, steps=3))
        only 3 steps were made, too few to learn from: set more train.epochs or a smaller train.batch
    """
    advice = "try a lower train.learning_rate or other crops"
    if figures.get("spread", 1.0) < COLLAPSED:
        return f"collapse: all recordings are projected to one point (spread {figures['spread']:.4f}); {advice}"
    if figures["loss"] < 0.99 * chance:
        return None
    if step >= ENOUGH_STEPS:
        return f"nothing is learned: loss {figures['loss']:.3f} is not below its chance line {chance:.3f}; {advice}"
    if step < steps:
        return None
    return f"only {step} steps were made, too few to learn from: set more train.epochs or a smaller train.batch"
