"""Open an HTTP response with limits on bytes, waiting time, slowness and redirects."""

import http.client
import io
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from time import monotonic
from typing import Any

from mfcl.errors import FetchError

IDLE_SECONDS = 60.0
"""Longest wait for the next byte."""
WINDOW_SECONDS = 120.0
"""Waiting time over which the average rate is computed."""
LEAST_BYTES_A_SECOND = 1_000
"""Lowest average rate before the connection is closed; at this rate a gigabyte would take eleven days."""
OVERHEAD_BYTES = 1 << 18
"""Most bytes besides the body: headers, interim responses, chunk sizes."""
REDIRECTS = 10
REDIRECTING = frozenset([301, 302, 303, 307, 308])
LONGEST_TEXT = 200
"""Most characters of a server's text in a message."""


def open_answer(url: str, headers: Mapping[str, str], *, most_bytes: int) -> http.client.HTTPResponse:
    """Request a file and return the response, of which only the headers have been read.

    Args:
        url: An http or https address; redirects are followed.
        headers: Headers of the request.
        most_bytes: Most bytes of the body.

    Raises:
        FetchError: an invalid address, too many redirects or one to something other than http or https, or (also while
            the response is read) more bytes than `most_bytes` and `OVERHEAD_BYTES`.
        urllib.error.HTTPError: a response that is neither a success nor a redirect.
        OSError: the connection failed, timed out or was too slow; also while the response is read.
        http.client.HTTPException: the response is not HTTP.
    """
    opener = urllib.request.build_opener(_NoRedirects, _Web(most_bytes, url), _SecureWeb(most_bytes, url))
    address = url
    for _ in range(REDIRECTS + 1):
        check_address(address)
        request = urllib.request.Request(address, headers=dict(headers))  # noqa: S310  # the scheme was checked
        try:
            return opener.open(request, timeout=IDLE_SECONDS)  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            if error.code not in REDIRECTING:
                raise
            error.close()  # without reading it: the body of a redirect may be endless
            address = next_address(address, error.headers.get("Location"))
        except ValueError as error:  # an invalid host name
            raise FetchError(f"{one_line(address)}: not a valid web address ({one_line(error)}); correct it") from error
    raise FetchError(f"{one_line(url)}: more than {REDIRECTS} redirects; check the address, or give another")


def check_address(url: str) -> None:
    """Raise an error unless an address is http or https, in printable ASCII.

    Raises:
        FetchError: another scheme, no host, an invalid port, a space, a control character or a non-ASCII letter.
    """
    try:
        split = urllib.parse.urlsplit(url)
        web = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:  # urlsplit's own complaint
        web = False
    if not web or not all("!" <= sign <= "~" for sign in url):
        raise FetchError(f"{one_line(url)}: wanted an address beginning with http:// or https://; correct it")


def next_address(url: str, location: str | None) -> str:
    """Return the target address of a redirect.

    Raises:
        FetchError: there is none, it is not http or https, or it leads from https to http.
    """
    try:
        address = urllib.parse.urljoin(url, (location or "").strip())
        check_address(address)
    except (ValueError, FetchError):
        address = ""
    if not location or not address:
        raise FetchError(
            f"{one_line(url)}: the server redirects to {one_line(location or 'nowhere')}, which is no web address; "
            "give another address"
        )
    if url.startswith("https:") and not address.startswith("https:"):
        raise FetchError(
            f"{one_line(url)}: the server redirects to {one_line(address)}, which is not encrypted; "
            "give that address itself if you trust it"
        )
    return address


def one_line(text: object) -> str:
    r"""Format an untrusted text for a message: one printable line of bounded length.

    Example:
        >>> one_line("a\n\tb\x1b[31m")
        'a b?[31m'
    """
    # cut first, so that a megabyte of spaces costs nothing
    line = " ".join(str(text)[: 4 * LONGEST_TEXT].split())
    plain = "".join(sign if sign.isprintable() else "?" for sign in line)
    return plain if len(plain) <= LONGEST_TEXT else plain[:LONGEST_TEXT] + "..."


class _Meter(io.RawIOBase):
    """Counts the bytes of one connection, including headers, chunk sizes and trailers, and enforces the limits."""

    def __init__(self, source: io.RawIOBase, most_bytes: int, url: str) -> None:
        super().__init__()
        self._source = source
        self._url = url
        self._most = most_bytes
        self._left = most_bytes + OVERHEAD_BYTES
        self._waited, self._arrived = 0.0, 0  # seconds and bytes of the current window

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        begun = monotonic()
        count = self._source.readinto(buffer)
        self._waited += monotonic() - begun  # waiting for the server only, not for a slow disk
        self._arrived += count or 0
        self._left -= count or 0
        if self._left < 0:
            raise FetchError(
                f"{one_line(self._url)}: more than {self._most:,} bytes came, twice what the archive has; "
                "check the address, or give another"
            )
        if self._waited >= WINDOW_SECONDS:
            if self._arrived < LEAST_BYTES_A_SECOND * self._waited:
                raise TimeoutError(f"fewer than {LEAST_BYTES_A_SECOND:,} bytes a second for {WINDOW_SECONDS:g} s")
            self._waited, self._arrived = 0.0, 0
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


def _metered(most_bytes: int, url: str) -> type[http.client.HTTPResponse]:
    """Return a response class that counts its bytes from the first one on."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.fp = io.BufferedReader(_Meter(self.fp.detach(), most_bytes, url))

    return Answer


class _Web(urllib.request.HTTPHandler):
    """Opens http addresses with responses that count their bytes."""

    def __init__(self, most_bytes: int, url: str) -> None:
        super().__init__()
        self._answer = _metered(most_bytes, url)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def connect(host: str, **options: Any) -> http.client.HTTPConnection:
            connection = http.client.HTTPConnection(host, **options)
            connection.response_class = self._answer
            return connection

        return self.do_open(connect, req)


class _SecureWeb(urllib.request.HTTPSHandler):
    """Opens https addresses with responses that count their bytes."""

    def __init__(self, most_bytes: int, url: str) -> None:
        super().__init__()
        self._answer = _metered(most_bytes, url)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def connect(host: str, **options: Any) -> http.client.HTTPSConnection:
            connection = http.client.HTTPSConnection(host, context=ssl.create_default_context(), **options)
            connection.response_class = self._answer
            return connection

        return self.do_open(connect, req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to `open_answer`: urllib reads their bodies without limit and follows them to FTP."""

    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
