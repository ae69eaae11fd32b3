"""The path of version 0.1 for `mfcl.models.encoders`."""

from mfcl.models.encoders import *  # noqa: F403
