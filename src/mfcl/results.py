"""The path of version 0.1 for `mfcl.studies.results`."""

from mfcl.studies.results import *  # noqa: F403
