"""Try one kind of spoilt input after the other, in a process of its own that may hang, crash or fill its memory.

python -m tests.fuzz.run KIND ROOM --first SEED --seconds S     the sound input, then SEED, SEED + 1, ... for S seconds
python -m tests.fuzz.run KIND ROOM --seed SEED                  one of them again, with its traceback

ROOM holds `failures.jsonl`, the inputs that failed in `kept/SEED`, and in `seed` the one that is being tried.
"""

import argparse
import contextlib
import faulthandler
import importlib
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random

import mfcl
from mfcl.errors import MfclError
from tests.fuzz.kinds import Kind, finite

KINDS = (
    *("audio_files", "manifests", "recipe_files", "checkpoints", "embedding_files"),
    *("reports", "study_folders", "answers"),
)
SLOW_SECONDS = 10
MOST_BYTES = 1 << 30
SOUND = -1
"""The seed of the input that is not spoilt at all."""
FULL = 3
"""The exit status after an input that filled the memory: what is measured is the highest use of a whole process."""


class TooSlowError(BaseException):
    """Not an Exception, so that nothing in between takes it for a fault of its own."""


def main() -> int:
    """Run as the module's docstring says."""
    asked = argparse.ArgumentParser()
    asked.add_argument("kind", choices=KINDS)
    asked.add_argument("room", type=Path)
    asked.add_argument("--first", type=int, default=0)
    asked.add_argument("--seconds", type=float, default=20.0)
    asked.add_argument("--seed", type=int)
    given = asked.parse_args()
    warnings.simplefilter("ignore")
    kind: Kind = importlib.import_module(f"tests.fuzz.{given.kind}").KIND
    room = given.room.absolute()
    _prepare(kind, room)
    _bound_memory()
    signal.signal(signal.SIGALRM, _too_slow)
    if given.seed is not None:
        what = attempt(kind, given.kind, room, given.seed, shown=True)
        print(what or "nothing is wrong with it")
        return 1 if what else 0
    end = time.monotonic() + given.seconds
    for seed in itertools.chain([SOUND], itertools.count(given.first)):
        (room / "seed").write_text(str(seed))
        what = attempt(kind, given.kind, room, seed)
        if what:
            keep(room, seed, what)
        if _used() > MOST_BYTES:
            return FULL
        if time.monotonic() > end or (what and seed == SOUND):
            return 0
    return 0


def attempt(kind: Kind, name: str, room: Path, seed: int, *, shown: bool = False) -> str:
    """Make the input of one seed in `room/case` and use it; return what is wrong, or nothing."""
    case = room / "case"
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(room / "sound", case)
    if seed != SOUND:
        kind.spoil(case, Random(f"{name} {seed}"))
    before = _outside(room)
    os.chdir(room / "empty")
    signal.setitimer(signal.ITIMER_REAL, SLOW_SECONDS)
    faulthandler.dump_traceback_later(2 * SLOW_SECONDS, exit=True)  # where no exception ends it, such as in C
    try:
        none = [place for place, value in enumerate(kind.use(case), start=1) if not finite(value)]
        what = f"success, but result {none[0]} has numbers that are none" if none else ""
    except MfclError as error:
        lines = len(str(error).splitlines())
        what = "" if lines == 1 else f"an error of {lines} lines: {str(error)[:200]!r}"
        if seed == SOUND:
            what = f"the sound input fails: {error}"
    except TooSlowError as error:
        what = f"longer than {SLOW_SECONDS} s, {_where(error)}"
    except BaseException as error:  # also SystemExit, and what is no Exception at all
        if shown:
            traceback.print_exc()
        what = f"{type(error).__name__}, {_where(error)}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
    if _used() > MOST_BYTES:
        what = what or f"more than {MOST_BYTES:,} bytes of memory"
    if _outside(room) != before:
        what = what or f"written outside of its folder: {sorted(_outside(room) ^ before)[:3]}"
    return what


def _prepare(kind: Kind, room: Path) -> None:
    """Write the sound inputs where the spoilt ones will be, so that paths in them stay true."""
    for name in ("empty", "kept"):
        (room / name).mkdir(parents=True, exist_ok=True)
    if not (room / "sound").exists():
        shutil.rmtree(room / "case", ignore_errors=True)
        (room / "case").mkdir()
        kind.prepare(room / "case")
        shutil.copytree(room / "case", room / "sound")


def keep(room: Path, seed: int, what: str) -> None:
    """Note a failure, and put its input aside."""
    with contextlib.suppress(OSError, shutil.Error):  # a pipe in it cannot be copied
        shutil.copytree(room / "case", room / "kept" / str(seed), dirs_exist_ok=True)
    with (room / "failures.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"seed": seed, "what": what}) + "\n")


def _outside(room: Path) -> set[tuple[str, int, int]]:
    """Return the files in the room and beside it that no input may touch."""
    paths = [*room.parent.iterdir(), *room.iterdir(), *(room / "sound").rglob("*"), *(room / "empty").rglob("*")]
    found = set()
    for path in paths:
        if path.is_file() and path.name not in ("seed", "failures.jsonl", "log"):
            found.add((str(path), path.stat().st_size, path.stat().st_mtime_ns))
        elif path.is_dir() and path.parent != room.parent:
            found.add((str(path), 0, 0))
    return found - {(str(room / "case"), 0, 0)}


def _where(error: BaseException) -> str:
    """Return the deepest line of the package in a traceback."""
    package = Path(mfcl.__file__).parent
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).is_relative_to(package)]
    last = frames[-1] if frames else None
    return f"{Path(last.filename).relative_to(package)}:{last.lineno}" if last else "outside of mfcl"


def _too_slow(*_: object) -> None:
    raise TooSlowError


def _used() -> int:
    """Return the most memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux the figure below may be that of the process that started this one
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _bound_memory() -> None:
    """Let what asks for far too much fail at once, before the machine suffers."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # then only what was used is looked at
    bound = pages * resource.getpagesize() + 3 * MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


if __name__ == "__main__":
    sys.exit(main())
