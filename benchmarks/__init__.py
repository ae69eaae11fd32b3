"""Benchmarks; torch gets the settings that the command `mfcl` gives it, which are read when it loads."""

from mfcl.core.process import set_before_torch

set_before_torch()
