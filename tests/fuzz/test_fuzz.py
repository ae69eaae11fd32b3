"""Whatever a file or a server says: one line or a right result, in seconds, in bounded memory, in the folder given.

MFCL_FUZZ_SECONDS=N spends N seconds on all kinds together (60 if left out), MFCL_FUZZ_SEED=N begins with another
input. A failure prints how to have it again.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.run import FULL, KINDS, SLOW_SECONDS, SOUND, keep

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("MFCL_FUZZ_SECONDS", "60")) / len(KINDS)
FIRST = int(os.environ.get("MFCL_FUZZ_SEED", "0"))
START_SECONDS = 30
"""A process loads torch and writes the sound inputs, a small study among them."""
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(2 * SECONDS + 10 * (START_SECONDS + SLOW_SECONDS))
@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_input_is_one_line_or_a_right_result(kind, tmp_path):
    room = tmp_path / kind
    room.mkdir()
    tried = spend(kind, room)
    failures = [json.loads(line) for line in lines(room / "failures.jsonl")]
    report = [f"{kind}: {len(failures)} of {tried} inputs failed; the first of each way to fail:"]
    seen = set()
    for failure in failures:
        way = failure["what"].partition(": ")[0]
        if way not in seen:
            seen.add(way)
            kept = room / "kept" / str(failure["seed"])
            report.append(f"  seed {failure['seed']}: {failure['what']}\n    input: {kept}")
            report.append(f"    again: {sys.executable} -m tests.fuzz.run {kind} {room} --seed {failure['seed']}")
    assert not failures, "\n".join(report)


def spend(kind: str, room: Path) -> int:
    """Let processes try inputs until the time is over, another one after each crash; return how many were tried."""
    end, first = time.monotonic() + SECONDS, FIRST
    while True:
        code = run(kind, room, first, max(end - time.monotonic(), 0.1))
        assert (room / "seed").is_file(), (room / "log").read_text()[-2000:]  # it did not even begin
        seed = int((room / "seed").read_text())
        if code not in (0, FULL):
            keep(room, seed, f"a hang or a crash, exit status {code}: {(room / 'log').read_text()[-500:]}")
        if code == 0 or seed == SOUND or time.monotonic() > end:
            return max(seed - FIRST + 1, 1)
        first = seed + 1


def run(kind: str, room: Path, first: int, seconds: float) -> int | None:
    """Try inputs from `first` on in a process of its own; return its exit status, none if it had to be killed."""
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.run",
        kind,
        str(room),
        "--first",
        str(first),
        "--seconds",
        str(seconds),
    ]
    with (room / "log").open("ab") as log:
        try:
            return subprocess.run(
                command, cwd=ROOT, stdout=log, stderr=log, timeout=seconds + START_SECONDS + SLOW_SECONDS, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
