"""Who may ask: the names of this server, requests of other pages, and the size of what is sent."""

import abc
import asyncio
import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mfcl.web.sockets import LOCAL

MOST_BODY = 32 * 2**20
"""Bytes of one request."""
MOST_PASSED = 16 * MOST_BODY
PASSING_SECONDS = 10.0
"""How much of a body that is too large is read and dropped before the answer, and for how long."""
TOO_LARGE = 413
POLICY = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:",
        "media-src 'self' blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
    "cache-control": "no-store",
}


def new_token() -> str:
    """Return a random token of 256 bits."""
    return secrets.token_urlsafe(32)


def same(given: str, token: str) -> bool:
    """Return whether a given token is the secret one, in a time that does not depend on how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


class Guard(abc.ABC):
    """ASGI middleware that refuses what another page or another name of this computer sends, and what is too large.

    Args:
        app: What is guarded.
        host: The address that the server binds to.
        port: Its port.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        self._app, self._port = app, port
        self._any_address = host not in LOCAL
        names = [*LOCAL, *([host, socket.gethostname()] if self._any_address else [])]
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets here
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        if refused is not None:
            if refused.status_code == TOO_LARGE and "expect" not in headers:  # who expects a go-ahead sends nothing yet
                await _passed_over(receive)
            await refused(scope, receive, marked)
        else:
            await self._app(scope, _bounded(receive), marked)

    @abc.abstractmethod
    def permit(self, scope: Scope, headers: Headers) -> Response | None:
        """Return an answer to who may not ask, or who asks for something of the guard itself; None: it is passed on."""

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer to a request that is not passed on."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_own(host):
            return said(421, "This server does not go by that name; open the address that it printed.")
        origin = headers.get("origin")
        if origin is not None and not self._is_own_origin(origin, host):
            return said(403, "Requests of other pages are refused.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and scope["path"] != "/":
            return said(403, "Requests of other pages are refused.")
        answer = self.permit(scope, headers)
        if answer is not None:
            return answer
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal() and len(length) < 20) or int(length) > MOST_BODY:
            return said(TOO_LARGE, f"Wanted at most {MOST_BODY >> 20} MiB; send a shorter file.")
        return None

    def _is_own(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.path or parts.query or parts.fragment or (port or 80) != self._port:
            return False
        if name in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(name)  # a number cannot be rebound by another's name server
        except ValueError:
            return False
        return True

    def _is_own_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme == "http" and parts.netloc.lower() == host.lower()


class TooLarge(Exception):  # noqa: N818  # an answer, not a fault
    """More came than the header promised or than is taken."""


def _bounded(receive: Receive) -> Receive:
    """Count what comes, whatever the header said."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MOST_BODY:
                if message.get("more_body"):
                    await _passed_over(receive)
                raise TooLarge
        return message

    return counted


async def _passed_over(receive: Receive) -> None:
    """Read and drop what is still sent: a client that is cut off while it sends never reads the answer."""
    left = MOST_PASSED
    try:
        async with asyncio.timeout(PASSING_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def said(status: int, text: str) -> Response:
    """Return a line of text as an answer."""
    return PlainTextResponse(text + "\n", status_code=status)
