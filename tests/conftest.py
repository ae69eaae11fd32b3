"""Settings of the whole suite, made before anything loads torch."""

import os

# tiny models on tiny sound: a second thread only waits, and threads that spin while they wait slow a test's processes
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
