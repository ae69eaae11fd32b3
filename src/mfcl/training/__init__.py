"""The training loop, the training objectives, and the files of a run."""

from mfcl.training.loop import FitResult, fit
from mfcl.training.signals import Interrupted

__all__ = ["FitResult", "Interrupted", "fit"]
