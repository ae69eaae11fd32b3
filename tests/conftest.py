"""Settings of the whole suite, made before anything loads torch."""

import os

# tiny models on tiny sound: a second thread only waits, and threads that spin while they wait slow a test's processes
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from hypothesis import settings

from tests.type_checks import use_quick_checks

use_quick_checks()

# a failure must come again for whoever looks into it; MFCL_EXAMPLES=drawn looks at other values in each run;
# no example has a time limit: hypothesis' own, 200 ms, fails where others work on the machine, too
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("drawn", deadline=None)
settings.load_profile(os.environ.get("MFCL_EXAMPLES", "repeatable"))
