"""Batches of recordings and their audio: two crops of each recording, or whole clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from mfcl.core.console import counted
from mfcl.core.random import generator, uniforms
from mfcl.errors import TrainingError
from mfcl.views.crops import CropSettings, crop_pair, whole

POOL = 4
"""Batches drawn together, then sorted by length: more would pad less, but repeat the same batch mates."""


Indices = Int64[np.ndarray, " batch"] | Int64[Tensor, " batch"]
"""Indices of recordings: an array, or on a GPU a tensor."""


@runtime_checkable
class ClipStore(Protocol):
    """Interface of a store of decoded audio."""

    @property
    def sample_rate(self) -> int:
        """Return the sample rate in Hz."""

    @property
    def lengths(self) -> Int64[np.ndarray, " items"]:
        """Return the length of each recording in samples."""

    def gather(
        self,
        indices: Int64[np.ndarray, " batch"],
        starts: Int64[np.ndarray, " batch"],
        counts: Int64[np.ndarray, " batch"],
    ) -> Float32[np.ndarray, "batch samples"] | Float32[Tensor, "batch samples"]:
        """Return one piece of each recording, zero-padded at its end; rows may be longer than the longest piece."""


@dataclass(frozen=True)
class ClipBatch:
    """A batch of clips, zero-padded to one width."""

    wave: Float[Tensor, "batch samples"]
    lengths: Int64[Tensor, " batch"] | None
    """Length of each clip in samples; None: no padding."""


@dataclass(frozen=True)
class Views:
    """Two crops for each recording of a batch."""

    recordings: Indices
    """Indices in the store."""
    others: Indices
    """Indices of the recordings that the second crops come from: the same ones, or nearest neighbours of them."""
    first: ClipBatch
    """The first crops; waveforms under the loss term "inter"."""
    second: ClipBatch
    """The second crops; log-mels under the loss term "inter"."""
    partner: ClipBatch | None
    """Crops of other recordings to mix into the log-mels, at most as long as the second crop."""


def epoch_order(
    lengths: Int64[np.ndarray, " items"], batch: int, *, seed: int, epoch: int, fill: bool = False
) -> Int64[np.ndarray, "steps batch"]:
    """Return the recordings of each batch of an epoch, in a new order for each epoch.

    Recordings of similar length share a batch: this saves padding, and the loss cannot use length to tell recordings
    apart. Recordings are shuffled, then sorted by length within every `POOL` batches. The last, incomplete batch is
    left out, or with `fill` completed with recordings of the other batches. No batch holds a recording twice.

    Example:
        >>> sorted(sorted(batch) for batch in epoch_order(np.array([5, 1, 6, 2]), 2, seed=0, epoch=0).tolist())
        [[0, 2], [1, 3]]
    """
    draw = generator(seed, "order", epoch)
    order = draw.permutation(len(lengths))
    if not fill:
        order = order[: len(lengths) // batch * batch]
    pool = np.arange(len(order)) // (POOL * batch)
    order = order[np.lexsort((lengths[order], pool))]
    whole, last = np.split(order, [len(order) // batch * batch])
    if len(last):
        order = np.concatenate([order, _completing(whole, last, batch - len(last), lengths, draw)])
    batches = order.reshape(-1, batch)
    return draw.permuted(draw.permutation(batches), axis=1)


def _completing(
    whole: Int64[np.ndarray, " items"],
    last: Int64[np.ndarray, " rest"],
    missing: int,
    lengths: Int64[np.ndarray, " all_items"],
    draw: np.random.Generator,
) -> Int64[np.ndarray, " missing"]:
    """Draw recordings out of whole batches, about as long as those of the last batch."""
    drawn = draw.permutation(whole)[: POOL * missing]
    far = np.abs(lengths[drawn] - np.median(lengths[last]))
    return drawn[np.argsort(far, kind="stable")[:missing]]


def batch_indices(
    lengths: Int64[np.ndarray, " items"],
    batch: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    processes: int = 1,
    fill: bool = False,
) -> Int64[np.ndarray, "steps share"]:
    """Return this process's share of every batch of an epoch.

    The shares of all processes, in the order of their ranks, are the batch that a single process would have. With fewer
    recordings than `batch`, the only batch holds all of them, rounded down to a multiple of `processes`.

    Args:
        lengths: Length of each recording in samples; see `epoch_order`.
        batch: Recordings in a batch, over all processes.
        seed: The run's seed.
        epoch: The epoch, from 0.
        rank: Number of this process, from 0.
        processes: Number of processes that train together.
        fill: Use every recording; see `epoch_order`.

    Raises:
        TrainingError: a batch would have fewer than two recordings, or the processes cannot share it equally.
    """
    size = batch_size(len(lengths), batch, processes)
    share = size // processes
    return epoch_order(lengths, size, seed=seed, epoch=epoch, fill=fill)[:, rank * share : (rank + 1) * share]


def batch_size(count: int, batch: int, processes: int = 1) -> int:
    """Return the recordings of each batch: `batch`, or with fewer recordings all that the processes can share.

    Raises:
        TrainingError: a batch would have fewer than two recordings, or the processes cannot share it equally.
    """
    if count >= batch and batch % processes:
        nearest = max(batch // processes, 1) * processes
        raise TrainingError(
            f"a batch of {batch} recordings cannot be shared equally by {processes} processes; use {nearest}"
        )
    size = min(batch, count // processes * processes)
    if size < 2:
        more = "a larger batch" if count > 1 and processes == 1 else "more recordings"
        shared = f", and one for each of {processes} processes" if processes > 1 else ""
        raise TrainingError(
            f"{counted(count, 'recording')} for training, in batches of {batch}: a batch needs at least 2 recordings"
            f"{shared}; use {more}"
        )
    return size


def make_views(
    store: ClipStore,
    indices: Int64[np.ndarray, " batch"],
    settings: CropSettings,
    *,
    seed: int,
    epoch: int,
    others: Int64[np.ndarray, " batch"] | None = None,
    partners: bool = False,
) -> Views:
    """Cut two crops out of each recording, and with `partners` a crop of another recording to mix in.

    A recording's crops and its partner depend on the seed, the epoch and the store, not on the rest of the batch.

    Args:
        store: The decoded audio.
        indices: The recordings.
        settings: Length and placement of the crops.
        seed: The run's seed.
        epoch: The epoch, from 0.
        others: Recordings to cut the second crops from, with the draws of `indices`; None: the same recordings.
        partners: Whether to cut crops that are mixed into the log-mels.
    """
    others = indices if others is None else others
    one, two = (
        crop_pair(store.lengths[of], store.sample_rate, settings, seed=seed, epoch=epoch, recordings=indices)
        for of in (indices, others)
    )
    return Views(
        recordings=indices,
        others=others,
        first=_cut(store, indices, one.starts[:, 0], one.counts[:, 0]),
        second=_cut(store, others, two.starts[:, 1], two.counts[:, 1]),
        partner=_partners(store, indices, two.counts[:, 1], seed, epoch) if partners else None,
    )


def whole_clips(
    store: ClipStore,
    indices: Int64[np.ndarray, " batch"],
    *,
    longest_seconds: float | None = None,
    seed: int | None = None,
    epoch: int = 0,
) -> ClipBatch:
    """Return whole recordings, and pieces of `longest_seconds` of longer ones.

    With a `seed`, as in training, the piece is drawn for each (seed, epoch, recording). Without one it is the middle.
    """
    lengths = store.lengths[indices]
    counts = lengths
    if longest_seconds is not None:
        counts = np.minimum(lengths, max(round(longest_seconds * store.sample_rate), 1))
    if seed is None:
        return _cut(store, indices, (lengths - counts) // 2, counts)
    place = uniforms(seed, "whole clips", epoch, indices, 1)[:, 0]
    return _cut(store, indices, whole(place, lengths - counts), counts)


def length_batches(
    lengths: Int64[np.ndarray, " items"], batch: int, *, most_samples: int = 2**24
) -> list[Int64[np.ndarray, " batch"]]:
    """Group recordings of similar length, shortest first, to save padding and bound memory.

    Args:
        lengths: Length of each recording in samples.
        batch: Most recordings in a group.
        most_samples: Most samples in a group, padding included; a longer recording is its own group. 2**24 samples
            are 64 MiB.

    Returns:
        Indices; each recording is in exactly one group.

    Example:
        >>> [group.tolist() for group in length_batches(np.array([9, 1, 5]), 2)]
        [[1, 2], [0]]
    """
    return list(_groups(np.argsort(lengths, kind="stable"), lengths, batch, most_samples))


def _groups(
    order: Int64[np.ndarray, " items"], lengths: Int64[np.ndarray, " items"], batch: int, most_samples: int
) -> Iterator[Int64[np.ndarray, " batch"]]:
    start = 0
    while start < len(order):
        candidates = order[start : start + batch]
        padded = lengths[candidates] * np.arange(1, len(candidates) + 1)  # sorted: the last clip sets the padded width
        fitting = max(int(np.searchsorted(padded, most_samples, side="right")), 1)
        yield candidates[:fitting]
        start += fitting


def _partners(
    store: ClipStore, indices: Int64[np.ndarray, " batch"], counts: Int64[np.ndarray, " batch"], seed: int, epoch: int
) -> ClipBatch:
    draws = uniforms(seed, "partners", epoch, indices, 2)
    others = whole(draws[:, 0], np.full(len(indices), max(len(store.lengths) - 2, 0)))
    others += (others >= indices) & (len(store.lengths) > 1)  # uniform over all recordings except itself
    lengths = store.lengths[others]
    counts = np.minimum(counts, lengths)
    return _cut(store, others, whole(draws[:, 1], lengths - counts), counts)


def _cut(
    store: ClipStore,
    indices: Int64[np.ndarray, " batch"],
    starts: Int64[np.ndarray, " batch"],
    counts: Int64[np.ndarray, " batch"],
) -> ClipBatch:
    wave = torch.as_tensor(store.gather(indices, starts, counts))
    full = bool((counts == wave.shape[1]).all())
    return ClipBatch(wave, None if full else torch.from_numpy(np.ascontiguousarray(counts)))
