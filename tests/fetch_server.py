"""A server of this machine that answers as badly as a test wants, and a tiny corpus for it."""

import contextlib
import dataclasses
import http.server
import io
import re
import tarfile
import threading
import zipfile

import numpy as np
import soundfile

from mfcl.data import fetch as fetching
from mfcl.data.fetch import transfer
from tests.local_server import served

TINY = dataclasses.replace(
    fetching.CORPORA["audiomnist"],
    name="tiny",
    speakers=("01", "02"),
    digits=2,
    takes=2,
    archive_bytes=40_000,
    unpacked_bytes=200_000,
    digested=False,
)


def clip(samples=2000):
    encoded = io.BytesIO()
    noise = np.random.default_rng(0).normal(scale=0.1, size=samples)  # so that the archive does not shrink to nothing
    soundfile.write(encoded, noise, 16000, format="WAV")
    return encoded.getvalue()


def contents(**other):
    """Return what the archive holds: every clip, the meta file, and `other` members."""
    return {path: clip() for path in TINY.paths()} | {"data/audioMNIST_meta.txt": b"{}"} | other


def zipped(members, extra=()):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as pack:
        for path, content in members.items():
            pack.writestr(f"AudioMNIST-630d7dab/{path}", content)
        for info, content in extra:
            pack.writestr(info, content)
    return packed.getvalue()


def tarred(members, extra=()):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as pack:
        for path, content in members.items():
            info = tarfile.TarInfo(f"AudioMNIST-630d7dab/{path}")
            info.size = len(content)
            pack.addfile(info, io.BytesIO(content))
        for info in extra:
            pack.addfile(info)
    return packed.getvalue()


@dataclasses.dataclass
class Answer:
    """How the server meets one request; the last one of a list is repeated."""

    body: bytes = b""
    status: int = 200
    etag: str | None = '"one"'
    ranges: bool = True
    """Obey Range and If-Range; otherwise send everything."""
    send: int | None = None
    """Bytes after which the connection is cut."""
    length: int | None = None
    """Content-Length to claim; -1: none at all. Beside chunks it means nothing (RFC 9112, section 6.3)."""
    span: str | None = None
    """A Content-Range of its own, whatever was asked."""
    chunked: bool = False
    raw: bytes | None = None
    """Sent instead of all of this, headers included."""
    endless: bytes = b""
    """Sent after `raw` again and again, until the other side hangs up."""
    hold: bool = False
    """After `raw`, keep the connection open and say no more."""


class Server:
    """Answers requests one after the other as its list says, and keeps their headers."""

    def __init__(self):
        self.answers, self.requests = [], []
        self.closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                answer = outer.answers[min(len(outer.requests), len(outer.answers) - 1)]
                outer.requests.append(dict(self.headers))
                with contextlib.suppress(OSError):
                    if answer.raw is None:
                        reply(self, answer)
                    else:
                        reply_raw(self, answer, outer.closing)
                self.close_connection = True

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/archive"

    def asked(self, header):
        return [request.get(header) for request in self.requests]


def reply_raw(handler, answer, closing):
    handler.wfile.write(answer.raw)
    while answer.endless and not closing.is_set():
        handler.wfile.write(answer.endless)
    if answer.hold:
        closing.wait(60)


def reply(handler, answer):
    start, wanted = 0, re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if (
        answer.status == 200
        and answer.ranges
        and not answer.span
        and wanted
        and handler.headers.get("If-Range") == answer.etag
    ):
        start = int(wanted[1])
    body = answer.body[start:]
    handler.send_response(206 if start or answer.span else answer.status)
    if start or answer.span:
        whole = f"bytes {start}-{len(answer.body) - 1}/{len(answer.body)}"
        handler.send_header("Content-Range", answer.span or whole)
    if answer.etag:
        handler.send_header("ETag", answer.etag)
    if answer.chunked:
        handler.send_header("Transfer-Encoding", "chunked")
    if answer.length != -1:
        handler.send_header("Content-Length", str(len(body) if answer.length is None else answer.length))
    handler.end_headers()
    sent = body if answer.send is None else body[: answer.send]
    if answer.chunked:
        end = b"" if answer.send is not None else b"0\r\n\r\n"
        sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (sent[:999], sent[999:])) + end
    handler.wfile.write(sent)


@contextlib.contextmanager
def serving(monkeypatch):
    """Yield a server of this machine, with the corpus `tiny` known and no pause between tries."""
    monkeypatch.setitem(fetching.CORPORA, "tiny", TINY)
    monkeypatch.setattr(transfer, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    with served(server.http):
        try:
            yield server
        finally:
            server.closing.set()  # ends the answers that are held open


def get(server, folder):
    return fetching.fetch("tiny", folder, url=server.url, progress=False)


def is_whole(folder):
    clips = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))
    return clips == sorted(TINY.paths()) and (folder / "data/audioMNIST_meta.txt").is_file()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())
