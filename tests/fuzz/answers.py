"""Answers of a server of this machine to `fetch`, and what an earlier call has left beside the folder."""

import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mfcl.data.fetch import connection
from mfcl.errors import FetchError
from tests.fetch_server import Answer, contents, get, is_whole, serving, tarred, zipped
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import ODD_TEXTS, spoil_bytes, spoil_json

HEADERS = (
    "ETag",
    "Content-Length",
    "Content-Range",
    "Location",
    "Transfer-Encoding",
    "Content-Encoding",
    "Last-Modified",
)
STATUSES = (
    "200 OK",
    "206 Partial",
    "302 Found",
    "308 Moved",
    "100 Continue",
    "204 None",
    "304 Same",
    "401 No",
    "416 No",
)
ADDRESS = "http://address"
"""Stands in notes for the server's own address, which is not known before it runs."""


def write(folder: Path) -> None:
    """Write one sound answer, and a corpus in both kinds of archive."""
    (folder / "corpus.zip").write_bytes(zipped(contents()))
    (folder / "corpus.tar.gz").write_bytes(tarred(contents()))
    (folder / "0.http").write_bytes(_answer("200 OK", (folder / "corpus.zip").read_bytes(), ETag='"one"'))


def _answer(status: str, body: bytes, **headers: str) -> bytes:
    named = {"Content-Length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
    head = "".join(f"{name}: {text}\r\n" for name, text in named.items() if text)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def spoil(folder: Path, chance: Random) -> None:
    """Write one or two answers, spoilt in their headers or in the archive, and sometimes a part with its note."""
    for place in range(chance.choice((1, 1, 2))):
        (folder / f"{place}.http").write_bytes(_spoilt_answer(folder, chance))
    if chance.random() < 0.3:
        whole = (folder / "corpus.zip").read_bytes()
        (folder / "corpus.part").write_bytes(whole[: chance.choice((0, 5000, len(whole), 10**6))])
        note = {"url": ADDRESS, "validator": '"one"', "total": chance.choice((None, len(whole)))}
        (folder / "corpus.part.json").write_bytes(spoil_json(chance, json.dumps(note)))


def _spoilt_answer(folder: Path, chance: Random) -> bytes:
    way = chance.random()
    name = chance.choice(("corpus.zip", "corpus.tar.gz"))
    body = (folder / name).read_bytes()
    if way < 0.4:  # the archive, sometimes below its compression
        below = name.endswith("gz") and chance.random() < 0.7
        body = gzip.compress(spoil_bytes(chance, gzip.decompress(body)), 1) if below else _spoilt_end(chance, body)
        return _answer("200 OK", body)
    status = chance.choice(STATUSES) if chance.random() < 0.5 else "200 OK"
    headers = {}
    for header in chance.sample(HEADERS, chance.choice((1, 2))):
        text = chance.choice((*ODD_TEXTS, "chunked", "bytes 5000-9/10", "/archive", '"one"', "gzip", "-5", "9" * 18))
        headers[header] = text
    answer = _answer(status, body, **headers)
    return spoil_bytes(chance, answer) if way < 0.7 else answer


def _spoilt_end(chance: Random, body: bytes) -> bytes:
    """Spoil bytes anywhere, or near the end, where a zip archive lists its members."""
    if chance.random() < 0.5:
        return spoil_bytes(chance, body)
    return body[:-1500] + spoil_bytes(chance, body[-1500:])


def use(folder: Path) -> Iterator[object]:
    """Fetch from a server that gives the answers in turn; after an error a sound answer has to bring the corpus."""
    raw = [path.read_bytes() for path in sorted(folder.glob("*.http"))]
    with pytest.MonkeyPatch.context() as patch, serving(patch) as server:
        patch.setattr(connection, "IDLE_SECONDS", 0.5)
        patch.setattr(socket, "create_connection", _local(socket.create_connection))
        note = folder / "corpus.part.json"
        if note.exists():
            note.write_bytes(note.read_bytes().replace(ADDRESS.encode(), server.url.encode()))
        server.answers = [Answer(raw=answer) for answer in raw]
        try:
            get(server, folder / "corpus")
        except FetchError:
            server.answers = [Answer(zipped(contents()))]
            if not is_whole(get(server, folder / "corpus")):
                raise AssertionError("a sound answer after a spoilt one did not bring the corpus") from None
            raise
        if not is_whole(folder / "corpus"):
            raise AssertionError("fetch returned, but the corpus is not whole")
    yield sorted(path.name for path in folder.iterdir())


def _local(connect):
    """Return a way to connect that reaches this machine alone, wherever a redirect leads."""

    def local(address, *args, **options):
        if address[0] != "127.0.0.1":
            raise OSError(f"{address[0]} is not this machine")
        return connect(address, *args, **options)

    return local


KIND = Kind(write, spoil, use)
