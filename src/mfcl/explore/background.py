"""One thread that works in the background, and the child processes that it waits for."""

import contextlib
import logging
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mfcl.core.processes import own_process
from mfcl.errors import MfclError
from mfcl.explore.spaces import Spaces

log = logging.getLogger(__name__)


class Background:
    """Runs named jobs one after the other; a job that waits or runs is not queued again.

    Attributes:
        failed: Name -> one line, of jobs that failed.
    """

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        self._jobs: queue.Queue[tuple[str, Callable[[], object]] | None] = queue.Queue()
        self._waiting: list[str] = []
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="background", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> list[str]:
        """Names of jobs that wait or run."""
        with self._lock:
            return list(self._waiting)

    def start(self, name: str, job: Callable[[], object]) -> None:
        """Queue a job, unless one of its name waits or runs, or has failed."""
        with self._lock:
            if self._stopped or name in self._waiting or name in self.failed:
                return
            self._waiting.append(name)
        self._jobs.put((name, job))

    def run(self, words: Sequence[str]) -> None:
        """Run a child process to its end; for jobs.

        Raises:
            MfclError: it failed, or the server stops.
        """
        with self._lock:
            if self._stopped:
                raise MfclError("stopped")
            self._child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, said = self._child.communicate()
        if self._child.returncode:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
            raise MfclError(f"a helper process failed: {last[0]}")

    def stop(self) -> None:
        """Drop what waits, end the child process, and wait for the thread."""
        with self._lock:
            self._stopped = True
            child = self._child
        if child is not None:
            with contextlib.suppress(OSError):
                child.terminate()
        self._jobs.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while (one := self._jobs.get()) is not None:
            name, job = one
            try:
                if not self._stopped:
                    job()
            except Exception as error:  # whatever it is: else all jobs after it would wait for ever
                if not self._stopped:
                    self.failed[name] = f"{name}: {error or type(error).__name__}"
                    known = isinstance(error, MfclError | OSError | MemoryError)
                    log.warning("%s", self.failed[name], exc_info=None if known else error)
            finally:
                with self._lock:
                    self._waiting.remove(name)


def place(spaces: Spaces, part: str, background: Background) -> None:
    """Make a part's t-SNE map and keep it; a job for the background."""
    if spaces.map(part) is not None:
        return
    sample = spaces.sample()
    with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
        given, made = Path(folder) / "vectors.npy", Path(folder) / "places.npy"
        np.save(given, spaces.vectors(part)[sample])
        background.run(own_process("mfcl.explore.placing", given, made))
        spaces.keep_map(part, sample, np.load(made, allow_pickle=False))
