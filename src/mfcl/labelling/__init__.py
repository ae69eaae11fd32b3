"""Label many recordings from few: label propagation, and suggestions of what to label next. Without torch."""

from mfcl.labelling.propagate import Spread, propagate, propagate_each
from mfcl.labelling.suggest import suggest

__all__ = ["Spread", "propagate", "propagate_each", "suggest"]
