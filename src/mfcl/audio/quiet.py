"""Hide messages that the MP3 decoder writes to standard error by itself."""

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
"""Lines that libmpg123 writes."""


class _Redirect:
    """Redirects file descriptor 2 to a file while any thread decodes, and passes on the lines of others.

    The descriptor belongs to the whole process, so there is one instance.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.terminal = -1
        self.written: BinaryIO | None = None
        self.read = 0

    def enter(self) -> None:
        with self.lock:
            # if standard error was closed before the program began, descriptor 2 may belong to another file
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
                # pread keeps the file position, at which others write next
                text = os.pread(self.written.fileno(), end - self.read, self.read)
                self.read = end
                with contextlib.suppress(OSError):  # a closed pipe or a full disk; it is no fault of the recording
                    _write_all(self.terminal, NOTES.sub(b"", text))
            if self.inside == 0:
                os.dup2(self.terminal, 2)
                os.close(self.terminal)
                self.terminal = -1
                self.written.truncate(0)
                self.written.seek(0)
                self.read = 0

    def forget(self) -> None:
        """Reset the state in a forked process, in which no other thread decodes."""
        if self.terminal >= 0:
            os.dup2(self.terminal, 2)
            os.close(self.terminal)
        self.__init__()  # type: ignore[misc]


def _write_all(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]


REDIRECT = _Redirect()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=REDIRECT.forget)


@contextlib.contextmanager
def quiet_decoder(wanted: bool = True) -> Iterator[None]:
    """Hide the MP3 decoder's messages on standard error; other output still appears.

    Any number of threads may use it at once.

    Args:
        wanted: False does nothing, so that callers need no branch.
    """
    if not wanted:
        yield
        return
    REDIRECT.enter()
    try:
        yield
    finally:
        REDIRECT.leave()
