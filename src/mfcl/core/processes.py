"""Limits of a process that opens what others sent."""

import contextlib


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
