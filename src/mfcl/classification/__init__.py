"""Fit a classifier on recordings, answer for recordings of any length, and find similar ones, with a trained model."""

from mfcl.classification.applying import Answers, classify, classify_windows
from mfcl.classification.fitting import FittedOn, clips_to_label, fit_on
from mfcl.classification.similarity import Similar, similar

__all__ = ["Answers", "FittedOn", "Similar", "classify", "classify_windows", "clips_to_label", "fit_on", "similar"]
