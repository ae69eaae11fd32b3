"""The path of version 0.1 for `mfcl.models.losses`."""

from mfcl.models.losses import *  # noqa: F403
