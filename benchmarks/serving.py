"""Serving: requests a second, latencies and processor time of `mfcl serve` on loopback, by the number of clients."""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile

from benchmarks.models import model_to_time
from mfcl.checkpoint import save_checkpoint
from mfcl.recipe import load_recipe

CLIENTS = (1, 4, 16)
SECONDS = 1.0
"""Of sound in a request, 16 kHz, 16 bits."""
LASTING = 20.0
"""Seconds for which clients ask."""


def measure(*, clients: Sequence[int] = CLIENTS, tiny: bool = False) -> dict[str, Any]:
    """Return requests a second, and the median and 95th percentile of latencies in milliseconds."""
    settings = ["model.wave.width=0.1", "model.mel.width=0.25", "model.neck.width=32"] if tiny else []
    clients, lasting = ((2,), 1.0) if tiny else (clients, LASTING)
    recipe = load_recipe("default", settings)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(model_to_time(recipe), recipe, Path(folder) / "model")
        words = [sys.executable, "-m", "mfcl", "serve", str(Path(folder) / "model"), "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                address = _address(process)
                found = {str(count): _load(process.pid, address, count, lasting) for count in clients}
            finally:
                process.kill()
    return {"seconds_of_sound": SECONDS, "clients": found}


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://\S+/sound", line)
        if found:
            return found[0]
    raise RuntimeError("mfcl serve did not begin")


def _load(server: int, address: str, clients: int, lasting: float) -> dict[str, float]:
    """Let clients ask one request after another; the first of each is not counted."""
    time_axis = np.arange(round(16_000 * SECONDS)) / 16_000
    content = io.BytesIO()
    soundfile.write(content, 0.3 * np.sin(2 * np.pi * (300 + 200 * time_axis) * time_axis), 16_000, format="WAV")
    body, begun = content.getvalue(), threading.Barrier(clients)

    def one(_: int) -> list[tuple[float, float]]:
        taken = []
        with httpx.Client(timeout=120) as client:
            client.post(address, params={"embedding": "none"}, content=body).raise_for_status()
            begun.wait()
            end = time.perf_counter() + lasting
            while time.perf_counter() < end:
                start = time.perf_counter()
                client.post(address, content=body).raise_for_status()
                taken.append((start, time.perf_counter()))
        return taken

    before = cpu_seconds(server)
    with ThreadPoolExecutor(clients) as pool:
        spans = np.array([span for some in pool.map(one, range(clients)) for span in some])
    used = cpu_seconds(server) - before
    latencies = 1000 * (spans[:, 1] - spans[:, 0])
    return {
        "requests_a_second": len(spans) / float(spans[:, 1].max() - spans[:, 0].min()),
        "median_ms": float(np.median(latencies)), "p95_ms": float(np.percentile(latencies, 95)),
        **({"cpu_ms_a_request": 1000 * used / (len(spans) + clients)} if used else {}),
    }  # fmt: skip


def cpu_seconds(server: int) -> float:
    """Return the processor time so far of a process and of those it started; 0 where the system does not tell."""
    total = 0.0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it just ended
            fields = file.read_text(encoding="utf-8").rpartition(")")[2].split()
            if server in (int(file.parent.name), int(fields[1])):
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"{clients} clients, {found['seconds_of_sound']:g} s of sound: a second; median, 95 % ms; processor ms",
            f"{own['requests_a_second']:.1f}; {own['median_ms']:.0f}, {own['p95_ms']:.0f}; "
            f"{own.get('cpu_ms_a_request', 0):.0f}",
        )
        for clients, own in found["clients"].items()
    ]
