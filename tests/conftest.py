"""Settings of the whole suite, made before anything loads torch."""

import os
import sys

import pytest

# hundreds of processes are started: none compiles the package again, whatever the environment says of bytecode
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# tiny models on tiny sound: a second thread only waits, and threads that spin while they wait slow a test's processes
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from hypothesis import settings

from tests.type_checks import use_quick_checks

sys.dont_write_bytecode = False
use_quick_checks()

# a failure must come again for whoever looks into it; MFCL_EXAMPLES=drawn looks at other values in each run;
# no example has a time limit: hypothesis' own, 200 ms, fails where others work on the machine, too
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("drawn", deadline=None)
settings.load_profile(os.environ.get("MFCL_EXAMPLES", "repeatable"))

LONG = (
    *("test_benchmarks", "test_studies", "test_fuzz", "test_tutorials", "test_readme", "test_torchrun"),
    *("test_exporting_pt2", "test_exporting", "test_notebook", "test_explore_browser_haste", "test_promises"),
    *("test_training_loop", "test_version_0_1", "test_explore_browser_work", "test_torchrun_pack"),
    *("test_explore_browser", "test_report", "test_real", "test_exporting_classifier", "test_benchmark_exported"),
)
"""Files of more than 20 seconds, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Let files be shared out in the order below; xdist's own looks at how many tests a file has."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest files where processes share them: one of the last files leaves the others idle."""
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONG)}
        items.sort(key=lambda item: places.get(item.path.stem, len(places)))
