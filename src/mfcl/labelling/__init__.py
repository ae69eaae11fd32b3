"""Label many recordings from few: spread labels, choose what to label next, fit classifiers. Without torch."""

from mfcl.labelling.choosing import Checked, Way
from mfcl.labelling.classifier import UNKNOWN, LabelClassifier, Predictions
from mfcl.labelling.collection import Collection, Fitted, fit_classifier
from mfcl.labelling.estimate import Estimate, draw_held_out, estimate
from mfcl.labelling.propagate import Spread, propagate, propagate_each
from mfcl.labelling.suggest import suggest

__all__ = [
    "UNKNOWN",
    "Checked",
    "Collection",
    "Estimate",
    "Fitted",
    "LabelClassifier",
    "Predictions",
    "Spread",
    "Way",
    "draw_held_out",
    "estimate",
    "fit_classifier",
    "propagate",
    "propagate_each",
    "suggest",
]
