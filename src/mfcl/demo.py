"""The path of version 0.1 for `mfcl.data.demo`."""

from mfcl.data.demo import *  # noqa: F403
