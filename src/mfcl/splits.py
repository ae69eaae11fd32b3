"""The path of version 0.1 for `mfcl.data.splits`."""

from mfcl.data.splits import *  # noqa: F403
