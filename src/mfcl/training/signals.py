"""Delay Ctrl-C until the end of a training step."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import distributed

from mfcl.core.distributed import processes


class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal after saving its state; the message says how to resume. Exit status 130."""


class Stopping:
    """Context in which SIGINT (Ctrl-C) and SIGTERM only set a flag, which the loop reads with `asked`.

    A second Ctrl-C ends a single process at once; earlier saved states stay intact.
    """

    def __init__(self) -> None:
        self.requested = False
        self.earlier: dict[int, Any] = {}

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():  # only there may signals be handled
            for number in (signal.SIGINT, signal.SIGTERM):
                self.earlier[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.earlier.items():
            signal.signal(number, handler)

    def asked(self, device: torch.device) -> bool:
        """Tell whether to stop now; the answer is the same in all processes, so that none waits for another."""
        if processes() == 1:
            return self.requested
        anybody = torch.tensor(int(self.requested), device=device)
        distributed.all_reduce(anybody, distributed.ReduceOp.MAX)
        return bool(anybody.item())

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT and processes() == 1:
            raise KeyboardInterrupt
        self.requested = True
