"""The path of version 0.1 for `mfcl.training.api` and `mfcl.training.supervised_networks`."""

from mfcl.training.api import *  # noqa: F403
from mfcl.training.supervised_networks import *  # noqa: F403
