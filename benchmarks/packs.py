"""Packs: clips a second and peak memory of packing, and of batches of crops from a pack and from decoded files."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth import peak_mb
from benchmarks.parts import FILES, write_list
from benchmarks.sounds import write_recordings

SIZES = (1_000, 10_000)
BATCH, BATCHES = 64, 50
WORKS = ("pack", "from the pack", "from decoded files")


def measure(*, clips: Sequence[int] = SIZES, tiny: bool = False) -> dict[str, Any]:
    """Return clips a second and peak memory of each work in a process of its own, by the number of clips."""
    found: dict[str, dict[int, Any]] = {work: {} for work in WORKS}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = sorted(write_recordings(folder / "sound", 4 if tiny else FILES, seconds=1.0).rglob("*.wav"))
        for size in (8,) if tiny else clips:
            write_list(folder / f"{size}.csv", files, size)
            for work in WORKS:
                asked = [sys.executable, "-m", "benchmarks.packs", work, str(folder), str(size)]
                done = subprocess.run(asked, check=True, capture_output=True, text=True)
                found[work][size] = json.loads(done.stdout.splitlines()[-1])
    return {"batch": BATCH, "batches": BATCHES, "works": found}


def child(work: str, folder: Path, size: int) -> dict[str, float]:
    """Do one work; return clips a second of all its time and of a processor's, and the process's peak memory in MB."""
    import numpy as np

    from mfcl.audio import Preparation
    from mfcl.data.layouts import open_manifest
    from mfcl.data.shards.writing import pack
    from mfcl.data.store import open_store

    out, done = folder / f"pack-{size}", size
    if work != "pack":
        manifest = open_manifest(out if work == WORKS[1] else folder / f"{size}.csv")
        store = open_store(manifest, Preparation(), cache=folder / "cache", progress=False)
        draw, done = np.random.default_rng(0), BATCH * BATCHES
    start, used = time.perf_counter(), time.process_time()
    if work == "pack":
        pack(folder / f"{size}.csv", out, progress=False)
    else:
        for _ in range(BATCHES):
            indices = draw.integers(0, size, BATCH)
            counts = store.lengths[indices] // 2
            store.gather(indices, counts // 2, counts)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return {"clips_per_second": done / seconds, "clips_per_processor_second": done / used, "peak_mb": peak_mb()}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"{work}, by clips",
            "; ".join(
                f"{size}: {one['clips_per_second']:.0f} clips/s, {one['clips_per_processor_second']:.0f} a processor "
                f"second, {one['peak_mb']:.0f} MB"
                for size, one in sizes.items()
            ),
        )
        for work, sizes in found["works"].items()
    ]


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
