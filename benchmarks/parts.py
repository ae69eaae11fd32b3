"""Parts: clips a second and peak memory of embedding in part files and of exact search in them, as the list grows."""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth import peak_mb
from benchmarks.models import model_to_time
from benchmarks.sounds import write_recordings
from mfcl.checkpoint import save_checkpoint
from mfcl.core.plain_values import from_dict
from mfcl.recipe import Recipe

SIZES = (1_000, 10_000, 100_000)
A_PART = 1_000
"""Clips in a part file."""
FILES = 200
"""Different files of a second of sound; a list names each many times, with ids of their own."""
MOST_SECONDS = 300.0
"""A size that would take longer, by the rate of the one before, is left out and said."""
TINY = {
    "name": "tiny",
    "model": {
        "mel_format": {"fft": 512, "window": 400, "hop": 320, "bands": 32},
        "wave": {"name": "filterbank1d", "width": 0.05},
        "mel": {"name": "melcnn", "width": 0.125},
    },
}
"""Two encoders so small that decoding, lists and files are most of the work."""
WORKS = ("list", "embed", "search")
"""The first only reads the list, checks it and cuts it into parts; it is done for all sizes."""


def measure(*, clips: Sequence[int] = SIZES, tiny: bool = False) -> dict[str, Any]:
    """Return clips a second and peak memory of each work in a process of its own, by the number of clips."""
    sizes, a_part = ((8,), 4) if tiny else (clips, A_PART)
    found: dict[str, dict[int, Any]] = {work: {} for work in WORKS}
    left_out: list[int] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        recipe = from_dict(Recipe, TINY, where="benchmarks.parts")
        save_checkpoint(model_to_time(recipe), recipe, folder / "model")
        files = sorted(write_recordings(folder / "sound", 4 if tiny else FILES, seconds=1.0).rglob("*.wav"))
        rate = float("inf")
        for size in sizes:
            write_list(folder / f"{size}.csv", files, size)
            long = size / rate > MOST_SECONDS
            for work in WORKS[:1] if long else WORKS:
                found[work][size] = _alone(work, folder, size, max(size // a_part, 1))
            if long:
                left_out.append(size)
            else:
                rate = found["embed"][size]["clips_per_second"]
    return {"a_part": a_part, "works": found, **({"left_out": left_out} if left_out else {})}


def write_list(path: Path, files: Sequence[Path], size: int) -> None:
    """Write a list of so many recordings, which names the files in turn."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "id", "source"])
        rows.writerows((files[row % len(files)], f"clip-{row:09d}", row % len(files)) for row in range(size))


def _alone(work: str, folder: Path, size: int, parts: int) -> dict[str, float]:
    asked = [sys.executable, "-m", "benchmarks.parts", work, str(folder), str(size), str(parts)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(work: str, folder: Path, size: int, parts: int) -> dict[str, float]:
    """Do one work; return clips a second and the process's peak memory in MB."""
    from mfcl.data.manifest_blocks import list_parts
    from mfcl.embedding_parts import embed_parts
    from mfcl.embeddings.blocks import open_blocks
    from mfcl.embeddings.nearest import top_k_of_blocks

    out = folder / f"vectors-{size}"
    start, used = time.perf_counter(), time.process_time()
    if work == "list":
        for _ in list_parts(folder / f"{size}.csv").parts(range(parts), parts):
            pass
    elif work == "embed":
        embed_parts(folder / "model", folder / f"{size}.csv", out, parts=parts, progress=False)
    else:
        query = next(iter(open_blocks(out))).vectors[:1]
        top_k_of_blocks(query, (block.vectors for block in open_blocks(out)), min(10, size))
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return {
        "seconds": seconds,
        "clips_per_second": size / seconds,
        "clips_per_processor_second": size / used,  # on a machine with other work, the steadier figure
        "peak_mb": peak_mb(),
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = [
        (
            f"parts of {found['a_part']} clips, {work}, by clips",
            "; ".join(
                f"{size}: {one['clips_per_second']:.0f} clips/s, {one['clips_per_processor_second']:.0f} a processor "
                f"second, {one['peak_mb']:.0f} MB"
                for size, one in sizes.items()
            ),
        )
        for work, sizes in found["works"].items()
    ]
    left_out = ", ".join(map(str, found.get("left_out", ())))
    return lines + (
        [(f"parts, embedding would take longer than {MOST_SECONDS:.0f} s, left out", left_out)] if left_out else []
    )


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
