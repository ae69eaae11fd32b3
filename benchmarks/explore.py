"""The explorer on 10,000 recordings: its start, guesses after a label, 50 clients at once and its memory."""

import asyncio
import itertools
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sounds import write_recordings
from mfcl.embeddings.table import Embeddings
from mfcl.explore.collection import open_collection
from mfcl.explore.spaces import Spaces

PARTS = {
    "wave words": 64, "wave words projection": 128, "wave words landmarks": 256, "wave voices": 768, "mel words": 64,
    "mel words projection": 128, "mel words landmarks": 256, "mel voices": 1280, "mel voices spectrum": 80,
}  # fmt: skip
"""Parts and sizes as the recipe `default` has them."""
CLASSES, SPEAKERS = 10, 60
SECONDS = 0.1
"""Of each sound."""
LABELS = 20
MORE_LABELS = 60
"""With these, probabilities are calibrated, too."""


@dataclass
class Server:
    """A server in a process of its own, and a client that it knows."""

    process: "subprocess.Popen[str]"
    base: str
    cookies: str
    seconds: float
    """From the command to the first answer."""

    def ask(self, path: str, body: Any = None) -> bytes:
        """Return the content of an answer; with a body, something is changed."""
        content = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.base + path, content, {"cookie": self.cookies, "x-mfcl": "1"})
        with urllib.request.urlopen(asked, timeout=120) as answer:
            if answer.status == 202:
                raise RuntimeError(f"{path}: {answer.read()!r}")
            return bytes(answer.read())

    def ready(self) -> bool:
        """Return whether clips can be suggested and guessed."""
        asked = urllib.request.Request(f"{self.base}/api/estimate?column=heard", headers={"cookie": self.cookies})
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return bool(answer.status == 200)

    def waiting(self) -> list[str]:
        """Return what works in the background."""
        return list(json.loads(self.ask("/api/status"))["waiting"])

    def megabytes(self) -> float:
        """Return the memory that the server holds (resident)."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


def measure(*, rounds: int = 5, tiny: bool = False) -> dict[str, Any]:
    """Return seconds to start, from a label to guesses, of answers under load, and the memory before and after."""
    count, clients, requests = (60, 5, 100) if tiny else (10_000, 50, 10_000)
    with tempfile.TemporaryDirectory() as made:
        place = _collection(Path(made), count)
        with _serving(place) as server:
            first, began = server.seconds, time.perf_counter()
            while not server.ready():
                time.sleep(0.1)
            guesses = time.perf_counter() - began
            while server.waiting():
                time.sleep(0.5)
        starts = []
        for _ in range(rounds):
            with _serving(place) as server:
                starts.append(server.seconds)
        with _serving(place) as server:
            while server.waiting():
                time.sleep(0.1)
            labelling = _labelled(server, count)
            asyncio.run(_load(server, clients, requests, count))  # what is kept in memory is there then
            before = server.megabytes()
            began = time.perf_counter()
            answers = asyncio.run(_load(server, clients, requests, count))
            whole, after = time.perf_counter() - began, server.megabytes()
    return {
        "clips": count,
        "start": {
            "first": first, "guesses possible after the first": guesses, "prepared": statistics.median(starts),
        },
        "label": labelling,
        "load": {
            "clients": clients, "requests": len(answers), "requests_a_second": len(answers) / whole,
            "median": float(np.median(answers)), "95 %": float(np.quantile(answers, 0.95)), "largest": max(answers),
        },
        "memory_mb": {"before": before, "after": after},
    }  # fmt: skip


def _collection(folder: Path, count: int) -> Path:
    """Write drawn embeddings of clips with a class and a speaker, tiny sounds, and maps, as if t-SNE were done."""
    draw = np.random.default_rng(0)
    write_recordings(folder / "sounds", count, sample_rate=8000, seconds=SECONDS)
    names = np.array([f"{number:06d}.wav" for number in range(count)])
    classes, speakers = draw.integers(CLASSES, size=count), draw.integers(SPEAKERS, size=count)
    columns, edges = [], np.cumsum([0, *PARTS.values()]).tolist()
    for part, size in PARTS.items():
        groups = classes if "words" in part else speakers
        centres = draw.standard_normal((groups.max() + 1, size), dtype=np.float32)
        columns.append(centres[groups] + 2 * draw.standard_normal((count, size), dtype=np.float32))
    labels = {"class": classes.astype(np.str_), "speaker": speakers.astype(np.str_)}
    bounds = dict(zip(PARTS, itertools.pairwise(edges), strict=True))
    made = Embeddings(np.concatenate(columns, axis=1), names, labels, bounds, np.full(count, "train"))
    made.save(folder / "clips.npz")
    spaces = Spaces(open_collection(folder / "clips.npz"))
    for part in ("words", "voices"):
        spaces.keep_map(part, np.arange(count), spaces.principal(part))
    return folder / "clips.npz"


@contextmanager
def _serving(place: Path) -> Iterator[Server]:
    words = ["explore", str(place), "--audio", str(place.parent / "sounds"), "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "mfcl", *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not (found := re.search(r"(http://\S+)/\?token=(\S+)", said)):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the server did not start: {said}")
                said += line
            jar = CookieJar()
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
            opener.open(f"{found[1]}/?token={found[2]}", timeout=60).read()
            opener.open(f"{found[1]}/api/about", timeout=60).read()
            seconds = time.perf_counter() - began
            cookies = "; ".join(f"{one.name}={one.value}" for one in jar)
            yield Server(process, found[1], cookies, seconds)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        finally:
            process.kill()


def _labelled(server: Server, count: int) -> dict[str, float]:
    """Return the seconds from a label until all guesses are renewed, and until the next clips to label are known.

    Also those until the classifier is fitted and exported, right after a label, when nothing is kept of it.
    """
    guesses, useful = [], []
    classes = np.random.default_rng(0).integers(CLASSES, size=count).tolist()  # as `_collection` draws them
    clips = np.random.default_rng(1).permutation(count).tolist()
    for turn, clip in enumerate(clips[: LABELS + 2]):
        began = time.perf_counter()
        _label(server, [clip], classes)
        if turn < 2:
            continue  # of one class nothing can be guessed
        server.ask("/api/guesses?column=heard")
        guesses.append(time.perf_counter() - began)
        began = time.perf_counter()
        server.ask("/api/suggestions?column=heard&order=useful&count=10")
        useful.append(time.perf_counter() - began)
    found = {
        "guesses, median": statistics.median(guesses), "guesses, largest": max(guesses),
        "what to label next, median": statistics.median(useful),
    }  # fmt: skip
    given = LABELS + 2
    for wanted in (LABELS + 3, MORE_LABELS):
        if wanted >= count:
            break
        _label(server, clips[given : wanted - 1], classes)
        server.ask("/api/guesses?column=heard")
        while server.waiting():
            time.sleep(0.1)
        began = time.perf_counter()
        _label(server, clips[wanted - 1 : wanted], classes)
        server.ask("/api/export/classifier?column=heard")
        found[f"the classifier by {wanted} labels, fitted and exported"] = time.perf_counter() - began
        given = wanted
    return found


def _label(server: Server, clips: list[int], classes: list[int]) -> None:
    cells = [[clip, "label", f"class {classes[clip]}"] for clip in clips]
    if cells:
        server.ask("/api/steps", {"column": "heard", "how": "picked", "cells": cells})


async def _load(server: Server, clients: int, requests: int, count: int) -> list[float]:
    """Return the seconds of each answer to clients that open the page and then go from clip to clip."""
    found: list[float] = []
    await asyncio.gather(*(_client(server, one, requests // clients, count, found) for one in range(clients)))
    return found


async def _client(server: Server, number: int, requests: int, count: int, found: list[float]) -> None:
    host, port = server.base.removeprefix("http://").split(":")
    clips = np.random.default_rng(number).integers(count, size=requests).tolist()
    opening = ["/", "/api/about", "/api/ids", "/api/maps/words", "/api/maps/voices", "/api/columns?name=class"]
    opening += ["/api/labels?column=heard", "/api/guesses?column=heard"]
    each = ["sound", "picture", "near?part=words", "near?part=voices"]
    moving = (f"/api/clips/{clip}/{what}" for clip in clips for what in each)
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    for path in itertools.islice(itertools.chain(opening, moving), requests):
        began = time.perf_counter()
        head = f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncookie: {server.cookies}\r\n\r\n"
        writer.write(head.encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = re.search(r"content-length: (\d+)", answer, re.IGNORECASE)
        if size is None or not answer.startswith("HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {answer}")
        await reader.readexactly(int(size[1]))
        found.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    load, memory, about = found["load"], found["memory_mb"], f"explorer, {found['clips']:,} clips"
    times = ", ".join(f"{name} {1000 * load[name]:.0f} ms" for name in ("median", "95 %", "largest"))
    return [
        *((f"{about}, start, {name}: seconds", f"{seconds:.2f}") for name, seconds in found["start"].items()),
        *((f"{about}, after a label, {name}: seconds", f"{seconds:.2f}") for name, seconds in found["label"].items()),
        (f"{about}, {load['clients']} clients, {load['requests']:,} requests", times),
        (f"{about}, {load['clients']} clients: requests a second", f"{load['requests_a_second']:.0f}"),
        (f"{about}, memory before and after", f"{memory['before']:.0f} and {memory['after']:.0f} MB"),
    ]
