"""Work: the one training loop, its tasks, and the record of a run."""

from mfcl.training.loop import FitResult, fit
from mfcl.training.signals import Interrupted

__all__ = ["FitResult", "Interrupted", "fit"]
