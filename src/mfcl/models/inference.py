"""Embed prepared clips, in batches of similar length with bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64

from mfcl.audio import Sound
from mfcl.audio.arrays import padded
from mfcl.core.limits import MOST_BATCH
from mfcl.core.memory import HELD, give_back, most_held
from mfcl.core.parallel import Mapped
from mfcl.core.progress import progress as progress_bar
from mfcl.data.store.interfaces import IndexedClips, StoredClips
from mfcl.embeddings.parts import FORMATS, formats_of
from mfcl.embeddings.table import Embeddings
from mfcl.errors import check_choice, check_number
from mfcl.models.pair import FormatEncoder, MultiFormatModel

Format = Literal["wave", "mel", "both"]
LONGEST_SECONDS = 10.0
"""A longer recording is split into windows of at most this length, to bound memory."""
MOST_SAMPLES = 1 << 20
"""Most samples in a batch, padding included (64 clips of a second at 16 kHz), to bound memory."""
KEPT_MORE = 128 << 20
"""Bytes that embedding may hold, beside what the process held before, until it gives back what it has freed."""
Samples = Float32[np.ndarray, " _"]


def embed_store(
    model: MultiFormatModel,
    store: StoredClips,
    *,
    format: Format | None = None,
    batch: int = 64,
    progress: bool = False,
    mapped: Mapped = map,
) -> Embeddings:
    """Embed every recording of a store, on the model's device; see `embed_clips`."""
    manifest = store.manifest
    return Embeddings(
        vectors=embed_clips(
            model, store, store.sample_rate, format=format, batch=batch, progress=progress, mapped=mapped
        ),
        ids=manifest.ids,
        labels={name: manifest.column(name) for name in manifest.label_names},
        parts=part_bounds(model, format),
        splits=manifest.splits,
    )


@dataclass(frozen=True)
class Listed:
    """Clips in a list: arrays, or long recordings read piece by piece."""

    clips: Sequence[Sound]

    @property
    def lengths(self) -> Int64[np.ndarray, " items"]:
        """Return the clips' lengths in samples."""
        return np.array([len(clip) for clip in self.clips], dtype=np.int64)

    def piece(self, index: int, start: int, stop: int) -> Samples:
        """Return the samples of one clip from `start` to `stop`."""
        return self.clips[index][start:stop]


@dataclass(frozen=True)
class Windows:
    """Windows of one recording as clips, each read on demand."""

    sound: Sound
    starts: Int64[np.ndarray, " windows"]
    size: int

    @property
    def lengths(self) -> Int64[np.ndarray, " windows"]:
        """Return the windows' lengths in samples."""
        return np.asarray(np.minimum(self.size, len(self.sound) - self.starts), dtype=np.int64)

    def piece(self, index: int, start: int, stop: int) -> Samples:
        """Return the samples of one window from `start` to `stop`."""
        first = int(self.starts[index])
        return np.asarray(self.sound[first + start : first + stop])


@torch.inference_mode()
def embed_clips(
    model: MultiFormatModel,
    clips: IndexedClips,
    sample_rate: int,
    *,
    format: Format | None = None,
    batch: int = 64,
    progress: bool = False,
    mapped: Mapped = map,
) -> Float32[np.ndarray, "items dim"]:
    """Embed prepared clips in their order; a clip longer than `LONGEST_SECONDS` is the mean of its windows.

    Args:
        model: Run in evaluation mode, then set back to its present mode.
        clips: Mono clips at the model's sample rate, already prepared.
        sample_rate: Of the clips, in Hz.
        format: `wave`, `mel` or `both` (the two embeddings side by side); default: the model's `default_format`.
        batch: Most windows in a batch; long windows make smaller batches (`MOST_SAMPLES`).
        progress: Show a progress bar.
        mapped: Does the work batch by batch, in order; such as `mfcl.core.distributed.shared_out` without threads.

    Raises:
        MfclError: `batch` is out of range.
    """
    check_number("batch", batch, 1, MOST_BATCH, whole=True)
    wanted = formats_of(model.default_format if format is None else format)
    dim = sum(model.dims[name] for name in wanted)
    longest = int(LONGEST_SECONDS * sample_rate)
    vectors = np.empty((len(clips.lengths), dim), dtype=np.float32)
    several = np.flatnonzero(clips.lengths > longest)  # clips of more than one window, whose vectors are averaged
    totals = np.zeros((len(several), dim), dtype=np.float64)
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    most = most_held(KEPT_MORE)

    def embedded(windows: Sequence[tuple[int, int, int]]) -> Float32[np.ndarray, "windows dim"]:
        wave, lengths = _stack([clips.piece(item, start, stop) for item, start, stop in windows])
        output = [
            getattr(model, name)(wave.to(device), None if lengths is None else lengths.to(device)).float()
            for name in wanted
        ]
        made = torch.cat(output, dim=1).cpu().numpy()
        del output
        give_back(above=most)
        return made

    try:
        plan = list(_plan(clips.lengths, longest, batch))
        bar = progress_bar(total=len(vectors), what="embedding", unit="clips", shown=progress)
        with bar:
            for windows, made in zip(plan, mapped(embedded, plan), strict=True):
                items = np.array([item for item, _, _ in windows])
                vectors[items] = made
                long = clips.lengths[items] > longest
                share = np.array([stop - start for _, start, stop in windows], dtype=np.float64)[long]
                np.add.at(totals, np.searchsorted(several, items[long]), made[long] * share[:, None])
                bar.update(sum(start == 0 for _, start, _ in windows))
    finally:
        model.train(was_training)
    give_back(above=HELD)
    vectors[several] = totals / clips.lengths[several][:, None]
    return vectors


@torch.inference_mode()
def encoder_frames(
    model: MultiFormatModel,
    clips: IndexedClips,
    sample_rate: int,
    format: str,
    *,
    batch: int = 64,
) -> list[Float32[np.ndarray, "_ dim"]]:
    """Return the frames of one encoder, before pooling, of prepared clips in their order.

    Only the first `LONGEST_SECONDS` of a clip are encoded. For alignment see `mfcl.embeddings.alignment.unit_frames`.

    Args:
        model: Run in evaluation mode, then set back to its present mode.
        clips: Mono clips at the model's sample rate, already prepared.
        sample_rate: Of the clips, in Hz.
        format: `wave` or `mel`.
        batch: Most clips in a batch.

    Raises:
        MfclError: `batch` is out of range, or there is no such format.
    """
    check_number("batch", batch, 1, MOST_BATCH, whole=True)
    check_choice("format", format, FORMATS)
    encoder: FormatEncoder = getattr(model, format)
    longest = int(LONGEST_SECONDS * sample_rate)
    found: dict[int, Float32[np.ndarray, "_ dim"]] = {}
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    try:
        for some in _plan(np.minimum(clips.lengths, longest), longest, batch):
            wave, lengths = _stack([clips.piece(item, start, stop) for item, start, stop in some])
            values, counts = encoder.frames(wave.to(device), None if lengths is None else lengths.to(device))
            array = values.float().cpu().numpy()
            for row, (item, _, _) in enumerate(some):
                found[item] = array[row, : array.shape[1] if counts is None else int(counts[row])].copy()
    finally:
        model.train(was_training)
    return [found[item] for item in range(len(found))]


def part_bounds(model: MultiFormatModel, format: Format | None = None) -> dict[str, tuple[int, int]]:
    """Return the columns of each part of an embedding (see `MultiFormatModel.parts`): name -> (start, stop).

    Raises:
        MfclError: there is no such format.
    """
    bounds, start, formats = {}, 0, formats_of(model.default_format if format is None else format)
    for part, dim in model.parts.items():
        if part.format in formats:
            bounds[str(part)] = (start, start + dim)
            start += dim
    return bounds


def _plan(lengths: Int64[np.ndarray, " items"], longest: int, batch: int) -> Iterator[list[tuple[int, int, int]]]:
    """Yield batches of windows (item, start, stop), grouped by length to save padding."""
    windows = []
    for item, length in enumerate(lengths.tolist()):
        pieces = max(1, -(-length // longest))
        edges = [length * piece // pieces for piece in range(pieces + 1)]
        windows += [(item, start, stop) for start, stop in pairwise(edges)]
    windows.sort(key=lambda window: (window[2] - window[1], window))
    first = 0
    while first < len(windows):
        some = windows[first : first + batch]
        widest = [stop - start for _, start, stop in some]  # sorted: the last window sets the padded width
        while len(some) > 1 and len(some) * widest[len(some) - 1] > MOST_SAMPLES:
            some.pop()
        yield some
        first += len(some)


def _stack(clips: Sequence[Samples]) -> tuple[torch.Tensor, torch.Tensor | None]:
    counts = np.array([len(clip) for clip in clips], dtype=np.int64)
    full = bool((counts == counts.max()).all())
    return torch.from_numpy(padded(clips, counts)), None if full else torch.from_numpy(counts)
