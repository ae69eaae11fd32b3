"""A server that runs in a thread of the tests, and is gone when the test is over."""

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator

LONGEST = 20.0
"""Seconds within which a server that was told to stop must end."""


@contextlib.contextmanager
def running(serve: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """Run `serve` in a thread inside a `with` block; at its end call `stop`, and wait until the thread has ended."""
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(LONGEST)
    assert not thread.is_alive(), "the server did not stop"


@contextlib.contextmanager
def served(server: socketserver.BaseServer) -> Iterator[None]:
    """Answer what comes to a server inside a `with` block."""
    with server, running(lambda: server.serve_forever(0.01), server.shutdown):  # `with server` closes its socket
        yield
