"""Paper: from rates measured here, how long 100 million clips take on many machines, and what limits them first."""

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.growth import peak_mb
from benchmarks.parts import write_list
from benchmarks.sounds import write_recordings

CLIPS = 100_000_000
SECONDS = 1.0
CORES = 16
"""Cores of a machine on paper."""
MACHINES = (1, 16, 64, 256)
STORAGE = 1e9
"""Bytes a second that the storage of sound gives to all machines together, on paper."""
A_PART = 10_000
ROWS = 20_000


def measure(*, tiny: bool = False) -> dict[str, Any]:
    """Measure the rates in a process of its own, and compute the rest."""
    asked = [sys.executable, "-m", "benchmarks.paper", "tiny" if tiny else "default"]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    rates: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"clips": CLIPS, "cores": CORES, "storage": STORAGE, "rates": rates, **on_paper(rates)}


def child(name: str) -> dict[str, float]:
    """Embed clips with the recipe's encoders in one thread, and read a list; return the rates."""
    import torch

    from benchmarks.models import model_to_time
    from mfcl.checkpoint import save_checkpoint
    from mfcl.data.manifest_blocks import list_parts
    from mfcl.embedding_parts import embed_parts
    from mfcl.recipe import load_recipe

    torch.set_num_threads(1)
    files, rows = (2, 200) if name == "tiny" else (256, ROWS)
    recipe = load_recipe("quick" if name == "tiny" else "default")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_checkpoint(model_to_time(recipe), recipe, folder / "model")
        sound = sorted(write_recordings(folder / "sound", files, seconds=SECONDS).rglob("*.wav"))
        write_list(folder / "warm.csv", sound, 8)
        write_list(folder / "few.csv", sound, 4 * files)
        write_list(folder / "many.csv", sound, rows)
        embed_parts(folder / "model", folder / "warm.csv", folder / "warm", parts=1, progress=False)
        used = time.process_time()
        embed_parts(folder / "model", folder / "few.csv", folder / "few", parts=1, progress=False)
        embedding = (time.process_time() - used) / (4 * files)
        used = time.process_time()
        embed_parts(folder / "model", folder / "few.csv", folder / "few", parts=1, progress=False)  # it is there
        kept = (time.process_time() - used) / (4 * files)
        used = time.process_time()
        listed = list_parts(folder / "many.csv")
        survey = (time.process_time() - used) / rows
        for _ in listed.parts(range(1), 1):
            pass
        listing = (time.process_time() - used) / rows
        return {
            "embed_seconds": embedding,
            "kept_seconds": kept,
            "list_seconds": listing,
            "survey_seconds": survey,
            "bytes_written": next((folder / "few").glob("part-*")).stat().st_size / (4 * files),
            "bytes_read": sum(path.stat().st_size for path in sound) / files,
            "peak_mb": peak_mb(),
        }


def on_paper(rates: dict[str, float]) -> dict[str, Any]:
    """Return hours and limits for `CLIPS` on each number of machines, from rates of one core.

    A worker is one core with one model. In shares each core reads the whole list twice (once to check it), then embeds.
    On Ray one process reads it for all, and its second reading goes on beside the embedding.
    """
    work, listing, survey = (CLIPS * rates[f"{name}_seconds"] for name in ("embed", "list", "survey"))
    rows = {}
    for machines in MACHINES:
        cores = machines * CORES
        storage = CLIPS * rates["bytes_read"] / STORAGE
        times = {"embedding": work / cores, "the list, read by each share": listing, "storage": storage}
        # a share reads, then embeds; storage bounds both from below
        rows[machines] = {
            "embed_hours": work / cores / 3600,
            "share_hours": max(work / cores + listing, storage) / 3600,
            "ray_hours": (survey + max(work / cores, listing - survey, storage)) / 3600,
            "limit": max(times, key=lambda name: times[name]),
            "read_mb_a_second": CLIPS * rates["bytes_read"] / max(work / cores, 1e-9) / 1e6,
        }
    return {
        "machines": rows,
        "list_hours": listing / 3600,
        "storage_hours": CLIPS * rates["bytes_read"] / STORAGE / 3600,
        "terabytes_written": CLIPS * rates["bytes_written"] / 1e12,
        "terabytes_read": CLIPS * rates["bytes_read"] / 1e12,
        "machines_at_which": {
            "storage gives no more": math.ceil(work / (CLIPS * rates["bytes_read"] / STORAGE) / CORES),
            "a share reads the list as long as it embeds": math.ceil(work / listing / CORES),
        },
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    rates, clips = found["rates"], f"{found['clips'] // 1_000_000} million clips"
    lines = [
        ("paper, measured: clips a second of a core", f"{1 / rates['embed_seconds']:.1f}"),
        ("paper, measured: a row of the list; a clip that is there", ", ".join(
            f"{1e6 * rates[name]:.0f} microseconds" for name in ("list_seconds", "kept_seconds"))),
        ("paper, measured: bytes read and written a clip; memory of a worker",
         f"{rates['bytes_read']:.0f} and {rates['bytes_written']:.0f}; {rates['peak_mb']:.0f} MB"),
        (f"paper, {clips}: terabytes read and written",
         f"{found['terabytes_read']:.1f} and {found['terabytes_written']:.2f}"),
        (f"paper, {clips}: hours of the list; of storage at {found['storage'] / 1e9:.0f} GB/s",
         f"{found['list_hours']:.1f}; {found['storage_hours']:.1f}"),
    ]  # fmt: skip
    lines += [
        (
            f"paper, {clips}, {machines} machines of {found['cores']} cores",
            f"{one['embed_hours']:.1f} h of embedding, {one['share_hours']:.1f} h in shares, {one['ray_hours']:.1f} h "
            f"by Ray, {one['share_hours'] * machines:.0f} machine-hours in shares, reads "
            f"{one['read_mb_a_second']:.0f} MB/s; longest: {one['limit']}",
        )
        for machines, one in ((int(name), one) for name, one in found["machines"].items())
    ]
    return lines + [
        (f"paper: machines at which {name}", str(many)) for name, many in found["machines_at_which"].items()
    ]


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1])))
