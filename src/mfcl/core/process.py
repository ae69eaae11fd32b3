"""Settings of a process that torch reads when it loads: the command has them, a program may ask for them."""

import os
import sys

from mfcl.errors import MfclError

READ_BY_TORCH = {
    # threads that spin while they wait make every step several times slower beside other work
    "OMP_WAIT_POLICY": "PASSIVE",
    # large tensors in pages of 2 MB where Linux has them; clearing pages of 4 KB takes a third of a step
    "THP_MEM_ALLOC_ENABLE": "1",
    # torch keeps 1,024 convolutions made ready, of shapes that seldom come again; a step of one shape has 128
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128",
}
"""Environment variable -> what it is set to, where it is not set."""


def set_before_torch() -> None:
    """Set what torch reads when it loads; what the user has set stays."""
    for name, value in READ_BY_TORCH.items():
        os.environ.setdefault(name, value)


def prepare_process(threads: int | None = None) -> int:
    """Give this process the settings that the command `mfcl` gives itself; return the number of torch threads.

    For a program or notebook that trains or embeds much; call it before anything loads torch. Threads that wait for
    each other do not spin, which beside other programs costs most of the time; large blocks of memory are kept while
    there are few, and in large pages; torch has a thread for each core that the process may use. It sets environment
    variables, which child processes inherit; nothing in the library calls it by itself.

    Args:
        threads: Threads of torch; None: OMP_NUM_THREADS, else the number of cores that the process may use.

    Raises:
        MfclError: torch is loaded and has not read the settings; or there are too few or too many threads.
    """
    missing = [name for name in READ_BY_TORCH if name not in os.environ]
    if missing and "torch" in sys.modules:
        raise MfclError(
            f"prepare_process: torch is loaded and no longer reads {', '.join(missing)}; call it before anything "
            "imports torch (in a notebook: restart, and call it in the first cell), or set them where Python is started"
        )
    set_before_torch()
    from mfcl.core.machine import use_machine  # loads torch

    return use_machine(threads)
