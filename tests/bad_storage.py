"""A local web server whose files can be cut, refused, slow or changed, request by request."""

import contextlib
import dataclasses
import hashlib
import http.server
import math
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator

from tests.local_server import served


@dataclasses.dataclass
class Fault:
    """How the server fails; `times` counts down, and at 0 it answers well."""

    times: int
    status: int | None = None
    """Answer this in place of the file."""
    body: bytes = b"no"
    """The text of that answer."""
    cut: float | None = None
    """Hang up after this share of the body."""
    seconds: float = 0.0
    """Wait before the answer."""
    methods: tuple[str, ...] = ("GET",)


class Storage:
    """Files by path, faults by path, and the requests that came."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path, and range of each request."""
        self.keys: list[str | None] = []
        """The credentials that came with each request."""
        self.ranges = True
        self.lengths = {"GET", "HEAD"}
        """Methods whose answers say how long they are."""
        self.after: Callable[[str], None] = lambda path: None
        """Called after each GET."""
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.inside, self.most = 0, 0
        """Requests that are being answered, and the most at once."""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                outer.answer(self, "HEAD")

            def do_GET(self) -> None:
                outer.answer(self, "GET")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.answer(self, "POST")

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def asked(self, method: str = "GET") -> list[str]:
        return [path for kind, path, _ in self.requests if kind == method]

    def fault(self, path: str, method: str) -> Fault | None:
        with self.lock:
            found = self.faults.get(path)
            if found is None or method not in found.methods or not found.times:
                return None
            found.times -= 1
            return found

    def answer(self, handler: http.server.BaseHTTPRequestHandler, method: str) -> None:
        path = handler.path.partition("?")[0]
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        self.requests.append((method, path, handler.headers.get("Range")))
        self.keys.append(handler.headers.get("Authorization"))
        fault = self.fault(path, method)
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        if fault is not None and fault.seconds:
            self.closing.wait(fault.seconds)
        with contextlib.suppress(OSError):
            self.reply(handler, method, path, fault, asked)
        with self.lock:
            self.inside -= 1
        if method == "GET":
            self.after(path)

    def reply(
        self, handler: http.server.BaseHTTPRequestHandler, method: str, path: str, fault: Fault | None,
        asked: re.Match[str] | None,
    ) -> None:  # fmt: skip
        status = (200 if path in self.files else 404) if fault is None or fault.status is None else fault.status
        whole = self.files.get(path, b"") if status == 200 else fault.body if fault else b"no"
        body = whole
        handler.close_connection = method not in self.lengths
        if status == 200 and asked and self.ranges:
            first, last = int(asked[1]), min(int(asked[2]), len(whole) - 1)
            body, status = whole[first : last + 1], 206
        handler.send_response(status)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
        handler.send_header("ETag", f'"{hashlib.sha256(whole).hexdigest()[:8]}"')
        if method in self.lengths:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if method == "HEAD":
            return
        if fault is not None and fault.cut is not None:
            handler.wfile.write(body[: int(len(body) * fault.cut)])
            handler.close_connection = True
            handler.wfile.flush()
            handler.connection.shutdown(2)
            return
        handler.wfile.write(body)


@contextlib.contextmanager
def serving() -> Iterator[Storage]:
    """Yield a local server."""
    storage = Storage()
    with served(storage.http):
        try:
            yield storage
        finally:
            storage.closing.set()  # ends the answers that still wait


class Proxy:
    """A connection to another local server that is cut after some bytes of answers, or is slow.

    Attributes:
        cuts: How many more connections are cut.
        after: Bytes of answers after which a connection is cut.
        pause: Seconds to wait before every 16 kB of an answer.
        cut: How many were cut.
    """

    def __init__(self, port: int) -> None:
        self.cuts, self.after, self.pause, self.cut = 0, 0, 0.0, 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as target, contextlib.suppress(OSError):
                    threading.Thread(target=pump, args=(self.request, target, lambda: math.inf), daemon=True).start()
                    pump(target, self.request, outer.allowed, outer)

        def pump(
            source: socket.socket, sink: socket.socket, allowed: Callable[[], float], proxy: "Proxy | None" = None
        ) -> None:
            left = allowed()
            with contextlib.suppress(OSError):
                while content := source.recv(1 << 14):
                    if proxy is not None and proxy.pause:
                        time.sleep(proxy.pause)
                    sink.sendall(content[: int(min(left, len(content)))])
                    left -= len(content)
                    if left < 0:
                        outer.cut += 1
                        break
            for one in (source, sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def allowed(self) -> float:
        """Return how many bytes the next connection may carry."""
        if not self.cuts:
            return math.inf
        self.cuts -= 1
        return self.after


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Yield a proxy of a local server."""
    proxy = Proxy(port)
    with served(proxy.server):
        yield proxy
