"""Label many recordings from few: spread labels, choose what to label next, fit classifiers. Without torch."""

from mfcl.labelling.choosing import Checked, Way
from mfcl.labelling.classifier import UNKNOWN, LabelClassifier, Predictions
from mfcl.labelling.classifier_file import load_classifier, save_classifier
from mfcl.labelling.collection import Collection, Fitted, fit_classifier
from mfcl.labelling.estimate import Estimate, draw_held_out, estimate
from mfcl.labelling.events import EventSettings, find_events
from mfcl.labelling.propagate import Spread, propagate, propagate_each
from mfcl.labelling.suggest import suggest

__all__ = [
    "UNKNOWN",
    "Checked",
    "Collection",
    "Estimate",
    "EventSettings",
    "Fitted",
    "LabelClassifier",
    "Predictions",
    "Spread",
    "Way",
    "draw_held_out",
    "estimate",
    "find_events",
    "fit_classifier",
    "load_classifier",
    "propagate",
    "propagate_each",
    "save_classifier",
    "suggest",
]
