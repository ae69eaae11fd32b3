"""Labels for many recordings from few: spread over a graph, and which recordings to label next. Nothing loads torch."""

from mfcl.labelling.propagate import Spread, propagate
from mfcl.labelling.suggest import suggest

__all__ = ["Spread", "propagate", "suggest"]
