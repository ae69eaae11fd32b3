"""The path of version 0.1 for `mfcl.evaluation.tables`."""

from mfcl.evaluation.tables import *  # noqa: F403
