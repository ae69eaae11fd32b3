"""Benchmarks; torch gets the settings that the command `mfcl` gives it, which are read when it loads."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
