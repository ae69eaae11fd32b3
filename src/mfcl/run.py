"""The path of version 0.1 for `mfcl.training.api`."""

from mfcl.training.api import *  # noqa: F403
