"""The first start on a folder of WAV clips of 48 kHz, scan and decoding, and the next one."""

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.standin import write_standin
from mfcl.data.dataset import open_data
from mfcl.recipe import load_recipe


def measure(*, rounds: int = 3, tiny: bool = False, full: bool = False) -> dict[str, Any]:
    """Return the seconds of the first start, and the median of the next ones; 30,000 clips with `full`, else 3,000."""
    speakers, takes = (4, 2) if tiny else (60, 50 if full else 5)
    recipe = load_recipe("default")
    with tempfile.TemporaryDirectory() as folder:
        root = write_standin(Path(folder) / "standin", speakers=speakers, takes=takes)
        seconds = []
        for _ in range(1 + rounds):
            start = time.perf_counter()
            data = open_data(root, recipe.preparation, cache=Path(folder) / "cache", progress=False)
            seconds.append(time.perf_counter() - start)
    later = sorted(seconds[1:])[rounds // 2]
    return {"clips": len(data.store), "first_seconds": seconds[0], "next_seconds": later}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    clips = found["clips"]
    return [
        (f"{clips} clips of 48 kHz, first start (scan, decode, store): seconds", f"{found['first_seconds']:.1f}"),
        (f"{clips} clips of 48 kHz, next start: seconds", f"{found['next_seconds']:.2f}"),
    ]
