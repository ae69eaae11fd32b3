"""The explorer's page with many clips in a real browser: python -m benchmarks.page [--gpu] [--json FILE] [COUNT ...]

In headless Chromium with software rendering (no graphics card: the slowest case; or with one, by --gpu): seconds until
the maps are drawn, frames a second while one is moved and zoomed, what a hover, a lasso, new colours and an arrow key
take, and memory. What draws is told, too, since a browser that cannot use a card draws without one.
The browser's processor time for each is told too, since it hardly depends on what else the machine does.
Vectors, maps and nearest clips are drawn at random, as if they had been worked out. Needs playwright and a Chromium.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.points import ARGUMENTS, ON_A_GPU
from benchmarks.timing import machine
from mfcl.embeddings.alignment.ties import EDGES
from mfcl.embeddings.table import Embeddings
from mfcl.explore.collection import open_collection
from mfcl.explore.spaces import Spaces

COUNTS = (30_000, 100_000)
CLASSES, SPEAKERS, SIZE = 10, 60, 16
SCREEN = {"width": 1280, "height": 800}
ROUNDS = 7
SCRIPT = (Path(__file__).parent / "page.js").read_text()


def measure(count: int, *, gpu: bool = False) -> dict[str, Any]:
    """Return the figures for a number of clips."""
    with tempfile.TemporaryDirectory() as made, sync_playwright() as running:
        place = write_collection(Path(made), count)
        with serving(place) as (address, server):
            browser = running.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=[*(ON_A_GPU if gpu else ARGUMENTS), "--enable-precise-memory-info"],
            )
            page = browser.new_page(viewport=SCREEN, reduced_motion="reduce")
            began = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("body.ready", timeout=300_000)
            page.evaluate(f"async () => {{ {SCRIPT} }}")
            page.evaluate("window.measured('a frame', 1)")
            found: dict[str, Any] = {"clips": count, "drawn by": page.evaluate("window.drawnBy()")}
            found["seconds until drawn"] = time.perf_counter() - began
            page.wait_for_selector("body[data-waiting='']", timeout=300_000, state="attached")
            for name in page.evaluate("window.names"):
                began = spent()
                found[name] = page.evaluate("([name, rounds]) => window.measured(name, rounds)", [name, ROUNDS])
                found[name]["processor, ms"] = 1000 * (spent() - began) / ROUNDS
            page.evaluate("() => document.querySelector('.map .keys button:last-child').click()")
            found["pan"] = _dragged(page, lasso=False)
            found["lasso"] = _dragged(page, lasso=True)
            found["memory, MB"] = {
                "script": page.evaluate("() => performance.memory.usedJSHeapSize / 1e6"),
                "browser": sum(map(megabytes, browsers())),
                "server": megabytes(server),
            }
            browser.close()
    return found


def write_collection(folder: Path, count: int) -> Path:
    """Write drawn vectors, maps and nearest clips."""
    draw = np.random.default_rng(0)
    classes, speakers = draw.integers(CLASSES, size=count), draw.integers(SPEAKERS, size=count)
    groups = {"words": classes, "voices": speakers}
    vectors = [
        draw.standard_normal((own.max() + 1, SIZE), dtype=np.float32)[own]
        + draw.standard_normal((count, SIZE), dtype=np.float32)
        for own in groups.values()
    ]
    labels = {"class": classes.astype(np.str_), "speaker": speakers.astype(np.str_)}
    names = np.array([f"clip {number:06d}" for number in range(count)])
    parts = {"mel words": (0, SIZE), "mel voices": (SIZE, 2 * SIZE)}
    made = Embeddings(np.concatenate(vectors, axis=1), names, labels, parts, np.full(count, "train"))
    made.save(folder / "clips.npz")
    spaces = Spaces(open_collection(folder / "clips.npz"))
    for part, own in groups.items():
        middles = draw.uniform(-1, 1, (own.max() + 1, 2))
        spots = middles[own] + 0.12 * draw.standard_normal((count, 2))
        spaces.keep_map(part, np.arange(count), spots.astype(np.float32))
    steps = np.arange(EDGES + 1)
    places = ((np.arange(count)[:, None] + steps) % count).astype(np.int32)
    angles = np.broadcast_to((0.1 + 0.01 * steps).astype(np.float32), places.shape)
    for kind in spaces.prepared.kinds:
        np.savez(spaces.table_file(kind), places=places, angles=angles)
    return folder / "clips.npz"


@contextlib.contextmanager
def serving(place: Path) -> Iterator[tuple[str, int]]:
    """Start the explorer; yield its address and the number of its process."""
    words = [sys.executable, "-m", "mfcl", "explore", str(place), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while not (found := re.search(r"http://\S+", line := process.stdout.readline())):
                if not line:
                    raise RuntimeError("the server did not start")
            yield found[0], process.pid
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        finally:
            process.kill()


def _dragged(page: Any, *, lasso: bool) -> dict[str, float]:
    """Drag with a real mouse; return frames a second, and the milliseconds of the page's work as it ends."""
    box = page.locator(".map[data-part=words] .over").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    radius = 0.4 * min(box["width"], box["height"]) if lasso else 60
    page.evaluate("window.dragging()")
    if lasso:
        page.keyboard.down("Shift")
    page.mouse.move(x + radius, y)
    page.mouse.down()
    moves, before = 9 * ROUNDS, spent()
    pace = page.evaluate("(given) => window.swept(...given)", [x, y, radius, moves])
    processor = 1000 * (spent() - before) / moves
    page.mouse.up()
    page.keyboard.up("Shift")
    return {
        "frames a second": pace, "processor for each, ms": processor,
        "work at its end, ms": page.evaluate("window.seen.ended"),
    }  # fmt: skip


def browsers() -> list[int]:
    """Return the numbers of the browser's processes: those below this one."""
    parents, found = {}, []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if "chrom" in (entry / "comm").read_text():
                found.append(int(entry.name))
    return [one for one in found if os.getpid() in _above(one, parents)]


def _above(one: int, parents: dict[int, int]) -> list[int]:
    found: list[int] = []
    while one in parents and one not in found:
        found.append(one)
        one = parents[one]
    return found


def spent() -> float:
    """Return the seconds of processor time that the browser's processes have used."""
    total = 0
    for one in browsers():
        with contextlib.suppress(OSError):
            total += sum(map(int, Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def megabytes(process: int) -> float:
    """Return a process's share of memory, in which what several share counts once in all, else what it holds."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3
    return 0.0


def main() -> None:
    """Print the figures of each count, and write them if wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=list(COUNTS), metavar="COUNT", help="numbers of clips")
    parser.add_argument("--gpu", action="store_true", help="draw by a graphics card, by Vulkan")
    parser.add_argument("--json", type=Path, help="where figures are written")
    given = parser.parse_args()
    found = []
    for count in given.counts:
        found.append(measure(count, gpu=given.gpu))
        print(f"{count:,} clips")
        for name, value in found[-1].items():
            if isinstance(value, dict):
                print(f"  {name}: " + ", ".join(f"{key} {own:.1f}" for key, own in value.items()))
            elif name != "clips":
                print(f"  {name}: {value if isinstance(value, str) else f'{value:.2f}'}")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "pages": found}, indent=1))


if __name__ == "__main__":
    main()
