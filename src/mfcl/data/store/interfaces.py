"""What reads clips asks of them: interfaces that a `Store`, a view of one or a list of arrays keeps."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.data.manifest import Manifest


@runtime_checkable
class IndexedClips(Protocol):
    """Clips that can be read piece by piece."""

    @property
    def lengths(self) -> Int64[np.ndarray, " items"]:
        """Return the clips' lengths in samples."""

    def piece(self, index: int, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples of one clip from `start` to `stop`."""
        ...


@runtime_checkable
class StoredClips(IndexedClips, Protocol):
    """The stored audio of a manifest's recordings."""

    @property
    def manifest(self) -> Manifest:
        """Return the recordings, in the order of the clips."""

    @property
    def sample_rate(self) -> int:
        """Return the sample rate in Hz."""
