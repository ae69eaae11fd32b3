"""Searches: processor seconds of each process when one, two and four share a training's searches for neighbours."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.models import model_to_time
from benchmarks.sounds import open_recordings, write_recordings
from mfcl.core import distributed
from mfcl.core.machine import use_machine
from mfcl.recipe import load_recipe
from mfcl.training.neighbour_search import compare
from mfcl.training.positives import Neighbourhood
from mfcl.training.tasks.neighbours import search_content, search_voices

RECORDINGS = 2000
PROCESSES = (1, 2, 4)
FORMATS = ("wave", "mel")


def measure(*, tiny: bool = False) -> dict[str, Any]:
    """Return processor seconds of the busiest process and of all, by search and number of processes, one thread each.

    A processor's seconds and not the clock's, so that a machine with fewer cores than processes tells them, too.
    """
    count = 60 if tiny else RECORDINGS
    with tempfile.TemporaryDirectory() as folder:
        recordings = write_recordings(Path(folder) / "sounds", count)
        _store(recordings)
        shares = {size: _together(recordings, size) for size in (PROCESSES[:2] if tiny else PROCESSES)}
    searches = list(shares[1][0])
    busiest = {size: {one: max(each[one] for each in found) for one in searches} for size, found in shares.items()}
    whole = {size: {one: sum(each[one] for each in found) for one in searches} for size, found in shares.items()}
    return {"recordings": count, "busiest_process_seconds": busiest, "all_processes_seconds": whole}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    busiest, whole = found["busiest_process_seconds"], found["all_processes_seconds"]
    return [
        (
            f"search by {one} among {found['recordings']}: the busiest of its processes (all together)",
            "; ".join(f"{size}: {busiest[size][one]:.1f} s ({whole[size][one]:.1f})" for size in busiest),
        )
        for one in next(iter(busiest.values()))
    ]


def _store(recordings: Path) -> Any:
    return open_recordings(recordings, load_recipe("default"), recordings.with_suffix(".cache"))


def _together(recordings: Path, size: int) -> list[dict[str, float]]:
    """Run that many processes, which meet in a file; return the seconds of each."""
    meeting = recordings.with_name(f"meeting-{size}")
    asked = [sys.executable, "-m", "benchmarks.searches", str(recordings), meeting.as_uri()]
    own = {"WORLD_SIZE": str(size), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(asked, env={**os.environ, **own, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(size)
    ]
    said = [one.communicate()[0] for one in running]
    if any(one.returncode for one in running):
        raise RuntimeError("a process of the searches failed")
    return [json.loads(lines.splitlines()[-1]) for lines in said]


def child(recordings: Path, meeting: str) -> dict[str, float]:
    """Do this process's share of each search; return its processor seconds."""
    use_machine(1)
    distributed.start("cpu", meeting=meeting)
    store, model = _store(recordings), model_to_time(load_recipe("default"))
    hood = Neighbourhood(len(store), positives=8, ambiguous=60, seed=0)
    works = {
        "alignment": lambda: compare(store, seed=0),
        "vectors of content": lambda: search_content(hood, model, store, FORMATS, project=None),
        "vectors of voices": lambda: search_voices(hood, model, store, FORMATS, learned=True),
    }
    found = {}
    for name, work in works.items():
        distributed.barrier()
        start = time.process_time()
        work()
        found[name] = time.process_time() - start
    distributed.barrier()
    distributed.stop()
    return found


if __name__ == "__main__":
    print(json.dumps(child(Path(sys.argv[1]), sys.argv[2])))
