"""Keep what the MP3 decoder writes to the standard error stream by itself out of a person's sight."""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import BinaryIO, cast

NOTES = re.compile(
    rb"(?:^\n)?^(?:Note: |Warning: |ERROR: |\[[^\n]*\.c:|[^\n]*libmpg123|big_values|part2_3|Block type)[^\n]*\n?",
    re.MULTILINE,
)
"""The lines that libmpg123 writes."""


class _Aside:
    """The standard error stream's number, led to a file while any thread decodes; what others write is passed on.

    The number belongs to the whole process, so this is its one keeper.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.terminal = -1
        self.written: BinaryIO | None = None
        self.read = 0

    def enter(self) -> None:
        with self.lock:
            # a stream that was closed before the program began has a number that some other file may have by now
            if self.inside == 0 and sys.__stderr__ is not None and hasattr(os, "pread"):
                with contextlib.suppress(OSError):
                    if self.written is None:  # kept open as long as the process
                        self.written = cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
                    self.terminal = os.dup(2)
                    os.dup2(self.written.fileno(), 2)
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.terminal < 0 or self.written is None:
                return
            end = os.fstat(self.written.fileno()).st_size
            if end > self.read:
                # where others write next is left as it is
                text = os.pread(self.written.fileno(), end - self.read, self.read)
                self.read = end
                if kept := NOTES.sub(b"", text):
                    os.write(self.terminal, kept)
            if self.inside == 0:
                os.dup2(self.terminal, 2)
                os.close(self.terminal)
                self.terminal = -1
                self.written.truncate(0)
                self.written.seek(0)
                self.read = 0

    def forget(self) -> None:
        """Begin anew in a forked process, in which no other thread decodes."""
        if self.terminal >= 0:
            os.dup2(self.terminal, 2)
            os.close(self.terminal)
        self.__init__()  # type: ignore[misc]


ASIDE = _Aside()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=ASIDE.forget)


@contextlib.contextmanager
def quiet_decoder(wanted: bool = True) -> Iterator[None]:
    """Hide what a C library writes to the standard error stream; what Python writes meanwhile still arrives.

    Any number of threads may be inside at once.

    Args:
        wanted: Whether to hide anything, so that a caller needs no branch.
    """
    if not wanted:
        yield
        return
    ASIDE.enter()
    try:
        yield
    finally:
        ASIDE.leave()
