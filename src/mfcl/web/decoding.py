"""Decode and prepare files that others sent, in processes of their own with limits on time and memory.

python -m mfcl.web.decoding SETTINGS: each line on standard input names a file and where its samples go; each is
answered by one line of JSON.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mfcl.audio import Preparation, heard, read_prepared
from mfcl.core.processes import limit_process, own_process
from mfcl.errors import AudioError, MfclError

LONGEST = 60.0
"""Seconds of a file, after preparation."""
WALL_SECONDS = 20.0
"""Within which a file must be decoded."""
MEMORY = 3 * 2**30
"""Bytes of address space of a process."""
LARGEST_FILE = 256 * 2**20
"""Bytes that a process may write to one file."""
FILES = 500
"""Files after which a process is replaced by a new one."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A file as the model hears it.

    Attributes:
        samples: Prepared samples at the model's rate.
        notices: Problems of the file with which it is used.
    """

    samples: Float32[np.ndarray, " samples"]
    notices: tuple[str, ...]


class Decoders:
    """Processes that decode, each one file at a time; a process that takes too long is ended and replaced.

    Args:
        preparation: How recordings are prepared.
        count: Number of processes.
        seconds: Within which a file must be decoded.
    """

    def __init__(self, preparation: Preparation, count: int, *, seconds: int | float = WALL_SECONDS) -> None:
        self._settings, self._seconds = json.dumps(asdict(preparation)), seconds
        self._free: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)  # begun when it is needed
        self._count = count

    def decode(self, content: bytes) -> Decoded:
        """Return a file's bytes as the model hears them; waits for a free process.

        Raises:
            AudioError: it is no sound, is too long, or takes too long.
        """
        worker, kept = self._free.get(), False
        try:
            if worker is not None and worker.ended:  # such as by the system, for want of memory: not by this file
                worker.end()
                worker = None
            worker = worker or _Worker(self._settings)
            found = worker.decode(content, self._seconds)
            kept = worker.files < FILES
            return found
        except AudioError:
            kept = worker is not None and worker.lives
            raise
        finally:
            if worker is not None and not kept:
                worker.end()
            self._free.put(worker if kept else None)

    def close(self) -> None:
        """End the processes; waits for those at work."""
        for _ in range(self._count):
            worker = self._free.get()
            if worker is not None:
                worker.end()


class _Worker:
    """One process, and how many files it has decoded."""

    def __init__(self, settings: str) -> None:
        words = own_process("mfcl.web.decoding", settings)
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **one_thread},
        )  # fmt: skip
        self.files, self.lives = 0, True

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def decode(self, content: bytes, seconds: int | float) -> Decoded:
        self.files += 1
        with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
            given, made = Path(folder) / "sound", Path(folder) / "samples.npy"
            given.write_bytes(content)
            told = self._told(json.dumps([str(given), str(made)]), seconds)
            if "error" in told:
                raise AudioError(str(told["error"]).replace(str(given), "the file"))
            return Decoded(np.load(made, allow_pickle=False), tuple(told["notices"]))

    def _told(self, line: str, seconds: int | float) -> dict[str, list[str] | str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        clock = threading.Timer(seconds, self._process.kill)
        clock.start()
        answer = b""
        try:
            with contextlib.suppress(OSError):  # it ended: there is no answer
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
        finally:
            clock.cancel()
        try:
            found: dict[str, list[str] | str] = json.loads(answer)
        except ValueError:
            self.lives = False
            raise AudioError("the file cannot be heard: it needs too much time or memory, or is damaged") from None
        return found

    def end(self) -> None:
        self.lives = False
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._process.wait()


def main() -> int:
    """Decode what is asked for, with the limits set, until there is no more."""
    limit_process(cpu_seconds=None, memory=MEMORY, largest_file=LARGEST_FILE)
    preparation = Preparation(**json.loads(sys.argv[1]))
    for answer in _answers(preparation):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


def _answers(preparation: Preparation) -> Iterator[dict[str, list[str] | str]]:
    for line in sys.stdin:
        given, made = (Path(word) for word in json.loads(line))
        try:
            yield {"notices": list(prepare_file(given, made, preparation))}
        except MfclError as error:
            yield {"error": str(error)}


def prepare_file(given: Path, made: Path, preparation: Preparation) -> tuple[str, ...]:
    """Write a file's prepared samples as NumPy's, and return its notices.

    Raises:
        AudioError: it is no sound, or longer than `LONGEST`.
    """
    sound, notices = read_prepared(given, preparation)
    if len(sound) > LONGEST * preparation.sample_rate:
        seconds = len(sound) / preparation.sample_rate
        raise AudioError(
            f"the file lasts {seconds:.0f} s, wanted at most {LONGEST:.0f} s; send windows of it, or use "
            "mfcl classify --window on the file"
        )
    with made.open("wb") as file:
        np.save(file, np.asarray(heard(sound)[: len(sound)]))
    return notices


if __name__ == "__main__":
    sys.exit(main())
