"""Approximate search: an index's recall, processor time, memory and disk beside exact search, as the list grows."""

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import peak_mb
from mfcl.embeddings.part_files import Receipt, begin_parts
from mfcl.embeddings.table import Embeddings

SIZES = (10_000, 100_000)
A_PART = 10_000
PARTS = {
    "wave words": (0, 64), "wave words projection": (64, 192), "mel words": (192, 256),
    "mel words projection": (256, 384),
}  # fmt: skip
"""Columns of the embeddings of a model of the recipe `bioacoustics`."""
DIM = 384
KINDS = ("classes", "noise")
"""Vectors in classes of 50 about, with variances that fall as 1 / n; and noise, in which no two are near: the worst."""
QUERIES = 20
WIDTHS = (128, 512)
"""Candidates of the graph: what `mfcl similar` asks for, and more."""
WORKS = ("index", "approximate", "exact")
SEED = 1


def measure(*, clips: Sequence[int] = SIZES, tiny: bool = False) -> dict[str, Any]:
    """Return what each work takes in a process of its own, by kind of vectors and their number."""
    if not importlib.util.find_spec("usearch"):
        return {"works": {}, "ratios": {}, "absent": "usearch (extra ann) is not installed"}
    found: dict[str, dict[int, Any]] = {}
    ratios: dict[str, dict[int, float]] = {}
    for kind in KINDS[:1] if tiny else KINDS:
        found[kind], ratios[kind] = {}, {}
        for size in (400,) if tiny else clips:
            if kind == "noise" and size > min(SIZES):
                continue  # the more there are, the more are missed, and the longer it takes
            with tempfile.TemporaryDirectory() as place:
                folder = _write(Path(place) / "vectors", kind, size)
                one = {work: _alone(work, folder) for work in WORKS}
            found[kind][size] = one
            print(f"ann, {kind}, {size}: {json.dumps(one)}", file=sys.stderr, flush=True)  # the next may take an hour
            ratios[kind][size] = one["exact"]["search_seconds"] / one["approximate"]["search_seconds"]
    return {"seed": SEED, "dim": DIM, "works": found, "ratios": ratios}


def _write(folder: Path, kind: str, size: int) -> Path:
    """Write generated embeddings in parts, in the order of their classes as a list sorted by source is."""
    draw = np.random.default_rng(SEED)
    variances = np.concatenate([1 / np.arange(1, stop - start + 1) for start, stop in PARTS.values()])
    parts = max(size // A_PART, 1)
    files = begin_parts(folder, Receipt(parts, size, "generated", "ab" * 32, ".npz"))
    for part in range(parts):
        first, end = size * part // parts, size * (part + 1) // parts
        rows = draw.standard_normal((end - first, DIM), dtype=np.float32)
        if kind == "classes":
            classes = np.arange(first, end) // 50
            centres = np.random.default_rng([SEED, part]).standard_normal((classes[-1] - classes[0] + 1, DIM))
            rows = ((rows + centres[classes - classes[0]]) * np.sqrt(variances)).astype(np.float32)
        ids = np.array([f"clip-{row:09d}" for row in range(first, end)])
        table = Embeddings(rows, ids, {}, PARTS, np.full(len(ids), ""), "ab" * 32)
        table.save(files.path(part), receipt=asdict(files.receipt) | {"part": part, "failures": []})
    return folder


def _alone(work: str, folder: Path) -> dict[str, float]:
    asked = [sys.executable, "-m", "benchmarks.ann", work, str(folder)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(work: str, folder: Path) -> dict[str, float]:
    """Do one work; return processor seconds (of all threads), peak memory and what else there is to know."""
    from mfcl.classification.similarity import similar
    from mfcl.core.parallel import core_count
    from mfcl.labelling.search_index import open_search_index

    if work == "exact":
        whole = _seconds(lambda _: similar(folder, "clip-000000007"), 1)
        index = open_search_index(folder)
        asked = np.asarray(index.vectors.rows[:: max(len(index.ids) // QUERIES, 1)][:QUERIES])
        search = _seconds(lambda at: index.vectors.exact(asked[at : at + 1], 11), 3)
        return {"command_seconds": whole, "search_seconds": search, "peak_mb": peak_mb()}
    start, used = time.perf_counter(), time.process_time()
    index = open_search_index(folder, threads=core_count())
    if work == "index":
        built = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - used}
        size = sum(path.stat().st_size for path in index.folder.iterdir())
        return {**built, "peak_mb": peak_mb(), "bytes_a_vector": size / len(index.ids)}
    asked = np.asarray(index.vectors.rows[:: max(len(index.ids) // QUERIES, 1)][:QUERIES])
    search = _seconds(lambda at: index.vectors.nearest(asked[at : at + 1], 11), QUERIES)
    command = _seconds(lambda _: similar(folder, "clip-000000007", approximate=True), 3)
    peak = peak_mb()  # before the exact searches of the recall
    return {
        "search_seconds": search, "command_seconds": command, "peak_mb": peak,
        **{f"recall_{width}": index.vectors.recall(candidates=width) for width in WIDTHS},
    }  # fmt: skip


def _seconds(work: Callable[[int], Any], times: int) -> float:
    """Return the median processor seconds of a search."""
    found = []
    for at in range(times):
        used = time.process_time()
        work(at)
        found.append(time.process_time() - used)
    return statistics.median(found)


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    if "absent" in found:
        return [("ann", found["absent"])]
    lines = []
    for kind, sizes in found["works"].items():
        for size, one in sizes.items():
            made, near, exact = (one[work] for work in WORKS)
            recalls = ", ".join(f"{near[f'recall_{width}']:.1%} of {width} candidates" for width in WIDTHS)
            ratio = found["ratios"][kind][size]
            lines += [
                (
                    f"ann, {kind}, {size} x {found['dim']}: exact over approximate, processor time",
                    f"{ratio:.0f}",
                ),
                (f"ann, {kind}, {size}: recall of the nearest 10", recalls),
                (
                    f"ann, {kind}, {size}: index",
                    f"{made['processor_seconds']:.1f} processor s, {made['peak_mb']:.0f} MB, "
                    f"{made['bytes_a_vector']:.0f} bytes a vector",
                ),
                (
                    f"ann, {kind}, {size}: a search, approximate and exact; a call of `similar`",
                    f"{1e3 * near['search_seconds']:.1f} and {1e3 * exact['search_seconds']:.1f} ms; "
                    f"{near['command_seconds']:.2f} s in {near['peak_mb']:.0f} MB and "
                    f"{exact['command_seconds']:.2f} s in {exact['peak_mb']:.0f} MB",
                ),
            ]
    return lines


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]))))
