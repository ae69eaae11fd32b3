"""The path of version 0.1 for `mfcl.evaluation.speaker`."""

from mfcl.evaluation.speaker import *  # noqa: F403
