"""Processes of our own: how they are started, and the limits of one that opens what others sent."""

import contextlib
import sys


def own_process(module: str, *words: object) -> list[str]:
    """Return the command that runs a module of this package in a process of its own.

    What lies in the working folder is not loaded: `-m` alone would look there first, and a folder of recordings may
    hold a `queue.py`, or come from others.

    Example:
        >>> own_process("mfcl", "info", 3)[1:]
        ['-P', '-m', 'mfcl', 'info', '3']
    """
    return [sys.executable, "-P", "-m", module, *map(str, words)]


def limit_process(*, cpu_seconds: int | None, memory: int, largest_file: int) -> None:
    """Bound this process's time, memory and files for good, where the system can.

    Args:
        cpu_seconds: Seconds of the processor after which it is ended; None: no limit.
        memory: Bytes of address space.
        largest_file: Bytes that it may write to one file.
    """
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        limits = [(resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, largest_file), (resource.RLIMIT_CORE, 0)]
        for kind, most in [*limits, *([] if cpu_seconds is None else [(resource.RLIMIT_CPU, cpu_seconds)])]:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))
