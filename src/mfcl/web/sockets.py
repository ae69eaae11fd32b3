"""Bind a port and serve an application until it is stopped."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

from mfcl.errors import MfclError

HEADER_SECONDS = 20.0
"""How long a client may take to send the head of a request."""
STOP_SECONDS = 2
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Addresses that no other computer reaches."""


def check_host(host: str, *, allow_remote: bool, then: str) -> None:
    """Check that an address other than this computer's own was meant.

    Args:
        host: The address.
        allow_remote: It was said.
        then: What it would mean, for the message.

    Raises:
        MfclError: it was not said.
    """
    if host not in LOCAL and not allow_remote:
        raise MfclError(
            f"--host {host}: then other computers reach {then}, over a connection that is not encrypted; "
            "add --allow-remote if you want that"
        )


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 takes a free one.

    Raises:
        MfclError: the port is in use, or the address is not this computer's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named asyncio sends at once; else an answer's body waits 40 ms for its head to be acknowledged
    found: socket.socket | None = None
    try:
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # refused without IPv6, if that is asked
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)  # whoever opens the address before the page is ready waits for it
    except (OSError, OverflowError, TypeError, UnicodeError) as error:  # the last two of a host that is no name
        if found is not None:
            found.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise MfclError(f"port {port} is in use; choose another with --port, or --port 0 for any") from None
        told = getattr(error, "strerror", None) or error
        raise MfclError(f"{host}, port {port}: cannot be used ({told}); choose another --host or --port") from error
    return found


def serve(app: Any, bound: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve an application until the process is interrupted."""
    import uvicorn

    config = uvicorn.Config(
        app, http=patient_protocol(), ws="none", lifespan="off", log_level="error", access_log=False,
        server_header=False, date_header=False, timeout_graceful_shutdown=STOP_SECONDS, timeout_keep_alive=30,
        h11_max_incomplete_event_size=32 * 1024,
    )  # fmt: skip
    server = uvicorn.Server(config)

    async def run() -> None:
        asyncio.get_running_loop().call_soon(ready)
        await server.serve(sockets=[bound])

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


def patient_protocol() -> Any:
    """Return uvicorn's HTTP protocol with a limit on how long the head of a request may take.

    Without it a client that sends a byte now and then would hold its connection for ever.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        """Closes connections on which no whole request head arrives in time."""

        _clock: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._answering():
                self._stop()
            elif self._clock is None:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _wait(self) -> None:
            self._clock = self.loop.call_later(HEADER_SECONDS, self._close)

        def _stop(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

        def _close(self) -> None:
            self._clock = None
            if not self._answering() and not self.transport.is_closing():
                self.transport.close()

    return Patient
